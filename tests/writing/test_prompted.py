"""How the verdict of a chat model is read."""

import pytest

from rag_graph.writing.contract import Verdict
from rag_graph.writing.prompted import LONGEST_REASON_CHARS, read_verdict


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ("KEEP: the draft says so already", Verdict(refine=False, reason="the draft says so already")),
        ("**REFINE**: the year is 1931", Verdict(refine=True, reason="the year is 1931")),
        ("Verdict: keep\nbecause it agrees", Verdict(refine=False, reason="because it agrees")),
        ("refine", Verdict(refine=True, reason="What was found since changes the answer")),
        ("REFINE: [2] names another year [2]", Verdict(refine=True, reason="A source names another year")),
        ("KEEP: [1], [2] and [3] agree", Verdict(refine=False, reason="Sources agree")),
        ("The bridge was opened in 1931.", Verdict(refine=True, reason="What was found since changes the answer")),
    ],
)
def test_a_verdict_is_read_however_it_is_wrapped(reply: str, verdict: Verdict) -> None:
    assert read_verdict(reply) == verdict


def test_a_rambling_reason_is_cut_to_a_sentence_that_can_be_shown() -> None:
    reason = read_verdict("REFINE: " + "and another thing " * 100).reason
    assert len(reason) <= LONGEST_REASON_CHARS
    assert reason.endswith("…")
