from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import openai
import pytest

from rag_graph.errors import ContextTooLong, ModelBusy, ModelError, ModelGarbled, ModelRefused, ModelUnavailable
from rag_graph.models.providers.errors import translate
from rag_graph.models.providers.openai.client import http

REQUEST = http.Request("POST", "http://model/v1/chat/completions")


def _limited(retry_after: str) -> openai.RateLimitError:
    response = http.Response(429, headers={"retry-after": retry_after}, request=REQUEST)
    return openai.RateLimitError("slow down", response=response, body=None)


@pytest.mark.parametrize(("given", "seconds"), [("7", 7.0), ("0.5", 0.5), ("-1", 0.0), ("soon", None)])
def test_retry_after_may_be_seconds(given: str, seconds: float | None) -> None:
    busy = translate(_limited(given), "RAG_CHAT")
    assert isinstance(busy, ModelBusy)
    assert busy.retry_after_s == seconds


def test_retry_after_may_be_a_date() -> None:
    busy = translate(_limited(format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)), "RAG_CHAT")
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
    assert type(translate(openai.APIError("it broke", REQUEST, body=body), "RAG_CHAT")) is error


def test_what_the_service_says_is_not_repeated() -> None:
    response = http.Response(401, request=REQUEST)
    refused = translate(openai.AuthenticationError("bad key sk-123", response=response, body=None), "RAG_CHAT")
    assert isinstance(refused, ModelRefused)
    assert "sk-123" not in str(refused)


def test_our_own_errors_stay_as_they_are() -> None:
    error = ModelGarbled("Already said.")
    assert translate(error, "RAG_CHAT") is error
