"""OpenTelemetry spans of runs, their steps and their model calls, and the metrics that its GenAI conventions name.

What is exported, and where to, is set by OpenTelemetry's own variables, such as OTEL_EXPORTER_OTLP_ENDPOINT.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from threading import Thread
from time import monotonic, time_ns
from typing import ClassVar, Final

from opentelemetry import propagate
from opentelemetry.context import Context, attach, detach
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics import MeterProvider as SdkMeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider, set_span_in_context
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from rag_graph.events import (
    AnswerDelta,
    AnswerReset,
    Decided,
    Event,
    RunCancelled,
    RunFailed,
    RunFinished,
    StepFinished,
    StepStarted,
    ThinkingDelta,
    ThinkingFinished,
    ThinkingStarted,
    Usage,
    Version,
)
from rag_graph.query import Mode
from rag_graph.runs.observer import Watch

FAREWELL_S: Final = 5.0
"""A server that stops has drained its runs, and is killed if it takes much longer."""
_MS = 1_000_000
_WRITTEN_IN: Final[Mapping[Version, str]] = {1: "draft", 2: "refine"}
_CHAT: Final = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai"}
"""Of every call, by whomever it is answered: the provider is the one whose protocol is spoken."""

# The boundaries that the conventions advise.
_CALL_SECONDS = tuple(0.01 * 2**step for step in range(14))
_TOKENS = tuple(4**step for step in range(14))
_FIRST_TOKEN_SECONDS = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_TOKEN_SECONDS = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)


class CallersTrace:
    """Takes the `traceparent` of a request for the parent of what is done for it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        token = attach(propagate.extract(Headers(scope=scope)))
        try:
            await self._app(scope, receive, send)
        finally:
            detach(token)


class Tracing:
    """Makes a span for every run, joined to the caller's trace."""

    def __init__(self, tracers: TracerProvider, meters: MeterProvider) -> None:
        self._providers = (tracers, meters)
        self.tracer = tracers.get_tracer("rag_graph")
        meter = meters.get_meter("rag_graph")

        def histogram(name: str, unit: str, meaning: str, boundaries: Sequence[float]) -> Histogram:
            return meter.create_histogram(name, unit, meaning, explicit_bucket_boundaries_advisory=boundaries)

        self.duration = histogram(
            "gen_ai.client.operation.duration", "s", "How long a call of a model took.", _CALL_SECONDS
        )
        self.first_chunk = histogram(
            "gen_ai.client.operation.time_to_first_chunk", "s",
            "From a call of a model to the first piece of its reply.", _CALL_SECONDS,
        )  # fmt: skip
        self.chunk = histogram(
            "gen_ai.client.operation.time_per_output_chunk", "s",
            "Between two pieces of a model's reply.", _CALL_SECONDS,
        )  # fmt: skip
        self.tokens = histogram("gen_ai.client.token.usage", "{token}", "Tokens that a call of a model took.", _TOKENS)
        self.first_token = histogram(
            "gen_ai.server.time_to_first_token", "s",
            "From the start of a run to the first words of its answer.", _FIRST_TOKEN_SECONDS,
        )  # fmt: skip
        self.token = histogram(
            "gen_ai.server.time_per_output_token", "s",
            "How long a model took for each token after its first piece.", _TOKEN_SECONDS,
        )  # fmt: skip
        self.refined = meter.create_counter("rag.decisions", description="Drafts kept or refined.")

    def watch(self, run_id: str, *, mode: Mode, attempt: int) -> Watch:
        return RunSpans(self, run_id, mode=mode, attempt=attempt)

    def reader_came(self, *, resumes: bool) -> None: ...

    def reader_left(self) -> None: ...

    joins = CallersTrace

    def close(self, *, within_s: float = FAREWELL_S) -> None:
        """Export what is left. A collector that is not there is waited for no longer than this."""
        leaving = [
            Thread(target=provider.shutdown, name="telemetry-farewell", daemon=True)
            for provider in self._providers
            if isinstance(provider, SdkTracerProvider | SdkMeterProvider)
        ]
        for thread in leaving:
            thread.start()
        give_up_at = monotonic() + within_s
        for thread in leaving:
            thread.join(max(0.0, give_up_at - monotonic()))


@dataclass(slots=True)
class _Call:
    """A model call that goes on: since when, and when the pieces of its reply came, in nanoseconds.

    When the call behind a reply that replaces another began, no event says, so its pieces are not measured.
    """

    since: int
    replaces: bool = False
    pieces: list[int] = field(default_factory=list)

    @property
    def is_streamed(self) -> bool:
        """What came in one piece was not."""
        return len(self.pieces) > 1 and not self.replaces


