"""The Agent Protocol's endpoints: threads, the commands that start a run, and the stream that tells them."""

import asyncio
import re
from collections.abc import Callable
from http import HTTPStatus
from itertools import takewhile
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Header, Path, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from rag_graph.clock import steady_time
from rag_graph.errors import BadCursor, ConversationNotFound, UnknownRun
from rag_graph.http.agent_protocol.encoding import ThreadEvents
from rag_graph.http.agent_protocol.request import (
    Command,
    NewThread,
    NotSupported,
    RunStart,
    StreamRequest,
    ThreadBusy,
    query_of,
)
from rag_graph.http.agent_protocol.threads import Arrivals, Following, Thread, moment
from rag_graph.http.conversations import ID, Place, start_turn
from rag_graph.http.encoding import EVENT_STREAM, Chunk
from rag_graph.http.problems import ErrorRoute, Problem
from rag_graph.http.state import caller_of, conversations_of, heartbeat_s_of, runner_of, write_timeout_s_of
from rag_graph.http.stream import FrameStream
from rag_graph.query import MAX_HISTORY_TURNS, Turn
from rag_graph.runs.ids import RUN_ID, new_run_id

ThreadId = Annotated[str, Path(pattern=ID)]
_EVENT_ID = re.compile(rf"synth:{RUN_ID.pattern}:([0-9]{{1,16}})")
_CODES = {401: "permission_denied", 403: "permission_denied", 404: "no_such_run", 410: "no_such_run"}


class ProtocolError(BaseModel):
    """The body of every answer that is an error; `error` is one of the protocol's codes, `code` the one of ours."""

    type: str = "error"
    id: int | None = None
    error: str
    message: str
    code: str


def render(problem: Problem) -> Response:
    """An error as the protocol has it."""
    is_argument = problem.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)
    known = _CODES.get(problem.status, "invalid_argument" if is_argument else "unknown_error")
    error = NotSupported.code if problem.code == NotSupported.code else known
    told = ProtocolError(error=error, message=problem.message, code=problem.code)
    return JSONResponse(told.model_dump(), problem.status, problem.headers)


class ProtocolRoute(ErrorRoute):
    """A route whose errors are those of the Agent Protocol."""

    render = staticmethod(render)


plain = APIRouter(route_class=ProtocolRoute)
"""What needs nothing of the app's own."""


def create_router() -> APIRouter:
    """The endpoints of one app, whose streams are woken by its commands."""
    arrivals = Arrivals()
    router = APIRouter(
        tags=["agent protocol"],
        route_class=ProtocolRoute,
        responses={"default": {"model": ProtocolError, "description": "An error as the protocol has it."}},
    )

    @router.post("/threads/{thread_id}/commands", response_model=dict[str, Any])
    async def command(request: Request, thread_id: ThreadId, sent: Command) -> Response:
        """Ask the next question of a thread."""
        done: Chunk = {"type": "success", "id": sent.id}
        match sent.method:
            case "run.start":
                run_id = await _start(request, thread_id, RunStart.model_validate(sent.params))
                arrivals.tell(request, thread_id)
                return JSONResponse({**done, "result": {"run_id": run_id}})
            case "state.get":
                thread = await Thread.read(request, thread_id)
                return await _in_json(lambda: {**done, "result": {"values": thread.state()["values"]}})
        raise NotSupported(f"{sent.method}: this server knows the commands run.start and state.get.")

    @router.post(
        "/threads/{thread_id}/stream/events",
        response_class=Response,
        responses={200: {"content": {EVENT_STREAM: {"schema": {"type": "string"}}}}},
    )
    async def stream(
        request: Request,
        thread_id: ThreadId,
        asked: StreamRequest,
        last_event_id: Annotated[str, Header(description="Go on after this event, as `since` does.")] = "",
    ) -> Response:
        """The newest run of a thread, or what follows a number, and every run that is yet to come."""
        _check_kept(request)
        since = _number_in(last_event_id) if asked.since is None else asked.since
        encoder = ThreadEvents(asked.channels if asked.is_of_root else (), since=since)
        following = Following(request, thread_id, encoder, since, arrivals)
        return FrameStream(
            "",
            following.reading(),
            encoder,
            headers={},
            heartbeat_s=heartbeat_s_of(request),
            write_timeout_s=write_timeout_s_of(request),
        )

    router.include_router(plain)
    return router


