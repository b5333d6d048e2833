"""A scripted OpenAI-compatible server that misbehaves on command, in a thread of its own.

    async with Upstream() as up:          # `with` does as well
        up.say("The tower is [1].", thinking="Hm.")
        up.drop(after=5)                  # the next request: five tokens, then the connection is cut
        model = open_chat_model(up.base_url, "key", "scripted")

Each chat request takes the first script left whose `when` its body holds; after the last, `up.otherwise` is said.
Alone, for benchmarks: `python -m tests.upstream --port 9999 --pace 0.02 --tokens 200`.
"""

import argparse
import asyncio
import base64
import contextlib
import hashlib
import itertools
import json
import re
import socket
import struct
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self

Spelling = Literal["reasoning_content", "reasoning", "thinking", "inline", "inline-thinking", "only-close"]
EMBEDDING_DIMS = 8
WITHIN_S = 120.0
"""Far longer than anything takes on a machine with much else to do: it only ends the wait of a test that would hang."""


@dataclass
class Connection:
    """A client's socket; `closed_at` is when its end was seen here (`time.monotonic`)."""

    number: int
    opened_at: float = field(default_factory=time.monotonic)
    closed_at: float | None = None
    closed: threading.Event = field(default_factory=threading.Event)


@dataclass
class Request:
    """What a client asked, and the tokens it has been sent so far."""

    path: str
    headers: Mapping[str, str]
    body: Any
    connection: Connection
    tokens_sent: int = 0
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def is_streamed(self) -> bool:
        return bool(self.body.get("stream"))

    def wait_closed(self, timeout_s: float = WITHIN_S) -> bool:
        """Block until the client has closed this request's connection; False when it does not."""
        return self.connection.closed.wait(timeout_s)


@dataclass
class Script:
    """What is sent for one request. `held` scripts stop before the token `hold_after` until they are released.

    `at_once` hands the whole reply to the socket in one write, so that it can arrive in one read. A `body` is sent as
    it is, in place of all else, until it ends or the client leaves.
    """

    content: Sequence[str] = ()
    thinking: Sequence[str] = ()
    spelling: Spelling = "reasoning_content"
    when: str = ""
    pace_s: float = 0.0
    at_once: bool = False
    sends_usage: bool = True
    sends_done: bool = True
    finish: str = "stop"
    role_in_every_chunk: bool = False
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Iterable[bytes] = ()
    error: Mapping[str, Any] | None = None
    fault: Literal["", "drop", "stall", "garble", "error", "end"] = ""
    after: int = 0
    hold_after: int | None = None
    released: threading.Event = field(default_factory=threading.Event)
    reached: threading.Event = field(default_factory=threading.Event)
    _waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = field(default_factory=list)

    def release(self) -> None:
        """Let a held script go on."""
        self.released.set()
        waiting, self._waiting = self._waiting, []
        for loop, event in waiting:
            loop.call_soon_threadsafe(event.set)

    async def wait_released(self) -> None:
        """Wait for it, without a limit: that would let the model of a slow test go on by itself."""
        event = asyncio.Event()
        self._waiting.append((asyncio.get_running_loop(), event))
        if not self.released.is_set():  # asked after the append, since another thread may release in between
            await event.wait()


