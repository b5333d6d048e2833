"""How an answer comes to be written, whoever writes it: the graph knows this contract and no writer by name."""

from dataclasses import dataclass
from typing import Protocol

from langchain_core.runnables import RunnableConfig

from rag_graph.events import Emit, NumberedPassage, Version
from rag_graph.query import Turn


@dataclass(frozen=True, slots=True)
class Assignment:
    """One version of the answer to one question; `passages` come in the order of their numbers."""

    question: str
    passages: tuple[NumberedPassage, ...]
    version: Version
    step: str
    history: tuple[Turn, ...] = ()
    draft: str = ""
    new_passages: tuple[int, ...] = ()
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a draft should be written anew, and why, in a sentence that people read."""

    refine: bool
    reason: str


class Writer(Protocol):
    """Writes answers from passages. Both methods raise ModelError when no model can be brought to answer."""

    async def write(self, assignment: Assignment, emit: Emit, config: RunnableConfig) -> None:
        """Tell thinking, answer text, citations, flags, resets, warnings and usage as they come to be."""

    async def review(self, assignment: Assignment, emit: Emit, config: RunnableConfig) -> Verdict:
        """Judge whether the passages under `new_passages` change the draft."""
