"""Every protocol as a function from events to bytes. `python -m tests.http.encodings` writes the golden files."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from rag_graph.events import Event
from rag_graph.http.agent_protocol.encoding import ThreadEvents, Turn, answer_message, question_message
from rag_graph.http.ai_sdk.encoding import MessageParts
from rag_graph.http.langserve.encoding import PlainText, Structured
from rag_graph.http.native.encoding import EventFrames, EventLines
from rag_graph.http.openai.encoding import CompletionChunks, Envelope, completion
from rag_graph.http.openai.request import Draft, Presentation
from rag_graph.http.responses.encoding import Envelope as ResponseEnvelope
from rag_graph.http.responses.encoding import ResponseEvents
from rag_graph.result import run_result
from rag_graph.runs.log import Entry
from rag_graph.transcript import Transcript
from tests.http.recorded import QUESTION, RUN_ID, RUNS

GOLDEN = Path(__file__).parent / "golden"

Encode = Callable[[Iterable[Event]], list[bytes]]
"""What each event adds to the stream, in order."""


def native(events: Iterable[Event], *, first: int = 1) -> list[bytes]:
    view = EventFrames(RUN_ID)
    return [view.encode(Entry(seq, 0.0, event)) for seq, event in enumerate(events, first)]


def native_lines(events: Iterable[Event], *, first: int = 1) -> list[bytes]:
    view = EventLines()
    return [view.encode(Entry(seq, 0.0, event)) for seq, event in enumerate(events, first)]


def plain(events: Iterable[Event]) -> list[bytes]:
    view = PlainText()
    return [view.add(event).encode() for event in events]


def structured(events: Iterable[Event]) -> list[bytes]:
    view = Structured()
    return [_lines([chunk]) if (chunk := view.add(event)) else b"" for event in events]


def openai(presentation: Presentation) -> Encode:
    def encode(events: Iterable[Event]) -> list[bytes]:
        view = openai_view(presentation)
        return [_lines(view.add(event)) for event in events]

    return encode


def responses(events: Iterable[Event]) -> list[bytes]:
    view = responses_view()
    return [view.encode(Entry(seq, 0.0, event)) for seq, event in enumerate(events, 1)]


def responses_view(draft: Draft = "content", *, after: int = -1) -> ResponseEvents:
    return ResponseEvents(ResponseEnvelope(RUN_ID, "rag-deep", 1_000_000), draft=draft, wants_results=True, after=after)


def openai_view(presentation: Presentation) -> CompletionChunks:
    return CompletionChunks(Envelope(RUN_ID, "rag-deep", 1_000_000), presentation, wants_usage=True)


def agent_protocol(events: Iterable[Event]) -> list[bytes]:
    view = agent_protocol_view()
    return [view.encode(Entry(seq, 0.0, event)) for seq, event in enumerate(events, 1)]


def agent_protocol_view(*channels: str, since: int = -1) -> ThreadEvents:
    """Its second turn."""
    earlier = (question_message("m1", "Hello?"), answer_message("01JQZ5UZZZ0000000000000000", "Yes.", ()))
    view = ThreadEvents(channels or ("lifecycle", "messages", "values", "checkpoints", "custom:decided"), since=since)
    view.turn_to(Turn(1, "m2", QUESTION, RUN_ID, earlier))
    return view


def ai_sdk(events: Iterable[Event]) -> list[bytes]:
    view = MessageParts()
    return [_lines(view.add(event)) for event in events]


def result(events: Iterable[Event]) -> list[bytes]:
    return [_lines([run_result(Transcript.of(events)).model_dump(mode="json")])]


def openai_whole(events: Iterable[Event]) -> list[bytes]:
    whole = completion(Transcript.of(events), Envelope(RUN_ID, "rag-deep", 1_000_000), Presentation(sources="markdown"))
    return [_lines([whole or {}])]


STREAMS: Mapping[str, Encode] = {
    "native": native,
    "native_lines": native_lines,
    "plain": plain,
    "structured": structured,
    "openai": openai(Presentation(draft="reasoning")),
    "openai_draft_as_content": openai(Presentation(draft="content", sources="markdown")),
    "openai_without_draft": openai(Presentation(draft="none")),
    "open_webui": openai(Presentation(draft="reasoning", sources="events")),
    "ai_sdk": ai_sdk,
    "responses": responses,
    "agent_protocol": agent_protocol,
}
WHOLES: Mapping[str, Encode] = {"result": result, "openai_whole": openai_whole}


def golden(protocol: str, run: str) -> Path:
    return GOLDEN / f"{run}.{protocol}.txt"


def _lines(chunks: Sequence[Mapping[str, Any]]) -> bytes:
    return b"".join(orjson.dumps(chunk) + b"\n" for chunk in chunks)


def main() -> None:
    GOLDEN.mkdir(exist_ok=True)
    for run, events in RUNS.items():
        for protocol, encode in {**STREAMS, **WHOLES}.items():
            golden(protocol, run).write_bytes(b"".join(encode(events)))


if __name__ == "__main__":
    main()
