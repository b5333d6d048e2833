"""Exported traces, held to the conventions that viewers read them by, as their packages name them."""

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes

from rag_graph.telemetry.timeline import RunTimeline
from rag_graph.telemetry.tracing import Tracing
from tests.http.recorded import DRAFT, KEEPS, QUESTION

phoenix = pytest.importorskip("openinference.semconv.trace", reason="needs openinference-semantic-conventions")


def test_every_attribute_is_named_as_a_convention_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spans = InMemorySpanExporter()
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true")
    watch = RunTimeline([Tracing(tracers, MeterProvider()).export("01RUN", mode="fast", attempt=1)])
    for event in KEEPS:
        watch.on_event(event)
    watch.close()
    finished = spans.get_finished_spans()
    known = {value for value in vars(gen_ai_attributes).values() if isinstance(value, str)}
    known |= {value for value in vars(phoenix.SpanAttributes).values() if isinstance(value, str)}
    known |= {
        f"{phoenix.SpanAttributes.RETRIEVAL_DOCUMENTS}.0.{name}" for name in vars(phoenix.DocumentAttributes).values()
    }
    used = {name.replace(".1.", ".0.") for span in finished for name in span.attributes or {}}
    assert {name for name in used - known if not name.startswith("rag.")} == set()
    kinds = {
        span.name: dict(span.attributes or {}).get(phoenix.SpanAttributes.OPENINFERENCE_SPAN_KIND) for span in finished
    }
    assert kinds["rag.run"] == kinds["rag.draft"] == phoenix.OpenInferenceSpanKindValues.CHAIN.value
    assert kinds["retrieval rag_graph"] == phoenix.OpenInferenceSpanKindValues.RETRIEVER.value
    assert kinds["chat small"] == phoenix.OpenInferenceSpanKindValues.LLM.value
    [call] = [dict(span.attributes or {}) for span in finished if span.name == "chat small"]
    assert (call[phoenix.SpanAttributes.LLM_MODEL_NAME], call[phoenix.SpanAttributes.LLM_TOKEN_COUNT_TOTAL]) == (
        "small",
        120,
    )
    [run] = [dict(span.attributes or {}) for span in finished if span.name == "rag.run"]
    assert (run[phoenix.SpanAttributes.INPUT_VALUE], run[phoenix.SpanAttributes.OUTPUT_VALUE]) == (QUESTION, DRAFT)
