"""Spans and GenAI metrics, as OpenTelemetry's own in-memory exporters receive them."""

import pytest
from opentelemetry import propagate
from opentelemetry.context import attach, detach
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, Metric
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from rag_graph.events import (
    AnswerDelta,
    AnswerReset,
    Decided,
    Event,
    PassagesRetrieved,
    RunFailed,
    RunStarted,
    StepFinished,
    StepStarted,
    ThinkingDelta,
    ThinkingFinished,
    ThinkingStarted,
    Usage,
)
from rag_graph.telemetry.timeline import RunTimeline
from rag_graph.telemetry.tracing import Tracing
from tests.http.recorded import EIFFEL

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
    watch = watched(tracing)
    detach(token)
    for event in (
        StepStarted(step="draft", description="", at_ms=10),
        AnswerDelta(version=1, delta="Hello"),
        Usage(step="draft", model="m", input_tokens=7, output_tokens=2),
        StepFinished(step="draft", description="", at_ms=30),
        Decided(decision="keep", checked=True, reason=""),
        RunFailed(code="model_stalled", message="", retryable=True),
    ):
        watch.on_event(event)
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


@pytest.mark.parametrize("tells", [False, True], ids=["without content", "with content"])
def test_a_search_is_a_retrieval_span_that_tells_content_only_where_that_is_asked_for(
    tracing: Tracing, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch, *, tells: bool
) -> None:
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", str(tells))
    watch = watched(tracing)
    for event in (
        RunStarted(run_id="01RUN", question="How tall?", mode="fast"),
        StepStarted(step="fast_retrieve", description="", at_ms=10),
        PassagesRetrieved(stage="fast", passages=(EIFFEL,)),
        StepFinished(step="fast_retrieve", description="", at_ms=30),
    ):
        watch.on_event(event)
    watch.close()
    named = {span.name: span for span in spans.get_finished_spans()}
    search, step = named["retrieval rag_graph"], named["rag.fast_retrieve"]
    assert search.parent
    assert step.context
    assert search.parent.span_id == step.context.span_id
    assert search.start_time == step.start_time
    told = dict(search.attributes or {})
    assert told["gen_ai.operation.name"] == "retrieval"
    assert told["openinference.span.kind"] == "RETRIEVER"
    assert told["retrieval.documents.0.document.id"] == EIFFEL.document
    assert told["retrieval.documents.0.document.score"] == EIFFEL.score
    assert told.get("retrieval.documents.0.document.content") == (EIFFEL.content if tells else None)
    assert told.get("input.value") == told.get("gen_ai.retrieval.query.text") == ("How tall?" if tells else None)


def test_metrics_have_the_names_units_and_boundaries_of_the_conventions(
    tracing: Tracing, meters: InMemoryMetricReader
) -> None:
    watch = watched(tracing)
    watch.on_event(AnswerDelta(version=1, delta="Hello"))
    watch.on_event(AnswerDelta(version=1, delta=" you"))
    watch.on_event(Usage(step="draft", model="m", input_tokens=7, output_tokens=2))
    watch.close()
    found = measured(meters)
    assert {name: metric.unit for name, metric in found.items()} == {
        "gen_ai.client.operation.duration": "s",
        "gen_ai.client.operation.time_to_first_chunk": "s",
        "gen_ai.client.operation.time_per_output_chunk": "s",
        "gen_ai.client.token.usage": "{token}",
        "gen_ai.server.time_to_first_token": "s",
        "gen_ai.server.time_per_output_token": "s",
    }
    calls = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
    for name in ("duration", "time_to_first_chunk", "time_per_output_chunk"):
        [point] = points(found, f"gen_ai.client.operation.{name}")
        assert point.explicit_bounds == calls
        assert point.attributes == {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "m",
        }


def test_the_pieces_of_each_call_are_measured_under_its_model(tracing: Tracing, meters: InMemoryMetricReader) -> None:
    watch = watched(tracing)
    told: list[Event] = [
        StepStarted(step="draft", description="", at_ms=0),
        *(AnswerDelta(version=1, delta="word ") for _ in range(4)),
        StepStarted(step="deep_retrieve", description="", at_ms=0),
        ThinkingStarted(step="deep_retrieve", thinker="model"),
        *(ThinkingDelta(step="deep_retrieve", delta="hm ") for _ in range(3)),
        ThinkingFinished(step="deep_retrieve", seconds=0),
        Usage(step="draft", model="quick", input_tokens=7, output_tokens=4),
        Usage(step="deep_retrieve", model="slow", input_tokens=7, output_tokens=3),
    ]
    for event in told:
        watch.on_event(event)
    watch.close()
    found = measured(meters)
    assert counts(found, "gen_ai.client.operation.time_to_first_chunk") == {"quick": 1, "slow": 1}
    assert counts(found, "gen_ai.client.operation.time_per_output_chunk") == {"quick": 3, "slow": 2}
    assert counts(found, "gen_ai.server.time_per_output_token") == {"quick": 1, "slow": 1}
    [first] = points(found, "gen_ai.server.time_to_first_token")
    assert first.count == 1


@pytest.mark.parametrize(
    "told",
    [
        [AnswerDelta(version=1, delta="in one piece")],
        [
            AnswerDelta(version=1, delta="one "),
            AnswerDelta(version=1, delta="two "),
            AnswerReset(version=1, attempt=1, reason=""),
            AnswerDelta(version=1, delta="from "),
            AnswerDelta(version=1, delta="another model"),
        ],
        [
            ThinkingStarted(step="draft", thinker="pipeline"),
            ThinkingDelta(step="draft", delta="Reading.\n"),
            ThinkingFinished(step="draft", seconds=0),
            AnswerDelta(version=1, delta="in one piece"),
        ],
    ],
    ids=["a whole reply", "a reply that replaces another", "what the pipeline tells of itself"],
)
def test_what_did_not_stream_from_one_call_has_no_pieces(
    told: list[Event], tracing: Tracing, meters: InMemoryMetricReader
) -> None:
    watch = watched(tracing)
    watch.on_event(StepStarted(step="draft", description="", at_ms=0))
    for event in told:
        watch.on_event(event)
    watch.on_event(Usage(step="draft", model="m", input_tokens=7, output_tokens=9))
    watch.close()
    assert not {
        name for name in measured(meters) if name.startswith("gen_ai.") and ("chunk" in name or "output" in name)
    }


def watched(tracing: Tracing) -> RunTimeline:
    return RunTimeline([tracing.export("01RUN", mode="fast", attempt=1)])


def measured(meters: InMemoryMetricReader) -> dict[str, Metric]:
    data = meters.get_metrics_data()
    assert data
    return {
        metric.name: metric
        for found in data.resource_metrics
        for scope in found.scope_metrics
        for metric in scope.metrics
    }


def points(found: dict[str, Metric], name: str) -> list[HistogramDataPoint]:
    return [point for point in found[name].data.data_points if isinstance(point, HistogramDataPoint)]


def counts(found: dict[str, Metric], name: str) -> dict[str, int]:
    """How often each model was measured."""
    return {str((point.attributes or {})["gen_ai.request.model"]): point.count for point in points(found, name)}
