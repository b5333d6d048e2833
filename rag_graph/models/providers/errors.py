"""What the call of a model raised, in our words, naming the setting or the argument that may mend it.

It is read from what exceptions have in common, not from their types: providers' SDKs carry an HTTP status, their
response and names that hardly differ, and only the packages of the providers in use are installed.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from time import time
from typing import Any, Final

from rag_graph.errors import (
    ContextTooLong,
    ModelBusy,
    ModelDeclined,
    ModelError,
    ModelGarbled,
    ModelRefused,
    ModelStalled,
    ModelUnavailable,
)

_TOO_LONG = re.compile(
    r"context_length_exceeded|exceed_context_size|maximum context length|context (window|size|length)"
    r"|prompt is too long|input is too long|ContextOverflow|input length|tokens_limit_reached|model token limit"
    r"|\btokens?\b.{0,40}\bexceed|\bexceeds?\b.{0,60}\btokens?\b|must have less than \d+ tokens|tokens limit exceeded"
    r"|input tokens \+ max_tokens",
    re.IGNORECASE,
)
_OUT_OF_CREDIT = re.compile(
    r"insufficient_quota|insufficient (?:account )?(?:user )?(?:balance|quota|credit|fund)|credit balance|余额不足",
    re.IGNORECASE,
)
_DECLINED = re.compile(
    r"content_filter|content_policy|content management policy|ResponsibleAIPolicyViolation|data_?inspection_?failed"
    r"|inappropriate content|\bflagged\b|\bmoderation\b|safety (?:system|policy|filter)|guardrail|敏感",
    re.IGNORECASE,
)
"""The filters before the model: Azure's, OpenAI's, DashScope's, OpenRouter's, LiteLLM's, Bedrock's, Zhipu's."""
_BAD_KEY = re.compile(
    r"\b(?:invalid|incorrect|missing|expired)\b.{0,20}\b(?:api[ _-]?key|subscription key|(?:access|auth|api) token)\b"
    r"|\bapi[ _-]?key\b.{0,20}\b(?:not valid|invalid|expired|missing|required)\b|API_KEY_INVALID"
    r"|unauthori[sz]ed|unauthenticated|not authenticated|authentication (?:error|failed|fails)|authentication_error",
    re.IGNORECASE,
)
_UNKNOWN_MODEL = re.compile(
    r"model_not_found|\bmodel\b.{0,80}\b(?:not found|not exist|does not exist|doesn't exist|not a valid)|unknown model",
    re.IGNORECASE,
)
_RATE_LIMIT = re.compile(r"rate[ _-]?limit|too many requests|throttl", re.IGNORECASE)
_FAILED = re.compile(r"[45]\d\d")
_DURATION_PART = re.compile(r"(\d{1,6}(?:\.\d{1,6})?) ?(ms|s|m|h)")
_DURATION = re.compile(rf"(?:{_DURATION_PART.pattern}){{1,3}}")
_UNIT_S: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
_UNKEYED = re.compile(r"api[_ -]?key|credential|authentication", re.IGNORECASE)

_MAY_BE_FILTERED: Final = frozenset({None, 400, 403, 406, 422, 451})
_BUSY: Final = frozenset({408, 429})
FILTERED: Final = (
    "The filter of the model's service withheld the answer: ask in other words, or have its filter changed."
)

_WORDS_CHARS: Final = 2_000
_SAID_CHARS: Final = 500
"""Of a service's own words; further on they may quote the prompt, in which any word can stand."""

_STATUS_OF_NAME: Final = {
    "ModelAuthenticationError": 401,
    "ModelPermissionDeniedError": 403,
    "ModelNotFoundError": 404,
    "ModelInvalidRequestError": 400,
    "ModelRateLimitError": 429,
    "ModelAPIError": 500,
}
"""langchain-core's own errors (since 1.7): the base classes of what its newer integrations raise."""

