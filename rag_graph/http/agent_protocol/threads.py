"""A thread of the Agent Protocol: a kept conversation, its turns one after the other, and those that are to come."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from weakref import WeakValueDictionary

from fastapi import Request

from rag_graph.errors import ConversationNotFound, UnknownRun
from rag_graph.events import RunCancelled, RunFailed, RunFinished, RunStarted, Terminal
from rag_graph.http.agent_protocol.encoding import PER_TURN, ThreadEvents, Turn, answer_message, question_message
from rag_graph.http.conversations import ToldConversation, ToldTurn, newest_branch, told_conversation
from rag_graph.http.encoding import Chunk
from rag_graph.http.state import caller_of, runner_of
from rag_graph.result import RunResult
from rag_graph.runs.log import Batch, Entry
from rag_graph.runs.runner import Runner

POLL_S: Final = 0.5
"""So long may a question that another process was asked go unnoticed by who follows its thread here."""
LOST: Final = "The run was lost with its server: ask again."


@dataclass(frozen=True)
class Thread:
    """A conversation along its newest branch. What it tells may be megabytes: `turns` and `state` block."""

    kept: ToldConversation
    branch: Sequence[ToldTurn]

    @classmethod
    async def read(cls, request: Request, thread_id: str) -> "Thread":
        """Raises `ConversationNotFound` and `DatabaseUnavailable`."""
        kept = await told_conversation(request, thread_id)
        return cls(kept, newest_branch(kept.asked))

    def turns(self) -> Sequence[Turn]:
        turns: list[Turn] = []
        messages: list[Chunk] = []
        for place, asked in enumerate(self.branch):
            turns.append(Turn(place, asked.id, asked.question, asked.run_id, tuple(messages)))
            messages += _messages(asked)
        return turns

    @property
    def is_busy(self) -> bool:
        return bool(self.branch) and self.branch[-1].status == "running"

    def state(self) -> Chunk:
        """As LangGraph's threads tell it: what is final, and whether something is to come."""
        last = self.branch[-1]
        turn = Turn(len(self.branch) - 1, last.id, last.question, last.run_id)
        checkpoint = turn.checkpoint(is_over=not self.is_busy)
        return {
            "values": {"messages": [message for asked in self.branch for message in _messages(asked)]},
            "next": ["draft"] if self.is_busy else [],
            "tasks": [],
            "metadata": {"step": checkpoint["step"], "run_id": turn.run_id},
            "created_at": moment(self.kept.updated_at),
            "checkpoint": {"thread_id": self.kept.id, "checkpoint_ns": "", "checkpoint_id": checkpoint["id"]},
            "parent_checkpoint": None,
        }


def moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


def _messages(asked: ToldTurn) -> list[Chunk]:
    """A turn's messages: its question, and its answer once it has one."""
    messages = [question_message(asked.id, asked.question)]
    if asked.result and asked.result["answer"]:
        result = RunResult.model_validate(asked.result)
        messages.append(answer_message(asked.run_id, result.answer, result.citations, result.claims, result.fates))
    return messages


def _summary(asked: ToldTurn) -> list[Entry]:
    """The beginning and the end of a run whose log is no longer kept."""
    begun = RunStarted(run_id=asked.run_id, question=asked.question, mode=asked.mode)
    ended: Terminal = RunFailed(code="run_lost", message=LOST, retryable=True)
    if asked.result:
        result = RunResult.model_validate(asked.result)
        match result.status:
            case "finished":
                ended = RunFinished(
                    version=result.version, answer=result.answer, citations=result.citations, timings=result.timings
                )
            case "cancelled":
                ended = RunCancelled(by=result.cancelled_by or "client", answer=result.answer)
            case _ if result.error:
                ended = RunFailed(**result.error.model_dump(), answer=result.answer)
            case _:
                pass
    return [Entry(1, asked.asked_at, begun), Entry(2, asked.asked_at, ended)]


@dataclass
class Arrivals:
    """Wakes those who wait in this process for the next question of a thread."""

    _waiting: WeakValueDictionary[str, asyncio.Event] = field(default_factory=WeakValueDictionary)

    def of(self, request: Request, thread_id: str) -> asyncio.Event:
        """What is set when the next question arrives; it lives as long as somebody holds it."""
        return self._waiting.setdefault(f"{caller_of(request)} {thread_id}", asyncio.Event())

    def tell(self, request: Request, thread_id: str) -> None:
        arrival = self._waiting.pop(f"{caller_of(request)} {thread_id}", None)
        if arrival is not None:
            arrival.set()


@dataclass
class Following:
    """Reads a thread for one reader: from its newest turn, or from behind a number, and then whatever is asked."""

    request: Request
    thread_id: str
    encoder: ThreadEvents
    since: int
    arrivals: Arrivals

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncGenerator[Batch]]:
        async with aclosing(self._batches()) as batches:
            yield batches

    async def _batches(self) -> AsyncGenerator[Batch]:
        runner, caller = runner_of(self.request), caller_of(self.request)
        place, told = (self.since // PER_TURN, "") if self.since >= 0 else (None, "")
        is_first = True
        while True:
            # Before it is looked what there is: a question that arrives in between has set it by then.
            arrival = self.arrivals.of(self.request, self.thread_id)
            latest = await runner.latest(self.thread_id, caller=caller)
            if is_first or (latest is not None and latest.run_id != told):
                is_first = False
                for turn, asked in await self._untold(place, told):
                    place, told = turn.place, turn.run_id
                    self.encoder.turn_to(turn)
                    async with aclosing(self._turn(runner, asked, caller)) as batches:
                        async for batch in batches:
                            yield batch
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await arrival.wait()

    async def _untold(self, place: int | None, told: str) -> Sequence[tuple[Turn, ToldTurn]]:
        """The turns from this place on but the one that was told; without a place, the newest."""
        try:
            thread = await Thread.read(self.request, self.thread_id)
        except ConversationNotFound:  # nothing was asked yet
            return ()
        pairs = list(zip(await asyncio.to_thread(thread.turns), thread.branch, strict=True))
        begins_at = len(pairs) - 1 if place is None else place
        return [(turn, asked) for turn, asked in pairs[max(0, begins_at) :] if turn.run_id != told]

    async def _turn(self, runner: Runner, asked: ToldTurn, caller: str) -> AsyncGenerator[Batch]:
        try:
            async with runner.reading(asked.run_id, caller=caller) as batches:
                async for batch in batches:
                    yield batch
        except UnknownRun:
            yield _summary(asked)
