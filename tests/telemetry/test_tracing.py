"""Spans and GenAI metrics, as OpenTelemetry's own in-memory exporters receive them."""

import pytest
from opentelemetry import propagate
from opentelemetry.context import attach, detach
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from rag_graph.events import AnswerDelta, Decided, RunFailed, StepFinished, StepStarted, Usage
from rag_graph.telemetry.tracing import Tracing

TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def meters() -> InMemoryMetricReader:
    return InMemoryMetricReader()


@pytest.fixture
def tracing(spans: InMemorySpanExporter, meters: InMemoryMetricReader) -> Tracing:
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    return Tracing(tracers, MeterProvider([meters]))


def test_steps_and_model_calls_are_spans_of_the_callers_trace(tracing: Tracing, spans: InMemorySpanExporter) -> None:
    token = attach(propagate.extract({"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}))
    watch = tracing.watch("01RUN", mode="fast", attempt=1)
    detach(token)
    for event in (
        StepStarted(step="draft", description="", at_ms=10),
        AnswerDelta(version=1, delta="Hello"),
        Usage(step="draft", model="m", input_tokens=7, output_tokens=2),
        StepFinished(step="draft", description="", at_ms=30),
        Decided(decision="keep", checked=True, reason=""),
        RunFailed(code="model_stalled", message="", retryable=True),
    ):
        watch.hear(event)
    watch.close()

    named = {span.name: span for span in spans.get_finished_spans()}
    run, draft, call = named["rag.run"], named["rag.draft"], named["chat m"]
    assert {f"{span.context.trace_id:032x}" for span in named.values() if span.context} == {TRACE}
    assert draft.parent
    assert run.context
    assert draft.parent.span_id == run.context.span_id
    assert call.parent
    assert draft.context
    assert call.parent.span_id == draft.context.span_id
    assert draft.start_time
    assert draft.end_time
    assert draft.end_time - draft.start_time == 20_000_000
    assert call.attributes
    assert call.attributes["gen_ai.usage.input_tokens"] == 7
    assert run.attributes
    assert run.attributes["rag.run_id"] == "01RUN"
    assert not run.status.is_ok


def test_metrics_have_the_names_of_the_conventions(tracing: Tracing, meters: InMemoryMetricReader) -> None:
    watch = tracing.watch("01RUN", mode="fast", attempt=1)
    watch.hear(AnswerDelta(version=1, delta="Hello"))
    watch.hear(Usage(step="draft", model="m", input_tokens=7, output_tokens=2))
    watch.close()
    data = meters.get_metrics_data()
    assert data
    names = {
        metric.name for found in data.resource_metrics for scope in found.scope_metrics for metric in scope.metrics
    }
    assert names == {
        "gen_ai.client.operation.duration",
        "gen_ai.client.token.usage",
        "gen_ai.server.time_to_first_token",
    }
