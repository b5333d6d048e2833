"""Both clients against a real server, over links that break."""

import itertools
from collections.abc import AsyncGenerator, AsyncIterator
from urllib.parse import urlsplit

import anyio
import pytest
from pydantic import SecretStr

from rag_graph.client import AsyncClient, Client, RetryPolicy
from rag_graph.errors import InvalidRequest, KeyReused, ServerUnreachable, Unauthorized, UnknownRun
from rag_graph.events import Event, RunCancelled, RunFinished, RunStarted
from rag_graph.query import Turn
from rag_graph.transcript import Transcript
from tests.links import Fate, Links
from tests.servers import ANSWER, QUESTION, Serve, Server, free_port
from tests.upstream import Upstream, refused_url

pytestmark = pytest.mark.anyio

PATIENT = RetryPolicy(first_pause_s=0.02, longest_pause_s=0.1, tries=200)
WORDS = tuple(f"word{number} " for number in range(60))
SAID = "".join(WORDS).strip()


@pytest.fixture(autouse=True)
async def bounded() -> AsyncIterator[None]:
    with anyio.fail_after(60):
        yield


async def all_of(events: AsyncGenerator[Event]) -> list[Event]:
    return [event async for event in events]


def port(server: Server) -> int:
    return urlsplit(server.url).port or 0


async def test_a_question_is_answered_in_typed_events(server: Server) -> None:
    async with AsyncClient(server.url) as client:
        events = await all_of(client.ask(QUESTION, mode="deep", history=[Turn(role="user", content="Hello.")]))
        run_id = Transcript.of(events).run_id
        assert await all_of(client.follow(run_id)) == events
        assert await all_of(client.follow(run_id, 5)) == events[5:]
        assert await all_of(client.follow(run_id, len(events))) == []
        assert (await client.state(run_id)).status == "finished"
    assert isinstance(events[0], RunStarted)
    assert events[0].mode == "deep"
    assert isinstance(events[-1], RunFinished)
    assert events[-1].answer.strip() == ANSWER


async def test_the_sync_client_does_the_same(server: Server) -> None:
    def use() -> None:
        with Client(server.url) as client:
            events = list(client.ask(QUESTION, mode="deep"))
            run_id = Transcript.of(events).run_id
            assert list(client.follow(run_id)) == events
            assert client.state(run_id).last_seq == len(events)
            assert client.cancel(run_id).status == "finished"
            assert client.result(QUESTION).answer.strip() == ANSWER

    await anyio.to_thread.run_sync(use)


async def test_a_key_brings_back_the_run_it_started(server: Server) -> None:
    async with AsyncClient(server.url) as client:
        first = await client.result(QUESTION, key="mine")
        assert (await client.result(QUESTION, key="mine")).run_id == first.run_id
        with pytest.raises(KeyReused):
            await client.result("Another?", key="mine")


async def test_errors_have_the_names_of_ours(server: Server) -> None:
    async with AsyncClient(server.url) as client:
        with pytest.raises(InvalidRequest, match="question"):
            await client.result("  ")
        with pytest.raises(UnknownRun):
            await all_of(client.follow("nothing"))
        with pytest.raises(UnknownRun):
            await client.cancel("nothing")
    quick = RetryPolicy(tries=2, first_pause_s=0.01)
    async with AsyncClient(refused_url(), retries=quick) as client:
        with pytest.raises(ServerUnreachable):
            await client.result(QUESTION)
        with pytest.raises(ServerUnreachable):
            await client.state("x")


async def test_a_client_shows_its_key(serve: Serve) -> None:
    server = serve(api_keys=SecretStr("secret"), is_ready=False)
    async with AsyncClient(server.url, api_key="secret") as client:
        assert (await client.result(QUESTION)).status == "finished"
    async with AsyncClient(server.url) as client:
        with pytest.raises(Unauthorized):
            await client.result(QUESTION)

    def use() -> None:
        with Client(server.url, api_key="secret") as client:
            assert client.result(QUESTION).status == "finished"

    await anyio.to_thread.run_sync(use)


def cuts(step: int) -> list[Fate]:
    """Links that break ever later: within the head, within a frame, between frames."""
    return [("cut", size) for size in range(0, 6_000, step)]