class Upstream:
    """The server. Every method that scripts a reply returns its `Script`."""

    def __init__(self, *, port: int = 0, otherwise: str = "The scripted answer.") -> None:
        self.otherwise = Script(content=tokens(otherwise))
        self.requests: list[Request] = []
        self.connections: list[Connection] = []
        self.api_key = ""
        """When set, other keys are answered with 401."""
        self.refuses: set[str] = set()
        """Names of body fields that are answered with a 400, as older servers do with `stream_options`."""
        self.poured: Script | None = None
        self._scripts: list[Script] = []
        self._given: list[Script] = []
        self._port = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="upstream", daemon=True)
        self._started = threading.Event()
        self._taking = threading.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    @property
    def open_connections(self) -> int:
        return sum(connection.closed_at is None for connection in self.connections)

    @property
    def chats(self) -> list[Request]:
        """The requests for an answer, without those for embeddings or models."""
        return [request for request in self.requests if request.path.endswith(("/completions", "/responses"))]

    def say(self, content: str | Sequence[str], *, thinking: str | Sequence[str] = "", **options: Any) -> Script:
        """Answer with this; a string is sent word by word, a sequence chunk by chunk."""
        return self.script(Script(content=tokens(content), thinking=tokens(thinking), **options))

    def fail(
        self,
        *,
        status: int = 500,
        retry_after: float | None = None,
        code: str = "",
        message: str = "Scripted failure.",
        **options: Any,
    ) -> Script:
        """Answer with an HTTP error."""
        headers = {} if retry_after is None else {"retry-after": str(retry_after)}
        error = {"message": message, "type": code or "scripted", "code": code or None}
        return self.script(Script(status=status, headers=headers, error=error, **options))

    def too_long(self, *, llama: bool = False) -> Script:
        """Refuse the prompt for its length, as OpenAI does or as llama.cpp does."""
        if llama:
            error = {"code": 400, "type": "exceed_context_size_error", "n_prompt_tokens": 9000, "n_ctx": 8192}
            message = "the request exceeds the available context size, try increasing it"
            return self.script(Script(status=400, error={**error, "message": message}))
        return self.fail(status=400, code="context_length_exceeded")

    def drop(self, *, after: int, content: str = "one two three four five six seven", **options: Any) -> Script:
        """Cut the connection after so many tokens."""
        return self.script(Script(content=tokens(content), fault="drop", after=after, **options))

    def stall(self, *, after: int, content: str = "one two three four five six seven", **options: Any) -> Script:
        """Send so many tokens, then nothing until the client leaves."""
        return self.script(Script(content=tokens(content), fault="stall", after=after, **options))

    def garble(self, *, after: int = 0, content: str = "one two three four five", **options: Any) -> Script:
        """Send so many tokens, then what is no JSON."""
        return self.script(Script(content=tokens(content), fault="garble", after=after, **options))

    def break_off(self, *, after: int, content: str = "one two three four five", **options: Any) -> Script:
        """Send so many tokens, then an `error` object inside the stream."""
        return self.script(Script(content=tokens(content), fault="error", after=after, **options))

    def end_early(self, *, after: int, content: str = "one two three four five", **options: Any) -> Script:
        """Send so many tokens, then end the response in good order, but without a reason to finish."""
        return self.script(Script(content=tokens(content), fault="end", after=after, **options))

    def pour(self, body: Iterable[bytes], *, kind: str = "text/event-stream", **headers: str) -> Script:
        """Answer every request that is still to come with these bytes."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.poured = Script(body=body, headers={"content-type": kind, **named})
        return self.poured

    def script(self, script: Script) -> Script:
        self._scripts.append(script)
        self._given.append(script)
        return script

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(WITHIN_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        for script in self._given:
            script.release()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WITHIN_S)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.__exit__, kind, exc, trace)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._accept, "127.0.0.1", self._port))
        self._port = server.sockets[0].getsockname()[1]
        self._started.set()
        self._loop.run_forever()
        server.close()
        for task in self._tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task:
            self._tasks.add(task)
        connection = Connection(len(self.connections) + 1)
        self.connections.append(connection)
        begun: bytes | None = b""
        try:
            while begun is not None:
                begun = await self._serve(reader, writer, connection, begun)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            connection.closed_at = time.monotonic()
            connection.closed.set()
            writer.close()
            if task:
                self._tasks.discard(task)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: Connection, begun: bytes
    ) -> bytes | None:
        """Answer one request; returns what was read of the next, or None when there will be none."""
        request = await _read(reader, connection, begun)
        self.requests.append(request)
        answering = asyncio.ensure_future(self._answer(request, writer))
        leaving = asyncio.ensure_future(reader.read(1))
        try:
            done, _ = await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if answering not in done:
                raise ConnectionResetError
            more = leaving.result() if leaving in done else None
            if not answering.result() or more == b"":
                return None
        finally:
            for task in (answering, leaving):
                task.cancel()
            await asyncio.gather(answering, leaving, return_exceptions=True)
            request.ended.set()
        return more or b""

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        """Write the response; True when the connection can be used again."""
        if self.poured:
            return await _pour(self.poured, writer)
        if self.api_key and request.headers.get("authorization") != f"Bearer {self.api_key}":
            error = {"message": "Incorrect API key provided.", "code": "invalid_api_key"}
            return await _send_json(writer, 401, {"error": error})
        if refused := self.refuses & set(request.body):
            message = f"Unrecognized request argument: {', '.join(sorted(refused))}"
            return await _send_json(writer, 400, {"error": {"message": message, "param": min(refused)}})
        match request.path:
            case "/v1/models":
                return await _send_json(writer, 200, {"object": "list", "data": [{"id": "scripted"}]})
            case "/v1/embeddings":
                return await _send_json(writer, 200, embeddings_of(request.body))
            case "/v1/chat/completions" | "/v1/responses":
                return await self._reply(self._take(request), request, writer)
        return await _send_json(writer, 404, {"error": {"message": "No such path."}})

    def _take(self, request: Request) -> Script:
        body = json.dumps(request.body, ensure_ascii=False)
        with self._taking:
            for script in self._scripts:
                if script.when in body:
                    self._scripts.remove(script)
                    return script
        return self.otherwise

    async def _reply(self, script: Script, request: Request, writer: asyncio.StreamWriter) -> bool:
        if script.body:
            return await _pour(script, writer)
        if script.status != 200:
            return await _send_json(writer, script.status, {"error": script.error}, headers=script.headers)
        if request.path == "/v1/responses" and request.is_streamed:
            frames = responses_frames(script)
        elif request.is_streamed:
            frames = chat_frames(script, asks_usage="stream_options" in request.body)
        else:
            return await self._reply_whole(script, request, writer)
        await _send_head(writer, 200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"})
        return await _stream(script, request, frames, writer)

    async def _reply_whole(self, script: Script, request: Request, writer: asyncio.StreamWriter) -> bool:
        await _pause(script, len(script.content))
        match script.fault:
            case "drop":
                await _send_head(writer, 200, {"content-type": "application/json", "content-length": "10000"})
                _reset(writer)
                return False
            case "stall":
                await asyncio.Event().wait()
            case "garble":
                return await _send(writer, 200, b'{"choices": [{"mess', "application/json")
            case "error" | "end":
                return await _send_json(writer, 200, {"error": {"message": "Scripted failure."}})
        request.tokens_sent = len(script.content)
        by_responses = request.path == "/v1/responses"
        return await _send_json(writer, 200, whole_response(script) if by_responses else whole(script))


def tokens(content: str | Sequence[str]) -> tuple[str, ...]:
    """Words with the blanks after them; a sequence stays as it is."""
    if not isinstance(content, str):
        return tuple(content)
    return tuple(re.findall(r"\s*\S+\s*", content)) or ((content,) if content else ())


def refused_url() -> str:
    """A base URL where nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/v1"


