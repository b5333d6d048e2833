"""The sync and the async client: I/O around what `reader` decides."""

import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator, Iterator, Mapping, Sequence
from contextlib import aclosing, closing
from random import random
from typing import Any, Self
from urllib.parse import quote

import anyio
import httpx
from httpx_sse import EventSource, ServerSentEvent
from pydantic import ValidationError

from rag_graph.client.reader import (
    Answer,
    Cut,
    NextFrame,
    Outcome,
    Pause,
    Request,
    RetryPolicy,
    RunReader,
    error_of,
    is_event_stream,
)
from rag_graph.errors import InvalidRequest, ServerUnreachable
from rag_graph.events import Event
from rag_graph.query import Filters, Mode, Query, Turn
from rag_graph.result import RunResult, RunState, run_result

DEFAULT_URL = "http://127.0.0.1:8000"
CONNECT_TIMEOUT_S = 10.0
REQUEST_TIMEOUT_S = 30.0
MANY_STREAMS = httpx.Limits(max_connections=None)
"""Every run that is read holds a connection for its whole time."""


class AsyncClient:
    """Asks a server, and reads its runs whatever happens on the way.

    Links that break or fall silent are taken up where they stopped; nothing is told twice. Text that became void is
    told by `answer_reset`, and a second `run_started` begins the run anew: fold events with `Transcript`.
    Leaving an iteration stops reading; the server ends a run that nobody reads. Errors are those of
    `rag_graph.errors`, by the code that the server gives.
    """

    def __init__(
        self,
        base_url: str = DEFAULT_URL,
        *,
        api_key: str | None = None,
        headers: Mapping[str, str] | None = None,
        http: httpx.AsyncClient | None = None,
        retries: RetryPolicy | None = None,
        sleep: Callable[[float], Coroutine[Any, Any, None]] = anyio.sleep,
        chance: Callable[[], float] = random,
    ) -> None:
        """`api_key` is one of the server's; `http` brings proxies or certificates, and stays open."""
        self._base_url = base_url.rstrip("/")
        self._headers = _headers(api_key, headers)
        self._http = http or httpx.AsyncClient(limits=MANY_STREAMS)
        self._owns_http = http is None
        self._retries = retries or RetryPolicy()
        self._sleep = sleep
        self._chance = chance

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        if self._owns_http:
            await self._http.aclose()

    async def ask(
        self,
        question: str,
        *,
        mode: Mode = "fast",
        history: Sequence[Turn] = (),
        filters: Filters | None = None,
        model: str = "",
        language: str = "",
        key: str | None = None,
    ) -> AsyncGenerator[Event]:
        """Yield what happens, to the terminal event; with the `key` of an earlier question, that one's run."""
        reader = self._asking(_query(question, mode, history, filters, model, language), key)
        async with aclosing(self._read(reader)) as events:
            async for event in events:
                yield event

    async def result(
        self,
        question: str,
        *,
        mode: Mode = "fast",
        history: Sequence[Turn] = (),
        filters: Filters | None = None,
        model: str = "",
        language: str = "",
        key: str | None = None,
    ) -> RunResult:
        """Wait for the answer; `status` and `error` tell when there is none."""
        reader = self._asking(_query(question, mode, history, filters, model, language), key)
        async with aclosing(self._read(reader)) as events:
            async for _ in events:
                pass
        return run_result(reader.transcript)

    async def follow(self, run_id: str, after: int = 0) -> AsyncGenerator[Event]:
        """Yield what happened in a run after that event number, and what happens from now on."""
        reader = RunReader(self._retries, self._chance, run_id=run_id, seq=after)
        async with aclosing(self._read(reader)) as events:
            async for event in events:
                yield event

    async def state(self, run_id: str) -> RunState:
        """How a run stands."""
        return _state(await self._call("GET", f"/runs/{quote(run_id, safe='')}"))

    async def cancel(self, run_id: str) -> RunState:
        """Stop a run; what it has written is kept."""
        return _state(await self._call("POST", f"/runs/{quote(run_id, safe='')}/cancel"))

    def _asking(self, query: Query, key: str | None) -> RunReader:
        return RunReader(self._retries, self._chance, query=query, key=_key(key))

    async def _read(self, reader: RunReader) -> AsyncGenerator[Event]:
        link = _AsyncLink(self._http, self._base_url, self._headers)
        steps = reader.steps()
        outcome: Outcome = None
        try:
            while True:
                match steps.send(outcome):
                    case Request() as request:
                        outcome = await link.open(request)
                    case NextFrame():
                        outcome = await link.frame()
                    case Pause(seconds):
                        outcome = None
                        await link.close()
                        await self._sleep(seconds)
                    case event:
                        outcome = None
                        yield event
        except StopIteration:
            return
        finally:
            steps.close()
            await link.close()

    async def _call(self, method: str, path: str) -> Answer:
        try:
            response = await self._http.request(
                method, self._base_url + path, headers=self._headers, timeout=REQUEST_TIMEOUT_S
            )
        except httpx.RequestError as exc:
            raise _unreachable(exc) from exc
        return Answer(response.status_code, response.headers, response.content)