_UNREACHED: Final = frozenset(
    {
        "OSError",
        "TransportError",  # httpx
        "ClientConnectionError",  # aiohttp
        "ClientPayloadError",
        "APIConnectionError",  # the SDKs that are generated alike: OpenAI, Anthropic, Groq, …
        "ConnectionError",  # botocore and requests
        "HTTPClientError",
        "ModelConnectionError",  # langchain-core
    }
)
_CUT: Final = frozenset(
    {"StreamCut", "ReadError", "RemoteProtocolError", "ClientPayloadError", "ServerDisconnectedError"}
)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a model comes from: what is to be named as what may mend its failures."""

    setting: str
    """RAG_CHAT or its like: what the settings of its role begin with."""
    given: str = ""
    """Such as "the model given to create_rag_graph", where no setting chose it."""

    def __str__(self) -> str:
        return self.given or self.setting

    @property
    def name(self) -> str:
        return self.given or f"{self.setting}_MODEL"

    @property
    def service(self) -> str:
        return f"the service of {self.given}" if self.given else f"{self.setting}_BASE_URL"

    @property
    def both(self) -> str:
        return f"{self.given} and its service" if self.given else f"{self.setting}_MODEL and {self.setting}_BASE_URL"

    @property
    def key(self) -> str:
        if self.given:
            return f"set that of {self.given}"
        return f"set {self.setting}_API_KEY, or the provider's own variable such as OPENAI_API_KEY"

    @property
    def other(self) -> str:
        if self.given:
            return f"put another in the place of {self.given}"
        return f"set another {self.setting}_MODEL or {self.setting}_BASE_URL"

    @property
    def larger(self) -> str:
        if self.given:
            return f"put one with a larger context in the place of {self.given}"
        return f"set a {self.setting}_MODEL with a larger context"


CHAT: Final = Origin("RAG_CHAT")
FALLBACK: Final = Origin("RAG_FALLBACK")
EMBEDDING: Final = Origin("RAG_EMBEDDING")


class Oversized(ValueError):
    """A service sent more than any answer takes; it was not read to its end."""

    def __init__(self, what: str, limit_bytes: int) -> None:
        super().__init__(what)
        self.sentence = f"The model's service sent more than {limit_bytes // 1_000_000} MB as {what}"


def translate(exc: Exception, origin: Origin, *, started: bool = False) -> ModelError:
    """Say what happened; `started` when part of the answer had come."""
    if isinstance(exc, ModelError):
        return exc
    chain = list(_chain(exc))
    if oversized := next((link for link in chain if isinstance(link, Oversized)), None):
        return ModelGarbled(f"{oversized.sentence}, which no model does: check {origin.service}, or {origin.other}.")
    # Of all base classes, so that a subclass that only one version of an SDK has is known by what it is.
    names = {cls.__name__ for link in chain for cls in type(link).__mro__}
    status = _status(chain) or next((found for name, found in _STATUS_OF_NAME.items() if name in names), None)
    said = " ".join([*names, *(_said(link) for link in chain)])

    # The order decides. A filter answers 400 like a bad request, and only its words
    # tell it; a rate limit speaks of tokens that are exceeded, and has nothing to do
    # with the context; OpenAI tells of spent credit by 429, which no waiting mends.
    if status in _MAY_BE_FILTERED and _DECLINED.search(said):
        return ModelDeclined(FILTERED)
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE or (status not in _BUSY and _TOO_LONG.search(said)):
        return ContextTooLong(
            f"The prompt does not fit the model: lower {origin.setting}_CONTEXT_TOKENS, or {origin.larger}."
        )
    if status == HTTPStatus.PAYMENT_REQUIRED or _OUT_OF_CREDIT.search(said):
        return ModelRefused(f"The model's service has no credit left for this key: {origin.key}.")
    if status is not None:
        return _answered(status, chain, said, origin)
    return _unanswered(exc, names, said, origin, started=started)


def _unanswered(exc: Exception, names: set[str], said: str, origin: Origin, *, started: bool) -> ModelError:
    if any("Timeout" in name for name in names) and not any(_is_connecting(name) for name in names):
        return stalled(origin)
    if names & _UNREACHED:
        if started or names & _CUT:
            return ModelStalled(f"The connection to the model was cut: try again, or {origin.other}.")
        return ModelUnavailable(f"The model's service could not be reached: check that it runs, and {origin.service}.")
    if _RATE_LIMIT.search(said):
        return _busy(origin, None)
    if "APIError" in names and _BAD_KEY.search(said):
        return _bad_key(origin)
    if "APIError" in names and _UNKNOWN_MODEL.search(said):
        return _unknown(origin)
    if "APIError" not in names and _UNKEYED.search(said):
        return ModelRefused(f"The model's client has no key that it can use: {origin.key}.")
    if isinstance(exc, ValueError | TypeError | LookupError | AttributeError):
        # What LangChain's classes come to grief on when a service sends something else than its protocol says.
        return ModelGarbled(f"What the model's service sent is no answer that can be read: check {origin.both}.")
    return ModelUnavailable(f"The model's service reported an error of its own: try again, or {origin.other}.")


def stalled(origin: Origin) -> ModelStalled:
    return ModelStalled(
        f"The model fell silent: try again, {origin.other}, or raise RAG_STALL_TIMEOUT_S or RAG_FIRST_TOKEN_TIMEOUT_S."
    )


def _bad_key(origin: Origin) -> ModelRefused:
    return ModelRefused(f"The model's service refused the API key: {origin.key}.")


def _unknown(origin: Origin) -> ModelRefused:
    return ModelRefused(f"The model's service does not know the model or the path: check {origin.both}.")


def _answered(status: int, chain: list[BaseException], said: str, origin: Origin) -> ModelError:
    match status:
        case 401 | 403:
            return _bad_key(origin)
        case 404:
            return _unknown(origin)
        case 408 | 429:
            return _busy(origin, _retry_after_s(chain))
        case 409:
            pass  # the SDKs retry it as a conflict of locks
        case _ if status < HTTPStatus.INTERNAL_SERVER_ERROR and _BAD_KEY.search(said):
            return _bad_key(origin)  # Gemini's has status 400
        case _ if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return ModelRefused(f"The model's service refused the request (HTTP {status}): check {origin.both}.")
    return ModelUnavailable(f"The model's service is failing (HTTP {status}): try again, or {origin.other}.")


def _busy(origin: Origin, retry_after_s: float | None) -> ModelBusy:
    return ModelBusy(
        f"The model's service limits our rate: wait a moment, or {origin.other}.",
        retry_after_s=retry_after_s,
    )


def _chain(exc: BaseException) -> Iterator[BaseException]:
    """The exception and what it was raised from; the SDKs wrap their HTTP library's."""
    link: BaseException | None = exc
    while link is not None:
        yield link
        link = link.__cause__


