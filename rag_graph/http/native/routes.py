"""Our own endpoints: ask, follow, look at and cancel runs."""

import asyncio
import re
from collections.abc import Mapping
from contextlib import aclosing
from functools import partial
from operator import itemgetter
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi import Query as Parameter
from pydantic import TypeAdapter

from rag_graph.errors import BadCursor, Draining
from rag_graph.events import Event
from rag_graph.http.native.encoding import LogTrimmed, json_line, sse_frame
from rag_graph.http.problems import documented
from rag_graph.http.stream import EVENT_STREAM, HEARTBEAT, JSON_LINES, FrameStream, gone, server_closing
from rag_graph.query import Query
from rag_graph.result import RunResult, RunState, run_result, run_state
from rag_graph.runs.ids import Cursor
from rag_graph.runs.log import Entry
from rag_graph.runs.runner import DRAINING_RETRY_S, Runner
from rag_graph.transcript import Transcript

Form = Literal["text/event-stream", "application/x-ndjson", "application/json"]
FORMS: tuple[Form, ...] = ("text/event-stream", "application/x-ndjson", "application/json")
MAX_CURSOR = 10**15
_WEIGHT = re.compile(r"q=(0(\.\d{0,3})?|1(\.0{0,3})?)", re.ASCII)


def event_schemas() -> dict[str, Any]:
    """JSON Schemas of all events by name, for the OpenAPI document."""
    schema = TypeAdapter(Event | LogTrimmed).json_schema(ref_template="#/components/schemas/{model}")
    definitions: dict[str, Any] = schema.pop("$defs")
    return definitions | {"Event": schema}


def _documented(description: str, *refused: int) -> dict[int | str, dict[str, Any]]:
    event = {"$ref": "#/components/schemas/Event"}
    data = {"type": "string", "contentMediaType": "application/json", "contentSchema": event}
    words = {"type": "string"}
    frame = {"type": "object", "properties": {"event": words, "data": data, "id": words}, "required": ["data"]}
    return {
        200: {
            "description": description,
            "content": {EVENT_STREAM: {"schema": frame}, JSON_LINES: {"schema": event}},
        },
        **documented(*refused),
    }


def _form(accept: str) -> Form:
    """The form that the header likes best, of equals the first; events when it names none."""
    ranked = sorted(map(_weighed, accept.split(",")), key=itemgetter(1), reverse=True)
    return next((form for name, weight in ranked for form in FORMS if form == name and weight > 0), EVENT_STREAM)


def _weighed(part: str) -> tuple[str, float]:
    name, *parameters = (piece.strip().lower() for piece in part.split(";"))
    weights = [value for value in parameters if _WEIGHT.fullmatch(value)]
    return name, float(weights[0][2:]) if weights else 1.0