def vector(words: str) -> list[float]:
    """A fixed vector of the words: equal texts are equal, texts that share words are near."""
    row = [0.001] * EMBEDDING_DIMS
    for word in words.lower().split():
        row[hashlib.sha256(word.encode()).digest()[0] % EMBEDDING_DIMS] += 1
    return row


def embeddings_of(body: Mapping[str, Any]) -> dict[str, Any]:
    texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
    rows = [vector(text if isinstance(text, str) else " ".join(map(str, text))) for text in texts]
    packed: list[Any] = list(rows)
    if body.get("encoding_format") == "base64":
        packed = [base64.b64encode(struct.pack(f"<{len(row)}f", *row)).decode() for row in rows]
    data = [{"object": "embedding", "index": index, "embedding": row} for index, row in enumerate(packed)]
    return {"object": "list", "data": data, "model": body["model"], "usage": {"prompt_tokens": 1, "total_tokens": 1}}


def deltas(script: Script) -> Iterator[dict[str, Any]]:
    """The deltas of a streamed reply in the script's spelling of thinking."""
    match script.spelling:
        case "inline":
            thought = ["<think>", *script.thinking, "</think>\n\n"]
        case "inline-thinking":
            thought = ["<thinking>", *script.thinking, "</thinking>\n\n"]
        case "only-close":
            thought = [*script.thinking, "\n</think>\n\n"]
        case key:
            yield from ({key: thought, "content": None} for thought in script.thinking)
            thought = []
    if script.thinking:
        yield from ({"content": piece} for piece in thought)
    yield from ({"content": piece} for piece in script.content)


