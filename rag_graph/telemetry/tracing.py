"""OpenTelemetry spans of runs, their steps and their model calls, and the metrics that its GenAI conventions name.

What is exported, and where to, is set by OpenTelemetry's own variables, such as OTEL_EXPORTER_OTLP_ENDPOINT.
"""

import os
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from json import dumps
from threading import Thread
from time import monotonic, time_ns
from typing import Final

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
    ClaimFate,
    Decided,
    Event,
    Fate,
    PassagesRetrieved,
    RunCancelled,
    RunFailed,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
    Usage,
)
from rag_graph.query import Mode
from rag_graph.telemetry.timeline import First, ModelCall, RunExporter

FAREWELL_S: Final = 5.0
"""A server that stops has drained its runs, and is killed if it takes much longer."""
_CHAT: Final = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai"}
"""Of every call, by whomever it is answered: the provider is the one whose protocol is spoken."""
_CHAIN: Final = {"openinference.span.kind": "CHAIN"}
"""By OpenInference's conventions, by which Phoenix and Langfuse show a span."""
_CONTENT: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_TELLS_CONTENT: Final = frozenset({"true", "span_only", "span_and_event"})
"""What OpenTelemetry's own instrumentations take for a yes."""

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

    def export(self, run_id: str, *, mode: Mode, attempt: int) -> RunExporter:
        return RunSpans(self, run_id, mode=mode, attempt=attempt)

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


