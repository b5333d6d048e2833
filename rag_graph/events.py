"""What happens in a run, as typed past facts. Producer and consumers share these words and nothing else.

A run is a list of these, numbered 1, 2, 3 … What starts also finishes, and the last event is the only
terminal one. Spans are half-open, in Unicode code points: answer spans count from the first character of
that version's text, source spans from the first character of the document.
"""

from bisect import bisect_right
from collections.abc import Awaitable, Callable
from typing import Annotated, Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from rag_graph.documents import RowsFrom
from rag_graph.query import Mode

Stage = Literal["fast", "deep"]
Version = Annotated[int, Field(ge=1)]
"""1 is the draft; each greater one replaces those before it."""
CancelledBy = Literal["client", "absence", "shutdown", "budget"]
CutBy = Literal["", "length", "filter"]
CUT_BY_LENGTH: Final = "answer_cut_by_length"
CUT_BY_FILTER: Final = "answer_cut_by_filter"
"""Codes of the warnings that a version of the answer is not whole."""
Grade = Literal["quoted", "bears_on_it"]
"""How firmly a source supports a claim: it says it in nearly the same words, or its words bear on it."""
ClaimState = Literal["supported", "contradicted", "unsupported", "not_checked", "needs_no_source"]
Fate = Literal["kept", "confirmed", "corrected", "withdrawn", "added"]


class Fact(BaseModel):
    """A part of an event. Fields are only ever added, so a reader ignores those it does not know."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class NumberedPassage(Fact):
    """A retrieved passage under the number by which answers cite it; the number holds for the whole run.

    `page` is the one of its file, or the slide, on which it begins, and `place` what people are told of where that is;
    at each of the `page_breaks` in `content` another page begins, and `first_line` is the line, or row, at its start.
    `rows` say where in `content` rows of sheets stand.
    """

    number: int
    document: str
    title: str
    uri: str
    start: int
    end: int
    heading: tuple[str, ...] = ()
    score: float
    content: str
    page: int | None = None
    place: str = ""
    page_breaks: tuple[int, ...] = ()
    first_line: int | None = None
    rows: tuple[RowsFrom, ...] = ()

    def page_at(self, offset: int) -> int | None:
        """The page of its file on which that place of `content` stands."""
        return None if self.page is None else self.page + bisect_right(self.page_breaks, offset)

    def place_at(self, start: int, end: int | None = None) -> str:
        """Where in its file a stretch of `content` stands, or begins: "p. 12", "sheet Prices, B7:D7"."""
        if self.page_breaks:
            return f"p. {self.page_at(start)}"
        if rows := [one for one in self.rows if one.start <= start][-1:]:
            first = rows[0].row_at(self.content, start)
            after = next((one.start for one in self.rows if one.start > start), len(self.content))
            last = rows[0].row_at(self.content, min(max(start, (end or start) - 1), after))
            sheet, _, _ = self.place.rpartition(", ")
            return ", ".join(filter(None, (sheet, rows[0].cells(first, last))))
        if self.first_line is None or self.rows:
            return self.place
        lines = self.content.count("\n", 0, start)
        if "row " in self.place:  # of a library of before `rows`; the line that marks the header of a table is no row
            lines -= self.content.count("\n| --- |", 0, start)
        return self.place.removesuffix(str(self.first_line)) + str(self.first_line + lines)


class Timings(Fact):
    """Milliseconds from the start of the run; None for what did not happen."""

    first_event_ms: float | None = None
    first_passages_ms: float | None = None
    first_thinking_ms: float | None = None
    first_token_ms: float | None = None
    first_citation_ms: float | None = None
    draft_ms: float | None = None
    decided_ms: float | None = None
    refinement_first_token_ms: float | None = None
    total_ms: float | None = None


class RunStarted(Fact):
    """The run exists. `attempt` counts executions: 2 and up mean that another process took the run over."""

    type: Literal["run_started"] = "run_started"
    run_id: str
    question: str
    mode: Mode
    attempt: int = 1


class StepStarted(Fact):
    """A node of the graph began; `description` says in a sentence what it does."""

    type: Literal["step_started"] = "step_started"
    step: str
    description: str
    at_ms: float


class StepFinished(Fact):
    """A node of the graph ended; `description` says in a sentence what came of it."""

    type: Literal["step_finished"] = "step_finished"
    step: str
    description: str
    at_ms: float


class PassagesRetrieved(Fact):
    """A search ended. The deep stage lists the whole merged evidence, best first; numbers stay as they were."""

    type: Literal["passages_retrieved"] = "passages_retrieved"
    stage: Stage
    passages: tuple[NumberedPassage, ...]


class ThinkingStarted(Fact):
    """Thinking begins, by the model itself or by the pipeline, which tells its steps when the model is silent."""

    type: Literal["thinking_started"] = "thinking_started"
    step: str
    thinker: Literal["model", "pipeline"]


class ThinkingDelta(Fact):
    """More of the thinking of that step."""

    type: Literal["thinking_delta"] = "thinking_delta"
    step: str
    delta: str


class ThinkingFinished(Fact):
    """The thinking of that step is over."""

    type: Literal["thinking_finished"] = "thinking_finished"
    step: str
    seconds: float


class AnswerStarted(Fact):
    """A version of the answer begins."""

    type: Literal["answer_started"] = "answer_started"
    version: Version


class AnswerDelta(Fact):
    """More of that version's text."""

    type: Literal["answer_delta"] = "answer_delta"
    version: Version
    delta: str


