"""A run taken over by another server, which goes on where the graph was."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import anyio
import psycopg
import pytest

from rag_graph.documents import Hit
from rag_graph.events import AnswerReset, AnswerStarted, Event, StepStarted
from rag_graph.graph.build import build_graph
from rag_graph.graph.invoke import GraphWork
from rag_graph.graph.parts import Parts
from rag_graph.graph.state import REMEMBERED
from rag_graph.index import index_paths
from rag_graph.models.providers.openai import ReasoningChatOpenAI, open_chat_model
from rag_graph.models.replies import Replier
from rag_graph.query import Filters, Query
from rag_graph.runs.checkpoints import forget, open_checkpoints
from rag_graph.runs.redis import RedisRunLog
from rag_graph.runs.runner import Runner
from rag_graph.settings import Settings
from rag_graph.transcript import Transcript
from rag_graph.wiring import choose_embedder, choose_index, open_answerer, open_worker
from rag_graph.writing.prompted import PromptedWriter
from tests.fakes import passage
from tests.postgres import new_database, running_postgres
from tests.runs.conftest import OpenRedisLog
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio
LEASE_S = 0.3
QUERY = Query(question="Who built the tower?")
PASSAGES = [
    passage(1, "Anna Berg built the tower in 1889."),
    passage(2, "The tower stands in a park."),
    passage(3, "The park has a lake."),
    passage(4, "Anna Berg built the tower together with Carl Holm."),
]


@dataclass
class Tiers:
    """Both tiers of retrieval: the wider one waits until it is let go."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def retrieve(self, question: str, *, top_k: int, filters: Filters | None = None) -> list[Hit]:  # noqa: ARG002
        if top_k > 3:
            await self.gate.wait()
        return [Hit(item, 1 / item.id) for item in PASSAGES[:top_k]]


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    with running_postgres() as url:
        yield url


@pytest.fixture
def database(postgres_url: str) -> str:
    return new_database(postgres_url)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream(otherwise="KEEP: nothing new.") as upstream:
        yield upstream


def parts_of(tiers: Tiers, model: ReasoningChatOpenAI) -> Parts:
    writer = PromptedWriter(Replier(model), 16_000, shows_thinking=False)
    return Parts(fast=tiers, deep=tiers, drafter=writer, narrates=False)


@asynccontextmanager
async def process(run_log: RedisRunLog, database: str, upstream: Upstream, tiers: Tiers) -> AsyncIterator[Runner]:
    """What one server process has of the runs."""
    model = open_chat_model(upstream.base_url, "key", "scripted")
    async with open_checkpoints(database, kept_s=60, types=REMEMBERED) as checkpoints:
        work = GraphWork(
            build_graph(parts_of(tiers, model), checkpointer=checkpoints), forget=partial(forget, checkpoints)
        )
        runner = Runner(run_log, work, grace_s=60, max_runs=10, max_runs_per_caller=10, leases=run_log)
        async with runner:
            yield runner
    await model.aclose()


async def freeze(runner: Runner) -> None:
    """Renew nothing any more, as a process that was killed."""
    assert runner._sharing is not None
    await runner._sharing.end()


async def read(runner: Runner, run_id: str) -> list[Event]:
    return [item.event async for item in runner.follow(run_id, caller="me")]  # type: ignore[union-attr]  # no gaps here


async def until(runner: Runner, run_id: str, kind: str) -> None:
    async for item in runner.follow(run_id, caller="me"):
        if item.event.type == kind:  # type: ignore[union-attr]  # no gaps here
            return


def saved(database: str, node: str) -> bool:
    """Whether what a node left is in the database."""
    with psycopg.connect(database) as db:
        row = db.execute("SELECT count(*) FROM rag_graph_runs.checkpoint_writes WHERE channel = %s", (node,)).fetchone()
    return row is not None and row[0] > 0


