"""Stand-ins for what tests must control: a retriever that waits when told to."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from rag_graph.documents import Hit, Passage
from rag_graph.errors import RetrievalFailed
from rag_graph.query import Filters


def passage(number: int, content: str, *, title: str = "") -> Passage:
    """A passage that is the whole of its document."""
    name = f"doc{number}"
    return Passage(number, name, f"{name}.md", title or name, 0, len(content), content)


@dataclass
class FixedRetriever:
    """Finds the same passages whatever is asked; `gate` holds it back, `fails` breaks it."""

    contents: Sequence[str]
    gate: asyncio.Event | None = None
    fails: bool = False
    asked: list[tuple[str, Filters | None]] = field(default_factory=list)

    async def retrieve(self, question: str, *, top_k: int, filters: Filters | None = None) -> list[Hit]:
        self.asked.append((question, filters))
        if self.gate is not None:
            await self.gate.wait()
        if self.fails:
            raise RetrievalFailed("The search broke; try again.")
        found = [passage(number, content) for number, content in enumerate(self.contents, 1)]
        return [Hit(item, 1 / item.id) for item in found[:top_k]]
