"""Chat models behind an OpenAI-compatible endpoint: LangChain's class, keeping reasoning, at a fraction of its cost.

Per token, most of what a LangChain server spends goes into the OpenAI SDK's objects, a timer, and the HTTP client.
Here chunks stay dicts, and no timer runs: who reads the stream watches for silence.
"""

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from http import HTTPStatus
from typing import Any, ClassVar, Final, Self, cast
from urllib.parse import urlsplit

import openai
from langchain_core.callbacks import AsyncCallbackManager
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import RunnableConfig
from langchain_openai import ChatOpenAI
from pydantic import Field, PrivateAttr, SecretStr, model_validator

from rag_graph.models.providers.errors import words_of
from rag_graph.models.providers.openai.chunks import Chunk, Shaper
from rag_graph.models.providers.openai.client import DictCompletions, LoopClient
from rag_graph.models.providers.openai.stream import DictStream
from rag_graph.models.providers.openai.turns import Template
from rag_graph.models.thinking import REASONING_KEYS

log = logging.getLogger(__name__)

OPENAI_HOST: Final = "api.openai.com"
UNTIMED_READS: Final = openai.Timeout(600.0, connect=5.0, read=None)
"""The SDK's timeouts but one, for which the HTTP library sets and cancels a timer at every read."""

LIST_MODELS_TIMEOUT_S: Final = 5.0
"""A service answers this from memory; one that does not in this time is asked again at the next call."""

UNLISTED: Final = "default"
"""The name sent to a service that does not list its models, since such a one mostly serves a single model."""

_NOT_NOW: Final = frozenset({401, 408, 429})
"""Answers to a request for the models that say nothing of which there are, as those of a failing service do."""

_REFUSALS: Final = (openai.BadRequestError, openai.UnprocessableEntityError)
"""Of a request that the service may take in another form."""

_REASONS = re.compile(r"^(o\d|gpt-[5-9](?!.*-chat))")


def open_chat_model(
    base_url: str,
    api_key: str,
    model: str,
    *,
    reasoning_effort: str | None = None,
    max_tokens: int | None = None,
    temperature: float | None = None,
) -> "ReasoningChatOpenAI":
    """Open `model` at `base_url`; an empty one is OpenAI's, whose reasoning models take the Responses API.

    Without a `model` it is the first that the service lists, which the first call asks for.
    """
    options: dict[str, Any] = {"max_tokens": max_tokens, "temperature": temperature}
    is_openai = not base_url or urlsplit(base_url).hostname == OPENAI_HOST
    if is_openai and _REASONS.match(model):
        # These refuse a temperature, and tell their thoughts only as summaries and only by this API.
        reasoning = {"summary": "auto", **({"effort": reasoning_effort} if reasoning_effort else {})}
        options = {"max_tokens": max_tokens, "use_responses_api": True, "reasoning": reasoning}
        options["output_version"] = "responses/v1"
    elif reasoning_effort:
        options["reasoning_effort"] = reasoning_effort
    return ReasoningChatOpenAI(
        base_url=base_url or f"https://{OPENAI_HOST}/v1",
        # Never empty: the SDK would take OPENAI_API_KEY then, and send it to this host, whoever's it is.
        api_key=SecretStr(api_key or "none"),
        model=model or UNLISTED,
        is_named=bool(model),
        # Said, as LangChain turns to that API by itself for some models and options, and other services do not have it.
        **{"use_responses_api": False, **{key: value for key, value in options.items() if value is not None}},
    )


ChunkStream = AsyncGenerator[ChatGenerationChunk, None]
MessageStream = AsyncGenerator[BaseMessage, None]


