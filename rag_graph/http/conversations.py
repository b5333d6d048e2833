"""Conversations over HTTP: turns as they are asked, and what is listed, shown, changed, shared and exported."""

import asyncio
import json
import logging
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi import Path as PathParameter
from pydantic import BaseModel, ConfigDict, Field, field_validator

from rag_graph.conversations import Conversation, ConversationStore, KeptTurn, NewTurn
from rag_graph.errors import (
    ConversationNotFound,
    DatabaseUnavailable,
    InvalidRequest,
    LogUnavailable,
    RunExpired,
    UnknownRun,
)
from rag_graph.http.answering import follow_events, start_run
from rag_graph.http.problems import documented
from rag_graph.http.state import caller_of, check_ready, conversations_of, runner_of
from rag_graph.query import Filters, Mode
from rag_graph.query import Query as Asked
from rag_graph.result import run_result
from rag_graph.runs.ids import digest
from rag_graph.runs.log import StartedRun
from rag_graph.text.controls import inert_line
from rag_graph.transcript import Transcript

ID: Final = r"^[A-Za-z0-9_-]{1,64}$"
"""Of conversations and of turns: whoever asks first chooses it."""
MAX_SHARE_CHARS: Final = 64
_NAME = re.compile(ID)
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!<>|~])")
_SHOWN_QUOTE_CHARS: Final = 300

log = logging.getLogger(__name__)
router = APIRouter(tags=["conversations"])

ConversationId = Annotated[str, PathParameter(pattern=ID)]
TurnStatus = Literal["running", "finished", "failed", "cancelled", "lost", "unknown"]


class Listed(BaseModel):
    """A conversation in a list. `share` is what its shared address ends with, empty where it has none."""

    id: str
    title: str
    created_at: float
    updated_at: float
    share: str
    turns: int

    @classmethod
    def of(cls, one: Conversation) -> "Listed":
        return cls(
            id=one.id,
            title=one.title,
            created_at=one.created_at,
            updated_at=one.updated_at,
            share=one.share,
            turns=one.turns,
        )


class ConversationList(BaseModel):
    """One page, the one last touched first; `next` is the `after` of what follows. Of `most` none is kept beyond."""

    conversations: list[Listed]
    total: int
    most: int
    next: str | None


class ToldTurn(BaseModel):
    """A question, and what became of it: `result` is as `POST /query` gives it, null while its run goes on.

    The runs of a `lost` one went down with their server: asked again with `id` as its key, it gets its answer.
    `follows` is the turn whose answer it replies to; turns that follow the same one are branches.
    """

    id: str
    follows: str
    question: str
    mode: Mode
    filters: Filters
    model: str
    language: str
    run_id: str
    asked_at: float
    status: TurnStatus
    result: dict[str, Any] | None


class ToldConversation(Listed):
    """A conversation with its turns, in the order in which they were asked."""

    asked: list[ToldTurn]


class SharedConversation(BaseModel):
    """What a shared address shows: nothing by which its owner's could be changed, or a run be stopped."""

    title: str
    created_at: float
    updated_at: float
    asked: list[ToldTurn]


class Renaming(BaseModel):
    """A title: of what is longer than 200 characters, the beginning."""

    model_config = ConfigDict(extra="forbid")

    title: str = Field(min_length=1, max_length=4_000)

    @field_validator("title")
    @classmethod
    def _is_shown(cls, value: str) -> str:
        if not "".join(char for char in inert_line(value) if char.isprintable()).strip():
            raise ValueError("it must have a character that can be seen")
        return value


class Share(BaseModel):
    """What the shared address ends with: `GET /shared/{share}`, and `#/s/{share}` on the page."""

    share: str


class Removed(BaseModel):
    """The conversation is gone."""

    id: str
    deleted: bool = True


@dataclass(frozen=True, slots=True)
class Place:
    """Where a question stands: in which conversation, and after which turn."""

    conversation: str
    follows: str

    @classmethod
    def named(cls, conversation: str | None, follows: str = "") -> "Place | None":
        """None for a name that no conversation is kept under."""
        return cls(conversation, follows) if conversation and _NAME.fullmatch(conversation) else None


