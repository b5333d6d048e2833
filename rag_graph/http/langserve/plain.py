"""A run as text that people read from top to bottom: draft, refinement, sources."""

from collections.abc import Iterable

from rag_graph.events import (
    AnswerDelta,
    AnswerReset,
    AnswerStarted,
    Citation,
    Event,
    RunCancelled,
    RunFailed,
    RunFinished,
)
from rag_graph.transcript import Transcript


class PlainText:
    """Turns each event into the text that it adds, often none.

    Text cannot be taken back, so a version that starts again is announced and follows in full.
    """

    def __init__(self) -> None:
        self._transcript = Transcript()

    def add(self, event: Event) -> str:
        self._transcript.add(event)
        match event:
            case AnswerDelta():
                return event.delta
            case AnswerStarted(version=2):
                return f"\n\n——— Refined: {self._reason()} ———\n\n"
            case AnswerReset():
                return f"\n\n——— Written again: {event.reason} ———\n\n"
            case RunFinished():
                return self._ending(event)
            case RunFailed():
                return f"\n\n——— {event.message} ———\n"
            case RunCancelled():
                return "\n\n——— Stopped. ———\n"
            case _:
                return ""

    def _reason(self) -> str:
        decision = self._transcript.decision
        return decision.reason if decision else "with more evidence"

    def _ending(self, event: RunFinished) -> str:
        decision = self._transcript.decision
        kept = f"\n\n——— The draft stands: {decision.reason} ———" if decision and decision.decision == "keep" else ""
        sources = source_list(event.citations)
        return f"{kept}\n\nSources\n{sources}\n" if sources else f"{kept}\n"


def source_list(citations: Iterable[Citation]) -> str:
    """The cited documents, one a line, in the order of their numbers."""
    cited = {citation.marker: citation for citation in citations}
    return "\n".join(f"[{marker}] {cited[marker].title} ({cited[marker].uri})" for marker in sorted(cited))
