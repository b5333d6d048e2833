"""The Vercel AI SDK's endpoints: a chat is asked, resumed after a reload, and stopped."""

from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Request, Response
from fastapi import Path as PathParameter
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse
from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from rag_graph.errors import RagGraphError, UnknownRun
from rag_graph.http.ai_sdk.encoding import MAX_ID_CHARS, ChatPost, MessageParts, Part, query_of
from rag_graph.http.native.routes import CallerHere, RunnerHere
from rag_graph.http.problems import problem_of, retry_headers, status_of
from rag_graph.http.stream import EVENT_STREAM, HEARTBEAT, FrameStream
from rag_graph.runs.log import Entry, Gap
from rag_graph.runs.runner import Runner

DONE = b"data: [DONE]\n\n"
MAX_CHATS = 10_000

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
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


class ChatRoute(APIRoute):
    """A route whose refusals are sentences: the SDK shows the body as the error's message."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()

        async def explained(request: Request) -> Response:
            try:
                return await handle(request)
            except RagGraphError as exc:
                return PlainTextResponse(str(exc), status_of(type(exc)), retry_headers(exc))
            except (RequestValidationError, ValidationError) as exc:
                return PlainTextResponse(problem_of(exc)[1], 422)
            except HTTPException as exc:
                return PlainTextResponse(str(exc.detail), exc.status_code)

        return explained


async def chats_of(request: Request) -> Chats:
    chats: Chats = request.app.state.chats
    return chats


ChatsHere = Annotated[Chats, Depends(chats_of)]
_REFUSED = {"description": "Why not, in a sentence.", "content": {"text/plain": {"schema": {"type": "string"}}}}
_STREAM: dict[str, Any] = {EVENT_STREAM: {"schema": {"type": "string"}}}

router = APIRouter(prefix="/api/chat", tags=["ai-sdk"], route_class=ChatRoute, responses={"default": _REFUSED})


@router.post("", response_class=Response, responses={200: {"description": "The message's parts.", "content": _STREAM}})
async def chat(request: Request, asked: ChatPost, runner: RunnerHere, caller: CallerHere, chats: ChatsHere) -> Response:
    """Answer the last message."""
    query = query_of(asked)
    await request.app.state.answerer.check_ready()
    run_id, _ = await runner.start(query, caller=caller)
    chats.note(caller, asked.id, run_id)
    return await _told(request, runner, run_id, caller=caller)


@router.get(
    "/{chat_id}/stream",
    response_class=Response,
    responses={
        200: {"description": "The whole message, from its first part on.", "content": _STREAM},
        204: {"description": "No answer is being written in this chat."},
    },
)
async def resume(
    request: Request, chat_id: ChatId, runner: RunnerHere, caller: CallerHere, chats: ChatsHere
) -> Response:
    """Follow the answer that is being written, after a reload."""
    run_id = await chats.running(caller, chat_id, runner)
    return await _told(request, runner, run_id, caller=caller) if run_id else Response(status_code=204)


@router.post("/{chat_id}/stop", status_code=204, response_class=Response)
async def stop(chat_id: ChatId, runner: RunnerHere, caller: CallerHere, chats: ChatsHere) -> None:
    """Stop the answer that is being written; the SDK's own `stop` only stops reading it."""
    if run_id := await chats.running(caller, chat_id, runner):
        await runner.cancel(run_id, "client", caller=caller)


async def _told(request: Request, runner: Runner, run_id: str, *, caller: str) -> Response:
    await runner.check(run_id, caller=caller)
    view = MessageParts()
    return FrameStream(
        runner.follow_batches(run_id, caller=caller),
        lambda item: _frames(view, item),
        media_type=EVENT_STREAM,
        headers={"x-vercel-ai-ui-message-stream": "v1", "x-run-id": run_id},
        heartbeat=HEARTBEAT,
        heartbeat_s=request.app.state.heartbeat_s,
        write_timeout_s=request.app.state.write_timeout_s,
    )


def _frames(view: MessageParts, item: Entry | Gap) -> bytes:
    parts = view.tear() if isinstance(item, Gap) else view.add(item.event)
    frames = b"".join(map(_frame, parts))
    return frames + DONE if isinstance(item, Entry) and item.ends else frames


def _frame(part: Part) -> bytes:
    return b"data: %s\n\n" % orjson.dumps(part)
