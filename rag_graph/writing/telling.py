"""What a model's reply is besides its text, as events: its thinking, and the tokens it took."""

from time import monotonic

from rag_graph.events import Emit, ThinkingDelta, ThinkingFinished, ThinkingStarted, Usage
from rag_graph.models.replies import TokensUsed


class ThinkingSpan:
    """The model's thinking in one step: opens at its first word, closes once."""

    def __init__(self, step: str, emit: Emit) -> None:
        self._step = step
        self._emit = emit
        self._began: float | None = None

    async def add(self, delta: str) -> None:
        if self._began is None:
            self._began = monotonic()
            await self._emit(ThinkingStarted(step=self._step, thinker="model"))
        await self._emit(ThinkingDelta(step=self._step, delta=delta))

    async def end(self) -> None:
        if self._began is not None:
            seconds = round(monotonic() - self._began, 3)
            self._began = None
            await self._emit(ThinkingFinished(step=self._step, seconds=seconds))


def usage(step: str, tokens: TokensUsed) -> Usage:
    return Usage(
        step=step,
        model=tokens.model,
        input_tokens=tokens.input_tokens,
        output_tokens=tokens.output_tokens,
        reasoning_tokens=tokens.reasoning_tokens,
        cached_tokens=tokens.cached_tokens,
    )
