"""A run as LangChain's RAG chains speak: dicts whose chunks add up to the whole result."""

from typing import Any

from rag_graph.events import (
    AnswerDelta,
    AnswerReset,
    Citation,
    Decided,
    Event,
    Fact,
    NumberedPassage,
    PassagesRetrieved,
    RunFinished,
    ThinkingDelta,
    Warned,
)
from rag_graph.transcript import Transcript

Chunk = dict[str, Any]


class Structured:
    """Turns each event into a chunk: `documents`, `thinking`, `draft`, `answer`, `citations`, `decision`, `timings`.

    `draft` streams version 1 and `answer` the refinement; when the draft stands, `answer` comes whole at the end.
    Chunks only add: where a version starts again, `resets` says so and its text follows in full.
    `result` is free of that.
    """

    def __init__(self) -> None:
        self._transcript = Transcript()
        self._documents: dict[int, NumberedPassage] = {}

    def add(self, event: Event) -> Chunk | None:
        self._transcript.add(event)
        match event:
            case AnswerDelta():
                return {_version(event.version): event.delta}
            case Citation(version=2):
                return {"citations": [_plain(event)]}
            case PassagesRetrieved():
                new = [passage for passage in event.passages if passage.number not in self._documents]
                self._documents |= {passage.number: passage for passage in new}
                return {"documents": [_plain(passage) for passage in new]} if new else None
            case ThinkingDelta():
                return {"thinking": event.delta}
            case Decided():
                return {"decision": _plain(event)}
            case AnswerReset():
                return {"resets": [{"version": event.version, "reason": event.reason}]}
            case Warned():
                return {"warnings": [event.message]}
            case RunFinished():
                return self._ending(event)
            case _:
                return None

    def result(self) -> Chunk:
        """The whole: what `invoke` returns."""
        transcript = self._transcript
        return {
            "answer": transcript.answer,
            "draft": transcript.answers[1].content,
            "citations": [_plain(citation) for citation in transcript.citations],
            "documents": [_plain(passage) for passage in self._documents.values()],
            "decision": _plain(transcript.decision) if transcript.decision else {},
            "thinking": "".join("".join(deltas) for deltas in transcript.thinking.values()),
            "warnings": [warning.message for warning in transcript.warnings],
            "timings": _plain(transcript.timings),
        }

    def _ending(self, event: RunFinished) -> Chunk:
        chunk: Chunk = {"timings": _plain(event.timings)}
        if event.version == 1:
            chunk |= {"answer": event.answer, "citations": [_plain(citation) for citation in event.citations]}
        return chunk


def _version(version: int) -> str:
    return "draft" if version == 1 else "answer"


def _plain(fact: Fact) -> Chunk:
    dumped: Chunk = fact.model_dump(mode="json", exclude={"type"})
    return dumped
