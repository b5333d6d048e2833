"""OpenAI's endpoints, for clients that know no other: `/v1/models` and `/v1/chat/completions`."""

from collections.abc import Callable, Coroutine, Mapping
from http import HTTPStatus
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Header, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from rag_graph.errors import InvalidRequest, RagGraphError
from rag_graph.events import RunCancelled, RunFailed
from rag_graph.http.native.routes import CallerHere, RunnerHere, read_whole
from rag_graph.http.openai.encoding import (
    MODELS,
    STOPPED_CODE,
    ChatRequest,
    Chunk,
    CompletionChunks,
    Draft,
    Envelope,
    Presentation,
    RagOptions,
    Sources,
    UnknownModel,
    completion,
    error_body,
    model_card,
    model_list,
    query_of,
    said,
    summed,
)
from rag_graph.http.openai.open_webui import task_reply
from rag_graph.http.problems import problem_of, retry_headers, status_of, status_of_code
from rag_graph.http.stream import EVENT_STREAM, HEARTBEAT, UNBUFFERED, FrameStream
from rag_graph.runs.log import Entry, Gap
from rag_graph.runs.runner import Runner
from rag_graph.transcript import Transcript

DONE = b"data: [DONE]\n\n"
RELEASED = 1_767_225_600
"""When the models came to be, which clients want to know: 2026-01-01."""

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class OpenAIError(BaseModel):
    """`code` is stable, `message` safe to show; `param` names the field that was wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIRefusal(BaseModel):
    """The body of every answer that is an error."""

    error: OpenAIError


class OpenAIRoute(APIRoute):
    """A route whose refusals have OpenAI's shape."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()

        async def explained(request: Request) -> Response:
            try:
                return await handle(request)
            except RagGraphError as exc:
                return _refused(exc)
            except (RequestValidationError, ValidationError) as exc:
                return _misunderstood(exc)
            except HTTPException as exc:
                return _refusal(exc.status_code, str(exc.detail), code=None)

        return explained


def create_router(defaults: Presentation) -> APIRouter:
    """The endpoints; `defaults` say how runs are told to requests that do not choose."""
    router = APIRouter(
        prefix="/v1",
        tags=["openai"],
        route_class=OpenAIRoute,
        responses={"default": {"model": OpenAIRefusal, "description": "An error in OpenAI's shape."}},
    )

    @router.get("/models")
    async def models() -> dict[str, Any]:
        """The two modes, as models."""
        return model_list(RELEASED)

    @router.get("/models/{name}")
    async def model(name: str) -> dict[str, Any]:
        """One of the models."""
        if name not in MODELS:
            raise UnknownModel(f"There is no model {name[:80]!r}: ask {' or '.join(MODELS)}.")
        return model_card(name, RELEASED)

    @router.post("/chat/completions", responses={200: {"content": {EVENT_STREAM: {"schema": {"type": "string"}}}}})
    async def chat_completions(
        request: Request,
        asked: ChatRequest,
        runner: RunnerHere,
        caller: CallerHere,
        idempotency_key: Annotated[str | None, Header(description="Same key, same run.")] = None,
        x_rag_draft: Annotated[Draft | None, Header(description="As `rag.draft` in the body.")] = None,
        x_rag_sources: Annotated[Sources | None, Header(description="As `rag.sources` in the body.")] = None,
    ) -> Response:
        """Answer the last message from the documents, in chunks or at once."""
        if (reply := task_reply(asked.prompt)) is not None:
            return _reply(asked, reply)
        query = query_of(asked)
        shown = defaults.chosen(RagOptions(draft=x_rag_draft, sources=x_rag_sources)).chosen(asked.rag)
        await request.app.state.answerer.check_ready()
        run_id, _ = await runner.start(query, caller=caller, key=idempotency_key)
        return await _told(request, asked, shown, runner=runner, run_id=run_id, caller=caller)

    @router.api_route("/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"], include_in_schema=False)
    async def unknown(request: Request, path: str) -> Response:
        if allowed := _methods(router, request):
            message = f"/v1/{path[:80]} takes no {request.method}, only {allowed}."
            return _refusal(405, message, code="method_not_allowed", headers={"allow": allowed})
        return _refusal(404, f"There is no /v1/{path[:80]} here.", code="unknown_url")

    return router


