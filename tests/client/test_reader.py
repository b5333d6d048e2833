"""What a client does next, without any I/O."""

import json
from collections.abc import Sequence

import pytest
from httpx_sse import ServerSentEvent

from rag_graph.client.reader import Answer, Cut, NextFrame, Outcome, Pause, Request, RetryPolicy, RunReader, Step
from rag_graph.errors import KeyReused, RagGraphError, RunExpired, ServerUnreachable, TooManyRuns, UnknownRun
from rag_graph.events import AnswerReset, Event, RunCancelled, RunStarted
from rag_graph.http.native.encoding import LogTrimmed
from rag_graph.query import Query
from rag_graph.result import run_result
from rag_graph.runs.ids import new_run_id
from rag_graph.transcript import Transcript
from tests.runs.stories import QUERY, STORY

RUN, OTHER = new_run_id(1_000.0), new_run_id(2_000.0)
OPEN = Answer(200, {"content-type": "text/event-stream; charset=utf-8"})
END = Cut("its stream ended early")


def story(run_id: str = RUN) -> list[Event]:
    return [RunStarted(run_id=run_id, question=QUERY.question, mode=QUERY.mode), *STORY]


def frames(run_id: str = RUN, first: int = 1, last: int | None = None) -> list[Outcome]:
    return [
        ServerSentEvent(event.type, event.model_dump_json(), f"{run_id}:{number}")
        for number, event in enumerate(story(run_id), 1)
        if number >= first and (last is None or number <= last)
    ]


def refusal(status: int, code: str, **headers: str) -> Answer:
    body = {"error": {"code": code, "message": "No.", "retryable": False}}
    return Answer(status, {"content-type": "application/json", **headers}, json.dumps(body).encode())


RESULT = run_result(Transcript.of(story()))


def whole() -> Answer:
    return Answer(200, {"content-type": "application/json"}, RESULT.model_dump_json().encode())


def asking(**retries: float) -> RunReader:
    return RunReader(RetryPolicy(**retries), lambda: 0.5, query=QUERY, key="k")  # type: ignore[arg-type]


class Told:
    """Everything a reader did, given these outcomes of its requests and reads."""

    def __init__(self, reader: RunReader, outcomes: Sequence[Outcome]) -> None:
        self.reader = reader
        self.events: list[Event] = []
        self.requests: list[Request] = []
        self.pauses: list[float] = []
        self.error: RagGraphError | None = None
        left = iter(outcomes)
        steps = reader.steps()
        outcome: Outcome = None
        try:
            while True:
                step: Step = steps.send(outcome)
                outcome = None
                match step:
                    case Request():
                        self.requests.append(step)
                        outcome = next(left)
                    case NextFrame():
                        outcome = next(left)
                    case Pause():
                        self.pauses.append(step.seconds)
                    case event:
                        self.events.append(event)
        except StopIteration:
            assert not list(left)
        except RagGraphError as exc:
            self.error = exc

    @property
    def answer(self) -> str:
        return Transcript.of(self.events).answer


def test_a_stream_that_does_not_break_is_told_as_it_is() -> None:
    told = Told(asking(), [OPEN, *frames()])
    assert told.events == story()
    assert [(request.method, request.path) for request in told.requests] == [("POST", "/query")]
    assert told.requests[0].headers["idempotency-key"] == "k"
    assert Query.model_validate_json(told.requests[0].content or b"") == QUERY


@pytest.mark.parametrize("cut", range(len(story())))
def test_a_stream_that_breaks_anywhere_is_taken_up_there(cut: int) -> None:
    told = Told(asking(), [OPEN, *frames(last=cut), END, OPEN, *frames(first=cut + 1)])
    assert told.events == story()
    assert told.requests[1].headers.get("last-event-id") == (f"{RUN}:{cut}" if cut else None)
    assert told.requests[1].method == ("GET" if cut else "POST")


@pytest.mark.parametrize("cut", range(1, len(story())))
def test_what_comes_twice_is_told_once(cut: int) -> None:
    told = Told(asking(), [OPEN, *frames(last=cut), Cut("ReadTimeout"), OPEN, *frames()])
    assert told.events == story()


def test_a_hole_is_never_told_over() -> None:
    told = Told(asking(), [OPEN, *frames(last=5), *frames(first=7, last=7), OPEN, *frames(first=6)])
    assert told.events == story()


@pytest.mark.parametrize("cut", [1, 8, 12, 20])
@pytest.mark.parametrize("refused", [refusal(404, "unknown_run"), refusal(410, "run_expired")])
def test_a_run_that_its_server_lost_is_asked_for_again_with_its_key(cut: int, refused: Answer) -> None:
    told = Told(asking(), [OPEN, *frames(last=cut), END, refused, OPEN, *frames(OTHER)])
    assert [request.method for request in told.requests] == ["POST", "GET", "POST"]
    assert {request.headers["idempotency-key"] for request in told.requests if request.content} == {"k"}
    assert told.events[:cut] == story()[:cut]
    assert told.events[-len(story()) :] == story(OTHER)
    resets = told.events[cut : -len(story())]
    assert all(isinstance(event, AnswerReset) for event in resets)
    written = Transcript.of(story()[:cut]).answers
    assert {event.version for event in resets if isinstance(event, AnswerReset)} == {
        version for version, answer in written.items() if answer.deltas
    }
    assert told.answer == Transcript.of(story()).answer


def test_a_run_that_is_only_followed_cannot_be_asked_for_again() -> None:
    reader = RunReader(RetryPolicy(), lambda: 0.5, run_id=RUN, seq=3)
    told = Told(reader, [refusal(410, "run_expired")])
    assert isinstance(told.error, RunExpired)
    assert told.requests[0].headers["last-event-id"] == f"{RUN}:3"


