"""Spoilt streams of a model: whatever its service sends, the run ends with one event that says how."""

import httpx
from hypothesis import strategies as st

from tests.fuzz.mutation import spoilt_bytes
from tests.servers import ANSWER, QUESTION, frames
from tests.upstream import Script, Upstream, chat_frames

ENDS = {"run_finished", "run_failed", "run_cancelled"}
SCRIPTS = (
    Script(content=tuple(ANSWER.split(" ")), thinking=("Let ", "me ", "see.")),
    Script(content=tuple(ANSWER.split(" ")), thinking=("Hm. ",), spelling="inline", sends_done=False),
    Script(
        content=("ä[", "1", "]. **b**", "\n\n| a | b |\n|---|---|\n", "| 1 | 2 |"),
        thinking=("x",),
        spelling="reasoning",
    ),
)


def replies() -> st.SearchStrategy[tuple[bytes, int]]:
    """The bytes of a reply's body, and after how many of them the network cuts each read."""
    whole = [b"".join(frame for frame, _ in chat_frames(script, asks_usage=True)) for script in SCRIPTS]
    return st.tuples(spoilt_bytes(whole), st.sampled_from((1, 7, 100, 65_536)))


def answer(http: httpx.Client, upstream: Upstream, reply: tuple[bytes, int]) -> None:
    """Ask while the model's service sends this."""
    sent, cut = reply
    upstream.otherwise = Script(body=[sent[start : start + cut] for start in range(0, len(sent), cut)])
    body = {"question": QUESTION, "mode": "fast"}
    response = http.post("/query", json=body, headers={"accept": "text/event-stream"})
    assert response.status_code in {200, 503}, response.text[:300]
    if response.status_code == 200:
        events = [event for _, event in frames(response.text)]
        assert [event.type for event in events if event.type in ENDS] == [events[-1].type]
    assert http.get("/health").status_code == 200
