"""Our own endpoints: ask, follow, look at and cancel runs."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from fastapi import Query as Parameter
from pydantic import BaseModel, TypeAdapter

from rag_graph.errors import BadCursor
from rag_graph.events import Event
from rag_graph.http.answering import read_run, start_run, stream_run
from rag_graph.http.conversations import ID, Place, start_turn
from rag_graph.http.encoding import EVENT_STREAM, JSON_LINES
from rag_graph.http.native.encoding import EventFrames, EventLines, LogTrimmed
from rag_graph.http.native.request import form_of
from rag_graph.http.problems import documented
from rag_graph.http.state import caller_of, runner_of
from rag_graph.query import Query
from rag_graph.result import RunResult, RunState, run_result, run_state
from rag_graph.runs.ids import Cursor

MAX_CURSOR = 10**15
"""Beyond what a cursor in a header can say, and within what a signed integer of 64 bits holds."""
LastEventId = Annotated[str, Header(description="Go on after this event, written `run:seq`.")]

router = APIRouter(tags=["runs"])


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


async def _answer(request: Request, cursor: Cursor, headers: Mapping[str, str] | None = None) -> Response:
    """Tell a run in the form that was asked for."""
    run_id, after = cursor
    form = form_of(request.headers.get("accept", ""))
    if form == EVENT_STREAM:
        frames = EventFrames(run_id, reconnects=request.method == "GET")
        return await stream_run(request, run_id, frames, after=after, headers=headers)
    if form == JSON_LINES:
        return await stream_run(request, run_id, EventLines(), after=after, headers=headers)
    await runner_of(request).check(run_id, after, caller=caller_of(request))
    result = run_result(await read_run(request, run_id))
    headers = {"x-run-id": run_id, **(headers or {})}
    return Response(result.model_dump_json(), media_type="application/json", headers=headers)


@router.post(
    "/query",
    response_model=RunResult,
    responses=_documented("The run's events, or its result.", 400, 404, 410, 413, 415, 422, 429, 503),
)
async def query(
    request: Request,
    asked: Query,
    idempotency_key: Annotated[str | None, Header(description="Same key, same run: safe to send again.")] = None,
    last_event_id: LastEventId = "",
    conversation: Annotated[
        str | None, Parameter(pattern=ID, description="Keep it there; the first question begins a conversation.")
    ] = None,
    follows: Annotated[
        str, Parameter(pattern=f"{ID}|^$", description="The turn of the conversation whose answer this replies to.")
    ] = "",
) -> Response:
    """Ask a question. `Accept` chooses events as they come (the default), lines of JSON, or one document at the end."""
    # Clients that stream by POST send the same body again when they reconnect; with a cursor it is no new question.
    if last_event_id:
        return await _answer(request, Cursor.parse(last_event_id))
    if conversation is None:
        run_id, replayed = await start_run(request, asked, key=idempotency_key)
    else:
        run_id, replayed = await start_turn(request, asked, Place(conversation, follows), key=idempotency_key)
    headers = {}
    if idempotency_key is not None:
        headers = {"idempotency-key": idempotency_key, "idempotent-replayed": str(replayed).lower()}
    return await _answer(request, Cursor(run_id, 0), headers)


class PlaceInLine(BaseModel):
    """`ahead` is how many questions come first, in this server process; null where none waits under the key."""

    ahead: int | None


@router.get("/queue", responses=documented(422))
async def place_in_line(
    request: Request, idempotency_key: Annotated[str, Header(description="Of the question that waits.")]
) -> PlaceInLine:
    """Where a question stands whose `POST /query` waits for others to end: that one cannot tell before it begins."""
    return PlaceInLine(ahead=runner_of(request).ahead_of(idempotency_key, caller=caller_of(request)))


@router.get("/runs/{run_id}", responses=documented(404, 410, 422, 503))
async def state(request: Request, run_id: str) -> RunState:
    """How a run stands."""
    return run_state(await runner_of(request).state(run_id, caller=caller_of(request)))


@router.get(
    "/runs/{run_id}/events",
    response_model=RunResult,
    responses=_documented("The run's events, or its result.", 404, 410, 422, 503)
    | {204: {"description": "The run has ended and all of it was seen."}},
)
async def events(
    request: Request,
    run_id: str,
    after: Annotated[int, Parameter(ge=0, le=MAX_CURSOR, description="Go on after this event number.")] = 0,
    last_event_id: LastEventId = "",
) -> Response:
    """Follow a run from its start, or from where a reader stopped. 204 when there is nothing more to come."""
    cursor = Cursor.parse(last_event_id) if last_event_id else Cursor(run_id, after)
    if cursor.run_id != run_id:
        raise BadCursor("The last event id belongs to another run: follow this one from its beginning.")
    run = await runner_of(request).check(run_id, cursor.seq, caller=caller_of(request))
    is_over = run.status != "running" and cursor.seq >= run.last_seq
    if is_over and form_of(request.headers.get("accept", "")) != "application/json":
        # An EventSource reconnects after every other end: https://html.spec.whatwg.org/#server-sent-events-intro
        return Response(status_code=204)
    return await _answer(request, cursor)


@router.post("/runs/{run_id}/cancel", responses=documented(404, 410, 422, 503))
async def cancel(request: Request, run_id: str) -> RunState:
    """Stop a run; what it has written is kept. A run that has ended stays as it is."""
    return run_state(await runner_of(request).cancel(run_id, "client", caller=caller_of(request)))