def _is_connecting(name: str) -> bool:
    """Whether a timeout is one of opening the connection (httpx, aiohttp, botocore): nobody is there."""
    return "Timeout" in name and ("Connect" in name or "Pool" in name)


def _status(chain: list[BaseException]) -> int | None:
    """The HTTP status, which may stand at the exception, at its response, or in data that came with status 200."""
    for link in chain:
        response = getattr(link, "response", None)
        botocore = response.get("ResponseMetadata") if isinstance(response, Mapping) else None
        for found in (
            getattr(link, "status_code", None),  # OpenAI, Anthropic, Ollama and most others
            getattr(response, "status_code", None),  # httpx, requests
            botocore.get("HTTPStatusCode") if isinstance(botocore, Mapping) else None,
            getattr(link, "status", None),  # aiohttp
            getattr(link, "code", None) if link is chain[0] else None,  # Google; aiohttp's parser has a 400 of its own
        ):
            digits = str(int(found)) if isinstance(found, int) else found
            if isinstance(digits, str) and _FAILED.fullmatch(digits):
                return int(digits)
    return None


def _said(link: BaseException) -> str:
    """What the service says of the fault, to look for words in; it is never shown, for it may repeat a key."""
    body: Any = getattr(link, "body", None)
    kind = body.get("type") if isinstance(body, Mapping) else None
    return f"{getattr(link, 'code', '')} {getattr(link, 'type', '')} {kind} {words_of(link)[:_SAID_CHARS]}"


def words_of(exc: BaseException) -> str:
    """All that the service said, of which the OpenAI SDK's message holds only what stands where OpenAI puts it."""
    body = getattr(exc, "body", None)
    said = f"{exc} {body}" if body and str(body) not in str(exc) else str(exc)
    return said[:_WORDS_CHARS]


def _retry_after_s(chain: list[BaseException]) -> float | None:
    """Seconds, as a number or as a date (RFC 9110, 10.2.3), or as some services write them: `500ms`, `1m30s`."""
    for link in chain:
        headers: Any = getattr(getattr(link, "response", None), "headers", None) or {}
        if given := headers.get("retry-after"):
            try:
                return max(0.0, float(given))
            except ValueError:
                pass
            if _DURATION.fullmatch(given.strip()):
                return sum(float(number) * _UNIT_S[unit] for number, unit in _DURATION_PART.findall(given))
            try:
                return max(0.0, parsedate_to_datetime(given).timestamp() - time())
            except ValueError:
                return None
    return None
