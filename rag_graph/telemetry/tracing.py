"""OpenTelemetry spans of runs, their steps and their model calls, and the metrics that its GenAI conventions name.

What is exported, and where to, is set by OpenTelemetry's own variables, such as OTEL_EXPORTER_OTLP_ENDPOINT.
"""

import os
from time import time_ns

from opentelemetry import propagate
from opentelemetry.context import Context, attach, detach
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import MeterProvider
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
    Decided,
    Event,
    RunCancelled,
    RunFailed,
    RunFinished,
    StepFinished,
    StepStarted,
    Usage,
)
from rag_graph.query import Mode
from rag_graph.runs.observer import Watch

_MS = 1_000_000


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
        self.duration = meter.create_histogram("gen_ai.client.operation.duration", unit="s")
        self.tokens = meter.create_histogram("gen_ai.client.token.usage", unit="{token}")
        self.first_token = meter.create_histogram("gen_ai.server.time_to_first_token", unit="s")
        self.refined = meter.create_counter("rag.decisions", description="Drafts kept or refined.")

    def watch(self, run_id: str, *, mode: Mode, attempt: int) -> Watch:
        return RunSpans(self, run_id, mode=mode, attempt=attempt)

    def reader_came(self, *, resumes: bool) -> None: ...

    def reader_left(self) -> None: ...

    joins = CallersTrace

    def close(self) -> None:
        """Export what is left."""
        for provider in self._providers:
            if isinstance(provider, SdkTracerProvider | SdkMeterProvider):
                provider.shutdown()


class RunSpans:
    """The spans of one attempt at a run; a model call lasts from its step's start, or the call before, to its end."""

    def __init__(self, tracing: Tracing, run_id: str, *, mode: Mode, attempt: int) -> None:
        self._tracing = tracing
        self._began_ns = time_ns()
        self._run = tracing.tracer.start_span(
            "rag.run",
            kind=SpanKind.SERVER,
            attributes={"rag.run_id": run_id, "rag.mode": mode, "rag.attempt": attempt},
        )
        self._context: Context = set_span_in_context(self._run)
        self._steps: dict[str, Span] = {}
        self._calls_since: dict[str, int] = {}
        self._has_token = False

    def hear(self, event: Event) -> None:
        match event:
            case AnswerDelta():
                if not self._has_token:
                    self._has_token = True
                    self._tracing.first_token.record((time_ns() - self._began_ns) / 1e9)
            case StepStarted():
                self._start(event)
            case StepFinished():
                self._finish(event)
            case Usage():
                self._call(event)
            case Decided():
                self._tracing.refined.add(1, {"rag.decision": event.decision, "rag.checked": event.checked})
                self._run.set_attribute("rag.decision", event.decision)
            case RunFailed():
                self._run.set_status(Status(StatusCode.ERROR, event.code))
            case RunCancelled():
                self._run.set_attribute("rag.cancelled_by", event.by)
            case RunFinished():
                self._run.set_attribute("rag.version", event.version)
            case _:
                pass

    def close(self) -> None:
        for span in self._steps.values():
            span.end()
        self._run.end()

    def _start(self, event: StepStarted) -> None:
        started_ns = self._began_ns + int(event.at_ms * _MS)
        self._calls_since[event.step] = started_ns
        self._steps[event.step] = self._tracing.tracer.start_span(
            f"rag.{event.step}", context=self._context, start_time=started_ns
        )

    def _finish(self, event: StepFinished) -> None:
        span = self._steps.pop(event.step, None)
        if span is not None:
            span.end(self._began_ns + int(event.at_ms * _MS))

    def _call(self, event: Usage) -> None:
        now_ns = time_ns()
        since_ns = self._calls_since.get(event.step, self._began_ns)
        self._calls_since[event.step] = now_ns
        named = {"gen_ai.operation.name": "chat", "gen_ai.request.model": event.model}
        step = self._steps.get(event.step)
        span = self._tracing.tracer.start_span(
            f"chat {event.model}",
            context=set_span_in_context(step) if step else self._context,
            kind=SpanKind.CLIENT,
            start_time=since_ns,
            attributes={
                **named,
                "gen_ai.usage.input_tokens": event.input_tokens,
                "gen_ai.usage.output_tokens": event.output_tokens,
            },
        )
        span.end(now_ns)
        self._tracing.duration.record((now_ns - since_ns) / 1e9, named)
        self._tracing.tokens.record(event.input_tokens, {**named, "gen_ai.token.type": "input"})
        self._tracing.tokens.record(event.output_tokens, {**named, "gen_ai.token.type": "output"})


def open_tracing() -> Tracing:
    """Export as OpenTelemetry's variables say."""
    resource = Resource.create({"service.name": os.environ.get("OTEL_SERVICE_NAME", "rag_graph")})
    tracers = SdkTracerProvider(resource=resource)
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    meters = SdkMeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())], resource=resource)
    return Tracing(tracers, meters)
