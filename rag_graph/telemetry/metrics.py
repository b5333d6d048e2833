"""Prometheus metrics of runs and readers."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final, get_args

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from rag_graph.events import (
    AnswerFinished,
    AnswerReset,
    ClaimFate,
    ClaimStated,
    Decided,
    Event,
    RunCancelled,
    RunFailed,
    RunFinished,
    Usage,
    Warned,
)
from rag_graph.query import Mode
from rag_graph.tasks import stop
from rag_graph.telemetry.timeline import First, ModelCall, RunExporter

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
SHARED_DIR: Final = "PROMETHEUS_MULTIPROC_DIR"
"""Where the processes of one server keep their numbers, so that any of them can tell those of all."""
MAX_MODELS: Final = 50
"""Names of models that are told apart; a server has four, and what each of them calls its versions."""
MAX_MODEL_CHARS: Final = 200
COUNT_EVERY_S = 2.0
"""How old the number of a process may be that another one tells."""
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160)
SHARES = (0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1)
GAP_SECONDS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1, 5)


class Metrics:
    """The metrics of one server, in a registry of their own. `fallback_model` is the name whose use counts as one."""

    def __init__(self, *, fallback_model: str = "") -> None:
        self.registry = registry = CollectorRegistry()
        self.fallback_model = fallback_model
        self._models: set[str] = set()

        def histogram(name: str, meaning: str, *labels: str, buckets: Sequence[float] = SECONDS) -> Histogram:
            return Histogram(name, meaning, labels, buckets=buckets, registry=registry)

        def counter(name: str, meaning: str, *labels: str) -> Counter:
            return Counter(name, meaning, labels, registry=registry)

        def gauge(name: str, meaning: str) -> Gauge:
            # Of the living workers: the file of one that has died keeps its last number.
            return Gauge(name, meaning, multiprocess_mode="livesum", registry=registry)

        whats = ", ".join(get_args(First))
        self.first = histogram("rag_first_seconds", f"From the start of a run to its first: {whats}.", "what", "mode")
        self.answer = histogram(
            "rag_answer_seconds", "From the start of a run to a whole version of its answer.", "version", "mode"
        )
        self.step = histogram("rag_step_seconds", "How long a node of the graph took.", "step")
        self.run = histogram("rag_run_seconds", "From the start of a run to its end.", "mode", "outcome")
        self.gap = histogram("rag_token_gap_seconds", "Between two pieces of an answer.", buckets=GAP_SECONDS)
        reasons = "Runs that ended; the reason is who cancelled or the code of the failure."
        self.ended = counter("rag_runs", reasons, "mode", "outcome", "reason")
        kinds = "Tokens that models took: input, output, and of those reasoning and cached."
        self.tokens = counter("rag_tokens", kinds, "model", "kind")
        decisions = "Drafts that were kept or refined, and whether the model was asked."
        self.decisions = counter("rag_decisions", decisions, "decision", "checked", "mode")
        fates = "What became of the sentences of answers when a later version replaced them."
        self.fates = counter("rag_claim_fates", fates, "fate", "mode")
        survived = "The share of a draft's words that stand in the version that replaced it."
        self.survived = histogram("rag_draft_survived_ratio", survived, "mode", buckets=SHARES)
        exposure = "How long sentences stood in a whole draft that were then corrected or withdrawn."
        self.exposure = histogram("rag_exposure_seconds", exposure, "fate", "mode")
        causes = "Texts that were void: the model broke off, or another server took over."
        self.resets = counter("rag_resets", causes, "cause")
        self.warnings = counter("rag_warnings", "What went less well than it should.", "code")
        self.fallbacks = counter("rag_fallbacks", "Calls that the fallback model answered.")
        self.takeovers = counter("rag_takeovers", "Runs taken over from another process.")
        self.resumes = counter("rag_resumes", "Readers that went on where they had stopped.")
        self.active = gauge("rag_runs_active", "Runs that go on.")
        self.waiting = gauge("rag_runs_waiting", "Questions that wait for their run to start.")
        self.readers = gauge("rag_readers", "Readers that follow a run.")
        self.tasks = gauge("rag_tasks", "Tasks of the event loop.")
        if SHARED_DIR in os.environ:
            Gauge("rag_worker", "The processes of this server.", multiprocess_mode="liveall", registry=registry).set(1)
        else:
            # Alone only: in the library's mode for several processes, collectors of this kind tell nothing.
            ProcessCollector(registry=registry)

    def export(self, run_id: str, *, mode: Mode, attempt: int) -> RunExporter:  # noqa: ARG002 - metrics name no run
        return RunMetrics(self, mode=mode, attempt=attempt)

    def model_label(self, named: str) -> str:
        """The model's name as a label. Services say it with each reply, so that it may be another each time."""
        if named not in self._models:
            if len(self._models) >= MAX_MODELS or len(named) > MAX_MODEL_CHARS:
                return "other"
            self._models.add(named)
        return named

    def reader_came(self, *, resumes: bool) -> None:
        self.readers.inc()
        if resumes:
            self.resumes.inc()

    def count(self, *, waiting: int) -> None:
        """Take the numbers that no event tells; called in the event loop."""
        self.waiting.set(waiting)
        self.tasks.set(len(asyncio.all_tasks()))

    @asynccontextmanager
    async def counting(self, waiting: Callable[[], int]) -> AsyncIterator[None]:
        """With several processes, count every so often: a scrape reaches one of them and is to tell of all."""
        if SHARED_DIR not in os.environ:
            yield
            return

        async def keep_counting() -> None:
            while True:
                self.count(waiting=waiting())
                await asyncio.sleep(COUNT_EVERY_S)

        counting = asyncio.create_task(keep_counting())
        try:
            yield
        finally:
            await stop(counting)

    def exposition(self) -> bytes:
        """Everything in Prometheus' text format; with several processes, their sums."""
        if SHARED_DIR not in os.environ:
            return generate_latest(self.registry)
        shared = CollectorRegistry()
        MultiProcessCollector(shared)  # type: ignore[no-untyped-call]  # it has no annotations
        return generate_latest(shared)


