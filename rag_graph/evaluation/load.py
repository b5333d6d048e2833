"""How a running server feels under load: first tokens, gaps between tokens, throughput."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import httpx
from httpx_sse import EventSource, SSEError
from pydantic import HttpUrl, TypeAdapter, ValidationError

from rag_graph.errors import InvalidRequest, ServerUnreachable, Unauthorized

QUESTIONS = ("What is this library about?",)
_ADDRESS: TypeAdapter[HttpUrl] = TypeAdapter(HttpUrl)


@dataclass
class Stream:
    """What one reader saw, in seconds from its request; `error` is empty where the run finished."""

    first_event: float = 0.0
    first_token: float = 0.0
    gaps: list[float] = field(default_factory=list)
    pieces: int = 0
    total: float = 0.0
    error: str = ""
    last_piece: float = 0.0


@dataclass
class Load:
    """What all readers saw."""

    streams: list[Stream]
    seconds: float

    @property
    def whole(self) -> list[Stream]:
        return [stream for stream in self.streams if not stream.error]

    def measured(self) -> dict[str, list[float]]:
        """Each measure with its values, in seconds."""
        return {
            "first event": [stream.first_event for stream in self.whole],
            "first token": [stream.first_token for stream in self.whole if stream.first_token],
            "gap between tokens": [gap for stream in self.whole for gap in stream.gaps],
            "whole answer": [stream.total for stream in self.whole],
        }

    def as_dict(self) -> dict[str, Any]:
        """Everything a report needs, in milliseconds."""
        percentiles = {
            name: {f"p{rank}": round(percentile(values, rank) * 1000, 2) for rank in (50, 90, 95, 99, 100)}
            for name, values in self.measured().items()
            if values
        }
        return {
            "streams": len(self.streams),
            "failed": len(self.streams) - len(self.whole),
            "seconds": round(self.seconds, 3),
            "pieces_per_second": round(sum(stream.pieces for stream in self.whole) / self.seconds, 1),
            "milliseconds": percentiles,
        }


async def measure(
    url: str, *, streams: int, at_once: int, key: str = "", questions: Sequence[str] = QUESTIONS, deep: bool = False
) -> Load:
    """Ask so many questions, at most `at_once` at a time.

    Raises `ServerUnreachable` when no rag_graph answers there, and `Unauthorized` when the key does not open it.
    """
    try:
        _ADDRESS.validate_python(url)
    except ValidationError:
        raise InvalidRequest(f"{url!r} is no address of a server: give one such as http://localhost:8000.") from None
    if not (key.isascii() and key.isprintable()):
        raise Unauthorized("The key has characters that no key has: copy it again.")
    headers = {"accept": "text/event-stream", **({"authorization": f"Bearer {key}"} if key else {})}
    # httpx lets a hundred connections be and makes others wait, which would be measured as the server's doing.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=at_once)
    turns = asyncio.Semaphore(at_once)

    async def ask(client: httpx.AsyncClient, number: int) -> Stream:
        async with turns:
            body = {"question": questions[number % len(questions)], "mode": "deep" if deep else "fast"}
            return await _read(client, body)

    async with httpx.AsyncClient(base_url=url, headers=headers, limits=limits, timeout=120) as client:
        # Before the clock starts, which also opens the first connection.
        await _greet(client, url)
        began = perf_counter()
        seen = await asyncio.gather(*(ask(client, number) for number in range(streams)))
        return Load(list(seen), perf_counter() - began)


async def _greet(client: httpx.AsyncClient, url: str) -> None:
    """See that rag_graph answers there, is ready, and takes the key, before anything is measured."""
    try:
        health = await client.get("/health")
        opened = await client.get("/config")
    except httpx.HTTPError as exc:
        raise ServerUnreachable(f"Nothing answers at {url}: start the server, or correct the address.") from exc
    try:
        said = health.json()
    except ValueError:
        said = None
    if not isinstance(said, dict) or "status" not in said:
        raise ServerUnreachable(f"What answers at {url} is no rag_graph: correct the address.")
    if said["status"] != "ready":
        raise ServerUnreachable(f"The server cannot answer yet: {said.get('problem') or said['status']}")
    if opened.status_code == httpx.codes.UNAUTHORIZED:
        raise Unauthorized("The server refused the key: set BENCH_API_KEY to one of its RAG_API_KEYS.")


async def _read(client: httpx.AsyncClient, body: dict[str, str]) -> Stream:
    stream = Stream()
    began = perf_counter()
    try:
        async with client.stream("POST", "/query", json=body) as response:
            if response.status_code != httpx.codes.OK:
                stream.error = f"HTTP {response.status_code}"
                return stream
            async for event in EventSource(response).aiter_sse():
                _note(stream, event.event, perf_counter() - began)
    except (httpx.HTTPError, SSEError) as exc:
        stream.error = type(exc).__name__
    stream.total = perf_counter() - began
    return stream


def _note(stream: Stream, name: str, at: float) -> None:
    stream.first_event = stream.first_event or at
    match name:
        case "answer_started":
            stream.last_piece = 0.0  # between the draft and its refinement nobody waits for a token
        case "answer_delta":
            if stream.last_piece:
                stream.gaps.append(at - stream.last_piece)
            stream.first_token = stream.first_token or at
            stream.last_piece = at
            stream.pieces += 1
        case "run_failed" | "run_cancelled":
            stream.error = name
        case _:
            pass


def percentile(values: Sequence[float], rank: float) -> float:
    """The value that `rank` percent of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * rank / 100))]
