import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import aiohttp
import httpx
import openai
import pytest

from rag_graph.errors import (
    ContextTooLong,
    ModelBusy,
    ModelError,
    ModelGarbled,
    ModelRefused,
    ModelStalled,
    ModelUnavailable,
)
from rag_graph.models.providers.errors import CHAT, translate
from rag_graph.models.providers.openai.bounds import http

REQUEST = http.Request("POST", "http://model/v1/chat/completions")


def _limited(retry_after: str) -> openai.RateLimitError:
    response = http.Response(429, headers={"retry-after": retry_after}, request=REQUEST)
    return openai.RateLimitError("slow down", response=response, body=None)


@pytest.mark.parametrize(("given", "seconds"), [("7", 7.0), ("0.5", 0.5), ("-1", 0.0), ("soon", None)])
def test_retry_after_may_be_seconds(given: str, seconds: float | None) -> None:
    busy = translate(_limited(given), CHAT)
    assert isinstance(busy, ModelBusy)
    assert busy.retry_after_s == seconds


def test_retry_after_may_be_a_date() -> None:
    busy = translate(_limited(format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)), CHAT)
    assert isinstance(busy, ModelBusy)
    assert busy.retry_after_s == pytest.approx(60, abs=2)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"code": "rate_limit_exceeded"}, ModelBusy),
        ({"code": "context_length_exceeded"}, ContextTooLong),
        ({"type": "exceed_context_size_error", "code": 400}, ContextTooLong),
        ({"type": "server_error"}, ModelUnavailable),
        (None, ModelUnavailable),
    ],
)
def test_errors_that_come_as_data_are_told_apart(body: dict[str, object] | None, error: type[ModelError]) -> None:
    assert type(translate(openai.APIError("it broke", REQUEST, body=body), CHAT)) is error


def test_what_the_service_says_is_not_repeated() -> None:
    response = http.Response(401, request=REQUEST)
    refused = translate(openai.AuthenticationError("bad key sk-123", response=response, body=None), CHAT)
    assert isinstance(refused, ModelRefused)
    assert "sk-123" not in str(refused)


def test_our_own_errors_stay_as_they_are() -> None:
    error = ModelGarbled("Already said.")
    assert translate(error, CHAT) is error


class Failure(Exception):
    """Somebody's own, with what SDKs put at theirs."""

    def __init__(self, message: str = "it broke", /, **more: object) -> None:
        super().__init__(message)
        vars(self).update(more)


class Replied:
    def __init__(self, status_code: int, **headers: str) -> None:
        self.status_code = status_code
        self.headers = headers


@pytest.mark.parametrize(
    "where",
    [
        lambda status: {"status_code": status},
        lambda status: {"response": Replied(status)},
        lambda status: {"response": {"ResponseMetadata": {"HTTPStatusCode": status}}},
        lambda status: {"status": status},
        lambda status: {"code": status, "status": "A WORD"},
        lambda status: {"status_code": -1, "code": str(status)},
    ],
    ids=["openai, anthropic", "httpx", "botocore", "aiohttp", "google", "as data"],
)
@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, ModelRefused),
        (401, ModelRefused),
        (403, ModelRefused),
        (404, ModelRefused),
        (408, ModelBusy),
        (413, ContextTooLong),
        (429, ModelBusy),
        (500, ModelUnavailable),
        (529, ModelUnavailable),
    ],
)
def test_a_status_is_understood_whosesoever_the_exception_is(
    where: Callable[[int], dict[str, object]], status: int, error: type[ModelError]
) -> None:
    assert type(translate(Failure(**where(status)), CHAT)) is error


@pytest.mark.parametrize(
    ("exc", "error"),
    [
        (httpx.ConnectError("refused"), ModelUnavailable),
        (httpx.ConnectTimeout("nobody"), ModelUnavailable),
        (httpx.ReadTimeout("silence"), ModelStalled),
        (httpx.RemoteProtocolError("cut"), ModelStalled),
        (aiohttp.ClientConnectionError(), ModelUnavailable),
        (aiohttp.ServerDisconnectedError(), ModelStalled),
        (aiohttp.ConnectionTimeoutError(), ModelUnavailable),
        (ConnectionRefusedError(), ModelUnavailable),
        (TimeoutError(), ModelStalled),
        (Failure("prompt is too long: 300000 tokens > 200000 maximum"), ContextTooLong),
        (Failure("Could not load credentials."), ModelRefused),
        (TypeError("Could not resolve authentication method."), ModelRefused),
        (Failure("Your credit balance is too low", status_code=400), ModelRefused),
        (json.JSONDecodeError("Expecting value", "<html>", 0), ModelGarbled),
        (KeyError("choices"), ModelGarbled),
        (Failure(), ModelUnavailable),
    ],
    ids=repr,
)
def test_what_has_no_status_is_told_by_what_it_is(exc: Exception, error: type[ModelError]) -> None:
    assert type(translate(exc, CHAT)) is error


def test_a_failure_is_known_by_what_it_was_raised_from() -> None:
    wrapped = Failure()
    wrapped.__cause__ = httpx.HTTPStatusError("no", request=None, response=Replied(404))  # type: ignore[arg-type]  # as much as is read of it
    assert type(translate(wrapped, CHAT)) is ModelRefused


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("ModelAuthenticationError", ModelRefused),
        ("ModelRateLimitError", ModelBusy),
        ("ModelAPIError", ModelUnavailable),
        ("ModelTimeoutError", ModelStalled),
        ("ContextOverflowError", ContextTooLong),
    ],
)
def test_langchains_own_errors_are_known_by_name(name: str, error: type[ModelError]) -> None:
    """By name, as older versions of langchain-core have none of them."""
    raised = type("TheProviders", (type(name, (Exception,), {}),), {})()
    assert type(translate(raised, CHAT)) is error


def test_a_connection_that_is_cut_in_the_middle_is_no_service_that_is_not_there() -> None:
    assert type(translate(ConnectionResetError(), CHAT, started=True)) is ModelStalled
