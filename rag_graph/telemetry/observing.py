"""What is measured, chosen by the environment: metrics always, traces where OpenTelemetry is set up."""

import os
from typing import TYPE_CHECKING

from rag_graph.errors import SettingsError
from rag_graph.query import Mode
from rag_graph.runs.observer import Watch
from rag_graph.telemetry.metrics import Metrics
from rag_graph.telemetry.timeline import RunTimeline

if TYPE_CHECKING:
    from rag_graph.telemetry.tracing import Tracing


class Telemetry:
    """Observes runs for Prometheus, and for OpenTelemetry where it is set up: one timeline for both."""

    def __init__(self, metrics: Metrics, tracing: "Tracing | None" = None) -> None:
        self._metrics = metrics
        self._exports = [metrics.export] if tracing is None else [metrics.export, tracing.export]

    def watch(self, run_id: str, *, mode: Mode, attempt: int) -> Watch:
        return RunTimeline([export(run_id, mode=mode, attempt=attempt) for export in self._exports])

    def reader_came(self, *, resumes: bool) -> None:
        self._metrics.reader_came(resumes=resumes)

    def reader_left(self) -> None:
        self._metrics.readers.dec()


def choose_tracing() -> "Tracing | None":
    """Tracing, if OpenTelemetry's variables ask for it. Raises SettingsError when its packages are missing."""
    if not any(name.startswith("OTEL_EXPORTER_OTLP") and name.endswith("ENDPOINT") for name in os.environ):
        return None
    try:
        from rag_graph.telemetry.tracing import open_tracing  # noqa: PLC0415 - optional
    except ImportError:
        raise SettingsError("OTEL_EXPORTER_OTLP_ENDPOINT needs more: pip install 'rag-graph[otel]'.") from None
    return open_tracing()