class RunSpans:
    """The spans of one attempt at a run; a model call lasts from its step's start, or the call before, to its end.

    Whose a call was is said at its end, so its figures wait until then. What the pipeline itself writes into an
    answer before it asks a model, as the quotes before the embedded model's words, counts as a piece of the reply.
    """

    def __init__(self, tracing: Tracing, run_id: str, *, mode: Mode, attempt: int) -> None:
        self._tracing = tracing
        self._began_ns = time_ns()
        self._run = tracing.tracer.start_span(
            "rag.run",
            kind=SpanKind.SERVER,
            start_time=self._began_ns,
            attributes={"rag.run_id": run_id, "rag.mode": mode, "rag.attempt": attempt},
        )
        self._context: Context = set_span_in_context(self._run)
        self._steps: dict[str, Span] = {}
        self._calls: dict[str, _Call] = {}
        self._thinking: set[str] = set()
        self._has_token = False

    def on_event(self, event: Event) -> None:
        mark = self._marks.get(type(event))
        if mark is not None:
            mark(self, event)

    def close(self) -> None:
        for span in self._steps.values():
            span.end()
        self._run.end()

    def _step_started(self, event: StepStarted) -> None:
        started_ns = self._began_ns + int(event.at_ms * _MS)
        self._calls[event.step] = _Call(started_ns)
        self._steps[event.step] = self._tracing.tracer.start_span(
            f"rag.{event.step}", context=self._context, start_time=started_ns
        )

    def _step_finished(self, event: StepFinished) -> None:
        span = self._steps.pop(event.step, None)
        if span is not None:
            span.end(self._began_ns + int(event.at_ms * _MS))

    def _answer_began(self) -> None:
        self._has_token = True
        self._tracing.first_token.record((time_ns() - self._began_ns) / 1e9, _CHAT)

    def _delta(self, event: AnswerDelta) -> None:
        if not self._has_token:
            self._answer_began()
        self._calling(_WRITTEN_IN[event.version]).pieces.append(time_ns())

    def _reset(self, event: AnswerReset) -> None:
        step = _WRITTEN_IN[event.version]
        self._calls[step] = _Call(self._calling(step).since, replaces=True)

    def _thinking_started(self, event: ThinkingStarted) -> None:
        if event.thinker == "model":
            self._thinking.add(event.step)

    def _thought(self, event: ThinkingDelta) -> None:
        if event.step in self._thinking:
            self._calling(event.step).pieces.append(time_ns())

    def _thinking_finished(self, event: ThinkingFinished) -> None:
        self._thinking.discard(event.step)

    def _decided(self, event: Decided) -> None:
        self._tracing.refined.add(1, {"rag.decision": event.decision, "rag.checked": event.checked})
        self._run.set_attribute("rag.decision", event.decision)

    def _failed(self, event: RunFailed) -> None:
        self._run.set_status(Status(StatusCode.ERROR, event.code))

    def _cancelled(self, event: RunCancelled) -> None:
        self._run.set_attribute("rag.cancelled_by", event.by)

    def _finished(self, event: RunFinished) -> None:
        self._run.set_attribute("rag.version", event.version)

    def _calling(self, step: str) -> _Call:
        call = self._calls.get(step)
        if call is None:
            call = self._calls[step] = _Call(self._began_ns)
        return call

    def _used(self, event: Usage) -> None:
        now_ns = time_ns()
        call = self._calling(event.step)
        self._calls[event.step] = _Call(now_ns)
        named = {**_CHAT, "gen_ai.request.model": event.model}
        step = self._steps.get(event.step)
        span = self._tracing.tracer.start_span(
            f"chat {event.model}",
            context=set_span_in_context(step) if step else self._context,
            kind=SpanKind.CLIENT,
            start_time=call.since,
            attributes={
                **named,
                "gen_ai.usage.input_tokens": event.input_tokens,
                "gen_ai.usage.output_tokens": event.output_tokens,
            },
        )
        if call.is_streamed:
            span.set_attribute("gen_ai.response.time_to_first_chunk", (call.pieces[0] - call.since) / 1e9)
            self._measure_stream(call, event.output_tokens, named)
        span.end(now_ns)
        self._tracing.duration.record((now_ns - call.since) / 1e9, named)
        self._tracing.tokens.record(event.input_tokens, {**named, "gen_ai.token.type": "input"})
        self._tracing.tokens.record(event.output_tokens, {**named, "gen_ai.token.type": "output"})

    def _measure_stream(self, call: _Call, output_tokens: int, named: Mapping[str, str]) -> None:
        first, last = call.pieces[0], call.pieces[-1]
        self._tracing.first_chunk.record((first - call.since) / 1e9, named)
        for before, after in pairwise(call.pieces):
            self._tracing.chunk.record((after - before) / 1e9, named)
        if output_tokens > 1:
            self._tracing.token.record((last - first) / 1e9 / (output_tokens - 1), named)

    _marks: ClassVar[Mapping[type[Event], Callable[..., None]]] = {
        AnswerDelta: _delta,
        ThinkingStarted: _thinking_started,
        ThinkingDelta: _thought,
        ThinkingFinished: _thinking_finished,
        AnswerReset: _reset,
        StepStarted: _step_started,
        StepFinished: _step_finished,
        Usage: _used,
        Decided: _decided,
        RunFailed: _failed,
        RunCancelled: _cancelled,
        RunFinished: _finished,
    }


def open_tracing() -> Tracing:
    """Export as OpenTelemetry's variables say."""
    resource = Resource.create({"service.name": os.environ.get("OTEL_SERVICE_NAME", "rag_graph")})
    tracers = SdkTracerProvider(resource=resource, shutdown_on_exit=False)
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    meters = SdkMeterProvider(
        [PeriodicExportingMetricReader(OTLPMetricExporter())], resource=resource, shutdown_on_exit=False
    )
    return Tracing(tracers, meters)
