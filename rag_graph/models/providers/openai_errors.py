"""What a model's client raises, in our words, naming the setting that may mend it."""

import re
from email.utils import parsedate_to_datetime
from time import time
from typing import Any, Final

import openai

from rag_graph.errors import (
    ContextTooLong,
    ModelBusy,
    ModelError,
    ModelGarbled,
    ModelRefused,
    ModelStalled,
    ModelUnavailable,
)

CLIENT_ERRORS: Final = (
    openai.OpenAIError,
    OSError,
    TimeoutError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
)
"""What LangChain's OpenAI classes raise for a service that fails, or that sends something unexpected."""

_TOO_LONG = re.compile(
    r"context_length_exceeded|exceed_context_size|maximum context length|context (window|size|length)"
    r"|prompt is too long|input is too long",
    re.IGNORECASE,
)
_CUT: Final = frozenset({"ReadError", "RemoteProtocolError", "ClientPayloadError", "ServerDisconnectedError"})
_PAYLOAD_TOO_LARGE: Final = 413


def in_our_words(exc: Exception, setting: str, *, started: bool = False) -> ModelError:
    """Say what happened. `setting` is RAG_CHAT or its like; `started` when part of the answer had come."""
    if isinstance(exc, ModelError):
        return exc
    if isinstance(exc, openai.APIStatusError):
        return _refusal(exc, setting)
    if isinstance(exc, openai.APIConnectionError | OSError):
        return _silence(exc, setting, started=started)
    if isinstance(exc, openai.APIError):
        return _reported(exc, setting)
    if isinstance(exc, openai.OpenAIError):
        return ModelRefused(f"The model's client cannot be used as it is set: set {_keys(setting)}.")
    return ModelGarbled(
        f"What the model's service sent is no answer that can be read: check {setting}_BASE_URL and {setting}_MODEL."
    )


def _refusal(exc: openai.APIStatusError, setting: str) -> ModelError:
    status = exc.status_code
    if status == _PAYLOAD_TOO_LARGE or _is_too_long(exc):
        return _too_long(setting)
    match exc:
        case openai.AuthenticationError() | openai.PermissionDeniedError():
            return ModelRefused(f"The model's service refused the API key: set {_keys(setting)}.")
        case openai.NotFoundError():
            return ModelRefused(
                f"The model's service does not know the model or the path: check {setting}_MODEL "
                f"and {setting}_BASE_URL."
            )
        case openai.RateLimitError():
            return _limited(exc, setting)
        case openai.InternalServerError() | openai.ConflictError():
            return ModelUnavailable(
                f"The model's service is failing (HTTP {status}): try again, or set another {setting}_BASE_URL."
            )
    return ModelRefused(
        f"The model's service refused the request (HTTP {status}): check {setting}_MODEL and {setting}_BASE_URL."
    )


def _limited(exc: openai.RateLimitError, setting: str) -> ModelError:
    if exc.code == "insufficient_quota":
        return ModelRefused(f"The model's service has no credit left for this key: set {_keys(setting)}.")
    return _busy(setting, _retry_after_s(exc))


def _reported(exc: openai.APIError, setting: str) -> ModelError:
    """Tell an error that came as data, after the status said that all was well."""
    if _is_too_long(exc):
        return _too_long(setting)
    if "rate_limit" in f"{exc.code} {exc.type}" or str(exc.code) == "429":
        return _busy(setting, None)
    return ModelUnavailable(
        f"The model's service reported an error of its own: try again, or set another {setting}_BASE_URL."
    )


def _silence(exc: Exception, setting: str, *, started: bool) -> ModelError:
    causes = {type(cause).__name__ for cause in _chain(exc)}
    if started or causes & _CUT:
        return ModelStalled(f"The connection to the model was cut: try again, or set another {setting}_BASE_URL.")
    return ModelUnavailable(
        f"The model's service could not be reached: check that it runs and that {setting}_BASE_URL is right."
    )


def _busy(setting: str, retry_after_s: float | None) -> ModelBusy:
    return ModelBusy(
        f"The model's service limits our rate: wait a moment, or set another {setting}_BASE_URL.",
        retry_after_s=retry_after_s,
    )


def _too_long(setting: str) -> ContextTooLong:
    return ContextTooLong(
        f"The prompt does not fit the model: lower {setting}_CONTEXT_TOKENS, "
        f"or set a {setting}_MODEL with a larger context."
    )


def _is_too_long(exc: openai.APIError) -> bool:
    body: Any = exc.body if isinstance(exc.body, dict) else {}
    return bool(_TOO_LONG.search(f"{exc.code} {body.get('type')} {exc.message}"))


def _keys(setting: str) -> str:
    return f"{setting}_API_KEY or OPENAI_API_KEY"


def _chain(exc: BaseException) -> list[BaseException]:
    found = [exc]
    while cause := found[-1].__cause__:
        found.append(cause)
    return found


def _retry_after_s(exc: openai.APIStatusError) -> float | None:
    """Seconds, as a number or as a date: RFC 9110, 10.2.3."""
    given = exc.response.headers.get("retry-after")
    if not given:
        return None
    try:
        return max(0.0, float(given))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(given).timestamp() - time())
    except ValueError:
        return None