class ReasoningChatOpenAI(ChatOpenAI):
    """ChatOpenAI that keeps a model's reasoning in `additional_kwargs["reasoning_content"]`, and streams cheaply.

    It never retries by itself. Close it with `aclose`.
    """

    # `Replier` asks again, and knows what was said; two who retry would ask several times as often.
    max_retries: int | None = 0
    stream_usage: bool | None = True
    stream_chunk_timeout: float | None = Field(default=None, exclude=True)
    http_async_client: Any | None = Field(default_factory=LoopClient, exclude=True)
    openai_proxy: str | None = None
    """Not read from OPENAI_PROXY, which excludes a client of one's own; HTTPS_PROXY is heeded."""

    is_named: bool = Field(default=True, exclude=True)
    """Whether `model_name` is known, or has to be asked for."""

    _asking: "asyncio.Task[None] | None" = PrivateAttr(default=None)
    _template: Template = PrivateAttr(default_factory=Template)

    # The hooks of the SDK on which the fast path stands: one without them is used as it is.
    _is_fast: ClassVar[bool] = hasattr(openai.AsyncStream, "__stream__") and hasattr(openai.AsyncOpenAI, "post")

    @model_validator(mode="after")
    def _keep_chunks_as_dicts(self) -> Self:
        if self._is_fast and self.root_async_client is not None:
            self.async_client = DictCompletions(self.root_async_client)
        return self

    async def aclose(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
        await self.root_async_client.close()

    async def learn_name(self) -> None:
        """Ask the service which model it has, unless that is known; many callers at once ask once.

        Raises what the SDK does when the service cannot be reached or fails; then the next caller asks again.
        """
        if self.is_named:
            return
        loop = asyncio.get_running_loop()
        # A task of another event loop cannot be waited for here: `asyncio.run` may come twice.
        if self._asking is None or self._asking.done() or self._asking.get_loop() is not loop:
            self._asking = loop.create_task(self._ask_name())
            # Its failure is heard even when every caller was cancelled meanwhile, or asyncio complains of it.
            self._asking.add_done_callback(lambda asked: asked.cancelled() or asked.exception())
        # One caller who leaves must not end what the others wait for.
        await asyncio.shield(self._asking)

    async def _ask_name(self) -> None:
        listed: Any = None
        try:
            listed = await self.root_async_client.get(
                "/models", cast_to=object, options={"timeout": LIST_MODELS_TIMEOUT_S}
            )
        except openai.APIStatusError as exc:
            if exc.status_code in _NOT_NOW or exc.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
                raise
        try:
            self.model_name = str(listed["data"][0]["id"])
        except (LookupError, TypeError):
            log.warning("%s does not list its models: set the model's name if it needs one", self.openai_api_base)
        self.is_named = True

    async def open_stream(
        self, messages: Sequence[BaseMessage], config: RunnableConfig | None = None
    ) -> AsyncGenerator[str | BaseMessage]:
        """Begin a stream as `astream` does, but one that gives text that comes with nothing else as a mere string.

        For every token LangChain makes two pydantic models and calls back, and at the end it joins them all. That
        is left out where nobody would notice: no handler in the config, no tracing, no rate limiter.

        The caller must end a silence that lasts too long: reads have no timeout unless the model was given one.
        """
        if not self._can_be_unheard or self._is_heard(config):
            return cast("MessageStream", self.astream(list(messages), config))
        return (await self._open_chunks(messages)).pieces(self._message_of)

    def _message_of(self, chunk: Chunk) -> BaseMessage | None:
        made = self._convert_chunk_to_generation_chunk(chunk, AIMessageChunk, None)
        if made is None:
            return None
        made.message.response_metadata |= made.generation_info or {}
        return made.message

    @property
    def _can_be_unheard(self) -> bool:
        """Whether nothing of LangChain's or of a subclass's would be passed by."""
        is_plain = type(self) is ReasoningChatOpenAI and isinstance(self.async_client, DictCompletions)
        return is_plain and self.use_responses_api is False and not (self.rate_limiter or self.disable_streaming)

    def _is_heard(self, config: RunnableConfig | None) -> bool:
        callbacks = (config or {}).get("callbacks")
        return bool(AsyncCallbackManager.configure(callbacks, self.callbacks, verbose=self.verbose).handlers)

    async def _open_chunks(self, messages: Sequence[BaseMessage]) -> DictStream:
        await self.learn_name()
        while True:
            options: dict[str, Any] = {"stream_options": {"include_usage": True}} if self.stream_usage else {}
            payload = self._get_request_payload(list(messages), stream=True, **options)
            if self.request_timeout is None:
                payload["timeout"] = UNTIMED_READS
            try:
                stream: DictStream = await self.async_client.create(**payload)
            except _REFUSALS as exc:
                if not self._do_without(exc):
                    raise
            else:
                return stream

    def _get_request_payload(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        payload = super()._get_request_payload(*args, **kwargs)
        if "messages" in payload and self._template != Template():
            payload["messages"] = self._template.fit(payload["messages"])
        return payload

    async def _agenerate(self, *args: Any, **kwargs: Any) -> ChatResult:
        await self.learn_name()
        while True:
            try:
                return await super()._agenerate(*args, **kwargs)
            except _REFUSALS as exc:
                if not self._do_without(exc):
                    raise

    async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
        await self.learn_name()
        while True:
            try:
                async with aclosing(cast("ChunkStream", super()._astream(*args, **kwargs))) as chunks:
                    async for chunk in chunks:
                        yield chunk
            except _REFUSALS as exc:
                if not self._do_without(exc):
                    raise
            else:
                return

    def _do_without(self, exc: openai.APIStatusError) -> bool:
        """Give up what this service refuses and an answer does not need: counts, summaries, turns of their own.

        Each is given up once, so that whoever asks again until nothing is left to give up comes to an end.
        """
        said = words_of(exc)
        if self.stream_usage and "stream_options" in said:
            self.stream_usage = False
        elif self.reasoning and "summary" in self.reasoning and "summar" in said:
            self.reasoning = {key: value for key, value in self.reasoning.items() if key != "summary"}
        elif (template := self._template.learn(said)) != self._template:
            log.warning("%s: its chat template is strict; turns are joined for it from now on", self.openai_api_base)
            self._template = template
        else:
            return False
        return True

    def _convert_chunk_to_generation_chunk(
        self, chunk: dict[str, Any], default_chunk_class: type, base_generation_info: dict[str, Any] | None
    ) -> ChatGenerationChunk | None:
        made = super()._convert_chunk_to_generation_chunk(chunk, default_chunk_class, base_generation_info)
        choices = chunk.get("choices")
        if made and choices:
            delta = choices[0]["delta"]
            if thought := _reasoning_of(delta):
                made.message.additional_kwargs["reasoning_content"] = thought
            if refusal := delta.get("refusal"):
                made.message.additional_kwargs["refusal"] = refusal
        return made

    def _create_chat_result(
        self, response: dict[str, Any] | openai.BaseModel, generation_info: dict[str, Any] | None = None
    ) -> ChatResult:
        body: Any = response.model_dump(warnings=False) if isinstance(response, openai.BaseModel) else response
        if not isinstance(body, dict):  # a web page, say; LangChain raises what is then told as no answer
            return super()._create_chat_result(response, generation_info)
        whole = Shaper().read_whole(body)
        # LangChain takes what was parsed into a user's own class from the SDK's object alone.
        is_parsed = any(getattr(choice.message, "parsed", None) for choice in getattr(response, "choices", None) or ())
        result = super()._create_chat_result(response if is_parsed else whole, generation_info)
        for generation, choice in zip(result.generations, whole["choices"], strict=False):
            thought = choice["message"].get("reasoning_content")
            if thought and isinstance(generation.message, AIMessage):
                generation.message.additional_kwargs["reasoning_content"] = thought
        return result


def _reasoning_of(delta: Mapping[str, Any]) -> str:
    for key in REASONING_KEYS:
        thought = delta.get(key)
        if thought and isinstance(thought, str):
            return thought
    return ""