def test_a_log_that_lost_its_newest_events_is_read_again_from_the_beginning() -> None:
    told = Told(asking(), [OPEN, *frames(last=12), END, refusal(422, "bad_cursor"), OPEN, *frames()])
    assert told.events[-len(story()) :] == story()
    assert told.answer == Transcript.of(story()).answer


def test_a_bad_cursor_of_the_caller_is_told() -> None:
    told = Told(RunReader(RetryPolicy(), lambda: 0.5, run_id=RUN, seq=900), [refusal(422, "bad_cursor")])
    assert type(told.error).__name__ == "BadCursor"


def test_pauses_double_and_are_drawn_from_their_full_range() -> None:
    told = Told(asking(), [*[Cut("ConnectError")] * 7, OPEN, *frames()])
    assert told.pauses == [0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    assert told.events == story()


def test_an_event_makes_a_client_forget_its_failures() -> None:
    cuts = [part for seq in range(1, 9) for part in (OPEN, *frames(first=seq, last=seq), END)]
    told = Told(asking(), [*cuts, OPEN, *frames(first=9)])
    assert told.pauses == [0.25] * 8
    assert told.events == story()


@pytest.mark.parametrize(("status", "code"), [(429, "too_many_runs"), (503, "draining")])
def test_a_server_that_says_when_to_come_back_is_waited_for(status: int, code: str) -> None:
    told = Told(asking(), [refusal(status, code, **{"retry-after": "7"}), OPEN, *frames()])
    assert told.pauses == [7.25]
    assert told.events == story()


def test_a_server_that_asks_for_too_long_is_not_waited_for() -> None:
    told = Told(asking(), [refusal(429, "too_many_runs", **{"retry-after": "3600"})])
    assert isinstance(told.error, TooManyRuns)
    assert told.error.retry_after_s == 3600


def test_errors_are_those_the_server_names() -> None:
    told = Told(asking(), [refusal(422, "key_reused")])
    assert isinstance(told.error, KeyReused)
    assert str(told.error) == "No."


def test_proxies_that_answer_for_a_server_that_is_away_are_waited_for() -> None:
    gateway = Answer(502, {"content-type": "text/html"}, b"<h1>Bad Gateway</h1>")
    told = Told(asking(), [gateway, gateway, OPEN, *frames()])
    assert told.events == story()


def test_something_else_at_that_address_is_not_asked_twice() -> None:
    told = Told(asking(), [Answer(404, {"content-type": "text/html"}, b"<h1>Not found</h1>")])
    assert isinstance(told.error, ServerUnreachable)


def test_a_server_that_stays_away_is_given_up() -> None:
    told = Told(asking(tries=4), [Cut("ConnectError")] * 4)
    assert isinstance(told.error, ServerUnreachable)
    assert len(told.pauses) == 3


@pytest.mark.parametrize("cut", [0, 1, 8, 10, 16, 20])
def test_where_no_stream_gets_through_the_plain_answer_is_told_as_events(cut: int) -> None:
    fruitless: list[Outcome] = [OPEN, END] * (3 if cut else 2)
    told = Told(asking(), [OPEN, *frames(last=cut), END, *fruitless, whole()])
    plain = told.requests[-1]
    assert plain.headers["accept"] == "application/json"
    transcript = Transcript.of(told.events)
    assert transcript.answer == Transcript.of(story()).answer
    assert transcript.citations == RESULT.citations
    assert transcript.closings(at_ms=0.0) == []
    assert told.events[-1] == story()[-1]
    assert told.events[:cut] == story()[:cut]


def test_a_log_that_was_trimmed_is_read_as_a_whole() -> None:
    trimmed = ServerSentEvent("log_trimmed", LogTrimmed(after=4, first_kept=12).model_dump_json(), "")
    told = Told(asking(), [OPEN, *frames(last=4), END, OPEN, trimmed, whole()])
    assert told.answer == Transcript.of(story()).answer
    assert told.events[-1] == story()[-1]


def stopped() -> list[Outcome]:
    event = RunCancelled(by="shutdown", answer="Some")
    return [OPEN, *frames(last=9), ServerSentEvent(event.type, event.model_dump_json(), f"{RUN}:10")]


def test_a_run_that_ended_with_its_server_is_asked_for_again() -> None:
    told = Told(asking(), [*stopped(), OPEN, *frames(RUN, last=1), OPEN, *frames(OTHER)])
    assert told.events[-len(story()) :] == story(OTHER)
    assert not any(isinstance(event, RunCancelled) for event in told.events)


def test_a_run_that_ended_with_its_server_for_good_is_told_as_cancelled() -> None:
    told = Told(asking(tries=2), [*stopped(), Cut("ConnectError")])
    assert told.events[-1] == RunCancelled(by="shutdown", answer="Some")
    assert told.error is None


def test_events_of_newer_servers_are_passed_over() -> None:
    news = ServerSentEvent("mood", '{"type": "mood", "is": "good"}', f"{RUN}:6")
    told = Told(asking(), [OPEN, *frames(last=5), news, *frames(first=7)])
    assert told.events == [*story()[:5], *story()[6:]]


@pytest.mark.parametrize("before", [(), (*frames(first=4, last=9), END)], ids=["at once", "after a broken link"])
def test_a_run_that_was_seen_to_its_end_is_not_told_again(before: Sequence[Outcome]) -> None:
    reader = RunReader(RetryPolicy(), lambda: 0.5, run_id=RUN, seq=3)
    told = Told(reader, [*([OPEN, *before] if before else []), Answer(204, {})])
    assert told.events == (story()[3:9] if before else [])
    assert told.error is None


def test_a_run_needs_an_id_to_be_followed() -> None:
    assert isinstance(Told(RunReader(RetryPolicy(), lambda: 0.5), []).error, UnknownRun)