class Client:
    """As `AsyncClient`, for code that blocks."""

    def __init__(
        self,
        base_url: str = DEFAULT_URL,
        *,
        api_key: str | None = None,
        headers: Mapping[str, str] | None = None,
        http: httpx.Client | None = None,
        retries: RetryPolicy | None = None,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random,
    ) -> None:
        """`api_key` is one of the server's; `http` brings proxies or certificates, and stays open."""
        self._base_url = base_url.rstrip("/")
        self._headers = _headers(api_key, headers)
        self._http = http or httpx.Client(limits=MANY_STREAMS)
        self._owns_http = http is None
        self._retries = retries or RetryPolicy()
        self._sleep = sleep
        self._chance = chance

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._owns_http:
            self._http.close()

    def ask(
        self,
        question: str,
        *,
        mode: Mode = "fast",
        history: Sequence[Turn] = (),
        filters: Filters | None = None,
        model: str = "",
        language: str = "",
        key: str | None = None,
    ) -> Generator[Event]:
        """Yield what happens, to the terminal event; with the `key` of an earlier question, that one's run."""
        yield from self._read(self._asking(_query(question, mode, history, filters, model, language), key))

    def result(
        self,
        question: str,
        *,
        mode: Mode = "fast",
        history: Sequence[Turn] = (),
        filters: Filters | None = None,
        model: str = "",
        language: str = "",
        key: str | None = None,
    ) -> RunResult:
        """Wait for the answer; `status` and `error` tell when there is none."""
        reader = self._asking(_query(question, mode, history, filters, model, language), key)
        with closing(self._read(reader)) as events:
            for _ in events:
                pass
        return run_result(reader.transcript)

    def follow(self, run_id: str, after: int = 0) -> Generator[Event]:
        """Yield what happened in a run after that event number, and what happens from now on."""
        yield from self._read(RunReader(self._retries, self._chance, run_id=run_id, seq=after))

    def state(self, run_id: str) -> RunState:
        """How a run stands."""
        return _state(self._call("GET", f"/runs/{quote(run_id, safe='')}"))

    def cancel(self, run_id: str) -> RunState:
        """Stop a run; what it has written is kept."""
        return _state(self._call("POST", f"/runs/{quote(run_id, safe='')}/cancel"))

    def _asking(self, query: Query, key: str | None) -> RunReader:
        return RunReader(self._retries, self._chance, query=query, key=_key(key))

    def _read(self, reader: RunReader) -> Generator[Event]:
        link = _Link(self._http, self._base_url, self._headers)
        steps = reader.steps()
        outcome: Outcome = None
        try:
            while True:
                match steps.send(outcome):
                    case Request() as request:
                        outcome = link.open(request)
                    case NextFrame():
                        outcome = link.frame()
                    case Pause(seconds):
                        outcome = None
                        link.close()
                        self._sleep(seconds)
                    case event:
                        outcome = None
                        yield event
        except StopIteration:
            return
        finally:
            steps.close()
            link.close()

    def _call(self, method: str, path: str) -> Answer:
        try:
            response = self._http.request(
                method, self._base_url + path, headers=self._headers, timeout=REQUEST_TIMEOUT_S
            )
        except httpx.RequestError as exc:
            raise _unreachable(exc) from exc
        return Answer(response.status_code, response.headers, response.content)


