"""OpenAI's endpoints, for clients that know no other: `/v1/models` and `/v1/chat/completions`."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.routing import Match

from rag_graph.errors import UnknownModel
from rag_graph.events import RunCancelled, RunFailed
from rag_graph.http.answering import read_run, start_run, stream_run
from rag_graph.http.encoding import DONE, EVENT_STREAM, framed
from rag_graph.http.openai.encoding import (
    STOPPED_CODE,
    CompletionChunks,
    Envelope,
    completion,
    error_body,
    model_card,
    model_list,
    said,
    summed,
)
from rag_graph.http.openai.open_webui import task_reply
from rag_graph.http.openai.request import (
    ChatRequest,
    Draft,
    Presentation,
    RagOptions,
    Sources,
    model_names,
    query_of,
    read_model,
)
from rag_graph.http.problems import ErrorRoute, Problem, status_of_code
from rag_graph.http.state import choices_of
from rag_graph.http.stream import UNBUFFERED
from rag_graph.runs.ids import made_at
from rag_graph.transcript import Transcript

RELEASED = 1_767_225_600
"""When the models came to be, which clients want to know: 2026-01-01."""


class OpenAIError(BaseModel):
    """`code` is stable, `message` safe to show; `param` names the field that was wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIRefusal(BaseModel):
    """The body of every answer that is an error."""

    error: OpenAIError


def render(problem: Problem) -> Response:
    """An error as OpenAI's clients read it; their `x-should-retry` overrules what they would do by the status."""
    status = problem.status
    if problem.code == UnknownModel.code:
        status = HTTPStatus.NOT_FOUND
    elif status == HTTPStatus.UNPROCESSABLE_ENTITY:
        # What OpenAI's own service answers with 400 is 422 elsewhere here.
        status = HTTPStatus.BAD_REQUEST
    kinds = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
    is_ours = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    kind = kinds.get(status) or ("server_error" if is_ours else "invalid_request_error")
    # OpenAI's own service names no field for a model that is not there.
    param = None if problem.code == UnknownModel.code else problem.field or None
    body = error_body(problem.code, problem.message, kind=kind, param=param)
    return JSONResponse(body, status, {**problem.headers, "x-should-retry": str(problem.retryable).lower()})


class OpenAIRoute(ErrorRoute):
    """A route whose refusals have OpenAI's shape."""

    render = staticmethod(render)


def create_router(defaults: Presentation) -> APIRouter:
    """The endpoints; `defaults` say how runs are told to requests that do not choose."""
    router = APIRouter(
        prefix="/v1",
        tags=["openai"],
        route_class=OpenAIRoute,
        responses={"default": {"model": OpenAIRefusal, "description": "An error in OpenAI's shape."}},
    )

    # Monitors ask by HEAD, and clients whose base URL ends with a slash for `/models/`.
    @router.head("/models", include_in_schema=False)
    @router.get("/models/", include_in_schema=False)
    @router.get("/models")
    async def models(request: Request) -> dict[str, Any]:
        """The two modes, as models; where others can be chosen, both modes of each."""
        return model_list(model_names(choices_of(request)), RELEASED)

    @router.head("/models/{name:path}", include_in_schema=False)
    @router.get("/models/{name:path}")  # names of models have slashes
    async def model(request: Request, name: str) -> dict[str, Any]:
        """One of the models."""
        read_model(name, choices_of(request))
        return model_card(name, RELEASED)

    @router.post("/chat/completions", responses={200: {"content": {EVENT_STREAM: {"schema": {"type": "string"}}}}})
    async def chat_completions(
        request: Request,
        asked: ChatRequest,
        idempotency_key: Annotated[str | None, Header(description="Same key, same run.")] = None,
        x_rag_draft: Annotated[Draft | None, Header(description="As `rag.draft` in the body.")] = None,
        x_rag_sources: Annotated[Sources | None, Header(description="As `rag.sources` in the body.")] = None,
    ) -> Response:
        """Answer the last message from the documents, in chunks or at once."""
        if (reply := task_reply(asked.prompt)) is not None:
            return _reply(asked, reply)
        # The body goes before the header, which a gateway or a client's settings may add to every request.
        shown = defaults.chosen(RagOptions(draft=x_rag_draft, sources=x_rag_sources)).chosen(asked.rag)
        run_id, _ = await start_run(request, query_of(asked, choices_of(request)), key=idempotency_key)
        envelope = Envelope(run_id, asked.model, int(made_at(run_id) or RELEASED))
        if asked.stream:
            return await stream_run(request, run_id, CompletionChunks(envelope, shown, wants_usage=asked.wants_usage))
        transcript = await read_run(request, run_id)
        whole = completion(transcript, envelope, shown)
        response = JSONResponse(whole) if whole else render(_failure(transcript))
        response.headers["x-run-id"] = run_id
        return response

    # Last in the router, since it matches all that no route before it has taken.
    @router.api_route("/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"], include_in_schema=False)
    async def unknown(request: Request, path: str) -> Response:
        """Refuse in OpenAI's shape what the framework would refuse in ours, a known path's wrong method too."""
        known = [route for route in router.routes if route.matches(request.scope)[0] is Match.PARTIAL]
        allowed = ", ".join(sorted({method for route in known for method in getattr(route, "methods", ())}))
        if allowed:
            message = f"/v1/{path[:80]} takes no {request.method}, only {allowed}."
            return render(Problem(405, "method_not_allowed", message, headers={"allow": allowed}))
        return render(Problem(404, "unknown_url", f"There is no /v1/{path[:80]} here."))

    return router


def _reply(asked: ChatRequest, content: str) -> Response:
    """Answer without a run."""
    envelope = Envelope("task", asked.model, RELEASED)
    if asked.stream:
        return Response(framed(said(content, envelope)) + DONE, media_type=EVENT_STREAM, headers=UNBUFFERED)
    return JSONResponse(envelope.completion({"role": "assistant", "content": content}, "stop", summed([])))


def _failure(transcript: Transcript) -> Problem:
    """Why a run gave no answer; what was stopped or not read to its end may be asked again."""
    match transcript.terminal:
        case RunFailed() as last:
            return Problem(status_of_code(last.code), last.code, last.message, last.retryable)
        case RunCancelled():
            return Problem(409, STOPPED_CODE, "The run was stopped before its end.", retryable=True)
        case _:
            return Problem(503, "unread", "The run could not be read to its end: ask again.", retryable=True)