async def start_turn(
    request: Request, asked: Asked, place: Place, *, key: str | None, unattended: bool = True
) -> StartedRun:
    """Start the run of a turn, as `start_run` does, and keep its answer with the turn, also when no reader stays.

    Where nothing can be kept now, the question is answered all the same. Raises `ConversationNotFound` and
    `ConversationFull` too.
    """
    store, owner = conversations_of(request), digest(caller_of(request))
    if store is None:
        return await start_run(request, asked, key=key)
    # A key may be any text, the id of a turn may not.
    known = None if key is None else key if _NAME.fullmatch(key) else digest(key)[:32]
    await check_ready(request, asked)
    try:
        # Before the run starts: nobody should pay for an answer that a full conversation has no room for.
        preceding = await asyncio.to_thread(store.check, owner, place.conversation, follows=place.follows, turn=known)
    except DatabaseUnavailable as exc:
        log.warning("a question is answered and not kept: %s", exc)
        return await start_run(request, asked, key=key)
    started = await start_run(
        request, asked, key=key, chat=place.conversation, follows=preceding, unattended=unattended
    )
    runner, caller = runner_of(request), caller_of(request)
    try:
        run = await runner.state(started.run_id, caller=caller)
        turn = NewTurn(known or started.run_id, place.follows, asked, started.run_id, run.created_at)
        await asyncio.to_thread(store.add, owner, place.conversation, turn)
        run = await runner.state(started.run_id, caller=caller)
        if run.status != "running":  # it may have ended before there was a turn to keep its answer with
            await _save(request, store, started.run_id)
    except (DatabaseUnavailable, LogUnavailable) as exc:
        log.warning("a question is answered and not kept: %s", exc, extra={"run_id": started.run_id})
    return started


async def kept_branch(request: Request, conversation: str) -> list[ToldTurn]:
    """The newest branch of a conversation of who asks; empty where it is not kept, or nothing can be read now."""
    try:
        return newest_branch((await told_conversation(request, conversation)).asked)
    except (ConversationNotFound, DatabaseUnavailable):
        return []


async def told_conversation(request: Request, conversation_id: str) -> ToldConversation:
    """A conversation of who asks, with all its turns. Raises `ConversationNotFound` and `DatabaseUnavailable`."""
    store, owner = _mine(request)
    one, turns = await asyncio.to_thread(store.get, owner, conversation_id)
    return ToldConversation(**Listed.of(one).model_dump(), asked=await _told(request, store, turns))


