"""One node at work: it emits what happens, and takes its time."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from langchain_core.callbacks import BaseCallbackManager, adispatch_custom_event
from langchain_core.runnables import RunnableConfig
from langgraph.types import StreamWriter

from rag_graph.errors import RagGraphError
from rag_graph.events import (
    Emit,
    Event,
    StepFinished,
    StepStarted,
    ThinkingDelta,
    ThinkingFinished,
    ThinkingStarted,
    Warned,
)
from rag_graph.transcript import Transcript

SINK: Final = "rag_graph_sink"
"""Where a config may hold the `Emit` that takes the run's events."""


class Step:
    """The work of one node in one run. `began` and `clock` are in seconds, what is emitted is in milliseconds."""

    def __init__(self, name: str, emit: Emit, *, began: float, clock: Callable[[], float], narrates: bool) -> None:
        self.name = name
        self.emit = emit
        self.outcome = ""
        self.timings: dict[str, float] = {}
        self._began = began
        self._clock = clock
        self._narrates = narrates

    def part(self, name: str) -> "Step":
        """A step within this one; its parts come one after the other."""
        return Step(name, self.emit, began=self._began, clock=self._clock, narrates=self._narrates)

    @asynccontextmanager
    async def span(self, description: str) -> AsyncIterator[None]:
        """Emit the step's start and its end, with `outcome` as the sentence at the end."""
        started = self._at_ms()
        await self.emit(StepStarted(step=self.name, description=description, at_ms=started))
        yield
        # No `finally`: what breaks or is cancelled is closed by the
        # attempt, which alone knows whether anybody can be told.
        ended = self._at_ms()
        self.timings = {self.name: round(ended - started, 3)}
        await self.emit(StepFinished(step=self.name, description=self.outcome or description, at_ms=ended))

    async def narrate(self, sentence: str) -> None:
        """Think aloud for the pipeline, so that a wait is never silent."""
        if not self._narrates:
            return
        await self.emit(ThinkingStarted(step=self.name, thinker="pipeline"))
        await self.emit(ThinkingDelta(step=self.name, delta=f"{sentence}\n"))
        await self.emit(ThinkingFinished(step=self.name, seconds=0.0))

    async def warn(self, error: RagGraphError, consequence: str) -> None:
        """Say what failed and what that means for the run."""
        message = f"{str(error).rstrip('.')}; {consequence}."
        await self.emit(Warned(step=self.name, code=error.code, message=message))

    def _at_ms(self) -> float:
        return round((self._clock() - self._began) * 1000, 3)


def emitting(writer: StreamWriter, config: RunnableConfig) -> Emit:
    """How the node that runs under `config` emits its events.

    They go to the sink that the config holds, or else to `astream(stream_mode="custom")`; LangGraph's own stream
    costs several task switches a token. `astream_events` shows them as `on_custom_event` under the event's type;
    without listeners that costs nothing.
    """

    async def write(event: Event) -> None:
        writer(event)

    emit: Emit = config.get("configurable", {}).get(SINK, write)
    callbacks = config.get("callbacks")
    # Dumping each event for nobody would be much of what a token costs.
    if not (isinstance(callbacks, BaseCallbackManager) and callbacks.handlers):
        return emit

    async def emit_and_show(event: Event) -> None:
        await emit(event)
        await adispatch_custom_event(event.type, event.model_dump(mode="json"), config=config)

    return emit_and_show


def recording(emit: Emit) -> tuple[Emit, Transcript]:
    """The same way out, and what has gone it."""
    written = Transcript()

    async def emit_and_keep(event: Event) -> None:
        await emit(event)
        written.add(event)

    return emit_and_keep, written