async def _follow(
    request: Request,
    runner: Runner,
    cursor: Cursor,
    *,
    caller: str,
    form: Form,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Answer in the form that was asked for; the id of the run is in the headers at once."""
    await runner.check(cursor.run_id, cursor.seq, caller=caller)
    named = {"x-run-id": cursor.run_id, **(headers or {})}
    if form == "application/json":
        transcript = await read_whole(request, runner, cursor.run_id, caller=caller)
        return Response(run_result(transcript).model_dump_json(), media_type="application/json", headers=named)
    batches = runner.follow_batches(cursor.run_id, cursor.seq, caller=caller)
    if form == JSON_LINES:
        return FrameStream(
            batches,
            json_line,
            media_type=JSON_LINES,
            headers=named,
            write_timeout_s=request.app.state.write_timeout_s,
        )
    frame = partial(sse_frame, cursor.run_id)
    return FrameStream(
        batches,
        frame,
        media_type=EVENT_STREAM,
        headers=named,
        heartbeat=HEARTBEAT,
        heartbeat_s=request.app.state.heartbeat_s,
        write_timeout_s=request.app.state.write_timeout_s,
    )


async def read_whole(request: Request, runner: Runner, run_id: str, *, caller: str) -> Transcript:
    """Wait for the end of the run, unless the reader leaves: then give what was read so far."""
    transcript = Transcript()

    async def read() -> None:
        async with aclosing(runner.follow(run_id, caller=caller)) as entries:
            async for entry in entries:
                if isinstance(entry, Entry):
                    transcript.add(entry.event)

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
    return transcript


# FastAPI calls what these endpoints depend on in a thread of its own, unless it is a coroutine.


async def runner_of(request: Request) -> Runner:
    runner: Runner = request.app.state.runner
    return runner


async def caller_of(request: Request) -> str:
    """Who asks: the name that authentication has left, or everybody."""
    return getattr(request.state, "caller", "")


RunnerHere = Annotated[Runner, Depends(runner_of)]
CallerHere = Annotated[str, Depends(caller_of)]
LastEventId = Annotated[str, Header(description="Go on after this event, written `run:seq`.")]

router = APIRouter(tags=["runs"])


@router.post(
    "/query",
    response_model=RunResult,
    responses=_documented("The run's events, or its result.", 400, 404, 410, 422, 429, 503),
)
async def query(
    request: Request,
    asked: Query,
    runner: RunnerHere,
    caller: CallerHere,
    idempotency_key: Annotated[str | None, Header(description="Same key, same run: safe to send again.")] = None,
    last_event_id: LastEventId = "",
) -> Response:
    """Ask a question. `Accept` chooses events as they come (the default), lines of JSON, or one document at the end."""
    form = _form(request.headers.get("accept", ""))
    if last_event_id:
        cursor = Cursor.parse(last_event_id)
        return await _follow(request, runner, cursor, caller=caller, form=form)
    await request.app.state.answerer.check_ready()
    run_id, replayed = await runner.start(asked, caller=caller, key=idempotency_key)
    headers = {"x-run-id": run_id}
    if idempotency_key is not None:
        headers |= {"idempotency-key": idempotency_key, "idempotent-replayed": str(replayed).lower()}
    return await _follow(request, runner, Cursor(run_id, 0), caller=caller, form=form, headers=headers)


@router.get("/runs/{run_id}", responses=documented(404, 410, 422, 503))
async def state(run_id: str, runner: RunnerHere, caller: CallerHere) -> RunState:
    """How a run stands."""
    return run_state(await runner.state(run_id, caller=caller))


@router.get(
    "/runs/{run_id}/events",
    response_model=RunResult,
    responses=_documented("The run's events, or its result.", 404, 410, 422, 503)
    | {204: {"description": "The run has ended and all of it was seen."}},
)
async def events(
    request: Request,
    run_id: str,
    runner: RunnerHere,
    caller: CallerHere,
    after: Annotated[int, Parameter(ge=0, le=MAX_CURSOR, description="Go on after this event number.")] = 0,
    last_event_id: LastEventId = "",
) -> Response:
    """Follow a run from its start, or from where a reader stopped. 204 when there is nothing more to come."""
    cursor = Cursor.parse(last_event_id) if last_event_id else Cursor(run_id, after)
    if cursor.run_id != run_id:
        raise BadCursor("The last event id belongs to another run: follow this one from its beginning.")
    run = await runner.check(run_id, cursor.seq, caller=caller)
    form = _form(request.headers.get("accept", ""))
    if run.status != "running" and cursor.seq >= run.last_seq and form != "application/json":
        return Response(status_code=204)
    return await _follow(request, runner, cursor, caller=caller, form=form)


@router.post("/runs/{run_id}/cancel", responses=documented(404, 410, 422, 503))
async def cancel(run_id: str, runner: RunnerHere, caller: CallerHere) -> RunState:
    """Stop a run; what it has written is kept. A run that has ended stays as it is."""
    return run_state(await runner.cancel(run_id, "client", caller=caller))