class AnswerFinished(Fact):
    """That version's text is complete, or as complete as it will be."""

    type: Literal["answer_finished"] = "answer_finished"
    version: Version


class Citation(Fact):
    """The words of a source that support a stretch of the answer, checked; two of one stretch support it together.

    `document.text[source_start:source_end] == quote`, always.
    """

    type: Literal["citation"] = "citation"
    version: Version
    marker: int
    start: int
    end: int
    document: str
    title: str
    uri: str
    source_start: int
    source_end: int
    quote: str
    attributed_by: Literal["model", "check"]
    score: float
    grade: Grade = "quoted"
    page: int | None = None
    place: str = ""


class Unsupported(Fact):
    """The passages lack or contradict what this stretch says, or its marker points to no passage (`marker` is set).

    A stretch with neither this nor a citation was not checked: nothing is said of it.
    """

    type: Literal["unsupported"] = "unsupported"
    version: Version
    start: int
    end: int
    marker: int | None = None
    reason: str
    contradicted: bool = False
    """Whether a passage says otherwise, rather than none saying it."""


class ClaimStated(Fact):
    """A sentence, list item or table row of a version, and how it stands; `claim` names it for the whole run.

    The claims of a version come in their order when its text is whole, and every character of it but blanks is in one.
    `sources` are the numbers of the passages that its citations quote.
    """

    type: Literal["claim"] = "claim"
    version: Version
    claim: str
    start: int
    end: int
    state: ClaimState
    sources: tuple[int, ...] = ()
    reason: str = ""


class ClaimFate(Fact):
    """What became of a claim when that version replaced the one before. Each claim of either has exactly one fate.

    `before` and `after` are its words in the two versions, markers left out, where they differ. `sources` are those
    that are new for it, and `quote` the words of one of them, `marker`, that moved it. `reason` is for people.
    """

    type: Literal["claim_fate"] = "claim_fate"
    version: Version
    claim: str
    fate: Fate
    before: str = ""
    after: str = ""
    reason: str = ""
    sources: tuple[int, ...] = ()
    quote: str = ""
    marker: int | None = None


class Quoted(Fact):
    """The words of a source: `document.text[source_start:source_end] == quote`, always; `marker` is the passage's."""

    marker: int
    document: str
    title: str
    uri: str
    source_start: int
    source_end: int
    quote: str


class SourceConflict(Fact):
    """Two sources say different things of what was asked; the newer one stands first where both dates are known."""

    type: Literal["conflict"] = "conflict"
    message: str
    quotes: tuple[Quoted, Quoted]


class Decided(Fact):
    """Whether the deeper evidence changes the answer, and why; `new_passages` are numbers."""

    type: Literal["decided"] = "decided"
    decision: Literal["keep", "refine"]
    checked: bool
    reason: str
    new_passages: tuple[int, ...] = ()


class AnswerReset(Fact):
    """All text, citations, flags and claims of that version so far are void; what follows replaces them."""

    type: Literal["answer_reset"] = "answer_reset"
    version: Version
    attempt: int
    reason: str


class Warned(Fact):
    """Something went less well than it should; the run goes on. `code` is stable, `message` safe to show."""

    type: Literal["warning"] = "warning"
    step: str
    code: str
    message: str


class Usage(Fact):
    """Tokens that one model call took."""

    type: Literal["usage"] = "usage"
    step: str
    model: str
    input_tokens: int
    output_tokens: int
    reasoning_tokens: int = 0
    cached_tokens: int = 0


class RunFinished(Fact):
    """The answer stands; `cut_by` says what kept its model from finishing it, if anything did. Terminal."""

    type: Literal["run_finished"] = "run_finished"
    version: Version
    answer: str
    citations: tuple[Citation, ...]
    timings: Timings
    cut_by: CutBy = ""


class RunFailed(Fact):
    """The run gave no answer; `answer` keeps what was written. Terminal."""

    type: Literal["run_failed"] = "run_failed"
    code: str
    message: str
    retryable: bool
    answer: str = ""


class RunCancelled(Fact):
    """Somebody stopped the run; `answer` keeps what was written. Terminal."""

    type: Literal["run_cancelled"] = "run_cancelled"
    by: CancelledBy
    answer: str = ""


Terminal = RunFinished | RunFailed | RunCancelled
Event = Annotated[
    RunStarted
    | StepStarted
    | StepFinished
    | PassagesRetrieved
    | ThinkingStarted
    | ThinkingDelta
    | ThinkingFinished
    | AnswerStarted
    | AnswerDelta
    | AnswerFinished
    | Citation
    | Unsupported
    | ClaimStated
    | ClaimFate
    | SourceConflict
    | Decided
    | AnswerReset
    | Warned
    | Usage
    | RunFinished
    | RunFailed
    | RunCancelled,
    Field(discriminator="type"),
]
EventAdapter: TypeAdapter[Event] = TypeAdapter(Event)


class UnknownEvent(Fact):
    """An event that only a newer version of this package knows; whoever reads events passes it by.

    While servers are upgraded one after the other, an older one reads what a newer one writes.
    """

    type: str


KNOWN_TYPES = frozenset(kind.model_fields["type"].default for kind in get_args(get_args(Event)[0]))

Emit = Callable[[Event], Awaitable[None]]
"""Says what has happened, at once, to whoever follows the run; returns when that is taken."""