@router.get("/conversations", responses=documented(404, 422, 503))
async def listing(
    request: Request,
    q: Annotated[str, Query(max_length=200, description="In a title, a question or an answer.")] = "",
    after: Annotated[str, Query(max_length=100, description="The `next` of the page before.")] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> ConversationList:
    """The conversations of who asks, the one last touched first."""
    store, owner = _mine(request)
    place = _cursor(after) if after else None
    found = await asyncio.to_thread(store.listed, owner, matching=q.strip(), after=place, limit=limit + 1)
    shown = found[:limit]
    return ConversationList(
        conversations=[Listed.of(one) for one in shown],
        total=await asyncio.to_thread(store.count, owner),
        most=store.bounds.conversations,
        # `repr`, which gives the same float when it is read again: rounded, a page would begin twice or leave one out.
        next=f"{shown[-1].updated_at!r}~{shown[-1].id}" if len(found) > limit else None,
    )


@router.get("/conversations/{conversation_id}", response_model=ToldConversation, responses=documented(404, 422, 503))
async def conversation(request: Request, conversation_id: ConversationId) -> Response:
    """A conversation with all its turns and their answers."""
    return await _in_json(await told_conversation(request, conversation_id))


@router.patch("/conversations/{conversation_id}", responses=documented(404, 422, 503))
async def rename(request: Request, conversation_id: ConversationId, renaming: Renaming) -> Listed:
    """Give it another title."""
    store, owner = _mine(request)
    return Listed.of(await asyncio.to_thread(store.rename, owner, conversation_id, renaming.title))


@router.delete("/conversations/{conversation_id}", responses=documented(404, 422, 503))
async def delete(request: Request, conversation_id: ConversationId) -> Removed:
    """Forget it, with its answers and its shared address; what is still being answered is stopped."""
    store, owner = _mine(request)
    for run_id in await asyncio.to_thread(store.delete, owner, conversation_id):
        with suppress(UnknownRun, LogUnavailable):
            await runner_of(request).cancel(run_id, "client", caller=caller_of(request))
    return Removed(id=conversation_id)


@router.get(
    "/conversations/{conversation_id}/export",
    response_class=Response,
    responses={
        **documented(404, 422, 503),
        200: {"content": {"text/markdown": {}, "application/json": {}}, "description": "A file."},
    },
)
async def export(
    request: Request,
    conversation_id: ConversationId,
    form: Annotated[Literal["markdown", "json"], Query(description="Markdown holds the newest branch, JSON all.")],
) -> Response:
    """The conversation as a file."""
    told = await told_conversation(request, conversation_id)
    if form == "json":
        content = await asyncio.to_thread(told.model_dump_json, indent=2)
        kind, ending = "application/json", "json"
    else:
        content = await asyncio.to_thread(markdown_of, told.title, told.asked)
        kind, ending = "text/markdown; charset=utf-8", "md"
    headers = {"content-disposition": f'attachment; filename="conversation-{conversation_id}.{ending}"'}
    return Response(content, media_type=kind, headers=headers)


@router.post("/conversations/{conversation_id}/share", responses=documented(404, 422, 503))
async def share(request: Request, conversation_id: ConversationId) -> Share:
    """Make an address that nobody guesses, under which all who may ask this server can read the conversation."""
    store, owner = _mine(request)
    return Share(share=await asyncio.to_thread(store.share, owner, conversation_id))


@router.delete("/conversations/{conversation_id}/share", responses=documented(404, 422, 503))
async def unshare(request: Request, conversation_id: ConversationId) -> Share:
    """Take the shared address back, for good."""
    store, owner = _mine(request)
    await asyncio.to_thread(store.unshare, owner, conversation_id)
    return Share(share="")


@router.get("/shared/{share}", response_model=SharedConversation, responses=documented(404, 422, 503))
async def shared(
    request: Request, share: Annotated[str, PathParameter(pattern=r"^[A-Za-z0-9_-]+$", max_length=MAX_SHARE_CHARS)]
) -> Response:
    """A conversation that somebody has shared, as it stands now."""
    store, _ = _mine(request)
    one, turns = await asyncio.to_thread(store.shared, share)
    # With the id, whoever reads it on a server without keys could stop the run.
    told = [turn.model_copy(update={"run_id": ""}) for turn in await _told(request, store, turns)]
    return await _in_json(
        SharedConversation(title=one.title, created_at=one.created_at, updated_at=one.updated_at, asked=told)
    )


def _mine(request: Request) -> tuple[ConversationStore, str]:
    """Raises `ConversationNotFound` where none are kept."""
    store = conversations_of(request)
    if store is None:
        raise ConversationNotFound("This server keeps no conversations; RAG_CONVERSATIONS=true lets it.")
    return store, digest(caller_of(request))


async def _in_json(told: BaseModel) -> Response:
    """Megabytes are written in a thread."""
    return Response(await asyncio.to_thread(told.model_dump_json), media_type="application/json")


def _cursor(after: str) -> tuple[float, str]:
    at, _, one = after.partition("~")
    try:
        return float(at), one
    except ValueError:
        raise InvalidRequest("after: send the `next` of the page before.") from None


async def _told(request: Request, store: ConversationStore, turns: Sequence[KeptTurn]) -> list[ToldTurn]:
    told = []
    kept = await asyncio.to_thread(lambda: [turn.result and json.loads(turn.result) for turn in turns])
    for turn, known in zip(turns, kept, strict=True):
        result = known
        status: TurnStatus = result["status"] if result else await _status(request, turn.run_id)
        if result is None and status not in ("running", "lost", "unknown"):
            result = await _save(request, store, turn.run_id)
        told.append(
            ToldTurn(
                id=turn.id,
                follows=turn.follows,
                question=turn.query.question,
                mode=turn.query.mode,
                filters=turn.query.filters,
                model=turn.query.model,
                language=turn.query.language,
                run_id=turn.run_id,
                asked_at=turn.asked_at,
                status=status,
                result=result,
            )
        )
    return told


async def _status(request: Request, run_id: str) -> TurnStatus:
    """How a run stands whose end was not kept, as far as who asks may know."""
    try:
        return (await runner_of(request).state(run_id, caller=caller_of(request))).status
    except (UnknownRun, RunExpired):
        return "lost"
    except LogUnavailable:
        return "unknown"


async def _save(request: Request, store: ConversationStore, run_id: str) -> dict[str, Any]:
    """Keep what became of a run that has ended without anybody keeping it: between its start and its turn's."""
    transcript = Transcript()
    async for event in follow_events(runner_of(request), run_id, caller=caller_of(request)):
        transcript.add(event)
    result = run_result(transcript)
    await asyncio.to_thread(store.save, result)
    return result.model_dump(mode="json")


def markdown_of(title: str, asked: Sequence[ToldTurn]) -> str:
    """The newest branch as Markdown: each question a heading, its answer as it was written, and its sources."""
    parts = [f"# {_escaped(title)}"]
    for turn in newest_branch(asked):
        parts.append(f"## {_escaped(' '.join(turn.question.split()))}")
        result = turn.result
        if result is None:
            parts.append("*This question has no answer yet.*")
            continue
        parts.append(str(result["answer"]).strip() or "*This question was not answered.*")
        cited: dict[int, Mapping[str, Any]] = {}
        for citation in result["citations"]:
            cited.setdefault(citation["marker"], citation)
        if cited:
            parts.append("\n".join(_source(number, cited[number]) for number in sorted(cited)))
    return "\n\n".join(parts) + "\n"


def newest_branch(asked: Sequence[ToldTurn]) -> list[ToldTurn]:
    """From the first question on, each time the one that was asked last."""
    branch: list[ToldTurn] = []
    following = {turn.follows: turn for turn in asked}  # the last one stays
    place = ""
    while (turn := following.pop(place, None)) is not None:
        branch.append(turn)
        place = turn.id
    return branch


def _source(number: int, citation: Mapping[str, Any]) -> str:
    where = citation["uri"] + (f", {citation['place']}" if citation.get("place") else "")
    quote = " ".join(str(citation["quote"]).split())[:_SHOWN_QUOTE_CHARS]
    return f"- \\[{number}\\] {_escaped(citation['title'])} ({_escaped(where)}): “{_escaped(quote)}”"


def _escaped(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", inert_line(text))
