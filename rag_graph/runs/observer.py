"""Who hears what happens in runs and who reads them, for measuring; the default hears nothing."""

from typing import Protocol

from rag_graph.events import Event
from rag_graph.query import Mode


class Watch(Protocol):
    """Hears the events of one attempt at a run, as they are recorded; it must be quick and must not fail."""

    def on_event(self, event: Event) -> None: ...

    def close(self) -> None:
        """The attempt is over, whether or not a terminal event was heard."""


class Observer(Protocol):
    """Hears of every run that this process executes and of every reader that it serves."""

    def watch(self, run_id: str, *, mode: Mode, attempt: int) -> Watch: ...

    def reader_came(self, *, resumes: bool) -> None: ...

    def reader_left(self) -> None: ...


class Unobserved:
    """Hears nothing."""

    def watch(self, run_id: str, *, mode: Mode, attempt: int) -> Watch:  # noqa: ARG002 - nothing is heard
        return self

    def on_event(self, event: Event) -> None: ...

    def close(self) -> None: ...

    def reader_came(self, *, resumes: bool) -> None: ...

    def reader_left(self) -> None: ...
