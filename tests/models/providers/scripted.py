"""A chat model of somebody's own: it raises what it likes, and streams what it is told to."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import Field


class OwnError(Exception):
    """As an SDK has it that is nobody's relative."""

    def __init__(self, message: str = "it broke", **more: object) -> None:
        super().__init__(message)
        vars(self).update(more)


class ScriptedModel(BaseChatModel):
    """Each call takes the next reply: its chunks, of which an exception is raised and an event is waited for."""

    model: str = "scripted-1"
    replies: list[Sequence[Any]] = Field(default_factory=list)
    calls: list[str] = Field(default_factory=list)
    ended: asyncio.Event = Field(default_factory=asyncio.Event)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    async def _astream(self, *_: Any, **options: Any) -> AsyncIterator[ChatGenerationChunk]:
        self.calls.append("stream")
        try:
            async for chunk in self._chunks(options):
                yield ChatGenerationChunk(message=chunk)
        finally:
            self.ended.set()

    async def _agenerate(self, *_: Any, **options: Any) -> ChatResult:
        self.calls.append("whole")
        chunks = [ChatGenerationChunk(message=chunk) async for chunk in self._chunks(options)]
        return ChatResult(generations=[sum(chunks[1:], chunks[0])])

    async def _chunks(self, options: dict[str, Any]) -> AsyncIterator[AIMessageChunk]:
        unknown = set(options) - {"stop", "run_manager"}
        assert not unknown, f"a class of somebody's own need not know {unknown}"
        for given in self.replies.pop(0):
            match given:
                case BaseException():
                    raise given
                case asyncio.Event():
                    await given.wait()
                case BaseMessage():
                    yield AIMessageChunk(**given.model_dump(exclude={"type"}))
                case _:
                    yield AIMessageChunk(content=given)

    def _generate(self, *_: Any, **__: Any) -> ChatResult:
        raise NotImplementedError
