"""How a model's reply is read, whoever speaks: thinking apart from the answer, and a way on when the model breaks."""

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from http import HTTPStatus
from operator import add
from typing import Any, Final, Literal, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.runnables import RunnableConfig
from langchain_openai.chat_models.base import BaseChatOpenAI

from rag_graph.errors import (
    ContextTooLong,
    ModelBusy,
    ModelDeclined,
    ModelError,
    ModelGarbled,
    ModelRefused,
    ModelStalled,
    RagGraphError,
)
from rag_graph.models.pieces import Content, CutShort, Piece, Restarted, Thinking, TokensUsed
from rag_graph.models.providers.errors import CHAT, FALLBACK, FILTERED, Origin, stalled, translate, words_of
from rag_graph.models.providers.openai import ReasoningChatOpenAI
from rag_graph.models.thinking import ThinkingFilter

__all__ = ["Content", "CutShort", "Piece", "Replier", "Restarted", "Thinking", "TokensUsed"]

logger = logging.getLogger(__name__)
_CODE = re.compile(r"[a-z_]{1,64}")
_KEY_LIKE = re.compile(r"(?i:\b(?:sk|key|bearer|token)\b[-_: ]\S+)|[\w-]{24,}")
_SAID_CHARS: Final = 200
_REASON_CHARS: Final = 80
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_REASON_PREFIX = re.compile(r"(?:(?:finish|stop)_?reason[._])|finish_")

LONGEST_WAIT_S: Final = 5.0
"""A service that asks us to come back later than this is not waited for."""

DEFAULT_WAIT_S: Final = 1.0

Ending = Literal["done", "length", "filter", "broken", "unknown"]

_WORDS_OF_ENDINGS: Final[dict[Ending, str]] = {
    "filter": "filter|safety|unsafe|block|moderat|polic|prohibit|guardrail|refus|sensitiv|toxic|censor|flagged"
    "|copyright|recitation|spii|harm|illegal|risk|malicious|inappropriate|language",
    "broken": "error|abort|cancel|fail|interrupt|timeout|timed|malformed|unexpected|insufficient|overload|exception"
    "|disconnect|crash|rate|unavailable",
    "length": "length|max|limit|truncat|incomplete|exceed|budget|context|out_of|(?<!eos_)(?<!eot_)token",
    "done": "stop|eo[st]|end|complete|finish|done|normal|success|ok|tool|function|pause",
}
"""Words by which services say why a reply ended, as `_spelled`, the first that fits: there are more names than anyone
has seen, and nearly all are put together from these."""
_ENDINGS: Final = {kind: re.compile(rf"(?:\A|_)(?:{words})") for kind, words in _WORDS_OF_ENDINGS.items()}


@dataclass(frozen=True)
class Replier:
    """Any LangChain chat model, whose reply comes even when it falters.

    Whatever the model raises counts as its failure. A call that fails is made once more without streaming, then on
    `fallback`, if there is one; only then is the first failure raised, as a ModelError that names what may mend
    it by the `origin`. What a call had said is replaced only when there is something to replace it with. A
    model that refuses us, or whose context is too small, is not asked again. Leaving the stream, or being cancelled,
    closes the model's connection.
    """

    model: BaseChatModel
    fallback: BaseChatModel | None = None
    stall_timeout_s: float = 30.0
    first_token_timeout_s: float = 120.0
    origin: Origin = CHAT
    fallback_origin: Origin = FALLBACK

    @property
    def name(self) -> str:
        """The name of the service's model; empty while that has still to be asked for."""
        return _name_of(self.model)

    async def stream(
        self, messages: Sequence[BaseMessage], *, config: RunnableConfig | None = None
    ) -> AsyncGenerator[Piece, None]:
        failures: list[ModelError] = []
        said_before = False
        for call in self._calls(list(messages), config):
            if failures and not await _is_worth_it(call, failures[-1]):
                continue
            replaces = said_before
            try:
                async with aclosing(call.pieces()) as pieces:
                    async for piece in pieces:
                        if type(piece) is Content:
                            if replaces:
                                yield Restarted(_why(failures[-1], call))
                                replaces = False
                            said_before = True
                        yield piece
            except ModelError as exc:
                _log(call, exc)
                failures.append(exc)
            else:
                return
        raise _verdict(failures, had_fallback=self.fallback is not None)

    async def reply(self, messages: Sequence[BaseMessage], *, config: RunnableConfig | None = None) -> str:
        """Return the whole answer, without the thinking."""
        parts: list[str] = []
        async with aclosing(self.stream(messages, config=config)) as pieces:
            async for piece in pieces:
                match piece:
                    case Content(delta):
                        parts.append(delta)
                    case Restarted():
                        parts.clear()
        return "".join(parts)

    def _calls(self, messages: list[BaseMessage], config: RunnableConfig | None) -> "Iterator[_Call]":
        watch = _Patience(self.first_token_timeout_s, self.stall_timeout_s)
        yield _Call(self.model, messages, config, self.origin, watch)
        # Whole, as a service whose streams break often answers at
        # once, and a proxy that cuts them lets one body through.
        yield _Call(self.model, messages, config, self.origin, watch, is_whole=True, is_retry=True)
        if self.fallback:
            yield _Call(self.fallback, messages, config, self.fallback_origin, watch)


