"""The crowd notices what must not be."""

from collections.abc import Callable

import orjson
import pytest

from tests.benchmarks.crowd import Told, words

RUN = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


def frame(name: str, seq: int, run_id: str = RUN, **data: str) -> bytes:
    return b"event: %s\ndata: %s\nid: %s:%d" % (name.encode(), orjson.dumps(data), run_id.encode(), seq)


def a_whole_run() -> list[bytes]:
    said = words(7)
    deltas = [frame("answer_delta", seq, delta=word) for seq, word in enumerate(said, 2)]
    return [frame("run_started", 1), *deltas, frame("run_finished", len(said) + 2, answer="".join(said))]


def fault_of(frames: list[bytes]) -> str:
    told = Told()
    for each in frames:
        told.take(each)
    return told.fault(7)


def test_what_the_model_said_is_whole_with_heartbeats_between() -> None:
    first, *rest = a_whole_run()
    assert fault_of([first, b": keep-alive", *rest]) == ""


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda run: run[:5] + run[6:], "event 7 after event 5"),
        (lambda run: run[:5] + run[4:], "event 5 after event 5"),
        (lambda run: run[:-1], "it ended with nothing"),
        (lambda run: [*run, frame("run_finished", 203, answer="")], "run_finished after run_finished"),
        (lambda run: [*run[:3], frame("answer_delta", 4, delta="else "), *run[4:]], "does not repeat"),
        (lambda run: [run[0], frame("run_finished", 2, answer="")], "not what the model said"),
        (lambda run: [run[0], frame("run_failed", 2, answer="")], "it ended with run_failed"),
        (lambda run: [run[0], frame("answer_delta", 2, "01BX5ZZKBKACTAV9WEVGEMMVRZ", delta="")], "another run"),
    ],
)
def test_what_is_missing_doubled_or_wrong_is_named(spoil: Callable[[list[bytes]], list[bytes]], fault: str) -> None:
    assert fault in fault_of(spoil(a_whole_run()))
