"""What all encoders have in common."""

import orjson
import pytest

from rag_graph.http.ai_sdk.encoding import MessageParts
from rag_graph.http.encoding import DONE, Encoder
from rag_graph.http.native.encoding import EventFrames, EventLines
from rag_graph.http.openai.encoding import CompletionChunks, Envelope
from rag_graph.http.openai.request import Presentation
from rag_graph.runs.log import Entry
from tests.http.recorded import KEEPS, RESETS, RUN_ID

NEWS = b'{"type":"weather_changed","sky":"blue"}'


def encoders() -> list[Encoder]:
    envelope = Envelope(RUN_ID, "rag-deep", 1)
    return [EventFrames(RUN_ID), EventLines(), MessageParts(), CompletionChunks(envelope, Presentation())]


@pytest.mark.parametrize("index", range(4))
def test_an_event_that_only_a_newer_version_knows_costs_no_other(index: int) -> None:
    plain, beside_news = encoders()[index], encoders()[index]
    for seq, event in enumerate(RESETS, 1):
        told = beside_news.encode(Entry(seq, 0.0, None, NEWS))
        assert told == b"" or b"weather_changed" in told
        assert beside_news.encode(Entry(seq, 0.0, event)) == plain.encode(Entry(seq, 0.0, event))


@pytest.mark.parametrize("index", [2, 3])
def test_a_message_is_told_in_data_frames_and_ends_with_done(index: int) -> None:
    encoder = encoders()[index]
    told = b"".join(encoder.encode(Entry(seq, 0.0, event)) for seq, event in enumerate(KEEPS, 1))
    assert told.endswith(DONE)
    frames = told.removesuffix(DONE).removesuffix(b"\n\n").split(b"\n\n")
    assert all(orjson.loads(frame.removeprefix(b"data: ")) for frame in frames)
