"""The real classes of one provider that does not speak OpenAI's protocol, against a service that does as it is told."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest
from langchain_core.messages import HumanMessage

from rag_graph.errors import ModelRefused
from rag_graph.models.pieces import Content, Piece, Thinking, TokensUsed
from rag_graph.models.replies import Replier
from rag_graph.models.roles import OpenedModels, open_chat_models
from rag_graph.settings import ChatSettings, ReasoningSettings, Settings

pytest.importorskip("langchain_anthropic")
pytestmark = pytest.mark.anyio
QUESTION = [HumanMessage("How high is the tower?")]
WORDS = ("It ", "is ", "330.")
OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
WHOLE = {
    "type": "message",
    "role": "assistant",
    "model": "claude-scripted",
    "content": [{"type": "thinking", "thinking": "Hm.", "signature": ""}, {"type": "text", "text": "It is 330."}],
    "usage": {"input_tokens": 11, "output_tokens": 5},
}


@dataclass
class Service:
    """Answers each request with the next of `replies`: events, of which None holds the stream open; or a status."""

    replies: list[Sequence[dict[str, Any] | None] | tuple[int, dict[str, Any]]] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
            self.bodies.append(json.loads(await reader.readexactly(int(headers["content-length"]))))
            self.keys.append(headers.get("authorization") or headers["x-api-key"])
            match self.replies.pop(0):
                case (int(status), dict(body)):
                    sent = f"HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n"
                    writer.write(sent.encode() + json.dumps(body).encode())
                case events:
                    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
                    await self._stream(events, reader, writer)
            await writer.drain()
        writer.close()

    async def _stream(self, events: Sequence[Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for event in events:
            if event is None:
                with contextlib.suppress(ConnectionError):
                    await reader.read(1)
                self.left.set()
                return
            writer.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
            await writer.drain()


@pytest.fixture
async def service(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Service]:
    scripted = Service()
    listening = await asyncio.start_server(scripted.answer, "127.0.0.1", 0)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}")
    async with listening:
        yield scripted


@pytest.fixture
async def models(service: Service) -> AsyncIterator[OpenedModels]:  # noqa: ARG001 - its address is in the environment
    unset: dict[str, Any] = {"_env_file": None, "OPENAI_API_KEY": "sk-openai", "OPENAI_BASE_URL": ""}
    chat = ChatSettings.model_validate({"model": "anthropic:claude-haiku-4-5", "api_key": "sk-scripted"})
    thinker = ReasoningSettings(model="anthropic:claude-opus-4-7", effort="high")
    fallback = ChatSettings(model="anthropic:claude-sonnet-5")
    opened = open_chat_models(Settings(chat=chat, reasoning=thinker, fallback=fallback, **unset))
    yield opened
    for model in (opened.chat.model, opened.reasoning.model, opened.chat.fallback):
        await model._async_client.close()  # type: ignore[union-attr]  # LangChain's class offers no other way


def events_of(words: Sequence[str], thinking: Sequence[str] = ()) -> list[dict[str, Any]]:
    """A reply as the Messages API streams it."""
    blocks = [("thinking", "thinking_delta", thinking)] if thinking else []
    events: list[dict[str, Any]] = [{"type": "message_start", "message": {**WHOLE, "content": []}}]
    for index, (kind, delta, parts) in enumerate([*blocks, ("text", "text_delta", words)]):
        events.append({"type": "content_block_start", "index": index, "content_block": {"type": kind, kind: ""}})
        for part in parts:
            content = {"type": delta, kind: part}
            events.append({"type": "content_block_delta", "index": index, "delta": content})
        events.append({"type": "content_block_stop", "index": index})
    usage = {"input_tokens": 11, "cache_read_input_tokens": 3, "output_tokens": 5}
    return [*events, {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}]


async def pieces_of(replier: Replier) -> list[Piece]:
    with anyio.fail_after(20):
        return [piece async for piece in replier.stream(QUESTION)]


async def test_a_reply_streams_with_its_thinking_and_its_tokens(service: Service, models: OpenedModels) -> None:
    service.replies = [events_of(WORDS, thinking=["Let ", "me see."])]
    pieces = await pieces_of(models.reasoning)
    assert [piece.delta for piece in pieces if isinstance(piece, Thinking)] == ["Let ", "me see."]
    assert [piece.delta for piece in pieces if isinstance(piece, Content)] == list(WORDS)
    assert pieces[-1] == TokensUsed("claude-scripted", 14, 5, 0, 3)
    assert service.bodies[0]["output_config"] == {"effort": "high"}
    assert "sk-scripted" in service.keys[0]


async def test_a_failing_service_is_asked_again_whole_and_then_the_fallback(
    service: Service, models: OpenedModels
) -> None:
    service.replies = [(529, OVERLOADED), (200, WHOLE)]
    assert await models.chat.reply(QUESTION) == "It is 330."
    service.replies = [[*events_of(WORDS)[:3], OVERLOADED], (500, OVERLOADED), events_of(["The fallback."])]
    assert await models.chat.reply(QUESTION) == "The fallback."
    assert [body.get("stream", False) for body in service.bodies] == [True, False, True, False, True]
    assert service.bodies[-1]["model"] == "claude-sonnet-5"


async def test_a_refused_key_is_not_asked_for_again(service: Service, models: OpenedModels) -> None:
    error = {"type": "error", "error": {"type": "authentication_error", "message": "invalid x-api-key sk-scripted"}}
    service.replies = [(401, error), (401, error)]
    with pytest.raises(ModelRefused, match="RAG_CHAT_API_KEY") as refused:
        await pieces_of(models.chat)
    assert "sk-scripted" not in str(refused.value)
    assert len(service.bodies) == 2


@pytest.mark.parametrize("leave", ["close", "cancel"])
async def test_leaving_the_stream_closes_the_connection(service: Service, models: OpenedModels, leave: str) -> None:
    service.replies = [[*events_of(WORDS)[:3], None]]
    begun = asyncio.Event()

    async def read() -> None:
        async with aclosing(models.chat.stream(QUESTION)) as pieces:
            async for _ in pieces:
                begun.set()
                if leave == "close":
                    return

    with anyio.fail_after(10):
        task = asyncio.create_task(read())
        await begun.wait()
        if leave == "cancel":
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await service.left.wait()
    assert len(service.bodies) == 1