@dataclass(frozen=True, slots=True)
class _Patience:
    first_token_s: float
    stall_s: float


@dataclass(frozen=True, slots=True)
class _Call:
    """One call of one model."""

    model: BaseChatModel
    messages: list[BaseMessage]
    config: RunnableConfig | None
    origin: Origin
    patience: _Patience
    is_whole: bool = False
    is_retry: bool = False

    @property
    def name(self) -> str:
        return f"{self.origin} ({'whole' if self.is_whole else 'streaming'})"

    async def pieces(self) -> AsyncGenerator[Piece, None]:  # noqa: C901, PLR0912 - in parts, a token takes more calls
        reader = _Reader(self.model)
        watchdog = _Watchdog(self.patience, reader)
        now = asyncio.get_running_loop().time
        source: AsyncGenerator[str | BaseMessage] | None = None
        message: str | BaseMessage | None = ""
        try:
            while message is not None:
                # Messages that say nothing do not break the silence, or a service could send them for ever.
                watchdog.waits_since = watchdog.waits_since or now()
                # Only the model's own doing stands in this `try`: a fault in our reading of it must not be
                # told as the model's, nor tried again.
                try:
                    if source is None:
                        source = await self._opened()
                    message = await anext(source)
                except StopAsyncIteration:
                    message = None
                except asyncio.CancelledError as exc:
                    if watchdog.takes_it_back():
                        raise stalled(self.origin) from exc
                    raise
                # Our own kinds are meant as they are; what is no kind of ours is the model's, whatever its class.
                except RagGraphError:
                    raise
                except Exception as exc:
                    raise translate(exc, self.origin, started=reader.has_spoken) from exc
                if isinstance(message, str):
                    pieces: Iterable[Piece] = reader.thinking.read_text(message)
                else:
                    pieces = reader.end() if message is None else reader.read(message)
                for number, piece in enumerate(pieces):
                    watchdog.waits_since = 0.0
                    if number:
                        await asyncio.sleep(0)  # a message of many pieces lets others have their turn
                    reader.has_spoken = True
                    if type(piece) is Content:
                        reader.has_said = reader.has_said or not piece.delta.isspace()
                    elif type(piece) is Restarted:
                        reader.has_said = False
                    yield piece
        finally:
            watchdog.stop()
            if source is not None:
                await source.aclose()
        reader.check(self.origin)

    async def _opened(self) -> AsyncGenerator[str | BaseMessage]:
        if self.is_whole:
            return self._whole()
        if isinstance(self.model, ReasoningChatOpenAI):
            return await self.model.open_stream(self.messages, self.config)
        return cast("AsyncGenerator[BaseMessage]", self.model.astream(self.messages, self.config))

    async def _whole(self) -> AsyncGenerator[BaseMessage]:
        # LangChain takes `stream=False` to mean that nobody who listens may turn the call into a stream after all;
        # other integrations than OpenAI's hand it on to their service.
        if isinstance(self.model, BaseChatOpenAI):
            yield await self.model.ainvoke(self.messages, self.config, stream=False)
        else:
            yield await self.model.ainvoke(self.messages, self.config)