def whole(script: Script) -> dict[str, Any]:
    """The reply in one piece."""
    message: dict[str, Any] = {"role": "assistant", "content": ""}
    for delta in deltas(script):
        for key, value in delta.items():
            message[key] = (message.get(key) or "") + (value or "")
    choice = {"index": 0, "message": message, "finish_reason": script.finish}
    return {**_envelope("chat.completion"), "choices": [choice], "usage": usage(script)}


def usage(script: Script) -> dict[str, Any]:
    thought, said = len(script.thinking), len(script.content)
    return {
        "prompt_tokens": 11,
        "completion_tokens": thought + said,
        "total_tokens": 11 + thought + said,
        "prompt_tokens_details": {"cached_tokens": 3},
        "completion_tokens_details": {"reasoning_tokens": thought},
    }


def chat_frames(script: Script, *, asks_usage: bool) -> Iterator[tuple[bytes, bool]]:
    """Frames of a streamed chat completion, each with whether it is a token."""
    envelope = _envelope("chat.completion.chunk")

    def frame(delta: Mapping[str, Any], finish: str | None = None) -> bytes:
        return _frame({**envelope, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    yield frame({"role": "assistant", "content": ""}), False
    role = {"role": "assistant"} if script.role_in_every_chunk else {}
    for delta in deltas(script):
        yield frame({**role, **delta}), True
    yield frame({}, script.finish), False
    if asks_usage and script.sends_usage:
        yield _frame({**envelope, "choices": [], "usage": usage(script)}), False
    if script.sends_done:
        yield b"data: [DONE]\n\n", False


def whole_response(script: Script) -> dict[str, Any]:
    """A Responses API answer in one piece."""
    *_, (last, _) = responses_frames(script)
    finished: dict[str, Any] = json.loads(last.partition(b"data: ")[2])["response"]
    return finished


def responses_frames(script: Script) -> Iterator[tuple[bytes, bool]]:
    """Frames of a streamed Responses API answer with a reasoning summary."""
    numbers = itertools.count()

    def frame(kind: str, **rest: Any) -> bytes:
        data = {"type": kind, "sequence_number": next(numbers), **rest}
        return f"event: {kind}\n".encode() + _frame(data)

    response = {
        "id": "resp_1", "object": "response", "created_at": 1, "model": "scripted", "status": "in_progress",
        "output": [], "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "error": None,
    }  # fmt: skip
    yield frame("response.created", response=response), False
    summary = {"type": "summary_text", "text": "".join(script.thinking)}
    reasoning = {"id": "rs_1", "type": "reasoning", "summary": [summary]}
    place = {"item_id": "rs_1", "output_index": 0, "summary_index": 0}
    yield frame("response.output_item.added", output_index=0, item={**reasoning, "summary": []}), False
    empty = {**summary, "text": ""}
    yield frame("response.reasoning_summary_part.added", part=empty, **place), False
    for thought in script.thinking:
        yield frame("response.reasoning_summary_text.delta", delta=thought, **place), True
    yield frame("response.reasoning_summary_text.done", text=summary["text"], **place), False
    yield frame("response.output_item.done", output_index=0, item=reasoning), False

    place = {"item_id": "msg_1", "output_index": 1, "content_index": 0}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed"}
    part = {"type": "output_text", "text": "".join(script.content), "annotations": []}
    yield frame("response.output_item.added", output_index=1, item={**message, "content": []}), False
    yield frame("response.content_part.added", part={**part, "text": ""}, **place), False
    for said in script.content:
        yield frame("response.output_text.delta", delta=said, logprobs=[], **place), True
    yield frame("response.output_text.done", text=part["text"], logprobs=[], **place), False
    item = {**message, "content": [part]}
    yield frame("response.output_item.done", output_index=1, item=item), False
    counted = {
        "input_tokens": 11, "output_tokens": len(script.thinking) + len(script.content), "total_tokens": 99,
        "input_tokens_details": {"cached_tokens": 3},
        "output_tokens_details": {"reasoning_tokens": len(script.thinking)},
    }  # fmt: skip
    finished = {**response, "status": "completed", "output": [reasoning, item], "usage": counted}
    yield frame("response.completed", response=finished), False


async def _read(reader: asyncio.StreamReader, connection: Connection, begun: bytes) -> Request:
    head = (begun + await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    path = head[0].split(" ")[1]
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    raw = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(path, headers, json.loads(raw) if raw else {}, connection)


async def _stream(
    script: Script, request: Request, frames: Iterator[tuple[bytes, bool]], writer: asyncio.StreamWriter
) -> bool:
    sent = 0
    if script.at_once:
        frames = iter([(b"".join(frame for frame, _ in frames), False)])
    for frame, is_token in frames:
        if script.fault and is_token and sent == script.after:
            return await _break(script, writer)
        if is_token:
            await _pause(script, sent)
            sent += 1
            request.tokens_sent = sent  # before it is sent, as whoever reads it may look at once
        _write_chunk(writer, frame)
        if is_token and script.pace_s:
            await writer.drain()
            await asyncio.sleep(script.pace_s)
    await writer.drain()
    if script.fault:
        return await _break(script, writer)
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    return True


async def _pause(script: Script, sent: int) -> None:
    if script.hold_after == sent or (script.hold_after is not None and sent > script.hold_after):
        script.reached.set()
        await script.wait_released()


async def _break(script: Script, writer: asyncio.StreamWriter) -> bool:
    match script.fault:
        case "drop":
            await writer.drain()
            _reset(writer)
            return False
        case "stall":
            await writer.drain()
            await asyncio.Event().wait()
        case "garble":
            _write_chunk(writer, b'data: {"choices": [{"del\n\n')
        case "error":
            _write_chunk(writer, _frame({"error": {"message": "Scripted failure.", "type": "server_error"}}))
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    return True


async def _pour(script: Script, writer: asyncio.StreamWriter) -> bool:
    head = {"content-type": "text/event-stream", "transfer-encoding": "chunked", **script.headers}
    await _send_head(writer, script.status, head)
    for data in script.body:
        _write_chunk(writer, data)
        await writer.drain()
        await asyncio.sleep(0)  # a client who leaves is noticed by another task
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    return True


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close without the last chunk; what was written still arrives."""
    with contextlib.suppress(OSError):
        writer.close()


def _write_chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")


async def _send_head(writer: asyncio.StreamWriter, status: int, headers: Mapping[str, str]) -> None:
    lines = [f"HTTP/1.1 {status} Scripted", *(f"{name}: {value}" for name, value in headers.items())]
    writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
    await writer.drain()


async def _send(
    writer: asyncio.StreamWriter, status: int, body: bytes, kind: str, headers: Mapping[str, str] | None = None
) -> bool:
    await _send_head(writer, status, {"content-type": kind, "content-length": str(len(body)), **(headers or {})})
    writer.write(body)
    await writer.drain()
    return True


async def _send_json(
    writer: asyncio.StreamWriter, status: int, value: Any, *, headers: Mapping[str, str] | None = None
) -> bool:
    return await _send(writer, status, json.dumps(value).encode(), "application/json", headers)


def _envelope(kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": kind, "created": 1, "model": "scripted"}


def _frame(value: Any) -> bytes:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n".encode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=9999)
    parser.add_argument("--pace", type=float, default=0.0, help="seconds between tokens")
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--thinking", type=int, default=0, help="tokens of reasoning before them")
    given = parser.parse_args()
    upstream = Upstream(port=given.port)
    words = tuple(f"word{number} " for number in range(given.tokens))
    thoughts = tuple(f"thought{number} " for number in range(given.thinking))
    upstream.otherwise = Script(content=words, thinking=thoughts, pace_s=given.pace)
    with upstream, contextlib.suppress(KeyboardInterrupt):
        print(upstream.base_url, flush=True)  # noqa: T201 - its answer
        threading.Event().wait()


if __name__ == "__main__":
    main()
