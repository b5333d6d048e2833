"""OpenAI's Responses API: `/v1/responses` asks, reads, goes on, stops and forgets; a response is a run."""

from collections.abc import Sequence
from contextlib import aclosing
from itertools import takewhile
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from fastapi import Query as Parameter
from fastapi.responses import JSONResponse

from rag_graph.clock import steady_time
from rag_graph.errors import BadCursor, RunExpired, UnknownRun
from rag_graph.http.answering import hear_run, start_run, stream_run
from rag_graph.http.conversations import Place, ToldTurn, kept_branch, start_turn
from rag_graph.http.encoding import EVENT_STREAM
from rag_graph.http.openai.request import Draft, name_of
from rag_graph.http.openai.routes import OpenAIRefusal, OpenAIRoute
from rag_graph.http.responses.encoding import PER_ENTRY, RESPONSE, Envelope, ResponseEvents
from rag_graph.http.responses.request import RESULTS, NewConversation, NoSuchResponse, ResponseRequest, query_of
from rag_graph.http.state import caller_of, choices_of, conversations_of, runner_of
from rag_graph.query import MAX_HISTORY_TURNS, Turn
from rag_graph.runs.ids import new_run_id
from rag_graph.runs.log import Entry, Gap, Run, is_terminal

# Within a signed integer of 64 bits.
MAX_NUMBER = 10**18
GOES_ON = "The response that this one follows goes on: wait for its end, or cancel it."
StartingAfter = Annotated[int | None, Parameter(ge=-1, le=MAX_NUMBER, description="Go on after this event's number.")]


plain = APIRouter(route_class=OpenAIRoute)
"""What is the same wherever the draft goes."""


def create_router(draft: Draft) -> APIRouter:
    """The endpoints; `draft` says where the draft goes for requests that do not choose."""
    router = APIRouter(
        prefix="/v1",
        tags=["openai"],
        route_class=OpenAIRoute,
        responses={"default": {"model": OpenAIRefusal, "description": "An error in OpenAI's shape."}},
    )
    streamed: dict[int | str, dict[str, Any]] = {200: {"content": {EVENT_STREAM: {"schema": {"type": "string"}}}}}

    @router.post("/responses", responses=streamed)
    async def create(
        request: Request,
        asked: ResponseRequest,
        idempotency_key: Annotated[str | None, Header(description="Same key, same run.")] = None,
        x_rag_draft: Annotated[Draft | None, Header(description="As `rag.draft` in the body.")] = None,
    ) -> Response:
        """Answer the last message of the input from the documents: as a stream, at its end, or in the background."""
        kept = await _kept(request, asked.conversation_id, idempotency_key)
        follows = kept[-1].run_id if kept else await _predecessor(request, asked)
        query = query_of(asked, _said(kept) if kept else await _turns(request, follows), choices_of(request))
        place = Place.named(asked.conversation_id, kept[-1].id if kept else "")
        if place is not None and conversations_of(request) is not None:
            run_id, _ = await start_turn(request, query, place, key=idempotency_key, unattended=bool(asked.background))
        else:
            run_id, _ = await start_run(
                request,
                query,
                key=idempotency_key,
                chat=asked.conversation_id,
                follows=follows,
                unattended=bool(asked.background),
            )
        run = await runner_of(request).state(run_id, caller=caller_of(request))
        envelope = _envelope(run, conversation=asked.conversation_id)
        encoder = ResponseEvents(
            envelope, draft=asked.rag.draft or x_rag_draft or draft, wants_results=asked.wants_results
        )
        if asked.stream:
            return await stream_run(request, run_id, encoder)
        if not asked.background:
            await hear_run(request, run_id, encoder.add)
        return JSONResponse(encoder.response, headers={"x-run-id": run_id})

    @router.get("/responses/{response_id}", responses=streamed)
    async def retrieve(
        request: Request,
        response_id: str,
        stream: bool = False,
        starting_after: StartingAfter = None,
        include: Annotated[list[str] | None, Parameter(max_length=100)] = None,
        included: Annotated[list[str] | None, Parameter(max_length=100, alias="include[]")] = None,
        x_rag_draft: Annotated[Draft | None, Header(description="As it was when the response was asked for.")] = None,
    ) -> Response:
        """The response as it stands, or its events after a number, those to come as well."""
        run = await _run(request, response_id)
        after = -1 if starting_after is None else starting_after
        encoder = ResponseEvents(
            _envelope(run),
            draft=x_rag_draft or draft,
            wants_results=RESULTS in {*(include or ()), *(included or ())},
            after=after,
        )
        if stream:
            if after >= (run.last_seq + 1) * PER_ENTRY:
                raise BadCursor(f"This response has said nothing of number {after} yet: go on after one that was seen.")
            # From the first entry on, since what an event says depends on those before it.
            return await stream_run(request, run.run_id, encoder)
        return JSONResponse(await _as_it_stands(request, run, encoder))

    router.include_router(plain)
    return router


