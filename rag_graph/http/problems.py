"""What is answered in place of a run: which status an error is, its shape, and how the API documents it."""

import dataclasses
import re
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException

from rag_graph.errors import (
    BadCursor,
    BodyTooLarge,
    ContextTooLong,
    ConversationFull,
    ConversationNotFound,
    CrossSite,
    DatabaseUnavailable,
    DocumentNotFound,
    Draining,
    HostNotAllowed,
    InvalidRequest,
    KeyMalformed,
    KeyReused,
    LibraryError,
    LogUnavailable,
    ModelBusy,
    ModelError,
    PageNotFound,
    RagGraphError,
    RetrievalFailed,
    RunExpired,
    SettingsError,
    StorageFull,
    TooManyRuns,
    Unauthorized,
    UnknownRun,
    UploadsClosed,
    WrongContentType,
)

# Narrower kinds stand before the wider ones that they belong to, RagGraphError last.
STATUSES: dict[type[RagGraphError], int] = {
    Unauthorized: 401,
    CrossSite: 403,
    UploadsClosed: 403,
    BodyTooLarge: 413,
    ConversationFull: 413,
    WrongContentType: 415,
    HostNotAllowed: 421,
    RunExpired: 410,
    UnknownRun: 404,
    DocumentNotFound: 404,
    PageNotFound: 404,
    ConversationNotFound: 404,
    InvalidRequest: 422,
    BadCursor: 422,
    KeyMalformed: 422,
    KeyReused: 422,
    ContextTooLong: 422,
    TooManyRuns: 429,
    ModelBusy: 429,
    Draining: 503,
    StorageFull: 507,
    LibraryError: 503,
    LogUnavailable: 503,
    DatabaseUnavailable: 503,
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
    415: "The body is of a type that is not read here.",
    422: "What was sent is not understood; the message names the field.",
    429: "As many runs as allowed are going on: come back after `Retry-After` seconds.",
    503: "No question can be answered now; `Retry-After`, where it is given, says when to come back.",
    507: "There is no room left on the server's disk; nothing of what was sent is kept.",
}
# The name comes from the client, and is told back to it.
MAX_FIELD_CHARS = 200
_PARTS = ("body", "query", "header", "path", "__root__")
_KIND = re.compile(r"str|int|float|bool|constrained-str|(?:list|dict|tuple)\[.*\]")
"""What pydantic adds to the place of an error for each kind that a value may be of."""


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


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """An error as a request meets it, before any protocol has given it a shape; `message` is safe to show."""

    status: int
    code: str
    message: str
    retryable: bool = False
    field: str = ""
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)


EXPLAINED = (RagGraphError, RequestValidationError, ValidationError, HTTPException)
"""What `problem_of` knows; anything else is a fault of ours, which the web framework logs and answers with 500."""


def problem_of(error: Exception) -> Problem:
    """What is wrong, in one form for what we, pydantic and the web framework raise."""
    match error:
        case RagGraphError():
            # A client that is told to come back in 0 s would do so at once, and meet what it has just met.
            wait_s = error.retry_after_s
            headers = {"retry-after": str(max(1, round(wait_s)))} if wait_s else {}
            field = getattr(error, "field", "")
            return Problem(status_of(type(error)), error.code, _shown(str(error)), error.retryable, field, headers)
        case RequestValidationError() | ValidationError():
            wrong = _most_telling(error.errors())
            if wrong["type"] == "json_invalid":
                return Problem(422, InvalidRequest.code, "The body is no valid JSON.")
            # FastAPI says in which part of the request a field is, and pydantic which of several kinds it was taken
            # for: a sentence for people needs neither.
            named = [str(part) for part in wrong["loc"] if part not in _PARTS and not _KIND.fullmatch(str(part))]
            field = _shown(".".join(named)[:MAX_FIELD_CHARS])
            told = _shown(str(wrong["msg"]).removeprefix("Value error, "))
            if told.startswith("Expected UploadFile"):
                told = "this is no file: send it with a file name"
            return Problem(422, InvalidRequest.code, f"{field or 'The body'}: {told}", field=field)
        case HTTPException():
            code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
            return Problem(error.status_code, code, _shown(str(error.detail)), headers=error.headers or {})
        case _:
            raise error


def _most_telling(errors: Sequence[Any]) -> Any:
    """The first error; where a value may be of several kinds, that of the kind which it comes nearest to.

    A list of parts, one of which is a picture, is no string; but that the picture cannot be read is what is wrong.
    """
    *where, kind = errors[0]["loc"] or ("",)
    if not _KIND.fullmatch(str(kind)):
        return errors[0]
    alike = [error for error in errors if list(error["loc"][: len(where)]) == where]
    return max(alike, key=lambda error: len(error["loc"]))


def status_of(kind: type[RagGraphError]) -> int:
    return next(status for known, status in STATUSES.items() if issubclass(kind, known))


def status_of_code(code: str) -> int:
    """The status of a run that failed with this code."""
    return next((status_of(kind) for kind in _kinds(RagGraphError) if kind.code == code), 500)


def render(problem: Problem) -> Response:
    """An error in our own shape."""
    named = NamedError(code=problem.code, message=problem.message, retryable=problem.retryable, field=problem.field)
    return JSONResponse(Refusal(error=named).model_dump(), problem.status, problem.headers)


async def explain(_: Request, error: Exception) -> Response:
    """The app's handler of everything in `EXPLAINED`, so that every refusal has one shape."""
    return render(problem_of(error))


class ErrorRoute(APIRoute):
    """A route of a protocol whose clients read errors in a shape of their own, which a subclass gives by `render`."""

    render = staticmethod(render)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def explained(request: Request) -> Response:
            try:
                return await handle(request)
            except EXPLAINED as exc:
                return self.render(problem_of(exc))

        return explained


def _shown(text: str) -> str:
    """What may quote a name from outside, as it can be sent: JSON can hold half of a character, UTF-8 cannot."""
    return text.encode(errors="backslashreplace").decode()


def _kinds(kind: type[RagGraphError]) -> Iterator[type[RagGraphError]]:
    yield kind
    for narrower in kind.__subclasses__():
        yield from _kinds(narrower)
