"""LangServe's endpoints and playgrounds, and what its clients need; nothing else in the project knows it."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Any, TypeVar

from fastapi import FastAPI
from fastapi.params import Depends
from langchain_core.runnables import AddableDict, ConfigurableFieldSpec, Runnable, RunnableConfig, RunnableGenerator
from langchain_core.runnables.config import get_config_list
from langserve import add_routes
from langserve.serialization import WellKnownLCSerializer

from rag_graph.errors import RagGraphError
from rag_graph.events import Event, RunCancelled, RunFailed
from rag_graph.http.langserve.encoding import PlainText, Structured
from rag_graph.http.langserve.request import Conversation, check_body
from rag_graph.query import Query
from rag_graph.runs.log import line_safe

T = TypeVar("T")
Ask = Callable[[Query, RunnableConfig], AsyncGenerator[Event]]
"""Runs the graph under a LangChain config, so that its nodes show in the caller's events and traces."""


class RunBroken(RagGraphError):
    """The run ended without an answer; the message is that of its last event."""


class LineSafeSerializer(WellKnownLCSerializer):
    """LangServe's serializer, without the raw line breaks at which its Python client would cut an event in two."""

    def dumps(self, obj: Any) -> bytes:
        return line_safe(super().dumps(obj))


def serve(app: FastAPI, ask: Ask, *, dependencies: Sequence[Depends]) -> None:
    """Add `/rag` (text), `/rag/structured` (dicts that add up) and `/chat` (messages in, text out)."""
    shared: dict[str, Any] = {
        "dependencies": [Depends(check_body), *dependencies],
        "serializer": LineSafeSerializer(),
    }
    add_routes(app, structured_answer(ask), path="/rag/structured", config_keys=(), **shared)
    configurable = ("configurable",)
    add_routes(app, plain_answer(ask), path="/rag", config_keys=configurable, **shared)
    add_routes(app, chat_answer(ask), path="/chat", config_keys=configurable, playground_type="chat", **shared)


def plain_answer(ask: Ask) -> Runnable[Any, str]:
    """Stream the answer as people read it out."""

    async def answer(inputs: AsyncIterator[Any], config: RunnableConfig) -> AsyncIterator[str]:
        async for query in inputs:
            async for piece in _text(ask, Query.model_validate(query), config):
                yield piece

    return TextAnswer(answer, "rag").with_types(input_type=Query, output_type=str)


def chat_answer(ask: Ask) -> Runnable[Any, str]:
    """Stream the answer to the last message; those before it are the history."""

    async def answer(inputs: AsyncIterator[Any], config: RunnableConfig) -> AsyncIterator[str]:
        async for conversation in inputs:
            async for piece in _text(ask, Conversation.model_validate(conversation).query(), config):
                yield piece

    return TextAnswer(answer, "chat").with_types(input_type=Conversation, output_type=str)


def structured_answer(ask: Ask) -> Runnable[Any, dict[str, Any]]:
    """Stream chunks that add up to `answer`, `draft`, `citations`, `documents`, `decision` and `timings`."""
    return StructuredAnswer(ask).with_types(input_type=Query, output_type=dict[str, Any])


class OneByOne(RunnableGenerator[Any, T]):
    """Answers a batch one question after the other, so that a request is never more than one run.

    Not by LangChain's own way of limiting it: after a failure that goes on with the others, with nobody to take them.
    """

    async def abatch(
        self,
        inputs: list[Any],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[T]:
        outputs: list[Any] = []
        for one, its in zip(inputs, get_config_list(config, len(inputs)), strict=True):
            try:
                outputs.append(await self.ainvoke(one, its, **kwargs))
            except Exception as exc:
                if not return_exceptions:
                    raise
                outputs.append(exc)
        return outputs


class TextAnswer(OneByOne[str]):
    """Text, of which a caller says in `configurable` how much: all that was written, or what stands; its sources."""

    def __init__(self, stream: Any, name: str) -> None:
        # It passes the config on to those who take it, which its annotation does not say.
        super().__init__(stream, name=name)

    @property
    def config_specs(self) -> list[ConfigurableFieldSpec]:
        return [
            ConfigurableFieldSpec(
                id="final",
                annotation=bool,
                name="The answer that stands alone",
                description="No draft that a refinement replaces: the text comes whole, at the end.",
                default=False,
            ),
            ConfigurableFieldSpec(
                id="sources",
                annotation=bool,
                name="Sources",
                description="List what the answer cites after it.",
                default=False,
            ),
        ]


class StructuredAnswer(OneByOne[dict[str, Any]]):
    """Chunks of a dict; what `invoke` returns is the whole run, not their sum, which cannot take back a reset."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        chunks: Any = self._chunks
        super().__init__(chunks, name="rag_structured")

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **_: Any) -> dict[str, Any]:  # noqa: A002 - LangChain's name
        whole: Any = self._whole
        # By LangChain's own way, so that the call shows in its caller's traces as a run.
        return await self._acall_with_config(whole, input, config)

    async def _chunks(self, inputs: AsyncIterator[Any], config: RunnableConfig) -> AsyncIterator[dict[str, Any]]:
        async for query in inputs:
            view = Structured()
            async for event in _events(self._ask, Query.model_validate(query), config):
                if chunk := view.add(event):
                    yield AddableDict(chunk)

    async def _whole(self, query: Any, config: RunnableConfig) -> dict[str, Any]:
        view = Structured()
        async for event in _events(self._ask, Query.model_validate(query), config):
            view.add(event)
        return view.result()


async def _text(ask: Ask, query: Query, config: RunnableConfig) -> AsyncIterator[str]:
    asked = config.get("configurable", {})
    view = PlainText(final=asked.get("final", False), sources=asked.get("sources", False))
    async for event in _events(ask, query, config):
        if piece := view.add(event):
            yield piece


async def _events(ask: Ask, query: Query, config: RunnableConfig) -> AsyncIterator[Event]:
    """The run's events; one that gave no answer ends in an exception, as LangChain's callers expect."""
    # What a caller configures is for the text: it names no thread of the graph's.
    ours = RunnableConfig(**{**config, "configurable": {}})
    async with aclosing(ask(query, ours)) as events:
        async for event in events:
            yield event
            if isinstance(event, RunFailed | RunCancelled):
                raise RunBroken(event.message if isinstance(event, RunFailed) else "The run was stopped.")