async def test_a_finished_draft_is_not_written_again_by_the_heir(
    open_redis_log: OpenRedisLog, database: str, upstream: Upstream
) -> None:
    upstream.say("Anna Berg built it [1].")
    slow, quick = Tiers(), Tiers()
    quick.gate.set()
    logs = [open_redis_log(lease_s=LEASE_S) for _ in range(2)]
    async with AsyncExitStack() as stack:
        stack.enter_context(anyio.fail_after(60))
        dying = await stack.enter_async_context(process(logs[0], database, upstream, slow))
        run_id = (await dying.start(QUERY, caller="me")).run_id
        await until(dying, run_id, "answer_finished")
        while not await asyncio.to_thread(saved, database, "draft"):
            pass
        await logs[0].flush(run_id)
        await freeze(dying)
        heir = await stack.enter_async_context(process(logs[1], database, upstream, quick))
        events = await read(heir, run_id)

    drafts = [event for event in events if isinstance(event, AnswerStarted) and event.version == 1]
    steps = [event.step for event in events if isinstance(event, StepStarted)]
    transcript = Transcript.of(events)
    assert len(drafts) == 1
    assert steps.count("draft") == steps.count("fast_retrieve") == 1
    assert steps.count("deep_retrieve") == 2
    assert not any(isinstance(event, AnswerReset) for event in events)
    assert transcript.attempt == 1
    assert transcript.answers[1].content.startswith("Anna Berg built it")
    assert transcript.terminal is not None
    assert transcript.terminal.type == "run_finished"
    assert transcript.terminal.answer == transcript.answer
    assert sum("Anna Berg built it" not in str(chat.body) for chat in upstream.chats) == 1
    assert not await asyncio.to_thread(saved, database, "draft")


async def test_a_graph_that_remembers_more_than_was_told_begins_anew(
    open_redis_log: OpenRedisLog, database: str, upstream: Upstream
) -> None:
    for _ in range(2):
        upstream.say("Anna Berg built it [1].")
    slow = Tiers()
    graph_log = open_redis_log(lease_s=60)
    with anyio.fail_after(60):
        async with process(graph_log, database, upstream, slow) as runner:
            run_id = (await runner.start(QUERY, caller="me")).run_id
            await until(runner, run_id, "answer_finished")
            while not await asyncio.to_thread(saved, database, "draft"):
                pass
            await runner.drain(0)
        slow.gate.set()
        model = open_chat_model(upstream.base_url, "key", "scripted")
        async with open_checkpoints(database, kept_s=60, types=REMEMBERED) as checkpoints:
            graph = build_graph(parts_of(slow, model), checkpointer=checkpoints)
            transcript = Transcript()

            async def emit(event: Event) -> None:
                transcript.add(event)

            await GraphWork(graph)(QUERY, emit, run_id=run_id, attempt=2, after=Transcript())
        await model.aclose()
    assert transcript.answers[1].content.startswith("Anna Berg built it")
    assert transcript.answer == transcript.answers[1].content


async def test_servers_with_both_urls_keep_checkpoints_while_a_run_goes_on(
    redis_url: str, database: str, upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"REDIS_URL": redis_url, "POSTGRES_URL": database, "DATA_DIR": str(tmp_path)}
    models = {f"{part}_{name}": value for part in ("CHAT", "EMBEDDING") for name, value in of(upstream).items()}
    for name, value in (given | models).items():
        monkeypatch.setenv(f"RAG_{name}", value)
    settings = Settings.load()
    (tmp_path / "tower.md").write_text("Anna Berg built the tower in 1889.")
    await asyncio.to_thread(index_paths, choose_index(settings, choose_embedder(settings)), [tmp_path / "tower.md"])
    script = upstream.say(["Anna ", "Berg [1]."], hold_after=1)
    with anyio.fail_after(60):
        async with open_answerer(settings) as answerer, open_worker(answerer, settings) as runner:
            run_id = (await runner.start(QUERY, caller="me")).run_id
            await until(runner, run_id, "answer_delta")
            while not await asyncio.to_thread(saved, database, "fast_passages"):
                pass
            script.release()
            events = await read(runner, run_id)
    assert events[-1].type == "run_finished"
    assert not await asyncio.to_thread(saved, database, "fast_passages")


def of(upstream: Upstream) -> dict[str, str]:
    return {"BASE_URL": upstream.base_url, "MODEL": "scripted"}
