"""A run as LangChain's people read it: as text from top to bottom, or as dicts whose chunks add up."""

from typing import Any, Final

from rag_graph.events import (
    AnswerDelta,
    AnswerReset,
    AnswerStarted,
    Citation,
    ClaimStated,
    Decided,
    Event,
    Fact,
    NumberedPassage,
    PassagesRetrieved,
    RunFinished,
    ThinkingDelta,
    Version,
    Warned,
)
from rag_graph.http.prose import change_list, source_list
from rag_graph.transcript import Transcript

Chunk = dict[str, Any]


SEPARATOR: Final = "\n\n———\n\n"
"""Between a text and the one that replaces it: what follows the last of these is the answer that stands."""


class PlainText:
    """Turns each event into the text that it adds, often none: the answer, and nothing but the answer.

    Text cannot be taken back, so the one that replaces it follows after a separator. With `final` only the answer
    that stands is said, at the end; with `sources` they are listed after it, and before them what was corrected and
    withdrawn, and which sources say different things.
    """

    def __init__(self, *, final: bool = False, sources: bool = False) -> None:
        self._final = final
        self._sources = sources
        self._said = ""
        self._replaces = False
        self._transcript = Transcript()

    def add(self, event: Event) -> str:
        if self._sources:
            self._transcript.add(event)
        match event:
            case AnswerDelta() if event.delta and not self._final:
                return self._say(event.delta)
            case AnswerStarted() | AnswerReset():
                self._replaces = bool(self._said)
                return ""
            case RunFinished():
                whole = ""
                if self._said != event.answer:
                    self._replaces = bool(self._said)
                    whole = self._say(event.answer)
                return whole + (self._appendix(event) if self._sources else "")
            case _:
                return ""

    def _appendix(self, event: RunFinished) -> str:
        changes = change_list(self._transcript.answers[event.version].fates)
        changed = f"\n\nWhat changed\n{changes}" if changes else ""
        apart = "".join(f"\n\n{told.message}" for told in self._transcript.conflicts)
        listed = f"\n\nSources\n{source_list(event.citations)}" if event.citations else ""
        return f"{changed}{apart}{listed}\n" if changed or apart or listed else ""

    def _say(self, text: str) -> str:
        if self._replaces:
            self._replaces, self._said = False, text
            return f"{SEPARATOR}{text}"
        self._said += text
        return text


class Structured:
    """Turns each event into a chunk: `documents`, `thinking`, `draft`, `answer`, `citations`, `claims` and others.

    `draft` streams version 1 and `answer` what replaces it; when the draft stands, `answer` comes whole at the end.
    Chunks only add: where a version starts again, or another replaces it, `resets` says so and the text follows in
    full. `result` is free of that.
    """

    def __init__(self) -> None:
        self._transcript = Transcript()
        self._documents: dict[int, NumberedPassage] = {}
        self._newest: Version = 1

    def add(self, event: Event) -> Chunk | None:
        self._transcript.add(event)
        if name := _LISTS.get(event.type):
            # Citations and claims of a draft come with the end, if it stands.
            is_of_draft = isinstance(event, Citation | ClaimStated) and event.version == 1
            return None if is_of_draft else {name: [_plain(event)]}
        match event:
            case AnswerDelta():
                self._newest = max(self._newest, event.version)
                return {"draft" if event.version == 1 else "answer": event.delta}
            case AnswerStarted() if 1 < self._newest < event.version:
                return {"resets": [{"version": self._newest, "reason": "A later version replaces it."}]}
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

    def _ending(self, event: RunFinished) -> Chunk:
        """A draft that stands was never told as the answer."""
        chunk: Chunk = {"timings": _plain(event.timings)}
        if event.version == 1:
            chunk |= {"answer": event.answer, "citations": [_plain(citation) for citation in event.citations]}
            if claims := self._transcript.answers[1].claims:
                chunk["claims"] = [_plain(told) for told in claims]
        return chunk

    def result(self) -> Chunk:
        """The whole: what `invoke` returns."""
        transcript = self._transcript
        return {
            "answer": transcript.answer,
            "draft": transcript.answers[1].content,
            "citations": [_plain(citation) for citation in transcript.citations],
            "claims": [_plain(told) for told in transcript.answers[transcript.standing].claims],
            "fates": [_plain(fate) for fate in transcript.answers[transcript.standing].fates],
            "conflicts": [_plain(told) for told in transcript.conflicts],
            "documents": [_plain(passage) for passage in self._documents.values()],
            "decision": _plain(transcript.decision) if transcript.decision else {},
            "thinking": "".join("".join(deltas) for deltas in transcript.thinking.values()),
            "warnings": [warning.message for warning in transcript.warnings],
            "timings": _plain(transcript.timings),
        }


_LISTS = {"citation": "citations", "claim": "claims", "claim_fate": "fates", "conflict": "conflicts"}


def _plain(fact: Fact) -> Chunk:
    dumped: Chunk = fact.model_dump(mode="json", exclude={"type"})
    return dumped
