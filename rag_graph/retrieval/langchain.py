"""Both ways across LangChain: our retrievers as theirs, and any of theirs as ours."""

from dataclasses import dataclass
from hashlib import blake2b

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document as LangChainDocument
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict, SkipValidation

from rag_graph.documents import Hit, Passage
from rag_graph.errors import RagGraphError, RetrievalFailed
from rag_graph.index.filters import allows
from rag_graph.query import Filters
from rag_graph.retrieval.hybrid import HybridRetriever


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
        return [_from_hit(hit) for hit in self.retriever.search(query, top_k=self.top_k, filters=self.filters)]

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,  # noqa: ARG002 - LangChain passes it
    ) -> list[LangChainDocument]:
        hits = await self.retriever.retrieve(query, top_k=self.top_k, filters=self.filters)
        return [_from_hit(hit) for hit in hits]


@dataclass(frozen=True, slots=True)
class LangChainRetriever:
    """Any LangChain retriever as a `Retriever`. Filters hold: what they do not allow is dropped from its results."""

    retriever: BaseRetriever

    async def retrieve(self, question: str, *, top_k: int, filters: Filters | None = None) -> list[Hit]:
        try:
            found = await self.retriever.ainvoke(question)
        except RagGraphError:
            raise
        except Exception as exc:  # each integration raises its own
            name = type(self.retriever).__name__
            raise RetrievalFailed(f"The retriever {name} failed; ask again, or check its service.") from exc
        hits = [_to_hit(document, rank) for rank, document in enumerate(found)]
        return [hit for hit in hits if not filters or allows(filters, hit.passage)][:top_k]


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


def _to_hit(document: LangChainDocument, rank: int) -> Hit:
    """A document without `start_index` is a source of its own: its spans count from its first character."""
    known = {name: value for name, value in document.metadata.items() if isinstance(value, str | int | float | bool)}
    uri = str(known.get("source") or known.get("uri") or document.id or "")
    start = known.get("start_index", 0)
    start = start if isinstance(start, int) and start >= 0 else 0
    number = _number(f"{uri}\0{start}\0{document.page_content}")
    score = known.get("score", known.get("relevance_score", 1 / (rank + 1)))
    passage = Passage(
        id=number,
        document_id=str(known.get("document_id") or document.id or uri or number),
        uri=uri or str(number),
        title=str(known.get("title") or uri or "untitled"),
        start=start,
        end=start + len(document.page_content),
        content=document.page_content,
        metadata=known,
    )
    return Hit(passage, float(score))


def _number(text: str) -> int:
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
