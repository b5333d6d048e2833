"""Prometheus metrics of runs and readers; one dictionary look-up is all that an event without a meaning here costs."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from time import perf_counter
from typing import ClassVar, Final

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
    AnswerDelta,
    AnswerFinished,
    AnswerReset,
    AnswerStarted,
    Citation,
    Decided,
    Event,
    PassagesRetrieved,
    RunCancelled,
    RunFailed,
    RunFinished,
    StepFinished,
    StepStarted,
    ThinkingDelta,
    Usage,
    Warned,
)
from rag_graph.query import Mode
from rag_graph.runs.observer import Watch
from rag_graph.tasks import stop

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
SHARED_DIR: Final = "PROMETHEUS_MULTIPROC_DIR"
"""Where the processes of one server keep their numbers, so that any of them can tell those of all."""
COUNT_EVERY_S = 2.0
"""How old the number of a process may be that another one tells."""
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160)
GAP_SECONDS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1, 5)


class Metrics:
    """The metrics of one server, in a registry of their own. `fallback_model` is the name whose use counts as one."""

    def __init__(self, *, fallback_model: str = "") -> None:
        registry = CollectorRegistry()
        self.registry = registry
        self.fallback_model = fallback_model
        self.first = Histogram(
            "rag_first_seconds",
            "From the start of a run to its first: status, passages, thinking, token, citation, refined_token.",
            ["what", "mode"], buckets=SECONDS, registry=registry,
        )  # fmt: skip
        self.answer = Histogram(
            "rag_answer_seconds", "From the start of a run to a whole version of its answer.",
            ["version", "mode"], buckets=SECONDS, registry=registry,
        )  # fmt: skip
        self.step = Histogram(
            "rag_step_seconds", "How long a node of the graph took.", ["step"], buckets=SECONDS, registry=registry
        )
        self.run = Histogram(
            "rag_run_seconds", "From the start of a run to its end.",
            ["mode", "outcome"], buckets=SECONDS, registry=registry,
        )  # fmt: skip
        self.gap = Histogram(
            "rag_token_gap_seconds", "Between two pieces of an answer.", buckets=GAP_SECONDS, registry=registry
        )
        self.ended = Counter(
            "rag_runs", "Runs that ended; the reason is who cancelled or the code of the failure.",
            ["mode", "outcome", "reason"], registry=registry,
        )  # fmt: skip
        self.tokens = Counter(
            "rag_tokens", "Tokens that models took: input, output, and of those reasoning and cached.",
            ["model", "kind"], registry=registry,
        )  # fmt: skip
        self.decisions = Counter(
            "rag_decisions", "Drafts that were kept or refined, and whether the model was asked.",
            ["decision", "checked", "mode"], registry=registry,
        )  # fmt: skip
        self.resets = Counter(
            "rag_resets", "Texts that were void: the model broke off, or another server took over.",
            ["cause"], registry=registry,
        )  # fmt: skip
        self.warnings = Counter("rag_warnings", "What went less well than it should.", ["code"], registry=registry)
        self.fallbacks = Counter("rag_fallbacks", "Calls that the fallback model answered.", registry=registry)
        self.takeovers = Counter("rag_takeovers", "Runs taken over from another process.", registry=registry)
        self.resumes = Counter("rag_resumes", "Readers that went on where they had stopped.", registry=registry)
        self.active = self._gauge("rag_runs_active", "Runs that go on.")
        self.waiting = self._gauge("rag_runs_waiting", "Questions that wait for their run to start.")
        self.readers = self._gauge("rag_readers", "Readers that follow a run.")
        self.tasks = self._gauge("rag_tasks", "Tasks of the event loop.")
        if SHARED_DIR in os.environ:
            Gauge("rag_worker", "The processes of this server.", multiprocess_mode="liveall", registry=registry).set(1)
        else:
            ProcessCollector(registry=registry)

    def watch(self, run_id: str, *, mode: Mode, attempt: int) -> Watch:  # noqa: ARG002 - metrics name no run
        return RunMetrics(self, mode=mode, attempt=attempt)

    def reader_came(self, *, resumes: bool) -> None:
        self.readers.inc()
        if resumes:
            self.resumes.inc()

    def reader_left(self) -> None:
        self.readers.dec()

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
        counting = asyncio.create_task(self._keep_counting(waiting))
        try:
            yield
        finally:
            await stop(counting)

    async def _keep_counting(self, waiting: Callable[[], int]) -> None:
        while True:
            self.count(waiting=waiting())
            await asyncio.sleep(COUNT_EVERY_S)

    def exposition(self) -> bytes:
        """Everything in Prometheus' text format; with several processes, their sums."""
        if SHARED_DIR not in os.environ:
            return generate_latest(self.registry)
        shared = CollectorRegistry()
        MultiProcessCollector(shared)  # type: ignore[no-untyped-call]  # it has no annotations
        return generate_latest(shared)

    def _gauge(self, name: str, meaning: str) -> Gauge:
        return Gauge(name, meaning, multiprocess_mode="livesum", registry=self.registry)