@plain.post("/responses/{response_id}/cancel")
async def cancel(request: Request, response_id: str) -> JSONResponse:
    """Stop it; what was written is kept."""
    run = await _run(request, response_id)
    run = await runner_of(request).cancel(run.run_id, "client", caller=caller_of(request))
    return JSONResponse(await _as_it_stands(request, run, ResponseEvents(_envelope(run))))


@plain.delete("/responses/{response_id}")
async def delete(request: Request, response_id: str) -> dict[str, Any]:
    """Forget it, after stopping it where it goes on."""
    run = await _run(request, response_id)
    await runner_of(request).forget(run.run_id, caller=caller_of(request))
    return {"id": RESPONSE + run.run_id, "object": "response", "deleted": True}


@plain.get("/responses/{response_id}/input_items")
async def input_items(request: Request, response_id: str) -> dict[str, Any]:
    """What was asked; earlier messages are not kept with a response."""
    run = await _run(request, response_id)
    content = [{"type": "input_text", "text": run.query.question}]
    item = {"id": f"msg_{run.run_id}", "type": "message", "role": "user", "status": "completed", "content": content}
    return {"object": "list", "data": [item], "first_id": item["id"], "last_id": item["id"], "has_more": False}


@plain.post("/conversations")
async def begin_conversation(asked: NewConversation | None = None) -> dict[str, Any]:
    """A name under which responses follow one another. Where conversations are kept, the first one begins it."""
    made_at = steady_time()
    return {
        "id": f"conv_{new_run_id(made_at)}",
        "object": "conversation",
        "created_at": int(made_at),
        "metadata": (asked.metadata if asked else None) or {},
    }


def _envelope(run: Run, *, conversation: str | None = None) -> Envelope:
    return Envelope(
        run.run_id,
        name_of(run.query),
        run.created_at,
        background=run.unattended,
        follows=run.follows,
        conversation=conversation,
    )


async def _run(request: Request, response_id: str) -> Run:
    """The run of a response. Raises `UnknownRun` and `RunExpired`."""
    return await runner_of(request).state(response_id.removeprefix(RESPONSE), caller=caller_of(request))


async def _as_it_stands(request: Request, run: Run, encoder: ResponseEvents) -> dict[str, Any]:
    """The response by what its run has said up to now."""
    if run.last_seq:
        async with aclosing(runner_of(request).follow(run.run_id, caller=caller_of(request))) as items:
            async for item in items:
                if isinstance(item, Gap):
                    encoder.tear()
                    continue
                encoder.add(item.event)
                if item.seq >= run.last_seq:
                    break
    return encoder.response


async def _kept(request: Request, conversation: str | None, key: str | None) -> Sequence[ToldTurn]:
    """The turns of a kept conversation, up to the one of this key. Raises `NoSuchResponse` while the last goes on."""
    branch = await kept_branch(request, conversation) if conversation else []
    earlier = list(takewhile(lambda turn: turn.id != key, branch))
    if earlier and earlier[-1].status == "running":
        raise NoSuchResponse(GOES_ON)
    return earlier


def _said(kept: Sequence[ToldTurn]) -> Sequence[Turn]:
    turns: list[Turn] = []
    for turn in kept:
        turns.append(Turn.of("user", turn.question))
        if turn.result and turn.result["answer"]:
            turns.append(Turn.of("assistant", turn.result["answer"]))
    return turns[-MAX_HISTORY_TURNS:]


async def _predecessor(request: Request, asked: ResponseRequest) -> str:
    """The id of the run whose answer this question follows, empty where it begins a conversation."""
    if asked.previous_response_id:
        return asked.previous_response_id.removeprefix(RESPONSE)
    if asked.conversation_id:
        latest = await runner_of(request).latest(asked.conversation_id, caller=caller_of(request))
        return latest.run_id if latest is not None else ""
    return ""


async def _turns(request: Request, follows: str) -> Sequence[Turn]:
    """What was asked and answered up to this run, oldest first, as far back as it is kept.

    Raises `NoSuchResponse` for a run that is not kept, is another caller's, or goes on.
    """
    runner, caller = runner_of(request), caller_of(request)
    turns: list[Turn] = []
    while follows and len(turns) < MAX_HISTORY_TURNS:
        try:
            run = await runner.state(follows, caller=caller)
        except (UnknownRun, RunExpired):
            if not turns:
                raise NoSuchResponse("The response that this one follows is not kept (any more).") from None
            break  # the conversation is older than runs are kept
        if run.status == "running":
            raise NoSuchResponse(GOES_ON)
        answer = ""
        # The newest entry of an ended run is its terminal event, and that has the whole answer.
        async with aclosing(runner.follow(follows, run.last_seq - 1, caller=caller)) as items:
            async for item in items:
                if isinstance(item, Entry) and is_terminal(item.event):
                    answer = item.event.answer
        said = [Turn.of("user", run.query.question)]
        if answer:
            said.append(Turn.of("assistant", answer))
        turns = [*said, *turns]
        follows = run.follows
    return turns[-MAX_HISTORY_TURNS:]