@plain.post("/threads")
async def create(request: Request, asked: NewThread | None = None) -> dict[str, Any]:
    """A name for a thread; its first question begins it."""
    _check_kept(request)
    now = steady_time()
    thread_id = (asked.thread_id if asked else None) or new_run_id(now)
    return {**_thread(thread_id, now, now), "status": "idle", "values": {}}


@plain.get("/threads/{thread_id}", response_model=dict[str, Any])
async def get(request: Request, thread_id: ThreadId) -> Response:
    """How a thread stands."""
    thread = await Thread.read(request, thread_id)
    known = _thread(thread_id, thread.kept.created_at, thread.kept.updated_at)
    known["status"] = "busy" if thread.is_busy else "idle"
    return await _in_json(lambda: {**known, "values": thread.state()["values"]})


@plain.get("/threads/{thread_id}/state", response_model=dict[str, Any])
async def state(request: Request, thread_id: ThreadId) -> Response:
    """Its messages, as far as they are final, and whether an answer is being written."""
    return await _in_json((await Thread.read(request, thread_id)).state)


@plain.post("/threads/{thread_id}/history", response_model=list[dict[str, Any]])
async def history(request: Request, thread_id: ThreadId) -> Response:
    """Its newest state; earlier ones are not kept."""
    thread = await Thread.read(request, thread_id)
    return await _in_json(lambda: [thread.state()])


@plain.post("/threads/{thread_id}/runs/{run_id}/cancel", status_code=204)
async def cancel(request: Request, thread_id: ThreadId, run_id: str) -> None:
    """Stop a run; what was written is kept."""
    thread = await Thread.read(request, thread_id)
    if all(turn.run_id != run_id for turn in thread.kept.asked):
        raise UnknownRun("This thread has no such run.")
    await runner_of(request).cancel(run_id, "client", caller=caller_of(request))


async def _in_json(told: Callable[[], Any]) -> Response:
    """Megabytes are read and written in a thread."""
    return Response(await asyncio.to_thread(lambda: orjson.dumps(told())), media_type="application/json")


def _thread(thread_id: str, created_at: float, updated_at: float) -> Chunk:
    return {
        "thread_id": thread_id,
        "created_at": moment(created_at),
        "updated_at": moment(updated_at),
        "metadata": {},
    }


def _check_kept(request: Request) -> None:
    if conversations_of(request) is None:
        raise ConversationNotFound("This server keeps no threads; RAG_CONVERSATIONS=true lets it.")


def _number_in(last_event_id: str) -> int:
    """The number in the id of an event. Raises `BadCursor`."""
    if not last_event_id:
        return -1
    found = _EVENT_ID.fullmatch(last_event_id)
    if found is None:
        raise BadCursor("This is no id of an event of a thread: send the one that was seen last.")
    return int(found[1])


async def _start(request: Request, thread_id: str, start: RunStart) -> str:
    """Start the run of the thread's next turn, or find the one that was started by this message.

    Raises NotSupported, ThreadBusy and what `start_turn` raises.
    """
    if start.config and start.config.configurable.checkpoint_id:
        raise NotSupported("checkpoint_id: a thread goes on from its end; begin another one to ask anew.")
    if start.multitask_strategy == "enqueue":
        raise NotSupported("multitask_strategy: no question waits here; send it when the run has ended.")
    _check_kept(request)
    try:
        branch = (await Thread.read(request, thread_id)).branch
    except ConversationNotFound:
        branch = ()
    earlier = list(takewhile(lambda turn: turn.id != start.message_id, branch))
    if earlier and earlier[-1].status == "running":
        if start.multitask_strategy == "reject":
            raise ThreadBusy("multitask_strategy: a question of this thread is being answered.")
        await runner_of(request).cancel(earlier[-1].run_id, "client", caller=caller_of(request))
        earlier = list((await Thread.read(request, thread_id)).branch)
    said: list[Turn] = []
    for turn in earlier:
        said.append(Turn.of("user", turn.question))
        if turn.result and turn.result["answer"]:
            said.append(Turn.of("assistant", turn.result["answer"]))
    place = Place(thread_id, earlier[-1].id if earlier else "")
    started = await start_turn(request, query_of(start, said[-MAX_HISTORY_TURNS:]), place, key=start.message_id)
    return started.run_id