class RunMetrics:
    """Measures one attempt at a run."""

    __slots__ = ("_began", "_ended", "_last", "_metrics", "_mode", "_seen", "_steps")

    def __init__(self, metrics: Metrics, *, mode: Mode, attempt: int) -> None:
        self._metrics = metrics
        self._mode = mode
        self._began = perf_counter()
        self._last = 0.0
        self._seen: set[str] = set()
        self._steps: dict[str, float] = {}
        self._ended = False
        metrics.active.inc()
        if attempt > 1:
            metrics.takeovers.inc()

    def on_event(self, event: Event) -> None:
        measure = self._measures.get(type(event))
        if measure is not None:
            measure(self, event)

    def close(self) -> None:
        self._metrics.active.dec()
        if not self._ended:
            self._end("abandoned", "unread")

    def _delta(self, event: AnswerDelta) -> None:
        now = perf_counter()
        if self._last:
            self._metrics.gap.observe(now - self._last)
        else:
            self._first("token" if event.version == 1 else "refined_token")
        self._last = now

    def _first(self, what: str) -> None:
        if what not in self._seen:
            self._seen.add(what)
            self._metrics.first.labels(what, self._mode).observe(perf_counter() - self._began)

    def _step_started(self, event: StepStarted) -> None:
        self._first("status")
        self._steps[event.step] = event.at_ms

    def _step_finished(self, event: StepFinished) -> None:
        started = self._steps.pop(event.step, None)
        if started is not None:
            self._metrics.step.labels(event.step).observe((event.at_ms - started) / 1000)

    def _passages(self, _: PassagesRetrieved) -> None:
        self._first("passages")

    def _thinking(self, _: ThinkingDelta) -> None:
        if "thinking" not in self._seen:
            self._first("thinking")

    def _citation(self, _: Citation) -> None:
        self._first("citation")

    def _version_started(self, _: AnswerStarted) -> None:
        self._last = 0.0

    def _version_finished(self, event: AnswerFinished) -> None:
        self._last = 0.0
        version = "draft" if event.version == 1 else "refined"
        self._metrics.answer.labels(version, self._mode).observe(perf_counter() - self._began)

    def _decided(self, event: Decided) -> None:
        self._metrics.decisions.labels(event.decision, str(event.checked).lower(), self._mode).inc()

    def _reset(self, event: AnswerReset) -> None:
        self._last = 0.0
        self._metrics.resets.labels("takeover" if event.attempt > 1 else "model").inc()

    def _warned(self, event: Warned) -> None:
        self._metrics.warnings.labels(event.code).inc()

    def _usage(self, event: Usage) -> None:
        tokens = self._metrics.tokens
        tokens.labels(event.model, "input").inc(event.input_tokens)
        tokens.labels(event.model, "output").inc(event.output_tokens)
        tokens.labels(event.model, "reasoning").inc(event.reasoning_tokens)
        tokens.labels(event.model, "cached").inc(event.cached_tokens)
        if event.model and event.model == self._metrics.fallback_model:
            self._metrics.fallbacks.inc()

    def _finished(self, _: RunFinished) -> None:
        self._end("finished", "")

    def _failed(self, event: RunFailed) -> None:
        self._end("failed", event.code)

    def _cancelled(self, event: RunCancelled) -> None:
        self._end("cancelled", event.by)

    def _end(self, outcome: str, reason: str) -> None:
        self._ended = True
        self._metrics.ended.labels(self._mode, outcome, reason).inc()
        self._metrics.run.labels(self._mode, outcome).observe(perf_counter() - self._began)

    _measures: ClassVar[Mapping[type[Event], Callable[..., None]]] = {
        AnswerDelta: _delta,
        ThinkingDelta: _thinking,
        StepStarted: _step_started,
        StepFinished: _step_finished,
        PassagesRetrieved: _passages,
        Citation: _citation,
        AnswerStarted: _version_started,
        AnswerFinished: _version_finished,
        AnswerReset: _reset,
        Decided: _decided,
        Warned: _warned,
        Usage: _usage,
        RunFinished: _finished,
        RunFailed: _failed,
        RunCancelled: _cancelled,
    }
