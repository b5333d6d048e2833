"""A run as a whole, folded from its events: what was written, what stands, and what is still open."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from rag_graph.events import (
    CUT_BY_FILTER,
    CUT_BY_LENGTH,
    AnswerDelta,
    AnswerFinished,
    AnswerReset,
    AnswerStarted,
    Citation,
    ClaimFate,
    ClaimStated,
    CutBy,
    Decided,
    Event,
    Fact,
    PassagesRetrieved,
    RunCancelled,
    RunFailed,
    RunFinished,
    RunStarted,
    SourceConflict,
    Stage,
    StepFinished,
    StepStarted,
    Terminal,
    ThinkingDelta,
    ThinkingFinished,
    ThinkingStarted,
    Timings,
    Unsupported,
    Usage,
    Version,
    Warned,
)
from rag_graph.query import Mode


@dataclass(slots=True)
class Written:
    """One version of the answer, as far as it has come."""

    started: bool = False
    finished: bool = False
    citations: list[Citation] = field(default_factory=list)
    unsupported: list[Unsupported] = field(default_factory=list)
    claims: list[ClaimStated] = field(default_factory=list)
    fates: list[ClaimFate] = field(default_factory=list)
    """What became of the claims of the version before, and which are new."""
    deltas: list[str] = field(default_factory=list)
    cut_by: CutBy = ""

    @property
    def content(self) -> str:
        return "".join(self.deltas)

    @property
    def open(self) -> bool:
        return self.started and not self.finished

    def void(self) -> None:
        self.citations.clear()
        self.unsupported.clear()
        self.claims.clear()
        self.fates.clear()
        self.deltas.clear()
        self.cut_by = ""


class Versions(dict[Version, Written]):
    """What was written, by version; one of which nothing was said yet is empty."""

    # Not kept: looking at a version must not make one, since `answers` tells which have begun.
    def __missing__(self, version: Version) -> Written:
        return Written()

    def begun(self, version: Version) -> Written:
        """The version to write to."""
        if version not in self:
            self[version] = Written()
        return self[version]


class StepRan(Fact):
    """When a node of the graph ran, and in a sentence what came of it."""

    step: str
    outcome: str
    started_ms: float
    finished_ms: float


@dataclass(slots=True)
class Transcript:
    """Everything the events so far have said; `add` is the only way it changes.

    Times are known only when the one who adds gives them.
    """

    run_id: str = ""
    question: str = ""
    mode: Mode = "fast"
    attempt: int = 1
    answers: Versions = field(default_factory=Versions)
    decision: Decided | None = None
    conflicts: list[SourceConflict] = field(default_factory=list)
    passages: dict[Stage, PassagesRetrieved] = field(default_factory=dict)
    thinking: dict[str, list[str]] = field(default_factory=dict)
    steps: list[StepRan] = field(default_factory=list)
    usage: list[Usage] = field(default_factory=list)
    warnings: list[Warned] = field(default_factory=list)
    terminal: Terminal | None = None
    _times: dict[str, float] = field(default_factory=dict, repr=False)
    _steps: dict[str, float] = field(default_factory=dict, repr=False)
    _thinkers: dict[str, float] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, events: Iterable[Event]) -> Self:
        transcript = cls()
        for event in events:
            transcript.add(event)
        return transcript

    @property
    def standing(self) -> Version:
        """The version people should read: a later one from its first word on, unless that was void."""
        return max((version for version, written in self.answers.items() if written.deltas), default=1)

    @property
    def answer(self) -> str:
        return self.answers[self.standing].content

    @property
    def citations(self) -> tuple[Citation, ...]:
        return tuple(self.answers[self.standing].citations)

    @property
    def cut_by(self) -> CutBy:
        """What kept the model from finishing the answer that stands."""
        return self.answers[self.standing].cut_by

    @property
    def timings(self) -> Timings:
        if isinstance(self.terminal, RunFinished):
            return self.terminal.timings
        return Timings(**self._times)

    def add(self, event: Event, *, at_ms: float | None = None) -> None:
        """Take the next event; `at_ms` counts from the start of the run."""
        match event:
            # Tokens first, as nearly all events are.
            case AnswerDelta():
                (self.answers.get(event.version) or self.answers.begun(event.version)).deltas.append(event.delta)
            case ThinkingDelta():
                self.thinking.setdefault(event.step, []).append(event.delta)
            case (
                AnswerStarted()
                | AnswerFinished()
                | AnswerReset()
                | Citation()
                | Unsupported()
                | ClaimStated()
                | ClaimFate()
            ):
                self._add_to_answer(event)
            case StepStarted() | StepFinished() | ThinkingStarted() | ThinkingFinished():
                self._add_progress(event, at_ms)
            case RunFinished() | RunFailed() | RunCancelled():
                self.terminal = event
            case _:
                self._add_fact(event)
        if at_ms is not None:
            self._note_time(event, at_ms)

    def closings(self, *, at_ms: float) -> list[Event]:
        """Return the events that finish what has started, innermost first."""
        thinking = [
            ThinkingFinished(step=step, seconds=round(max(0.0, at_ms - began_ms) / 1000, 3))
            for step, began_ms in reversed(self._thinkers.items())
        ]
        answers = [AnswerFinished(version=version) for version in self.open_versions]
        steps = [
            StepFinished(step=step, description="Stopped before its end.", at_ms=max(at_ms, began_ms))
            for step, began_ms in reversed(self._steps.items())
        ]
        return [*thinking, *answers, *steps]

    @property
    def open_versions(self) -> list[Version]:
        return [version for version, written in self.answers.items() if written.open]

    def _add_to_answer(
        self,
        event: AnswerStarted | AnswerFinished | AnswerReset | Citation | Unsupported | ClaimStated | ClaimFate,
    ) -> None:
        written = self.answers.begun(event.version)
        match event:
            case AnswerStarted():
                written.started, written.finished = True, False
            case AnswerFinished():
                written.finished = True
            case AnswerReset():
                written.void()
            case Citation():
                written.citations.append(event)
            case Unsupported():
                written.unsupported.append(event)
            case ClaimStated():
                written.claims.append(event)
            case ClaimFate():
                written.fates.append(event)

    def _add_progress(
        self,
        event: StepStarted | StepFinished | ThinkingStarted | ThinkingFinished,
        at_ms: float | None,
    ) -> None:
        match event:
            case StepStarted():
                self._steps[event.step] = event.at_ms
            case StepFinished():
                began_ms = self._steps.pop(event.step, event.at_ms)
                self.steps.append(
                    StepRan(step=event.step, outcome=event.description, started_ms=began_ms, finished_ms=event.at_ms)
                )
            case ThinkingStarted():
                self.thinking.setdefault(event.step, [])
                began_ms = at_ms if at_ms is not None else self._steps.get(event.step, 0.0)
                self._thinkers[event.step] = began_ms
            case ThinkingFinished():
                self._thinkers.pop(event.step, None)

    def _add_fact(self, event: RunStarted | PassagesRetrieved | SourceConflict | Decided | Usage | Warned) -> None:
        match event:
            case RunStarted():
                self.run_id, self.question, self.mode = event.run_id, event.question, event.mode
                self.attempt = event.attempt
            case PassagesRetrieved():
                self.passages[event.stage] = event
            case SourceConflict():
                if event not in self.conflicts:  # another attempt may find the same again
                    self.conflicts.append(event)
            case Decided():
                self.decision = event
            case Usage():
                self.usage.append(event)
            case Warned():
                self.warnings.append(event)
                # The warning of a cut comes while its version is open, and names none.
                for version in self.open_versions:
                    self.answers[version].cut_by = _CUTS.get(event.code, self.answers[version].cut_by)

    def _note_time(self, event: Event, at_ms: float) -> None:
        self._times.setdefault("first_event_ms", at_ms)
        match event:
            case AnswerDelta() if event.version > 1:
                self._times.setdefault("refinement_first_token_ms", at_ms)
            case AnswerFinished() if event.version > 1:
                pass
            case _ if type(event) in _MILESTONES:
                self._times.setdefault(_MILESTONES[type(event)], at_ms)


_CUTS: dict[str, CutBy] = {CUT_BY_LENGTH: "length", CUT_BY_FILTER: "filter"}
_MILESTONES: dict[type[Event], str] = {
    PassagesRetrieved: "first_passages_ms",
    ThinkingDelta: "first_thinking_ms",
    AnswerDelta: "first_token_ms",
    Citation: "first_citation_ms",
    AnswerFinished: "draft_ms",
    Decided: "decided_ms",
    RunFinished: "total_ms",
    RunFailed: "total_ms",
    RunCancelled: "total_ms",
}
