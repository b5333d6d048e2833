"""A question over HTTP, whatever the protocol: start its run, and tell it as a stream or as a whole."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Final

from fastapi import HTTPException, Request

from rag_graph.errors import Draining
from rag_graph.events import Event
from rag_graph.http.encoding import Encoder
from rag_graph.http.state import caller_of, check_ready, heartbeat_s_of, runner_of, write_timeout_s_of
from rag_graph.http.stream import FrameStream, gone, server_closing
from rag_graph.query import Query
from rag_graph.runs.log import Entry, StartedRun
from rag_graph.runs.runner import DRAINING_RETRY_S, Runner
from rag_graph.transcript import Transcript

CLIENT_CLOSED_REQUEST: Final = 499
"""As nginx calls it; it stands in the access log."""


async def start_run(
    request: Request,
    query: Query,
    *,
    key: str | None = None,
    chat: str | None = None,
    follows: str = "",
    unattended: bool = False,
) -> StartedRun:
    """Start a run, or attach to the one that this caller has started with this key, as `Runner.start` does.

    Raises what keeps every question from being answered, such as `IndexNotFound`, and what `Runner.start` raises.
    """
    # First, as a question that cannot be answered is to take no slot from one that can.
    await check_ready(request, query)
    return await runner_of(request).start(
        query, caller=caller_of(request), key=key, chat=chat, follows=follows, unattended=unattended
    )


async def stream_run(
    request: Request, run_id: str, encoder: Encoder, *, after: int = 0, headers: Mapping[str, str] | None = None
) -> FrameStream:
    """Tell what follows entry `after` of a run as the encoder does; the id of the run is in the headers at once.

    Raises `UnknownRun` and `BadCursor`.
    """
    runner, caller = runner_of(request), caller_of(request)
    # Once the stream has begun there is no status left to refuse with.
    await runner.check(run_id, after, caller=caller)
    return FrameStream(
        run_id,
        runner.reading(run_id, after, caller=caller),
        encoder,
        headers={"x-run-id": run_id, **(headers or {})},
        heartbeat_s=heartbeat_s_of(request),
        write_timeout_s=write_timeout_s_of(request),
    )


async def read_run(request: Request, run_id: str) -> Transcript:
    """Wait for the end of the run, unless the reader leaves: then give what was read so far.

    Raises `UnknownRun`, and `Draining` when the server stops meanwhile.
    """
    transcript = Transcript()
    await hear_run(request, run_id, transcript.add)
    return transcript


async def hear_run(request: Request, run_id: str, hear: Callable[[Event], object]) -> None:
    """Let `hear` have every event up to the end of the run, or until the reader leaves, as `read_run` does."""

    async def read() -> None:
        async with aclosing(follow_events(runner_of(request), run_id, caller=caller_of(request))) as events:
            async for event in events:
                hear(event)

    reading = asyncio.create_task(read())
    leaving = asyncio.create_task(gone(request.receive))
    closing = asyncio.create_task(server_closing(request.scope))
    tasks = (reading, leaving, closing)
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if reading in done:
            reading.result()
        elif closing in done:
            raise Draining("This server stops while the run goes on: ask again.", retry_after_s=DRAINING_RETRY_S)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def while_read(request: Request) -> AsyncIterator[None]:
    """Cancel the block when its reader leaves; the request's body has been read before."""
    try:
        # By a timeout, which knows its own cancellation: a task
        # that cancelled itself could not tell it from the server's.
        async with asyncio.timeout(None) as reading:
            watching = asyncio.create_task(gone(request.receive))

            def end(left: "asyncio.Task[None]") -> None:
                with suppress(RuntimeError):  # the block has ended in the same moment
                    if not left.cancelled():
                        reading.reschedule(0)

            watching.add_done_callback(end)
            try:
                yield
            finally:
                watching.cancel()
    except TimeoutError:
        if reading.expired():
            raise HTTPException(CLIENT_CLOSED_REQUEST) from None  # nobody reads it
        raise


async def follow_events(runner: Runner, run_id: str, *, caller: str) -> AsyncGenerator[Event]:
    """Yield what happens in a run, from its start to its end."""
    async with aclosing(runner.follow(run_id, caller=caller)) as items:
        async for item in items:
            if isinstance(item, Entry):
                yield item.event
