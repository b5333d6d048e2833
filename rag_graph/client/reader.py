"""What a client does next to read a run to its end; pure, so that the sync and the async client share it.

A stream that breaks is taken up after the last event that came. A run that the server has lost is asked for again
with the same idempotency key. Where no stream gets through, the plain answer is asked for, and told as events.
"""

import logging
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Literal, NamedTuple
from urllib.parse import quote

from httpx_sse import ServerSentEvent
from pydantic import ValidationError

from rag_graph.client.remainder import remaining_events
from rag_graph.errors import BadCursor, RagGraphError, ServerUnreachable, UnknownRun
from rag_graph.events import AnswerReset, Event, EventAdapter, Fact, RunCancelled
from rag_graph.query import Query
from rag_graph.result import RunResult
from rag_graph.runs.ids import Cursor
from rag_graph.transcript import Transcript

EVENT_STREAM = "text/event-stream"
JSON = "application/json"
UNREAD = "The server's answer could not be read: check that its URL is right and that it is no older than this client."
STOPPED = "The server stopped while it answered: ask again."
# Of what a proxy or a server answers, those that may be other a moment later.
RETRIED = frozenset({408, 429, 500, 502, 503, 504})

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How often and how long a client tries; times are in seconds.

    `silence_s` must exceed the server's RAG_HEARTBEAT_S: a stream that is silent for so long is given up.
    After `tries` failures in a row without a new event the last one is raised. Pauses double from `first_pause_s`,
    drawn from their full range; a server that asks for more than `longest_wait_s` is not waited for.
    """

    silence_s: float = 40.0
    whole_timeout_s: float = 600.0
    tries: int = 12
    stream_tries: int = 3
    first_pause_s: float = 0.5
    longest_pause_s: float = 10.0
    longest_wait_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Request:
    """Send this; the outcome is an `Answer`, its stream left open, or a `Cut`."""

    method: Literal["GET", "POST"]
    path: str
    headers: Mapping[str, str]
    read_timeout_s: float
    content: bytes | None = None


@dataclass(frozen=True, slots=True)
class NextFrame:
    """Read on in the open stream; the outcome is a frame, or a `Cut`, which the stream's end is too."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Sleep."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Answer:
    """How the server answered; the body of an event stream is read frame by frame."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Cut:
    """The link broke."""

    reason: str


Step = Request | NextFrame | Pause | Event
Outcome = Answer | ServerSentEvent | Cut | None
Steps = Generator[Step, Outcome, None]


class _Retry(Exception):
    """An attempt failed in a way that another may not."""

    def __init__(self, error: RagGraphError) -> None:
        super().__init__(str(error))
        self.error = error


class _Stopped(NamedTuple):
    """A run that ended with its server."""

    run_id: str
    event: RunCancelled


@dataclass(eq=False)
class RunReader:
    """The way to a run's last event. `steps` says what to do and is sent what came of it.

    Without a query the run can only be followed, not asked for again.
    """

    retries: RetryPolicy
    chance: Callable[[], float]
    query: Query | None = None
    key: str = ""
    run_id: str = ""
    seq: int = 0
    transcript: Transcript = field(default_factory=Transcript)
    _is_over: bool = False
    _failures: int = 0
    _broken_streams: int = 0
    _stopped: _Stopped | None = None

    def steps(self) -> Steps:
        """Events are for the caller, everything else is work. Raises what `rag_graph.errors` holds."""
        while not self._is_over:
            try:
                if self._broken_streams < self.retries.stream_tries:
                    yield from self._read_stream()
                else:
                    yield from self._read_whole()
            except _Retry as again:
                yield from self._recover(again.error)

    def _read_stream(self) -> Steps:
        answer = yield self._request(EVENT_STREAM, self.retries.silence_s)
        answer = yield from self._admitted(answer)
        if answer.status == HTTPStatus.NO_CONTENT:
            # A terminal event would have ended this before, so the one who gave the cursor has seen all of the run.
            self._is_over = True
            return
        # Counted before anything has come, and forgotten at the first event: behind a proxy that holds streams back
        # each one ends without any, and after a few the plain answer is asked for.
        self._broken_streams += 1
        if not is_event_stream(answer.headers):
            raise _Retry(ServerUnreachable(UNREAD))
        while not self._is_over:
            frame = yield NextFrame()
            if not isinstance(frame, ServerSentEvent):
                raise _Retry(_unreachable(frame))
            yield from self._take(frame)

    def _read_whole(self) -> Steps:
        answer = yield self._request(JSON, self.retries.whole_timeout_s)
        answer = yield from self._admitted(answer)
        try:
            result = RunResult.model_validate_json(answer.body)
        except ValidationError:
            raise _Retry(ServerUnreachable(UNREAD)) from None
        if result.status == "running":
            raise _Retry(ServerUnreachable("The run goes on, but its events do not get through: ask again."))
        yield from self._turn_to(result.run_id)
        for event in remaining_events(result, self.transcript):
            yield from self._tell(event)

    def _request(self, form: str, read_timeout_s: float) -> Request:
        # A cache in between must neither keep a run nor answer for one.
        headers = {"accept": form, "cache-control": "no-store"}
        if self.run_id:
            if self.seq:
                headers["last-event-id"] = str(Cursor(self.run_id, self.seq))
            return Request("GET", f"/runs/{quote(self.run_id, safe='')}/events", headers, read_timeout_s)
        if self.query is None:
            raise UnknownRun("A run has an id: give the one of the run to follow.")
        headers |= {"content-type": JSON, "idempotency-key": self.key}
        return Request("POST", "/query", headers, read_timeout_s, self.query.model_dump_json().encode())

    def _admitted(self, answer: Outcome) -> Generator[Step, Outcome, Answer]:
        """The answer, unless the server refused: a run that is gone is let go, so that it is asked for again."""
        if not isinstance(answer, Answer):
            raise _Retry(_unreachable(answer))
        if answer.status in (HTTPStatus.OK, HTTPStatus.NO_CONTENT):
            return answer
        error = error_of(answer)
        if isinstance(error, UnknownRun) and self.run_id and self.query:
            self.run_id = ""
        # The log is shorter than what was read of it: a Redis that was restored, say, has lost its end.
        elif isinstance(error, BadCursor) and self.transcript.run_id:
            yield from self._void("The server has lost some of the run, which is read again from its beginning.")
            self.seq = 0
        elif isinstance(error, UnknownRun) or not error.retryable or answer.status not in RETRIED:
            raise error
        raise _Retry(error)

    def _take(self, frame: ServerSentEvent) -> Steps:
        if frame.event == "log_trimmed":
            # The stream has a hole that no other attempt fills; the plain result is whole.
            self._broken_streams = self.retries.stream_tries
            raise _Retry(ServerUnreachable("The server no longer holds the whole run: read its result."))
        cursor = _cursor(frame)
        # A server may say again what was said, as protocols of several frames an entry do.
        if cursor.run_id == self.run_id and cursor.seq <= self.seq:
            return
        yield from self._turn_to(cursor.run_id)
        # Numbers have no holes, so one that was passed over was lost by something on the way.
        if cursor.seq > self.seq + 1:
            raise _Retry(ServerUnreachable("Events were lost on their way: ask again."))
        event = _event(frame)
        self.seq = cursor.seq
        self._failures = self._broken_streams = 0
        if event is not None:
            yield from self._tell(event)

    def _turn_to(self, run_id: str) -> Steps:
        """Read this run from now on; what another one has said is void."""
        if self._stopped and run_id == self._stopped.run_id:
            self.run_id = ""
            raise _Retry(ServerUnreachable(STOPPED))
        if self.transcript.run_id not in ("", run_id):
            yield from self._void("The server lost the run, so it is answered anew.")
        if run_id != self.run_id:
            self.run_id, self.seq = run_id, 0

    def _tell(self, event: Event) -> Steps:
        if isinstance(event, RunCancelled) and event.by == "shutdown" and self.query and not self._stopped:
            self._stopped = _Stopped(self.run_id, event)
            self.run_id = ""
            raise _Retry(ServerUnreachable(STOPPED))
        self.transcript.add(event)
        self._is_over = self.transcript.terminal is not None
        yield event

    def _void(self, reason: str) -> Steps:
        """Take back what was written, and begin a new transcript."""
        attempt = self.transcript.attempt
        written = [version for version, answer in self.transcript.answers.items() if answer.deltas]
        self.transcript = Transcript()
        for version in written:
            yield AnswerReset(version=version, attempt=attempt, reason=reason)

    def _recover(self, error: RagGraphError) -> Steps:
        """Pause before the next attempt, or give up."""
        given = self.retries
        asked_s = error.retry_after_s or 0.0
        self._failures += 1
        if self._failures >= given.tries or asked_s > given.longest_wait_s:
            if self._stopped is None or self._stopped.run_id != self.transcript.run_id:
                raise error
            yield from self._tell(self._stopped.event)
            return
        longest_s = min(given.longest_pause_s, given.first_pause_s * 2.0 ** (self._failures - 1))
        log.info("trying again: %s", error)
        yield Pause(asked_s + longest_s * self.chance())


def is_event_stream(headers: Mapping[str, str]) -> bool:
    return headers.get("content-type", "").partition(";")[0].strip().lower() == EVENT_STREAM


def error_of(answer: Answer) -> RagGraphError:
    """The error that the server's answer names; one without a name is not from a server of ours."""
    retry_after = answer.headers.get("retry-after", "")
    retry_after_s = float(retry_after) if retry_after.isascii() and retry_after.isdigit() else None
    try:
        named = _Refusal.model_validate_json(answer.body).error
    except ValidationError:
        message = f"The server answered {answer.status}: check its URL, and that it runs."
        return ServerUnreachable(message, retry_after_s=retry_after_s)
    return _KINDS.get(named.code, RagGraphError)(named.message, retry_after_s=retry_after_s)


class _NamedError(Fact):
    code: str
    message: str


class _Refusal(Fact):
    error: _NamedError


def _kinds(base: type[RagGraphError]) -> Iterator[type[RagGraphError]]:
    yield base
    for kind in base.__subclasses__():
        yield from _kinds(kind)


_KINDS = {kind.code: kind for kind in _kinds(RagGraphError) if kind.__module__ == RagGraphError.__module__}


def _unreachable(outcome: Outcome) -> ServerUnreachable:
    reason = outcome.reason if isinstance(outcome, Cut) else "its stream ended early"
    return ServerUnreachable(f"The server cannot be reached ({reason}): check that it runs and that its URL is right.")


def _cursor(frame: ServerSentEvent) -> Cursor:
    try:
        return Cursor.parse(frame.id)
    except BadCursor:
        raise _Retry(ServerUnreachable(UNREAD)) from None


def _event(frame: ServerSentEvent) -> Event | None:
    """The event, or None for a kind that a newer server knows."""
    try:
        return EventAdapter.validate_json(frame.data)
    except ValidationError as exc:
        if exc.errors()[0]["type"] == "union_tag_invalid":
            return None
        raise _Retry(ServerUnreachable(UNREAD)) from None