class _Watchdog:
    """Ends a wait for the next piece that lasts too long; one timer serves the whole stream."""

    def __init__(self, patience: _Patience, reader: "_Reader") -> None:
        self.waits_since = 0.0
        """By the loop's clock; 0 while nothing is waited for."""
        self._time = asyncio.get_running_loop().time
        self._patience = patience
        self._reader = reader
        self._task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._has_barked = False
        self._cancels_before = 0
        self._wake_in(min(patience.first_token_s, patience.stall_s))

    def takes_it_back(self) -> bool:
        """Take back its cancellation of the task, if it made one; whether nobody else has asked for one."""
        return self._has_barked and self._task.uncancel() <= self._cancels_before

    def stop(self) -> None:
        self._timer.cancel()

    def _look(self) -> None:
        limit = self._patience.stall_s if self._reader.has_spoken else self._patience.first_token_s
        left = self.waits_since + limit - self._time() if self.waits_since else limit
        if left <= 0:
            # How often others have asked already: if one has, it stays cancelled when ours is taken back.
            self._has_barked, self._cancels_before = True, self._task.cancelling()
            self._task.cancel()
        else:
            # With a floor: uvloop's timers count from a cached time, and may ring before all of it is over.
            self._wake_in(max(0.001, min(left, self._patience.stall_s)))

    def _wake_in(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._look)


@dataclass(slots=True)
class _Reader:
    """Messages of one call to pieces; remembers whether anything came."""

    model: BaseChatModel
    has_spoken: bool = False
    has_said: bool = False
    thinking: ThinkingFilter = field(default_factory=ThinkingFilter)
    _usage: dict[str, int] = field(default_factory=dict)
    _name: str = ""
    _ending: str = ""
    _has_declined: bool = False

    def read(self, message: BaseMessage) -> Iterable[Piece]:
        if isinstance(message, AIMessage) and message.usage_metadata:
            self._count(message.usage_metadata)
        told = message.response_metadata
        self._name = told.get("model_name") or self._name
        self._ending = _ending(told) or self._ending
        self._has_declined = self._has_declined or _is_refusal(message)
        return self.thinking.read(message)

    def end(self) -> Iterator[Piece]:
        yield from self.thinking.end()
        ending = _kind_of(self._ending)
        if ending == "filter" or (self._has_declined and self.has_said):
            yield CutShort("filter")
        elif ending in ("length", "unknown"):
            yield CutShort(ending)
        if self._usage:
            yield TokensUsed(model=self._name or _name_of(self.model), **self._usage)

    def check(self, origin: Origin) -> None:
        """Raise what was wrong with a reply that has ended; one that says something may be cut short all the same."""
        ending = _kind_of(self._ending)
        if ending == "broken":
            raise ModelStalled(
                f"The model's service broke its answer off with an error of its own: try again, or {origin.other}."
            )
        if self.has_said:
            return
        if self._has_declined:
            raise ModelDeclined("The model declined to answer this question: ask it in other words.")
        if ending == "filter":
            raise ModelDeclined(FILTERED)
        if ending == "length":
            raise ModelGarbled(
                "The model came to the end of its tokens before it said anything of its answer, as one that thinks for "
                f"long may: raise the limit that its service sets, or {origin.other}."
            )
        raise ModelGarbled(f"The model's answer was empty: try again, or check {origin.name}.")

    def _count(self, usage: UsageMetadata) -> None:
        counts = {
            "input_tokens": usage["input_tokens"],
            "output_tokens": usage["output_tokens"],
            "reasoning_tokens": usage.get("output_token_details", {}).get("reasoning", 0),
            "cached_tokens": usage.get("input_token_details", {}).get("cache_read", 0),
        }
        # LangChain's integrations make the counts of a stream such that they add up. Of services that speak
        # OpenAI's protocol some repeat growing counts, others send each once: the largest is right for both.
        added = max if isinstance(self.model, ReasoningChatOpenAI) else add
        self._usage = {key: added(count or 0, self._usage.get(key, 0)) for key, count in counts.items()}


