"""What is measured, chosen by the environment: metrics always, traces where OpenTelemetry is set up."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rag_graph.errors import SettingsError
from rag_graph.events import Event
from rag_graph.query import Mode
from rag_graph.runs.observer import Observer, Watch
from rag_graph.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from rag_graph.telemetry.tracing import Tracing


class Both:
    """Tells several observers the same."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = observers

    def watch(self, run_id: str, *, mode: Mode, attempt: int) -> Watch:
        return _Watches([observer.watch(run_id, mode=mode, attempt=attempt) for observer in self._observers])

    def reader_came(self, *, resumes: bool) -> None:
        for observer in self._observers:
            observer.reader_came(resumes=resumes)

    def reader_left(self) -> None:
        for observer in self._observers:
            observer.reader_left()


class _Watches:
    def __init__(self, watches: Sequence[Watch]) -> None:
        self._watches = watches

    def on_event(self, event: Event) -> None:
        for watch in self._watches:
            watch.on_event(event)

    def close(self) -> None:
        for watch in self._watches:
            watch.close()


def choose_tracing() -> "Tracing | None":
    """Tracing, if OpenTelemetry's variables ask for it. Raises SettingsError when its packages are missing."""
    if not any(name.startswith("OTEL_EXPORTER_OTLP") and name.endswith("ENDPOINT") for name in os.environ):
        return None
    try:
        from rag_graph.telemetry.tracing import open_tracing  # noqa: PLC0415 - optional
    except ImportError:
        raise SettingsError("OTEL_EXPORTER_OTLP_ENDPOINT needs more: pip install 'rag-graph[otel]'.") from None
    return open_tracing()


def observer_of(metrics: Metrics, tracing: "Tracing | None") -> Observer:
    return metrics if tracing is None else Both([metrics, tracing])
