"""Both ways across LangChain: our retrievers as theirs, and any retriever or vector store of theirs as ours."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from math import isfinite
from typing import Any, Final

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document as LangChainDocument
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable
from langchain_core.vectorstores import VectorStore
from pydantic import ConfigDict, SkipValidation

from rag_graph.documents import Document, Hit, Passage
from rag_graph.errors import RagGraphError, RetrievalFailed
from rag_graph.index import DocumentStore
from rag_graph.index.filters import allows
from rag_graph.query import Filters
from rag_graph.retrieval.hybrid import HybridRetriever

_MORE_UNFILTERED: Final = 10
"""So many times as many entries are asked of a store that cannot filter."""
LONGEST_ENTRY_CHARS: Final = 16_000
"""An entry is given to the model whole, and three of these are within the context of the default settings. A longer
one was never split, and would be left out."""
log = logging.getLogger(__name__)
_ID_FIELDS: Final = ("_id", "pk")
"""Where Qdrant's and Milvus' integrations put the id of an entry; others set it on the document."""


class LibraryRetriever(BaseRetriever):
    """A library as a LangChain retriever: `LibraryRetriever(retriever=FastRetriever(library))`."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    retriever: SkipValidation[HybridRetriever]
    top_k: int = 10
    filters: Filters | None = None

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,  # noqa: ARG002 - LangChain passes it
    ) -> list[LangChainDocument]:
        return as_documents(self.retriever.search(query, top_k=self.top_k, filters=self.filters))

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,  # noqa: ARG002 - LangChain passes it
    ) -> list[LangChainDocument]:
        hits = await self.retriever.retrieve(query, top_k=self.top_k, filters=self.filters)
        return as_documents(hits)


@dataclass(frozen=True, slots=True)
class LangChainRetriever:
    """Any LangChain retriever as a `Retriever`, or any other runnable that gives documents for a question.

    Such are a retriever with retries or fallbacks, or a chain that ends in one. Filters hold: what they do not allow
    is dropped from its results.
    """

    retriever: Runnable[str, list[LangChainDocument]]

    async def retrieve(self, question: str, *, top_k: int, filters: Filters | None = None) -> list[Hit]:
        """Raises `RetrievalFailed`."""
        name = self.retriever.get_name()
        with _in_our_words(name):
            found = _documents(name, await self.retriever.ainvoke(question))
        hits = [_to_hit(document, _score(document, rank)) for rank, document in enumerate(found)]
        return _usable(hits, filters)[:top_k]


@dataclass(frozen=True, slots=True)
class VectorStoreRetriever:
    """Any LangChain `VectorStore` (Qdrant, Milvus, OpenSearch, LanceDB, ...) as a `Retriever`.

    It is also the `DocumentStore` to which its citations point. Without `documents`, each entry of the store is a
    document of its own, found again by its id, a text such as a UUID. With it, entries are stretches of documents that
    are kept elsewhere: `document_id` in an entry's metadata (or its `source`) names the document, `start_index` is
    where in its text the entry begins, as LangChain's splitters count with `add_start_index=True`.

    `to_filter` translates filters into what the store takes as `filter=`. Without it more is asked for; in either case
    what the filters do not allow is dropped. The search by words, and with it the second hop, takes an `Index`.
    """

    store: VectorStore
    to_filter: Callable[[Filters], Any] | None = None
    documents: DocumentStore | None = None

    async def retrieve(self, question: str, *, top_k: int, filters: Filters | None = None) -> list[Hit]:
        """Raises `RetrievalFailed`."""
        limit, given = top_k, dict[str, Any]()
        # Stores do not agree on what a filter is, and some ignore one
        # that they do not know: what comes is filtered again below.
        if filters and self.to_filter is not None:
            given["filter"] = self.to_filter(filters)
        elif filters:
            limit = top_k * _MORE_UNFILTERED
        with _in_our_words(type(self.store).__name__):
            try:
                found = await self.store.asimilarity_search_with_score(question, k=limit, **given)
            except NotImplementedError:  # only the search without scores is owed by every store
                ranked = await self.store.asimilarity_search(question, k=limit, **given)
                found = [(document, 1 / (rank + 1)) for rank, document in enumerate(ranked)]
        # Some stores score by similarity, others by distance; all of them put the best first.
        sign = -1 if len(found) > 1 and found[0][1] < found[-1][1] else 1
        hits = [_to_hit(document, sign * score, alone=self.documents is None) for document, score in found]
        return _usable(hits, filters)[:top_k]

    def document(self, document_id: str) -> Document | None:
        """The document with its whole text, or None: also where the store cannot look entries up by id. Blocks."""
        if self.documents is not None:
            return self.documents.document(document_id)
        with _in_our_words(type(self.store).__name__):
            try:
                found = self.store.get_by_ids([document_id])
            except NotImplementedError:
                return None
        if not found:
            return None
        entry = _to_hit(found[0], 1.0, alone=True).passage
        return Document(document_id, entry.uri, entry.title, entry.content, entry.metadata)


