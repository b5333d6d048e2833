"""What the graph asks of a retriever, whichever it is."""

from typing import Protocol

from rag_graph.documents import Hit
from rag_graph.query import Filters


class Retriever(Protocol):
    """Finds the passages that bear on a question."""

    async def retrieve(self, question: str, *, top_k: int, filters: Filters | None = None) -> list[Hit]:
        """The best passages, best first, all of them inside the filters."""