async def test_links_that_break_all_the_time_cost_no_event(serve: Serve, upstream: Upstream) -> None:
    upstream.say(WORDS, pace_s=0.005)
    server = serve()
    with Links(iter(cuts(200)), port(server)) as links:
        async with AsyncClient(links.url, retries=PATIENT) as client:
            events = await all_of(client.ask(QUESTION))
    assert links.broken >= 10
    async with AsyncClient(server.url) as client:
        assert await all_of(client.follow(Transcript.of(events).run_id)) == events
    assert Transcript.of(events).answer.strip() == SAID
    assert len(upstream.chats) == 1


async def test_the_sync_client_comes_back_too(serve: Serve, upstream: Upstream) -> None:
    upstream.say(WORDS, pace_s=0.005)
    server = serve()
    with Links(iter(cuts(500)), port(server)) as links, Client(links.url, retries=PATIENT) as client:
        events = await anyio.to_thread.run_sync(lambda: list(client.ask(QUESTION)))
        assert links.broken >= 5
        assert list(client.follow(Transcript.of(events).run_id)) == events


async def test_a_link_without_heartbeats_is_dead(serve: Serve, upstream: Upstream) -> None:
    held = upstream.say(WORDS, hold_after=10)
    server = serve(heartbeat_s=0.1)
    retries = RetryPolicy(silence_s=0.5, first_pause_s=0.01)
    with Links(iter([("hush", 2_000)]), port(server)) as links:
        async with AsyncClient(links.url, retries=retries) as client:
            events: list[Event] = []
            async for event in client.ask(QUESTION):
                events.append(event)
                if links.opened > 1:
                    held.release()
    assert links.opened >= 2
    assert Transcript.of(events).answer.strip() == SAID


async def test_a_silent_model_is_no_dead_link(serve: Serve, upstream: Upstream) -> None:
    held = upstream.say(WORDS, hold_after=10)
    server = serve(heartbeat_s=0.1)
    retries = RetryPolicy(silence_s=2)

    async def release_late() -> None:
        await anyio.sleep(2.5)  # no event tells of a silence; it must be longer than the client bears without a sign
        held.release()

    with Links(iter([]), port(server)) as links:
        async with AsyncClient(links.url, retries=retries) as client, anyio.create_task_group() as tasks:
            tasks.start_soon(release_late)
            result = await client.result(QUESTION)
    assert links.opened == 1
    assert result.answer.strip() == SAID


async def test_where_streams_do_not_get_through_the_plain_answer_comes(serve: Serve, upstream: Upstream) -> None:
    server = serve()
    with Links(itertools.repeat(("cut", 100), 3), port(server)) as links:
        async with AsyncClient(links.url, retries=PATIENT) as client:
            events = await all_of(client.ask(QUESTION))
    assert Transcript.of(events).answer.strip() == ANSWER
    assert len(upstream.chats) == 1


async def test_a_server_that_was_killed_and_started_again_answers_anew(spawn: Serve, upstream: Upstream) -> None:
    upstream.say(WORDS, hold_after=10)
    given = {"RAG_PORT": str(free_port())}
    first = spawn(**given)
    events: list[Event] = []
    async with AsyncClient(first.url, retries=PATIENT) as client:
        async for event in client.ask(QUESTION):
            events.append(event)
            if len(upstream.chats) == 1 and event.type == "answer_delta" and first.process:
                first.process.kill()
                first.process.wait()
                await anyio.to_thread.run_sync(lambda: spawn(**given))
                first.process = None
    starts = [event.run_id for event in events if isinstance(event, RunStarted)]
    assert len(starts) == 2
    assert Transcript.of(events).answer.strip() == ANSWER
    assert isinstance(events[-1], RunFinished)
    assert len(upstream.chats) == 2


async def test_a_cancelled_run_is_told_to_its_end(serve: Serve, upstream: Upstream) -> None:
    upstream.say(WORDS, hold_after=10)
    async with AsyncClient(serve().url) as client:
        events: list[Event] = []
        async for event in client.ask(QUESTION):
            events.append(event)
            if event.type == "answer_delta":
                assert (await client.cancel(Transcript.of(events).run_id)).status == "cancelled"
    assert isinstance(events[-1], RunCancelled)
    assert events[-1].by == "client"


async def test_leaving_an_iteration_leaves_the_run(serve: Serve, upstream: Upstream) -> None:
    upstream.say(WORDS, hold_after=10)
    server = serve(run_grace_s=0.1)
    async with AsyncClient(server.url) as client:
        events = client.ask(QUESTION)
        while not upstream.chats:
            await anext(events)
        await events.aclose()
        assert await anyio.to_thread.run_sync(upstream.chats[0].wait_closed)