def _ending(told: Mapping[str, Any]) -> str:
    """Why the reply ended, in its provider's word; empty while it goes on."""
    for key in ("finish_reason", "stop_reason", "stopReason", "done_reason"):
        if isinstance(reason := told.get(key), str) and reason:
            return _spelled(reason)
    if isinstance(incomplete := told.get("incomplete_details"), Mapping):  # OpenAI's Responses API
        return _spelled(str(incomplete.get("reason") or ""))
    return ""


def _kind_of(ending: str) -> Ending:
    """What an ending means; one that nobody knows is neither taken for whole nor thrown away."""
    if not ending:
        return "done"
    return next((kind for kind, words in _ENDINGS.items() if words.search(ending)), "unknown")


def _spelled(reason: str) -> str:
    """`maxTokens`, `max-tokens` and `FinishReason.MAX_TOKENS` as `max_tokens`."""
    word = _HUMP.sub("_", reason[:_REASON_CHARS]).lower().replace("-", "_").replace(" ", "_")
    return _REASON_PREFIX.sub("", word)


def _is_refusal(message: BaseMessage) -> bool:
    if message.additional_kwargs.get("refusal"):
        return True
    blocks = message.content if isinstance(message.content, list) else ()
    return any(isinstance(block, dict) and block.get("type") == "refusal" for block in blocks)


def _name_of(model: BaseChatModel) -> str:
    if isinstance(model, ReasoningChatOpenAI) and not model.is_named:
        return ""
    names = (getattr(model, attribute, None) for attribute in ("model_name", "model", "model_id"))
    return next((name for name in names if name and isinstance(name, str)), type(model).__name__)


async def _is_worth_it(call: _Call, failure: ModelError) -> bool:
    """Whether this call may succeed where the one before failed; a busy model is given the time it asks for."""
    # The fallback is another model: what the first one refuses, or has no room for, may suit it.
    if not call.is_retry:
        return True
    if isinstance(failure, ModelRefused | ModelDeclined | ContextTooLong):
        return False
    if isinstance(failure, ModelBusy):
        wait_s = DEFAULT_WAIT_S if failure.retry_after_s is None else failure.retry_after_s
        if wait_s > LONGEST_WAIT_S:
            return False
        await asyncio.sleep(wait_s)
    return True


def _why(failure: ModelError, call: _Call) -> str:
    what = {
        "model_stalled": "The model stopped in the middle of its answer",
        "model_garbled": "What the model sent could not be read",
        "model_busy": "The model limits how often it may be asked",
    }.get(failure.code, "The model failed")
    return f"{what}; {'it was asked again' if call.is_retry else 'the fallback model was asked'}."


def _verdict(failures: Sequence[ModelError], *, had_fallback: bool) -> ModelError:
    """Choose what to raise: the first failure says best what to mend; that of a fallback is added to it."""
    first = failures[0]
    if not had_fallback:
        return first
    both = type(first)(f"{first} The fallback model failed too: {failures[-1]}")
    both.__cause__ = first
    return both


def _log(call: _Call, failure: ModelError) -> None:
    """Tell the operator what kind of failure it was; of the service's own words only why it took no such request.

    They may repeat a key or the prompt: what looks like a key is left out, and all but the beginning.
    """
    cause = failure.__cause__
    status, code = getattr(cause, "status_code", ""), getattr(cause, "code", "") or ""
    named = code if _CODE.fullmatch(str(code)) else ""
    said = ""
    if cause and status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY):
        said = _KEY_LIKE.sub("…", " ".join(words_of(cause).split())[:_SAID_CHARS])
    logger.warning("%s: %s (%s) %s %s %s", call.name, failure.code, type(cause).__name__, status, named, said)
