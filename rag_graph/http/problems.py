"""What is answered in place of a run: which status an error is, its one shape, and how the API documents it."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException

from rag_graph.errors import (
    BadCursor,
    BodyTooLarge,
    ContextTooLong,
    CrossSite,
    DocumentNotFound,
    Draining,
    InvalidRequest,
    KeyMalformed,
    KeyReused,
    LibraryError,
    LogUnavailable,
    ModelBusy,
    ModelError,
    RagGraphError,
    RetrievalFailed,
    RunExpired,
    SettingsError,
    TooManyRuns,
    Unauthorized,
    UnknownRun,
)

STATUSES: dict[type[RagGraphError], int] = {
    Unauthorized: 401,
    CrossSite: 403,
    BodyTooLarge: 413,
    RunExpired: 410,
    UnknownRun: 404,
    DocumentNotFound: 404,
    InvalidRequest: 422,
    BadCursor: 422,
    KeyMalformed: 422,
    KeyReused: 422,
    ContextTooLong: 422,
    TooManyRuns: 429,
    ModelBusy: 429,
    Draining: 503,
    LibraryError: 503,
    LogUnavailable: 503,
    RetrievalFailed: 503,
    SettingsError: 503,
    ModelError: 502,
    RagGraphError: 500,
}
"""The first class that an error is an instance of tells its status."""

MEANINGS: Mapping[int, str] = {
    400: "The body could not be read.",
    404: "There is nothing under this id.",
    410: "The run is no longer kept: ask again, with the same idempotency key.",
    413: "More was sent than this server takes at once.",
    422: "What was sent is not understood; the message names the field.",
    429: "As many runs as allowed are going on: come back after `Retry-After` seconds.",
    503: "No question can be answered now; `Retry-After`, where it is given, says when to come back.",
}


_PLACES = ("body", "query", "header", "path", "__root__")


class NamedError(BaseModel):
    """`code` is stable; `message` is a sentence that is safe to show. `field` is set where one was wrong."""

    code: str
    message: str
    retryable: bool
    field: str = ""


class Refusal(BaseModel):
    """The body of every answer that is an error."""

    error: NamedError


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """How a route's OpenAPI tells of these refusals."""
    return {status: {"description": MEANINGS[status], "model": Refusal} for status in statuses}


def status_of(kind: type[RagGraphError]) -> int:
    return next(status for known, status in STATUSES.items() if issubclass(kind, known))


def status_of_code(code: str) -> int:
    """The status of a run that failed with this code."""
    return next((status_of(kind) for kind in _kinds(RagGraphError) if kind.code == code), 500)


def retry_headers(error: RagGraphError) -> dict[str, str]:
    """When to come back, for errors that know it."""
    return {"retry-after": str(max(1, round(error.retry_after_s)))} if error.retry_after_s else {}


def problem_of(error: RequestValidationError | ValidationError) -> tuple[str, str]:
    """The field that was wrong, if it was one, and a sentence that names it."""
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return "", "The body is no valid JSON."
    field = ".".join(str(part) for part in first["loc"] if part not in _PLACES)
    problem = str(first["msg"]).removeprefix("Value error, ")
    return field, f"{field or 'The body'}: {problem}"


async def explain(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RagGraphError):
        raise error
    return refuse(error)


def refuse(error: RagGraphError) -> JSONResponse:
    """The answer that stands in for the one that was asked for."""
    named = NamedError(code=error.code, message=str(error), retryable=error.retryable)
    return _refusal(status_of(type(error)), named, retry_headers(error))


async def explain_input(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError | ValidationError):
        raise error
    field, message = problem_of(error)
    return _refusal(422, NamedError(code=InvalidRequest.code, message=message, retryable=False, field=field))


async def explain_http(_: Request, error: Exception) -> JSONResponse:
    """Give what the web framework itself refuses, such as an unknown path, the same shape."""
    if not isinstance(error, HTTPException):
        raise error
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
    named = NamedError(code=code, message=str(error.detail), retryable=False)
    return _refusal(error.status_code, named, error.headers)


def _refusal(status: int, error: NamedError, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse(Refusal(error=error).model_dump(), status_code=status, headers=headers)


def _kinds(kind: type[RagGraphError]) -> Iterator[type[RagGraphError]]:
    yield kind
    for narrower in kind.__subclasses__():
        yield from _kinds(narrower)
