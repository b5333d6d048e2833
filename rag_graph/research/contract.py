"""How the better evidence is gathered, whoever gathers it: the graph knows this contract and no researcher by name."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from langchain_core.runnables import RunnableConfig

from rag_graph.errors import RagGraphError
from rag_graph.events import Emit, NumberedPassage
from rag_graph.query import Filters, Turn


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What is to be found out, and what was found at first; nothing outside the filters may be read."""

    question: str
    filters: Filters
    known: tuple[NumberedPassage, ...] = ()
    history: tuple[Turn, ...] = ()


class Progress(Protocol):
    """A step as those who follow the run see it. Parts of a step come one after the other."""

    name: str
    outcome: str
    emit: Emit

    def span(self, description: str) -> AbstractAsyncContextManager[None]:
        """Tell the step's start and its end, with `outcome` as the sentence at the end."""

    async def narrate(self, sentence: str) -> None:
        """Think aloud for the pipeline."""

    async def warn(self, error: RagGraphError, consequence: str) -> None:
        """Say what failed and what that means for the run."""

    def part(self, name: str) -> "Progress":
        """A step within this one."""


class Researcher(Protocol):
    """Gathers evidence for a question."""

    async def research(self, inquiry: Inquiry, progress: Progress, config: RunnableConfig) -> list[NumberedPassage]:
        """All the evidence, best first; what was known keeps its number. It is told after each search, too.

        Raises RetrievalFailed or ModelError when not even the first search could be carried out.
        """
