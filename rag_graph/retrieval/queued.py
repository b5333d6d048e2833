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
from rag_graph.errors import RetrievalFailed
from rag_graph.query import Filters
from rag_graph.retrieval.hybrid import HybridRetriever

TOGETHER: Final = 8
"""Questions that wait are embedded so many at a time; one of eight short ones costs a third of one alone."""
LONGEST_LINE: Final = 1_024
"""Sixteen for each of the runs that a server executes at a time, more than a run ever has waiting."""
CLOSED: Final = "The library is closed, as the server stops: ask again."


class QueuedRetriever:
    """`Retriever` that searches in threads of its own; close it when done.

    Of 25 questions at once beside 20 streams, all searched side by side, the first tokens came after 740 ms at the
    median; taking turns, and embedded together, after 420 ms. Embedding together pays where the embedder remembers
    the vectors for the searches (`RememberingEmbedder`).
    """

    def __init__(self, retriever: HybridRetriever, *, threads: int, line: int = LONGEST_LINE) -> None:
        self._retriever = retriever
        self._pool = ThreadPoolExecutor(threads)
        self._line = line
        self._waiting: deque[_Asked] = deque()
        self._embedded: deque[_Asked] = deque()
        self._closed = False
        self._lock = Lock()

    async def retrieve(self, question: str, *, top_k: int, filters: Filters | None = None) -> list[Hit]:
        """Raises `RetrievalFailed` also where too many wait, and to those who wait when it is closed."""
        search = partial(self._retriever.search, question, top_k=top_k, filters=filters)
        # In its asker's context, as `asyncio.to_thread` would run it: an embedder's tracing may look there.
        asked = _Asked(question, partial(copy_context().run, search))
        with self._lock:
            if self._closed:
                raise RetrievalFailed(CLOSED)
            if len(self._waiting) >= self._line:
                self._waiting = deque(one for one in self._waiting if not one.hits.cancelled())
            if len(self._waiting) >= self._line:
                raise RetrievalFailed("Too many searches wait for their turn: ask again in a moment.")
            self._waiting.append(asked)
            self._pool.submit(self._work)
        return await asyncio.wrap_future(asked.hits)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            left = [*self._embedded, *self._waiting]
            self._embedded.clear()
            self._waiting.clear()
        self._pool.shutdown(wait=False, cancel_futures=True)
        for asked in left:
            asked.give_up()

    def _work(self) -> None:
        """Search for whoever has waited longest, and embed the questions of those next in line with theirs."""
        with self._lock:
            if self._embedded:
                batch = [self._embedded.popleft()]
            else:
                batch = [self._waiting.popleft() for _ in range(min(TOGETHER, len(self._waiting)))]
        # Whoever has left meanwhile is not searched for; who is in a batch of others is not embedded either.
        batch = [asked for asked in batch if not asked.hits.cancelled()]
        if not batch:
            # Another thread has taken all that wait, to embed them; it submits one piece of work for each.
            return
        if len(batch) > 1:
            with suppress(Exception):  # each search meets it again, and tells whoever asked
                self._retriever.store.embedder.embed_queries([asked.question for asked in batch])
            with self._lock:
                if not self._closed:
                    self._embedded.extend(batch[1:])
                    for _ in batch[1:]:
                        self._pool.submit(self._work)
            if self._closed:
                for asked in batch[1:]:
                    asked.give_up()
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

    def give_up(self) -> None:
        if self.hits.set_running_or_notify_cancel():
            self.hits.set_exception(RetrievalFailed(CLOSED))
