"""A run's events folded into what is measured: what began when, first words, gaps, calls of models, the end.

Whoever exports is told of each once it is known, so that neither Prometheus nor OpenTelemetry reads events themselves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from time import perf_counter
from typing import Final, Literal

from rag_graph.events import (
    AnswerDelta,
    AnswerFinished,
    AnswerReset,
    AnswerStarted,
    Citation,
    Event,
    PassagesRetrieved,
    StepFinished,
    StepStarted,
    Terminal,
    ThinkingDelta,
    ThinkingFinished,
    ThinkingStarted,
    Usage,
)

First = Literal["status", "passages", "thinking", "token", "citation", "refined_token"]

_FIRSTS: Final[Mapping[type[Event], First]] = {
    StepStarted: "status",
    PassagesRetrieved: "passages",
    Citation: "citation",
}
GAPS_AT_ONCE: Final = 64
"""A token costs two list entries; its gap is told with others. So many take an exporter less than a millisecond."""


@dataclass(slots=True)
class ModelCall:
    """A call of a model, and when the pieces of its reply came; seconds since the attempt began.

    It lasts from its step's start, or the call before, to its end, for no event says when a call begins. When the call
    behind a reply that `replaces` another began is therefore unknown. What a writer itself writes into an answer before
    it asks a model counts as a piece of the reply.
    """

    began_s: float
    replaces: bool = False
    pieces: list[float] = field(default_factory=list)

    @property
    def is_streamed(self) -> bool:
        """What came in one piece was not."""
        return len(self.pieces) > 1 and not self.replaces


class RunExporter:
    """What is made of one attempt at a run. Times are seconds since it began; each method does nothing by itself."""

    def first(self, what: First, at_s: float) -> None: ...

    def gaps(self, seconds: Sequence[float]) -> None:
        """Between pieces of one answer, many at a time."""

    def step_took(self, step: str, seconds: float) -> None: ...

    def called(self, call: ModelCall, usage: Usage, at_s: float) -> None:
        """A call of a model ended; only now it is known which model's it was."""

    def noted(self, event: Event, at_s: float) -> None:
        """Any event but a piece of an answer or of thinking."""

    def closed(self, at_s: float, *, has_ended: bool) -> None:
        """The attempt is over, with or without a terminal event."""


class RunTimeline:
    """Folds the events of one attempt, as they are recorded. A token must cost next to nothing."""

    __slots__ = ("_began", "_calls", "_exporters", "_has_ended", "_said", "_seen", "_steps", "_thinking")

    def __init__(self, exporters: Sequence[RunExporter]) -> None:
        self._exporters = exporters
        self._began = perf_counter()
        self._seen: set[First] = set()
        self._steps: dict[str, float] = {}
        self._calls: dict[str, ModelCall] = {}
        self._thinking: set[str] = set()
        """Steps in which a model thinks, not the pipeline."""
        self._said: list[float] = []
        """When the pieces of the answer came whose gaps are not told yet."""
        self._has_ended = False

    def on_event(self, event: Event) -> None:
        at_s = perf_counter() - self._began
        # Tokens first, as nearly all events are.
        if isinstance(event, AnswerDelta):
            said = self._said
            if not said:
                self._first("token" if event.version == 1 else "refined_token", at_s)
            elif len(said) == GAPS_AT_ONCE:
                self._tell_gaps(goes_on=True)
                said = self._said
            said.append(at_s)
            step = "draft" if event.version == 1 else "refine"
            call = self._calls.get(step) or self._call(step)
            call.pieces.append(at_s)
        elif isinstance(event, ThinkingDelta):
            if "thinking" not in self._seen:
                self._first("thinking", at_s)
            if event.step in self._thinking:
                self._call(event.step).pieces.append(at_s)
        else:
            self._note(event, at_s)

    def close(self) -> None:
        self._tell_gaps()
        for exporter in self._exporters:
            exporter.closed(perf_counter() - self._began, has_ended=self._has_ended)

    def _note(self, event: Event, at_s: float) -> None:
        """Take what comes once or some times in a run, and pass it on."""
        if what := _FIRSTS.get(type(event)):
            self._first(what, at_s)
        if isinstance(event, AnswerStarted | AnswerFinished | AnswerReset):
            self._tell_gaps()  # nobody waits for a token between two versions, nor for the first of one
        self._has_ended |= isinstance(event, Terminal)
        self._track(event, at_s)
        for exporter in self._exporters:
            exporter.noted(event, at_s)

    def _track(self, event: Event, at_s: float) -> None:
        """Keep which steps, thoughts and calls of models go on."""
        match event:
            case StepStarted():
                self._steps[event.step] = event.at_ms
                self._calls[event.step] = ModelCall(event.at_ms / 1000)
            case StepFinished() if event.step in self._steps:
                began_ms = self._steps.pop(event.step)
                for exporter in self._exporters:
                    exporter.step_took(event.step, (event.at_ms - began_ms) / 1000)
            case ThinkingStarted(thinker="model"):
                self._thinking.add(event.step)
            case ThinkingFinished():
                self._thinking.discard(event.step)
            case AnswerReset():
                step = "draft" if event.version == 1 else "refine"
                self._calls[step] = ModelCall(self._call(step).began_s, replaces=True)
            case Usage():
                call, self._calls[event.step] = self._call(event.step), ModelCall(at_s)
                for exporter in self._exporters:
                    exporter.called(call, event, at_s)
            case _:
                pass

    def _call(self, step: str) -> ModelCall:
        return self._calls.setdefault(step, ModelCall(0.0))

    def _first(self, what: First, at_s: float) -> None:
        if what not in self._seen:
            self._seen.add(what)
            for exporter in self._exporters:
                exporter.first(what, at_s)

    def _tell_gaps(self, *, goes_on: bool = False) -> None:
        said = self._said
        self._said = said[-1:] if goes_on else []
        if len(said) > 1:
            seconds = [later - earlier for earlier, later in pairwise(said)]
            for exporter in self._exporters:
                exporter.gaps(seconds)
