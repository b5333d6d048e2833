"""The Vercel AI SDK's endpoints: a chat is asked, resumed after a reload, and stopped."""

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from fastapi import Path as PathParameter
from fastapi.responses import PlainTextResponse

from rag_graph.http.ai_sdk.encoding import MessageParts
from rag_graph.http.ai_sdk.request import MAX_ID_CHARS, ChatPost, query_of
from rag_graph.http.answering import start_run, stream_run
from rag_graph.http.encoding import EVENT_STREAM
from rag_graph.http.problems import ErrorRoute, Problem
from rag_graph.http.state import caller_of, runner_of

ChatId = Annotated[str, PathParameter(min_length=1, max_length=MAX_ID_CHARS)]


def render(problem: Problem) -> Response:
    """A sentence, for the SDK shows the body as the error's message."""
    return PlainTextResponse(problem.message, problem.status, problem.headers)


class ChatRoute(ErrorRoute):
    """A route whose refusals are sentences."""

    render = staticmethod(render)


_REFUSED = {"description": "Why not, in a sentence.", "content": {"text/plain": {"schema": {"type": "string"}}}}
_STREAM: dict[str, Any] = {EVENT_STREAM: {"schema": {"type": "string"}}}

router = APIRouter(prefix="/api/chat", tags=["ai-sdk"], route_class=ChatRoute, responses={"default": _REFUSED})


@router.post("", response_class=Response, responses={200: {"description": "The message's parts.", "content": _STREAM}})
async def chat(request: Request, asked: ChatPost) -> Response:
    """Answer the last message."""
    run_id, _ = await start_run(request, query_of(asked), chat=asked.id)
    return await stream_run(request, run_id, MessageParts())


@router.get(
    "/{chat_id}/stream",
    response_class=Response,
    responses={
        200: {"description": "The whole message, from its first part on.", "content": _STREAM},
        204: {"description": "No answer is being written in this chat."},
    },
)
async def resume(request: Request, chat_id: ChatId) -> Response:
    """Follow the answer that is being written, after a reload."""
    run = await runner_of(request).latest(chat_id, caller=caller_of(request))
    if run is None or run.status != "running":
        return Response(status_code=204)
    return await stream_run(request, run.run_id, MessageParts())


@router.post("/{chat_id}/stop", status_code=204, response_class=Response)
async def stop(request: Request, chat_id: ChatId) -> None:
    """Stop the answer that is being written; the SDK's own `stop` only stops reading it."""
    runner, caller = runner_of(request), caller_of(request)
    run = await runner.latest(chat_id, caller=caller)
    if run is not None and run.status == "running":
        await runner.cancel(run.run_id, "client", caller=caller)