def _methods(router: APIRouter, request: Request) -> str:
    """What may be done at this path, if there is such a path."""
    known = [route for route in router.routes if route.matches(request.scope)[0] is Match.PARTIAL]
    return ", ".join(sorted({method for route in known for method in getattr(route, "methods", ())}))


async def _told(
    request: Request, asked: ChatRequest, shown: Presentation, *, runner: Runner, run_id: str, caller: str
) -> Response:
    run = await runner.check(run_id, caller=caller)
    envelope = Envelope(run_id, asked.model, int(run.created_at))
    headers = {"x-run-id": run_id}
    if not asked.stream:
        transcript = await read_whole(request, runner, run_id, caller=caller)
        whole = completion(transcript, envelope, shown)
        return JSONResponse(whole, headers=headers) if whole else _failed(transcript, headers)
    view = CompletionChunks(envelope, shown, wants_usage=asked.wants_usage)
    return FrameStream(
        runner.follow_batches(run_id, caller=caller),
        lambda item: _frames(view, item),
        media_type=EVENT_STREAM,
        headers=headers,
        heartbeat=HEARTBEAT,
        heartbeat_s=request.app.state.heartbeat_s,
        write_timeout_s=request.app.state.write_timeout_s,
    )


def _frames(view: CompletionChunks, item: Entry | Gap) -> bytes:
    if isinstance(item, Gap):
        view.tear()
        return b""
    frames = b"".join(map(_frame, view.add(item.event)))
    return frames + DONE if item.ends else frames


def _frame(chunk: Chunk) -> bytes:
    return b"data: %s\n\n" % orjson.dumps(chunk)


def _reply(asked: ChatRequest, content: str) -> Response:
    """Answer without a run."""
    envelope = Envelope("task", asked.model, RELEASED)
    if asked.stream:
        frames = b"".join(map(_frame, said(content, envelope)))
        return Response(frames + DONE, media_type=EVENT_STREAM, headers=UNBUFFERED)
    return JSONResponse(envelope.completion({"role": "assistant", "content": content}, "stop", summed([])))


def _failed(transcript: Transcript, headers: Mapping[str, str]) -> Response:
    match transcript.terminal:
        case RunFailed() as last:
            retry = {"x-should-retry": str(last.retryable).lower()}
            return _refusal(status_of_code(last.code), last.message, code=last.code, headers={**headers, **retry})
        case RunCancelled():
            return _refusal(409, "The run was stopped before its end.", code=STOPPED_CODE, headers=headers)
        case _:
            return _refusal(503, "The run could not be read to its end: ask again.", code=None, headers=headers)


def _refused(error: RagGraphError) -> Response:
    """What OpenAI's own service answers with 400 is 422 elsewhere here."""
    status = 404 if isinstance(error, UnknownModel) else status_of(type(error))
    if status == HTTPStatus.UNPROCESSABLE_ENTITY:
        status = HTTPStatus.BAD_REQUEST
    headers = {**retry_headers(error), "x-should-retry": str(error.retryable).lower()}
    param = "messages" if isinstance(error, InvalidRequest) else None
    return _refusal(
        HTTPStatus.BAD_REQUEST if status == HTTPStatus.UNPROCESSABLE_ENTITY else status,
        str(error),
        code=error.code,
        param=param,
        headers=headers,
    )


def _misunderstood(error: RequestValidationError | ValidationError) -> Response:
    param, message = problem_of(error)
    return _refusal(400, message, code=InvalidRequest.code, param=param or None)


def _refusal(
    status: int, message: str, *, code: str | None, param: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    kinds = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
    kind = kinds.get(status) or (
        "server_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
    )
    body = error_body(code, message, kind=kind, param=param)
    return JSONResponse(body, status_code=status, headers=headers)
