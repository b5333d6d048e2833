"""The Vercel AI SDK's endpoints: a chat is asked, resumed after a reload, and stopped."""

from collections import OrderedDict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi import Path as PathParameter
from fastapi.responses import PlainTextResponse

from rag_graph.errors import UnknownRun
from rag_graph.http.ai_sdk.encoding import MessageParts
from rag_graph.http.ai_sdk.request import MAX_ID_CHARS, ChatPost, query_of
from rag_graph.http.answering import start_run, stream_run
from rag_graph.http.encoding import EVENT_STREAM
from rag_graph.http.problems import ErrorRoute, Problem
from rag_graph.http.state import caller_of, runner_of
from rag_graph.runs.runner import Runner

MAX_CHATS = 10_000

ChatId = Annotated[str, PathParameter(min_length=1, max_length=MAX_ID_CHARS)]


class Chats:
    """Which run a chat's last question has started in this process; the oldest are forgotten."""

    def __init__(self) -> None:
        self._runs: OrderedDict[tuple[str, str], str] = OrderedDict()

    def note(self, caller: str, chat: str, run_id: str) -> None:
        self._runs[caller, chat] = run_id
        self._runs.move_to_end((caller, chat))
        if len(self._runs) > MAX_CHATS:
            self._runs.popitem(last=False)

    async def running(self, caller: str, chat: str, runner: Runner) -> str | None:
        """The run of this chat that goes on, if one does."""
        run_id = self._runs.get((caller, chat))
        if run_id is None:
            return None
        try:
            run = await runner.state(run_id, caller=caller)
        except UnknownRun:
            return None
        return run_id if run.status == "running" else None


def render(problem: Problem) -> Response:
    """A sentence, for the SDK shows the body as the error's message."""
    return PlainTextResponse(problem.message, problem.status, problem.headers)


class ChatRoute(ErrorRoute):
    """A route whose refusals are sentences."""

    render = staticmethod(render)


async def chats_of(request: Request) -> Chats:
    chats: Chats = request.app.state.chats
    return chats


ChatsHere = Annotated[Chats, Depends(chats_of)]
_REFUSED = {"description": "Why not, in a sentence.", "content": {"text/plain": {"schema": {"type": "string"}}}}
_STREAM: dict[str, Any] = {EVENT_STREAM: {"schema": {"type": "string"}}}

router = APIRouter(prefix="/api/chat", tags=["ai-sdk"], route_class=ChatRoute, responses={"default": _REFUSED})


@router.post("", response_class=Response, responses={200: {"description": "The message's parts.", "content": _STREAM}})
async def chat(request: Request, asked: ChatPost, chats: ChatsHere) -> Response:
    """Answer the last message."""
    run_id, _ = await start_run(request, query_of(asked))
    chats.note(caller_of(request), asked.id, run_id)
    return await stream_run(request, run_id, MessageParts())


@router.get(
    "/{chat_id}/stream",
    response_class=Response,
    responses={
        200: {"description": "The whole message, from its first part on.", "content": _STREAM},
        204: {"description": "No answer is being written in this chat."},
    },
)
async def resume(request: Request, chat_id: ChatId, chats: ChatsHere) -> Response:
    """Follow the answer that is being written, after a reload."""
    run_id = await chats.running(caller_of(request), chat_id, runner_of(request))
    return await stream_run(request, run_id, MessageParts()) if run_id else Response(status_code=204)


@router.post("/{chat_id}/stop", status_code=204, response_class=Response)
async def stop(request: Request, chat_id: ChatId, chats: ChatsHere) -> None:
    """Stop the answer that is being written; the SDK's own `stop` only stops reading it."""
    runner, caller = runner_of(request), caller_of(request)
    if run_id := await chats.running(caller, chat_id, runner):
        await runner.cancel(run_id, "client", caller=caller)
