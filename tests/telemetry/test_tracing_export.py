"""What a collector receives, over OTLP, from a server in a process of its own."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from rag_graph.telemetry.tracing import open_tracing
from tests.servers import QUESTION, Serve, events_of
from tests.servers import more_towers as _more_towers
from tests.servers import spawn as _spawn
from tests.upstream import WITHIN_S, Upstream, refused_url

more_towers, spawn = _more_towers, _spawn

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"
REVIEWED = "Do they change the answer"
MODEL_KEY, SERVER_KEY = "sk-of-the-model", "key-of-the-server"


@dataclass
class Collector:
    """Takes what is exported, as OTLP over HTTP says."""

    url: str
    bodies: list[bytes] = field(default_factory=list)
    spans: dict[str, Span] = field(default_factory=dict)
    metrics: dict[str, Metric] = field(default_factory=dict)
    services: set[str] = field(default_factory=set)

    def take(self, path: str, body: bytes) -> None:
        """Keep what was sent; the last metric of a name and the last span of a name stay."""
        self.bodies.append(body)
        if path == "/v1/traces":
            for sent in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.services |= {a.value.string_value for a in sent.resource.attributes if a.key == "service.name"}
                self.spans |= {span.name: span for scope in sent.scope_spans for span in scope.spans}
            return
        assert path == "/v1/metrics"
        for measured in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            self.metrics |= {metric.name: metric for scope in measured.scope_metrics for metric in scope.metrics}


@pytest.fixture
def collector() -> Iterator[Collector]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.headers["content-type"] == "application/x-protobuf"
            taken.take(self.path, self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        taken = Collector(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, name="collector")
        thread.start()
        yield taken
        server.shutdown()
        thread.join(WITHIN_S)


@pytest.fixture
def exported(collector: Collector, spawn: Serve, upstream: Upstream, more_towers: object) -> Collector:
    """What has arrived once a server has answered a question, with a refinement, and was stopped."""
    upstream.say("REFINE: more is known", when=REVIEWED)
    upstream.otherwise.pace_s = 0.01
    server = spawn(
        RAG_DATA_DIR=str(more_towers),
        RAG_CHAT_API_KEY=MODEL_KEY,
        RAG_API_KEYS=SERVER_KEY,
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        OTEL_SERVICE_NAME="towers",
    )
    response = server.ask(traceparent=f"00-{TRACE}-{CALLER}-01", authorization=f"Bearer {SERVER_KEY}")
    assert events_of(response)[-1].type == "run_finished"
    assert server.process
    server.process.terminate()
    server.process.wait(WITHIN_S)
    return collector


def test_what_a_server_did_arrives_at_a_collector_when_it_stops(exported: Collector) -> None:
    assert exported.services == {"towers"}
    joined_to_the_callers_trace(exported.spans)
    named_as_the_conventions_say(exported.metrics)
    without_keys_and_words(b"".join(exported.bodies))


def test_a_collector_that_is_not_there_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", refused_url())
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "600")
    tracing = open_tracing()
    tracing.export("01RUN", mode="fast", attempt=1).closed(0.0, has_ended=False)
    began = time.monotonic()
    tracing.close(within_s=0.2)
    assert time.monotonic() - began < WITHIN_S  # the exporter alone would try for ten minutes


def joined_to_the_callers_trace(spans: dict[str, Span]) -> None:
    assert {span.trace_id.hex() for span in spans.values()} == {TRACE}
    run = spans["rag.run"]
    assert run.parent_span_id.hex() == CALLER
    steps = {name: span for name, span in spans.items() if name.startswith("rag.") and span is not run}
    assert set(steps) == {"rag.fast_retrieve", "rag.draft", "rag.deep_retrieve", "rag.decide", "rag.refine"}
    assert {span.parent_span_id for span in steps.values()} == {run.span_id}
    assert spans["chat scripted"].parent_span_id == steps["rag.refine"].span_id
    assert all(run.start_time_unix_nano <= step.start_time_unix_nano for step in steps.values())
    assert all(step.end_time_unix_nano <= run.end_time_unix_nano for step in steps.values())


def named_as_the_conventions_say(metrics: dict[str, Metric]) -> None:
    measured = {name: metric for name, metric in metrics.items() if name.startswith("gen_ai.")}
    assert {name: metric.unit for name, metric in measured.items()} == {
        "gen_ai.client.operation.duration": "s",
        "gen_ai.client.operation.time_to_first_chunk": "s",
        "gen_ai.client.operation.time_per_output_chunk": "s",
        "gen_ai.client.token.usage": "{token}",
        "gen_ai.server.time_to_first_token": "s",
        "gen_ai.server.time_per_output_token": "s",
    }
    assert calls(measured["gen_ai.client.operation.duration"]) == {"scripted": 3}
    assert calls(measured["gen_ai.client.operation.time_to_first_chunk"]) == {"scripted": 2}


def calls(metric: Metric) -> dict[str, int]:
    """How many calls of each model were measured."""
    return {
        item.value.string_value: point.count
        for point in metric.histogram.data_points
        for item in point.attributes
        if item.key == "gen_ai.request.model"
    }


def without_keys_and_words(exported: bytes) -> None:
    assert b"scripted" in exported
    for kept in (MODEL_KEY, SERVER_KEY, QUESTION, "Gustave Eiffel"):
        assert kept.encode() not in exported