@contextmanager
def _in_our_words(name: str) -> Iterator[None]:
    """Each integration raises its own, which only the log may hold: it can name servers and keys."""
    try:
        yield
    except RagGraphError:
        raise
    except Exception as exc:
        log.warning("the retriever %s failed", name, exc_info=exc)
        raise RetrievalFailed(f"The retriever {name} failed; ask again, or check its service.") from exc


def _documents(name: str, found: object) -> list[LangChainDocument]:
    """What a retriever gave, if it is documents. Raises `RetrievalFailed`."""
    given = list(found) if isinstance(found, Sequence) and not isinstance(found, str) else [found]
    documents = [one for one in given if isinstance(one, LangChainDocument)]
    if len(documents) < len(given):
        other = next(type(one).__name__ for one in given if not isinstance(one, LangChainDocument))
        raise RetrievalFailed(f"The retriever {name} gave a {other}: it is to give a list of LangChain's documents.")
    return documents


def as_documents(hits: Sequence[Hit]) -> list[LangChainDocument]:
    """What a search found, as LangChain's documents."""
    return [_from_hit(hit) for hit in hits]


def _from_hit(hit: Hit) -> LangChainDocument:
    passage = hit.passage
    return LangChainDocument(
        id=str(passage.id),
        page_content=passage.content,
        metadata={
            **passage.metadata,
            "source": passage.uri,
            "title": passage.title,
            "document_id": passage.document_id,
            "start_index": passage.start,
            "heading": list(passage.heading),
            "score": hit.score,
        },
    )


def _usable(hits: list[Hit], filters: Filters | None) -> list[Hit]:
    """Those that say something and that the filters allow, each once."""
    different = {hit.passage.id: hit for hit in reversed(hits) if hit.passage.content.strip()}
    once = reversed(different.values())
    return [hit for hit in once if not filters or allows(filters, hit.passage)]


def _score(document: LangChainDocument, rank: int) -> float:
    """As its retriever gives it, if that is a number; whatever the metadata hold, the order stands."""
    given = document.metadata.get("score", document.metadata.get("relevance_score"))
    is_number = isinstance(given, int | float) and not isinstance(given, bool) and isfinite(given)
    return float(given) if is_number and given is not None else 1 / (rank + 1)


def _to_hit(document: LangChainDocument, score: float, *, alone: bool = False) -> Hit:
    """A document without `start_index`, or that is `alone`, is its own source: spans count from its first character."""
    known = {name: value for name, value in document.metadata.items() if isinstance(value, str | int | float | bool)}
    content = document.page_content
    if len(content) > LONGEST_ENTRY_CHARS:
        content = content[:LONGEST_ENTRY_CHARS]
        log.info(
            "an entry of %d characters is read as far as %d: split documents first",
            len(document.page_content),
            LONGEST_ENTRY_CHARS,
        )
    uri = str(known.get("source") or known.get("uri") or document.id or "")
    start = 0 if alone else known.get("start_index", 0)
    start = start if isinstance(start, int) and start >= 0 else 0
    entry = document.id or next((known[name] for name in _ID_FIELDS if name in known), None)
    name = f"{entry}\0" if alone else f"{uri}\0{start}\0"
    digest = blake2b((name + content).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    number = int.from_bytes(digest, "little") >> 1
    # What says where it begins is a stretch of its source; its own id would part it from the others of that.
    of_source = uri if "start_index" in known else document.id
    named = entry if alone else known.get("document_id") or of_source or uri
    passage = Passage(
        id=number,
        document_id=str(named or number),
        uri=uri or str(number),
        title=str(known.get("title") or uri or "untitled"),
        start=start,
        end=start + len(content),
        content=content,
        metadata=known,
    )
    return Hit(passage, score)
