"""Chat models behind an OpenAI-compatible endpoint: LangChain's class, keeping reasoning, at a fraction of its cost.

Per token, most of what a LangChain server spends goes into the OpenAI SDK's objects, a timer, and the HTTP client.
Here chunks stay dicts, no timer runs (who reads the stream watches for silence), and aiohttp carries the bytes. This
leans on hooks of two libraries; where one is missing, the plain client serves.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, suppress
from importlib import import_module
from typing import Any, ClassVar, Final, Self, cast
from urllib.parse import urlsplit

import openai
import orjson
from langchain_core.callbacks import AsyncCallbackManager
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import RunnableConfig
from langchain_openai import ChatOpenAI
from pydantic import Field, SecretStr, model_validator

REASONING_KEYS: Final = ("reasoning_content", "reasoning", "thinking")
"""DeepSeek, llama.cpp and older vLLM; newer vLLM, OpenRouter and gpt-oss; Ollama."""

OPENAI_HOST: Final = "api.openai.com"
CUT_SHORT: Final = "The stream ended before the answer did."
DRAIN_S: Final = 1.0
UNTIMED_READS: Final = openai.Timeout(600.0, connect=5.0, read=None)
"""The SDK's timeouts but one, for which the HTTP library sets and cancels a timer at every read."""

_CARRIAGE_RETURN = re.compile(rb"\r\n|\r(?=[^\n])")
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
    """Open `model` at `base_url`; an empty one is OpenAI's, whose reasoning models take the Responses API."""
    options: dict[str, Any] = {"max_tokens": max_tokens, "temperature": temperature}
    if _is_openai(base_url) and _REASONS.match(model):
        # These refuse a temperature, and tell their thoughts only as summaries and only by this API.
        reasoning = {"summary": "auto", **({"effort": reasoning_effort} if reasoning_effort else {})}
        options = {"max_tokens": max_tokens, "use_responses_api": True, "reasoning": reasoning}
        options["output_version"] = "responses/v1"
    elif reasoning_effort:
        options["reasoning_effort"] = reasoning_effort
    return ReasoningChatOpenAI(
        base_url=base_url or f"https://{OPENAI_HOST}/v1",
        api_key=SecretStr(api_key or "none"),
        model=model,
        **{"use_responses_api": False, **{key: value for key, value in options.items() if value is not None}},
    )


def _is_openai(base_url: str) -> bool:
    return not base_url or urlsplit(base_url).hostname == OPENAI_HOST


http: Any = import_module(openai.DefaultAsyncHttpxClient.__mro__[1].__module__.partition(".")[0])
"""The HTTP library that the SDK was built on: httpx, or since its version 3 httpx2."""


def aiohttp_or(default: Any, offered: Any) -> Any:
    """The SDK's client over aiohttp; where its packages are missing, what it offers is an empty one that refuses."""
    return default if offered is None or http.AsyncClient in offered.__bases__ else offered


_AnyClient: Any = aiohttp_or(openai.DefaultAsyncHttpxClient, getattr(openai, "DefaultAioHttpClient", None))