class _AsyncLink:
    """One response at a time, its frames read one by one."""

    def __init__(self, http: httpx.AsyncClient, base_url: str, headers: Mapping[str, str]) -> None:
        self._http = http
        self._base_url = base_url
        self._headers = headers
        self._response: httpx.Response | None = None
        self._frames: AsyncGenerator[ServerSentEvent] | None = None

    async def open(self, asked: Request) -> Answer | Cut:
        await self.close()
        request = self._http.build_request(
            asked.method,
            self._base_url + asked.path,
            headers={**self._headers, **asked.headers},
            content=asked.content,
            timeout=_timeout(asked),
        )
        try:
            self._response = response = await self._http.send(request, stream=True)
            if is_event_stream(response.headers):
                self._frames = EventSource(response).aiter_sse()
                return Answer(response.status_code, response.headers)
            return Answer(response.status_code, response.headers, await response.aread())
        except httpx.RequestError as exc:
            return Cut(type(exc).__name__)

    async def frame(self) -> ServerSentEvent | Cut:
        frames: AsyncIterator[ServerSentEvent] | None = self._frames
        if frames is None:
            return Cut("no stream is open")
        try:
            return await anext(frames)
        except StopAsyncIteration:
            return Cut("its stream ended early")
        except httpx.RequestError as exc:
            return Cut(type(exc).__name__)

    async def close(self) -> None:
        if self._frames is not None:
            await self._frames.aclose()
        if self._response is not None:
            await self._response.aclose()
        self._frames = self._response = None


class _Link:
    """As `_AsyncLink`."""

    def __init__(self, http: httpx.Client, base_url: str, headers: Mapping[str, str]) -> None:
        self._http = http
        self._base_url = base_url
        self._headers = headers
        self._response: httpx.Response | None = None
        self._frames: Iterator[ServerSentEvent] = iter(())

    def open(self, asked: Request) -> Answer | Cut:
        self.close()
        request = self._http.build_request(
            asked.method,
            self._base_url + asked.path,
            headers={**self._headers, **asked.headers},
            content=asked.content,
            timeout=_timeout(asked),
        )
        try:
            self._response = response = self._http.send(request, stream=True)
            if is_event_stream(response.headers):
                self._frames = EventSource(response).iter_sse()
                return Answer(response.status_code, response.headers)
            return Answer(response.status_code, response.headers, response.read())
        except httpx.RequestError as exc:
            return Cut(type(exc).__name__)

    def frame(self) -> ServerSentEvent | Cut:
        try:
            return next(self._frames)
        except StopIteration:
            return Cut("its stream ended early")
        except httpx.RequestError as exc:
            return Cut(type(exc).__name__)

    def close(self) -> None:
        if self._response is not None:
            self._response.close()
        self._response, self._frames = None, iter(())


def _headers(api_key: str | None, given: Mapping[str, str] | None) -> dict[str, str]:
    key = {"authorization": f"Bearer {api_key}"} if api_key else {}
    return {**key, **(given or {})}


def _timeout(asked: Request) -> httpx.Timeout:
    return httpx.Timeout(CONNECT_TIMEOUT_S, read=asked.read_timeout_s)


def _query(
    question: str, mode: Mode, history: Sequence[Turn], filters: Filters | None, model: str, language: str
) -> Query:
    try:
        return Query(
            question=question,
            mode=mode,
            history=list(history),
            filters=filters or {},
            model=model,
            language=language,
        )
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise InvalidRequest(f"{field}: {first['msg']}") from None


def _key(given: str | None) -> str:
    return secrets.token_urlsafe(24) if given is None else given


def _state(answer: Answer) -> RunState:
    if not httpx.codes.is_success(answer.status):
        raise error_of(answer)
    try:
        return RunState.model_validate_json(answer.body)
    except ValidationError:
        raise ServerUnreachable("What answers at this URL is no server of ours: check it.") from None


def _unreachable(exc: httpx.RequestError) -> ServerUnreachable:
    return ServerUnreachable(
        f"The server cannot be reached ({type(exc).__name__}): check that it runs and that its URL is right."
    )
