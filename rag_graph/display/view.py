"""What people are shown of a run while it goes on and when it has ended, whatever they look at."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from rag_graph.documents import Document
from rag_graph.events import (
    AnswerReset,
    AnswerStarted,
    Citation,
    ClaimFate,
    Decided,
    Event,
    Grade,
    RunCancelled,
    RunFailed,
    RunFinished,
    StepStarted,
    ThinkingDelta,
)
from rag_graph.transcript import Transcript

FindDocument = Callable[[str], Document | None]


@dataclass
class RunView:
    """A run as a spectator sees it: its transcript, a status line, what is thought, and a name for the answer."""

    transcript: Transcript = field(default_factory=Transcript)
    status: str = "Starting"
    thoughts: str = ""
    remark: str = ""
    """What was just said about the answer: that it is being replaced, or why it is told again."""

    def add(self, event: Event) -> None:
        self.transcript.add(event)
        match event:
            case StepStarted():
                self.status = event.description
            case ThinkingDelta():
                self.thoughts += event.delta
            case Decided(decision="refine"):
                self.remark = f"is being improved: {event.reason}"
            case AnswerReset():
                self.remark = f"is being written again: {event.reason}"
            case AnswerStarted(version=1):
                self.remark = ""

    @property
    def is_thinking(self) -> bool:
        """Whether thinking is worth the room: until the first word, and again until the refinement's."""
        refining = self.transcript.decision is not None and self.transcript.decision.decision == "refine"
        awaited = max(2, *self.transcript.answers) if refining and self.transcript.answers else 1
        return bool(self.thoughts) and not self.transcript.answers[awaited].deltas

    @property
    def heading(self) -> str:
        """A name for the text that stands, and what became of it."""
        transcript = self.transcript
        match transcript.terminal:
            case RunFailed() | RunCancelled():
                return "What was written so far"
            case RunFinished() if transcript.decision:
                what = "Refined" if transcript.standing != 1 else "The draft stands"
                return f"{what}: {transcript.decision.reason}"
            case RunFinished():
                return "Answer"
        if transcript.standing != 1:
            return "Refined answer"
        return f"First answer, which {self.remark}" if self.remark else "First answer"


@dataclass(frozen=True, slots=True)
class Source:
    """A place that an answer points to; `line` is 0 where the document's text is not at hand.

    `part` is the page, slide, sheet or chapter, where its file has such.
    """

    marker: int
    title: str
    uri: str
    line: int
    quote: str
    grade: Grade = "quoted"
    part: str = ""

    @property
    def place(self) -> str:
        if self.part:
            return f"{self.uri}, {self.part}"
        return f"{self.uri}:{self.line}" if self.line else self.uri


def sources(citations: Iterable[Citation], find: FindDocument | None = None) -> list[Source]:
    """The cited places in the order of their markers, each line of a document once. `find` may block."""
    found: dict[tuple[int, str], Source] = {}
    # By number, then by where in the source: so the first quote of a line is the one that is kept.
    for citation in sorted(citations, key=lambda citation: (citation.marker, citation.source_start)):
        source = Source(
            marker=citation.marker,
            title=citation.title,
            uri=citation.uri,
            line=_line(citation, find) if find else 0,
            quote=" ".join(citation.quote.split()),
            grade=citation.grade,
            part=part_of(citation),
        )
        found.setdefault((source.marker, source.place), source)
    return list(found.values())


def changes(transcript: Transcript) -> list[ClaimFate]:
    """What is worth telling of a refinement: sentences that it corrected, withdrew or confirmed, in this order."""
    fates = transcript.answers[transcript.standing].fates
    order = ("corrected", "withdrawn", "confirmed")
    told = [fate for fate in fates if fate.fate in order and (fate.fate != "withdrawn" or fate.reason)]
    return sorted(told, key=lambda fate: order.index(fate.fate))


def part_of(citation: Citation) -> str:
    """The page, slide, sheet or chapter of a quote; a line of a text is told after its name."""
    return "" if citation.place.startswith("line ") else citation.place


def _line(citation: Citation, find: FindDocument) -> int:
    document = find(citation.document)
    return document.text.count("\n", 0, citation.source_start) + 1 if document else 0