class LoopClient(_AnyClient):  # type: ignore[misc]  # the SDK chooses its HTTP library at import
    """An HTTP client for each event loop that asks, as its sockets belong to one: `asyncio.run` may come twice."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._options = options
        self._by_loop: dict[asyncio.AbstractEventLoop, Any] = {}

    async def send(self, request: Any, **options: Any) -> Any:
        loop = asyncio.get_running_loop()
        if loop not in self._by_loop:
            await self._close(loop for loop in self._by_loop if loop.is_closed())
            self._by_loop[loop] = _AnyClient(**self._options)
        return await self._by_loop[loop].send(request, **options)

    async def aclose(self) -> None:
        await self._close(self._by_loop)
        await super().aclose()

    async def _close(self, loops: Iterable[asyncio.AbstractEventLoop]) -> None:
        for loop in list(loops):
            await self._by_loop.pop(loop).aclose()


ChunkStream = AsyncGenerator[ChatGenerationChunk, None]
MessageStream = AsyncGenerator[BaseMessage, None]
DictChunks = AsyncGenerator[tuple[dict[str, Any], str | None], None]
"""Chunks, and of those that hold nothing but text, the text."""


class ReasoningChatOpenAI(ChatOpenAI):
    """ChatOpenAI that keeps a model's reasoning in `additional_kwargs["reasoning_content"]`, and streams cheaply.

    It never retries by itself. Close it with `aclose`.
    """

    max_retries: int | None = 0
    stream_usage: bool | None = True
    stream_chunk_timeout: float | None = Field(default=None, exclude=True)
    http_async_client: Any | None = Field(default_factory=LoopClient, exclude=True)
    openai_proxy: str | None = None
    """Not read from OPENAI_PROXY, which excludes a client of one's own; HTTPS_PROXY is heeded."""

    _is_fast: ClassVar[bool] = hasattr(openai.AsyncStream, "__stream__") and hasattr(openai.AsyncOpenAI, "post")

    @model_validator(mode="after")
    def _keep_chunks_as_dicts(self) -> Self:
        if self._is_fast and self.root_async_client is not None:
            self.async_client = DictCompletions(self.root_async_client)
        return self

    async def aclose(self) -> None:
        await self.root_async_client.close()

    async def astream_unheard(
        self, messages: Sequence[BaseMessage], config: RunnableConfig | None = None
    ) -> AsyncGenerator[str | BaseMessage]:
        """Stream as `astream` does, but give text that comes with nothing else as a mere string.

        For every token LangChain makes two pydantic models and calls back, and at the end it joins them all. That
        is left out where nobody would notice: no handler in the config, no tracing, no rate limiter.

        The caller must end a silence that lasts too long: reads have no timeout unless the model was given one.
        """
        if not self._can_be_unheard or self._is_heard(config):
            async with aclosing(cast("MessageStream", self.astream(list(messages), config))) as stream:
                async for message in stream:
                    yield message
            return
        async with aclosing(await self._open_chunks(messages)) as chunks:
            async for chunk, text in chunks:
                if text is not None:
                    yield text
                elif made := self._convert_chunk_to_generation_chunk(chunk, AIMessageChunk, None):
                    made.message.response_metadata |= made.generation_info or {}
                    yield made.message

    @property
    def _can_be_unheard(self) -> bool:
        """Whether nothing of LangChain's or of a subclass's would be passed by."""
        is_plain = type(self) is ReasoningChatOpenAI and isinstance(self.async_client, DictCompletions)
        return is_plain and self.use_responses_api is False and not (self.rate_limiter or self.disable_streaming)

    def _is_heard(self, config: RunnableConfig | None) -> bool:
        callbacks = (config or {}).get("callbacks")
        return bool(AsyncCallbackManager.configure(callbacks, self.callbacks, verbose=self.verbose).handlers)

    async def _open_chunks(self, messages: Sequence[BaseMessage]) -> "DictChunks":
        while True:
            options: dict[str, Any] = {"stream_options": {"include_usage": True}} if self.stream_usage else {}
            payload = self._get_request_payload(list(messages), stream=True, **options)
            if self.request_timeout is None:
                payload["timeout"] = UNTIMED_READS
            try:
                stream: DictStream = await self.async_client.create(**payload)
            except openai.BadRequestError as exc:
                if not self._do_without(exc):
                    raise
            else:
                return stream.chunks()

    async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
        try:
            async with aclosing(cast("ChunkStream", super()._astream(*args, **kwargs))) as chunks:
                async for chunk in chunks:
                    yield chunk
        except openai.BadRequestError as exc:
            if not self._do_without(exc):
                raise
            async with aclosing(cast("ChunkStream", super()._astream(*args, **kwargs))) as chunks:
                async for chunk in chunks:
                    yield chunk

    def _do_without(self, exc: openai.BadRequestError) -> bool:
        """Give up what this service refuses and an answer does not need: token counts, summaries of reasoning."""
        if self.stream_usage and "stream_options" in exc.message:
            self.stream_usage = False
        elif self.reasoning and "summary" in self.reasoning and "summar" in exc.message:
            self.reasoning = {key: value for key, value in self.reasoning.items() if key != "summary"}
        else:
            return False
        return True

    def _convert_chunk_to_generation_chunk(
        self, chunk: dict[str, Any], default_chunk_class: type, base_generation_info: dict[str, Any] | None
    ) -> ChatGenerationChunk | None:
        made = super()._convert_chunk_to_generation_chunk(chunk, default_chunk_class, base_generation_info)
        choices = chunk.get("choices")
        if made and choices and (thought := _reasoning_of(choices[0]["delta"])):
            made.message.additional_kwargs["reasoning_content"] = thought
        return made

    def _create_chat_result(
        self, response: dict[str, Any] | openai.BaseModel, generation_info: dict[str, Any] | None = None
    ) -> ChatResult:
        result = super()._create_chat_result(response, generation_info)
        body = response if isinstance(response, dict) else response.model_dump(warnings=False)
        for generation, choice in zip(result.generations, body["choices"], strict=True):
            thought = _reasoning_of(choice["message"])
            if thought and isinstance(generation.message, AIMessage):
                generation.message.additional_kwargs["reasoning_content"] = thought
        return result


def _reasoning_of(delta: Mapping[str, Any]) -> str:
    for key in REASONING_KEYS:
        thought = delta.get(key)
        if thought and isinstance(thought, str):
            return thought
    return ""


