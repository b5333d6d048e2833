"""What the call of a model raised, in our words, naming the setting that may mend it.

It is read from what exceptions have in common, not from their types: providers' SDKs carry an HTTP status, their
response and names that hardly differ, and only the packages of the providers in use are installed.
"""

import re
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from time import time
from typing import Any, Final

from rag_graph.errors import (
    ContextTooLong,
    ModelBusy,
    ModelError,
    ModelGarbled,
    ModelRefused,
    ModelStalled,
    ModelUnavailable,
)

_TOO_LONG = re.compile(
    r"context_length_exceeded|exceed_context_size|maximum context length|context (window|size|length)"
    r"|prompt is too long|input is too long|ContextOverflow",
    re.IGNORECASE,
)
_OUT_OF_CREDIT = re.compile(r"insufficient_quota|credit balance", re.IGNORECASE)
_FAILED = re.compile(r"[45]\d\d")
_UNKEYED = re.compile(r"api[_ -]?key|credential|authentication", re.IGNORECASE)

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
_CUT: Final = frozenset({"ReadError", "RemoteProtocolError", "ClientPayloadError", "ServerDisconnectedError"})


class Oversized(ValueError):
    """A service sent more than any answer takes; it was not read to its end."""

    def __init__(self, what: str, limit_bytes: int) -> None:
        super().__init__(what)
        self.sentence = f"The model's service sent more than {limit_bytes // 1_000_000} MB as {what}"


def translate(exc: Exception, setting: str, *, started: bool = False) -> ModelError:
    """Say what happened. `setting` is RAG_CHAT or its like; `started` when part of the answer had come."""
    if isinstance(exc, ModelError):
        return exc
    chain = list(_chain(exc))
    if oversized := next((link for link in chain if isinstance(link, Oversized)), None):
        return ModelGarbled(
            f"{oversized.sentence}, which no model does: check {setting}_BASE_URL, or set {_other(setting)}."
        )
    names = {cls.__name__ for link in chain for cls in type(link).__mro__}
    status = _status(chain) or next((found for name, found in _STATUS_OF_NAME.items() if name in names), None)
    said = " ".join([*names, *(_said(link) for link in chain)])

    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE or _TOO_LONG.search(said):
        return ContextTooLong(
            f"The prompt does not fit the model: lower {setting}_CONTEXT_TOKENS, "
            f"or set a {setting}_MODEL with a larger context."
        )
    if status == HTTPStatus.PAYMENT_REQUIRED or _OUT_OF_CREDIT.search(said):
        return ModelRefused(f"The model's service has no credit left for this key: set {_key(setting)}.")
    if status is not None:
        return _answered(status, chain, setting)
    return _unanswered(exc, names, said, setting, started=started)


def _unanswered(exc: Exception, names: set[str], said: str, setting: str, *, started: bool) -> ModelError:
    if any("Timeout" in name for name in names) and not any(_is_connecting(name) for name in names):
        return stalled(setting)
    if names & _UNREACHED:
        if started or names & _CUT:
            return ModelStalled(f"The connection to the model was cut: try again, or set {_other(setting)}.")
        return ModelUnavailable(
            f"The model's service could not be reached: check that it runs and that {setting}_BASE_URL is right."
        )
    if "rate_limit" in said:
        return _busy(setting, None)
    if "APIError" not in names and _UNKEYED.search(said):
        return ModelRefused(f"The model's client has no key that it can use: set {_key(setting)}.")
    if isinstance(exc, ValueError | TypeError | LookupError | AttributeError):
        # What LangChain's classes come to grief on when a service sends something else than its protocol says.
        return ModelGarbled(
            "What the model's service sent is no answer that can be read: "
            f"check {setting}_BASE_URL and {setting}_MODEL."
        )
    return ModelUnavailable(f"The model's service reported an error of its own: try again, or set {_other(setting)}.")


def stalled(setting: str) -> ModelStalled:
    return ModelStalled(
        f"The model fell silent: try again, set {_other(setting)}, "
        "or raise RAG_STALL_TIMEOUT_S or RAG_FIRST_TOKEN_TIMEOUT_S."
    )


def _answered(status: int, chain: list[BaseException], setting: str) -> ModelError:
    match status:
        case 401 | 403:
            return ModelRefused(f"The model's service refused the API key: set {_key(setting)}.")
        case 404:
            return ModelRefused(
                f"The model's service does not know the model or the path: check {setting}_MODEL "
                f"and {setting}_BASE_URL."
            )
        case 408 | 429:
            return _busy(setting, _retry_after_s(chain))
        case 409:
            pass  # the SDKs retry it as a conflict of locks
        case _ if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return ModelRefused(
                f"The model's service refused the request (HTTP {status}): check {setting}_MODEL "
                f"and {setting}_BASE_URL."
            )
    return ModelUnavailable(f"The model's service is failing (HTTP {status}): try again, or set {_other(setting)}.")


def _busy(setting: str, retry_after_s: float | None) -> ModelBusy:
    return ModelBusy(
        f"The model's service limits our rate: wait a moment, or set {_other(setting)}.",
        retry_after_s=retry_after_s,
    )


def _key(setting: str) -> str:
    return f"{setting}_API_KEY, or the provider's own variable such as OPENAI_API_KEY"


def _other(setting: str) -> str:
    return f"another {setting}_MODEL or {setting}_BASE_URL"


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
    return f"{getattr(link, 'code', '')} {getattr(link, 'type', '')} {kind} {str(link)[:_SAID_CHARS]}"


def _retry_after_s(chain: list[BaseException]) -> float | None:
    """Seconds, as a number or as a date: RFC 9110, 10.2.3."""
    for link in chain:
        headers: Any = getattr(getattr(link, "response", None), "headers", None) or {}
        if given := headers.get("retry-after"):
            try:
                return max(0.0, float(given))
            except ValueError:
                pass
            try:
                return max(0.0, parsedate_to_datetime(given).timestamp() - time())
            except ValueError:
                return None
    return None
