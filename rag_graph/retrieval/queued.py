"""Searches in the order in which they were asked for, few at once: many at once all keep each other waiting."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import Final

from rag_graph.documents import Hit
from rag_graph.query import Filters
from rag_graph.retrieval.hybrid import HybridRetriever

TOGETHER: Final = 8
"""Questions that wait are embedded so many at a time; one of eight short ones costs a third of one alone."""


class QueuedRetriever:
    """`Retriever` that searches in threads of its own; close it when done.

    Of 25 questions at once beside 20 streams, all searched side by side, the first tokens came after 740 ms at the
    median; taking turns, and embedded together, after 420 ms. Embedding together pays where the embedder remembers
    the vectors for the searches (`RememberingEmbedder`).
    """

    def __init__(self, retriever: HybridRetriever, *, threads: int) -> None:
        self._retriever = retriever
        self._pool = ThreadPoolExecutor(threads)
        self._waiting: deque[_Asked] = deque()
        self._embedded: deque[_Asked] = deque()
        self._lock = Lock()

    async def retrieve(self, question: str, *, top_k: int, filters: Filters | None = None) -> list[Hit]:
        search = partial(self._retriever.search, question, top_k=top_k, filters=filters)
        # In its asker's context, as `asyncio.to_thread` would run it: an embedder's tracing may look there.
        asked = _Asked(question, partial(copy_context().run, search))
        with self._lock:
            self._waiting.append(asked)
        self._pool.submit(self._work)
        return await asyncio.wrap_future(asked.hits)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _work(self) -> None:
        """Search for whoever has waited longest, and embed the questions of those next in line with theirs."""
        with self._lock:
            if self._embedded:
                batch = [self._embedded.popleft()]
            else:
                batch = [self._waiting.popleft() for _ in range(min(TOGETHER, len(self._waiting)))]
        if not batch:
            # Another thread has taken all that wait, to embed them; it submits one piece of work for each.
            return
        if len(batch) > 1:
            with suppress(Exception):  # each search meets it again, and tells whoever asked
                self._retriever.store.embedder.embed_queries([asked.question for asked in batch])
            with self._lock:
                self._embedded.extend(batch[1:])
            for _ in batch[1:]:
                self._pool.submit(self._work)
        batch[0].run()


@dataclass(frozen=True, slots=True)
class _Asked:
    """A search that somebody waits for."""

    question: str
    search: Callable[[], list[Hit]]
    hits: "Future[list[Hit]]" = field(default_factory=Future)

    def run(self) -> None:
        if not self.hits.set_running_or_notify_cancel():
            return
        try:
            self.hits.set_result(self.search())
        except BaseException as exc:  # noqa: BLE001 - whoever asked raises it
            self.hits.set_exception(exc)