class RunSpans(RunExporter):
    """The spans of one attempt at a run, and the figures of its model calls."""

    def __init__(self, tracing: Tracing, run_id: str, *, mode: Mode, attempt: int) -> None:
        self._tracing = tracing
        self._began_ns = time_ns()
        self._run = tracing.tracer.start_span(
            "rag.run",
            kind=SpanKind.SERVER,
            start_time=self._began_ns,
            attributes={**_CHAIN, "rag.run_id": run_id, "rag.mode": mode, "rag.attempt": attempt},
        )
        self._context: Context = set_span_in_context(self._run)
        self._steps: dict[str, Span] = {}
        self._searching: dict[str, int] = {}
        self._question = ""
        self._fates: Counter[Fate] = Counter()
        self._has_token = False

    def first(self, what: First, at_s: float) -> None:
        if what in {"token", "refined_token"} and not self._has_token:
            self._has_token = True
            self._tracing.first_token.record(at_s, _CHAT)

    def called(self, call: ModelCall, usage: Usage, at_s: float) -> None:
        tracing = self._tracing
        named = {**_CHAT, "gen_ai.request.model": usage.model}
        step = self._steps.get(usage.step)
        span = tracing.tracer.start_span(
            f"chat {usage.model}",
            context=set_span_in_context(step) if step else self._context,
            kind=SpanKind.CLIENT,
            start_time=self._ns(call.began_s),
            attributes={
                **named,
                "gen_ai.usage.input_tokens": usage.input_tokens,
                "gen_ai.usage.output_tokens": usage.output_tokens,
                "gen_ai.usage.cache_read.input_tokens": usage.cached_tokens,
                "gen_ai.usage.reasoning.output_tokens": usage.reasoning_tokens,
                "openinference.span.kind": "LLM",
                "llm.model_name": usage.model,
                "llm.token_count.prompt": usage.input_tokens,
                "llm.token_count.completion": usage.output_tokens,
                "llm.token_count.total": usage.input_tokens + usage.output_tokens,
                "llm.token_count.prompt_details.cache_read": usage.cached_tokens,
                "llm.token_count.completion_details.reasoning": usage.reasoning_tokens,
            },
        )
        if call.is_streamed:
            first_s, last_s = call.pieces[0], call.pieces[-1]
            span.set_attribute("gen_ai.response.time_to_first_chunk", first_s - call.began_s)
            tracing.first_chunk.record(first_s - call.began_s, named)
            for earlier, later in pairwise(call.pieces):
                tracing.chunk.record(later - earlier, named)
            if usage.output_tokens > 1:
                tracing.token.record((last_s - first_s) / (usage.output_tokens - 1), named)
        span.end(self._ns(at_s))
        tracing.duration.record(at_s - call.began_s, named)
        tracing.tokens.record(usage.input_tokens, {**named, "gen_ai.token.type": "input"})
        tracing.tokens.record(usage.output_tokens, {**named, "gen_ai.token.type": "output"})

    def noted(self, event: Event, at_s: float) -> None:
        match event:
            case StepStarted():
                self._searching[event.step] = self._ns(event.at_ms / 1000)
                self._steps[event.step] = self._tracing.tracer.start_span(
                    f"rag.{event.step}",
                    context=self._context,
                    start_time=self._ns(event.at_ms / 1000),
                    attributes=_CHAIN,
                )
            case StepFinished() if event.step in self._steps:
                self._steps.pop(event.step).end(self._ns(event.at_ms / 1000))
            case RunStarted():
                self._question = event.question
                self._tell("input.value", event.question)
            case PassagesRetrieved():
                self._retrieved(event, at_s)
            case ClaimFate():
                self._fates[event.fate] += 1
                self._run.set_attribute(f"rag.claims.{event.fate}", self._fates[event.fate])
            case Decided():
                self._tracing.refined.add(1, {"rag.decision": event.decision, "rag.checked": event.checked})
                self._run.set_attribute("rag.decision", event.decision)
            case RunFinished():
                self._run.set_attribute("rag.version", event.version)
                self._tell("output.value", event.answer)
            case RunFailed():
                self._run.set_status(Status(StatusCode.ERROR, event.code))
            case RunCancelled():
                self._run.set_attribute("rag.cancelled_by", event.by)
            case _:
                pass

    def _tell(self, name: str, text: str) -> None:
        """Say of the run what was asked or answered, where content was asked for."""
        if _tells_content():
            self._run.set_attribute(name, text)

    def _retrieved(self, found: PassagesRetrieved, at_s: float) -> None:
        """A span as the GenAI conventions name it, with OpenInference's attributes, by which Phoenix shows documents.

        What was asked, and what the documents say, is told only where content was asked for.
        """
        own = "fast_retrieve" if found.stage == "fast" else "deep_retrieve"
        step_name = "search" if "search" in self._steps else own  # a later one, within the deeper search
        step = self._steps.get(step_name)
        attributes: dict[str, str | int | float] = {
            "gen_ai.operation.name": "retrieval",
            "gen_ai.data_source.id": "rag_graph",
            "openinference.span.kind": "RETRIEVER",
            "rag.stage": found.stage,
        }
        tells = _tells_content()
        if tells:
            attributes |= {"gen_ai.retrieval.query.text": self._question, "input.value": self._question}
        documents = []
        for at, passage in enumerate(found.passages):
            one = f"retrieval.documents.{at}.document"
            attributes |= {f"{one}.id": passage.document, f"{one}.score": passage.score}
            documents.append({"id": passage.document, "score": passage.score})
            if tells:
                attributes |= {f"{one}.content": passage.content, f"{one}.name": passage.title}
        attributes["gen_ai.retrieval.documents"] = dumps(documents)
        span = self._tracing.tracer.start_span(
            "retrieval rag_graph",
            context=set_span_in_context(step) if step else self._context,
            kind=SpanKind.CLIENT,
            start_time=self._searching.pop(step_name, self._ns(at_s)),
            attributes=attributes,
        )
        span.end(self._ns(at_s))

    def closed(self, at_s: float, *, has_ended: bool) -> None:  # noqa: ARG002 - a span ends when it is closed
        for span in self._steps.values():
            span.end()
        self._run.end()

    def _ns(self, at_s: float) -> int:
        return self._began_ns + int(at_s * 1e9)


def _tells_content() -> bool:
    return os.environ.get(_CONTENT, "").lower() in _TELLS_CONTENT


def open_tracing() -> Tracing:
    """Export as OpenTelemetry's variables say."""
    resource = Resource.create({"service.name": os.environ.get("OTEL_SERVICE_NAME", "rag_graph")})
    # Not at the interpreter's exit: `close` waits for both at once and for a bounded time, the SDK one after the other
    # for as long as the exporters retry, which was seen to take 21 s.
    tracers = SdkTracerProvider(resource=resource, shutdown_on_exit=False)
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    meters = SdkMeterProvider(
        [PeriodicExportingMetricReader(OTLPMetricExporter())], resource=resource, shutdown_on_exit=False
    )
    return Tracing(tracers, meters)