class DictCompletions:
    """The SDK's chat completions, but that a stream gives dicts instead of its objects."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client.chat.completions, name)

    async def create(self, **body: Any) -> Any:
        if not body.get("stream"):
            return await self._client.chat.completions.create(**body)
        places = {"extra_headers": "headers", "extra_query": "params", "extra_body": "extra_json", "timeout": "timeout"}
        options = {place: body.pop(name) for name, place in places.items() if name in body}
        return await self._client.post(
            "/chat/completions", body=body, options=options, cast_to=object, stream=True, stream_cls=DictStream
        )


class DictStream(openai.AsyncStream[object]):
    """A stream's chunks as dicts; text that came in one read of the network is one chunk."""

    async def __stream__(self) -> AsyncIterator[object]:
        async with aclosing(self.chunks()) as chunks:
            async for chunk, _ in chunks:
                yield chunk

    async def chunks(self) -> DictChunks:
        """The same, without the layers of the SDK around it."""
        sse, finished = JsonEvents(), False
        reads = aiter(self._bytes())
        try:
            async for data in reads:
                for chunk, text in joined(sse.feed(data)):
                    if text is None:
                        self._raise_if_error(chunk)
                        finished = finished or _has_finished(chunk)
                    yield chunk, text
                if sse.is_done:
                    await _drain(reads)
                    break
        except http.HTTPError as exc:
            raise openai.APIConnectionError(request=self.response.request) from exc
        finally:
            await self.response.aclose()
        if not finished and not sse.is_done:
            raise openai.APIConnectionError(message=CUT_SHORT, request=self.response.request)

    def _bytes(self) -> AsyncIterable[bytes]:
        """The body; where nothing is to be decoded, without the layers of the HTTP library."""
        is_encoded = "content-encoding" in self.response.headers
        return self.response.aiter_bytes() if is_encoded else cast("AsyncIterable[bytes]", self.response.stream)

    def _raise_if_error(self, chunk: dict[str, Any]) -> None:
        error = chunk.get("error")
        if error:
            message = error.get("message") if isinstance(error, dict) else error
            raise openai.APIError(str(message), self.response.request, body=error)


async def _drain(reads: AsyncIterator[bytes]) -> None:
    """Read to the end, so that the connection can be used again; a server that leaves it open loses it."""
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            async for _ in reads:
                pass


class JsonEvents:
    """Server-sent events whose data are JSON objects, out of bytes cut anywhere; `data: [DONE]` ends them."""

    def __init__(self) -> None:
        self.is_done = False
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        lines = self._rest + data
        if b"\r" in lines:
            lines = _CARRIAGE_RETURN.sub(b"\n", lines)
        *whole, self._rest = lines.split(b"\n")
        for line in whole:
            if line.startswith(b"data:"):
                self._data.append(line[5:])
            elif not line and self._data:
                event = b"\n".join(self._data).strip()
                self._data = []
                if event == b"[DONE]":
                    self.is_done = True
                    return
                yield _as_object(event)


def _as_object(event: bytes) -> dict[str, Any]:
    value = orjson.loads(event)
    if not isinstance(value, dict):
        raise ValueError("a chunk of the stream is no JSON object")  # noqa: TRY004 - broken data, like broken JSON
    return value


def joined(chunks: Iterable[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], str | None]]:
    """Join neighbours that hold nothing but text, and give that; what came before broken data is still given."""
    held: dict[str, Any] | None = None
    parts: list[str] = []
    try:
        for chunk in chunks:
            delta = _only_text(chunk)
            if delta is not None:
                held = held or chunk
                parts.append(delta)
                continue
            if held:
                yield _with_text(held, parts)
            held, parts = None, []
            yield chunk, None
    except ValueError:
        if held:
            yield _with_text(held, parts)
        raise
    if held:
        yield _with_text(held, parts)


def _only_text(chunk: dict[str, Any]) -> str | None:
    """Text of a chunk that says nothing else, so that it may be joined with its neighbours."""
    choices = chunk.get("choices")
    if not choices or len(choices) != 1 or chunk.get("usage") or chunk.get("error"):
        return None
    choice = choices[0]
    if choice.get("finish_reason") or choice.get("logprobs") or choice.get("index"):
        return None
    delta = choice.get("delta")
    if not delta or not isinstance(content := delta.get("content"), str):
        return None
    if len(delta) > 1 and any(value for key, value in delta.items() if key not in ("content", "role")):
        return None
    return content


def _with_text(chunk: dict[str, Any], parts: list[str]) -> tuple[dict[str, Any], str]:
    text = parts[0] if len(parts) == 1 else "".join(parts)
    chunk["choices"][0]["delta"]["content"] = text
    return chunk, text


def _has_finished(chunk: dict[str, Any]) -> bool:
    choices = chunk.get("choices")
    return bool(choices and choices[0].get("finish_reason"))