class RunMetrics(RunExporter):
    """Counts one attempt at a run."""

    def __init__(self, metrics: Metrics, *, mode: Mode, attempt: int) -> None:
        self._metrics = metrics
        self._mode = mode
        self._drafted: dict[str, tuple[int, float]] = {}
        """The claims of the draft: how many characters each has, and when it was told."""
        self._kept = 0
        metrics.active.inc()
        if attempt > 1:
            metrics.takeovers.inc()

    def first(self, what: First, at_s: float) -> None:
        self._metrics.first.labels(what, self._mode).observe(at_s)

    def gaps(self, seconds: Sequence[float]) -> None:
        observe = self._metrics.gap.observe
        for gap in seconds:
            observe(gap)

    def step_took(self, step: str, seconds: float) -> None:
        self._metrics.step.labels(step).observe(seconds)

    def called(self, call: ModelCall, usage: Usage, at_s: float) -> None:  # noqa: ARG002 - spans tell how long
        tokens, model = self._metrics.tokens, self._metrics.model_label(usage.model)
        tokens.labels(model, "input").inc(usage.input_tokens)
        tokens.labels(model, "output").inc(usage.output_tokens)
        tokens.labels(model, "reasoning").inc(usage.reasoning_tokens)
        tokens.labels(model, "cached").inc(usage.cached_tokens)
        if usage.model and usage.model == self._metrics.fallback_model:
            self._metrics.fallbacks.inc()

    def noted(self, event: Event, at_s: float) -> None:
        metrics = self._metrics
        match event:
            case ClaimStated() | ClaimFate():
                self._note_claim(event, at_s)
            case AnswerFinished():
                self._note_survival(event)
                metrics.answer.labels("draft" if event.version == 1 else "refined", self._mode).observe(at_s)
            case Decided():
                metrics.decisions.labels(event.decision, str(event.checked).lower(), self._mode).inc()
            case AnswerReset():
                self._kept = 0
                if event.version == 1:
                    self._drafted.clear()
                metrics.resets.labels("takeover" if event.attempt > 1 else "model").inc()
            case Warned():
                metrics.warnings.labels(event.code).inc()
            case RunFinished():
                self._end("finished", "", at_s)
            case RunFailed():
                self._end("failed", event.code, at_s)
            case RunCancelled():
                self._end("cancelled", event.by, at_s)
            case _:
                pass

    def closed(self, at_s: float, *, has_ended: bool) -> None:
        self._metrics.active.dec()
        if not has_ended:
            self._end("abandoned", "unread", at_s)

    def _note_claim(self, event: ClaimStated | ClaimFate, at_s: float) -> None:
        if isinstance(event, ClaimStated):
            if event.version == 1:
                self._drafted[event.claim] = (event.end - event.start, at_s)
            return
        self._metrics.fates.labels(event.fate, self._mode).inc()
        length, told_s = self._drafted.get(event.claim, (0, at_s))
        if event.fate in ("kept", "confirmed"):
            self._kept += length
        elif length:
            self._metrics.exposure.labels(event.fate, self._mode).observe(at_s - told_s)

    def _note_survival(self, event: AnswerFinished) -> None:
        drafted = sum(length for length, _ in self._drafted.values())
        if event.version > 1 and drafted:
            self._metrics.survived.labels(self._mode).observe(self._kept / drafted)
        self._kept = 0

    def _end(self, outcome: str, reason: str, at_s: float) -> None:
        self._metrics.ended.labels(self._mode, outcome, reason).inc()
        self._metrics.run.labels(self._mode, outcome).observe(at_s)
