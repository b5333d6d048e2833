import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from anyio import fail_after
from langchain_community.vectorstores import FAISS
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever
from langchain_core.vectorstores import InMemoryVectorStore, VectorStore
from langchain_qdrant import QdrantVectorStore
from qdrant_client import models

from rag_graph.documents import Document as OurDocument
from rag_graph.errors import RetrievalFailed
from rag_graph.events import PassagesRetrieved, RunFinished
from rag_graph.graph.build import build_graph
from rag_graph.graph.parts import Parts
from rag_graph.graph.stream import stream_events
from rag_graph.index import EmbeddedIndex, index_paths
from rag_graph.models.providers.openai import ReasoningChatOpenAI, open_chat_model
from rag_graph.models.replies import Replier
from rag_graph.query import Filters, Query
from rag_graph.research import BUDGETS, BridgedResearch
from rag_graph.retrieval import FastRetriever, LangChainRetriever, LibraryRetriever, VectorStoreRetriever
from rag_graph.writing.prompted import PromptedWriter
from tests.index.hashing import HashEmbedder
from tests.upstream import Upstream


class Canned(BaseRetriever):
    documents: list[Document]

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,  # noqa: ARG002 - LangChain passes it
    ) -> list[Document]:
        if query == "fail":
            raise ConnectionError
        return self.documents


@pytest.mark.anyio
async def test_a_library_is_a_langchain_retriever_and_back(tmp_path: Path) -> None:
    lines = [
        {"_id": name, "title": name, "text": f"{name} grow here", "good": name == "Figs"} for name in ("Figs", "Nuts")
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lines)))
    index = EmbeddedIndex(tmp_path / "index", HashEmbedder())
    index_paths(index, [tmp_path / "a.jsonl"])
    ours = FastRetriever(index)
    theirs = LibraryRetriever(retriever=ours, top_k=2)

    documents = theirs.invoke("Nuts")
    assert [document.metadata["title"] for document in documents] == ["Nuts", "Figs"]
    assert await theirs.ainvoke("Nuts") == documents

    back = await LangChainRetriever(theirs).retrieve("Nuts", top_k=2)
    direct = await ours.retrieve("Nuts", top_k=2)
    for one, other in zip(back, direct, strict=True):
        assert one.passage.document_id == other.passage.document_id
        assert (one.passage.start, one.passage.end) == (other.passage.start, other.passage.end)
        assert one.score == other.score


@pytest.mark.anyio
async def test_a_document_without_an_offset_is_its_own_source() -> None:
    retriever = LangChainRetriever(Canned(documents=[Document("one", metadata={"source": "x.md"}), Document("two")]))
    first, second = await retriever.retrieve("any", top_k=5)
    assert (first.passage.uri, first.passage.start, first.passage.end) == ("x.md", 0, 3)
    assert first.score > second.score
    assert len({first.passage.id, second.passage.id}) == 2


@pytest.mark.anyio
async def test_filters_hold_for_a_retriever_that_knows_none() -> None:
    documents = [Document("one", metadata={"lang": "en"}), Document("two", metadata={"lang": "de"}), Document("three")]
    hits = await LangChainRetriever(Canned(documents=documents)).retrieve("any", top_k=5, filters={"lang": "de"})
    assert [hit.passage.content for hit in hits] == ["two"]


@pytest.mark.anyio
async def test_its_failure_becomes_ours() -> None:
    with pytest.raises(RetrievalFailed, match="Canned"):
        await LangChainRetriever(Canned(documents=[])).retrieve("fail", top_k=1)


class Hashed(Embeddings):
    """Texts that share words are close."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        vector: list[float] = HashEmbedder().embed_query(text).tolist()
        return vector


TEXTS = {
    "engine.md": "The Larkspur engine is a steam engine of 1874. It was made by Fenwick Works.",
    "works.md": "Fenwick Works was set up in 1870 by Augusta Thorne.",
    "harbour.md": "Greyhaven is a harbour of Westmark, known for its herring.",
    "bread.md": "Rye bread keeps longer than bread of wheat.",
    "moss.md": "Moss grows on the side that gets the least light.",
}
METADATA = [{"source": name, "lang": "de" if name == "bread.md" else "en"} for name in TEXTS]


@asynccontextmanager
async def open_model(upstream: Upstream) -> AsyncIterator[ReasoningChatOpenAI]:
    model = open_chat_model(upstream.base_url, "key", "scripted")
    yield model
    await model.aclose()


@pytest.fixture
def qdrant() -> Iterator[QdrantVectorStore]:
    store = QdrantVectorStore.from_texts([*TEXTS.values()], Hashed(), METADATA, location=":memory:")
    yield store
    store.client.close()


@pytest.fixture(params=["qdrant", "faiss"])
def store(request: pytest.FixtureRequest, qdrant: QdrantVectorStore) -> VectorStore:
    """By similarity and by distance, in numbers of Python's and of numpy's."""
    return qdrant if request.param == "qdrant" else FAISS.from_texts([*TEXTS.values()], Hashed(), METADATA)


def qdrant_filter(filters: Filters) -> models.Filter:
    wanted = [
        models.FieldCondition(key=f"metadata.{name}", match=models.MatchValue(value=value))
        for name, value in filters.items()
        if isinstance(value, str | int)
    ]
    return models.Filter(must=wanted)


@pytest.mark.anyio
async def test_a_vector_store_answers_through_the_graph_and_its_citations_point_into_it(
    store: VectorStore,
) -> None:
    retriever = VectorStoreRetriever(store)
    answer = "The Larkspur engine was made by Fenwick Works [1]."
    async with Upstream(otherwise=answer) as upstream, open_model(upstream) as model:
        writer = PromptedWriter(Replier(model), 8_000)
        parts = Parts(
            fast=retriever,
            deep=retriever,
            researchers={"deep": BridgedResearch(retriever, BUDGETS["standard"])},
            drafter=writer,
        )
        for mode in ("fast", "deep"):
            query = Query(question="Who made the Larkspur engine?", mode=mode)
            with fail_after(20):
                events = [event async for event in stream_events(build_graph(parts), query)]
            found = {event.stage: event.passages for event in events if isinstance(event, PassagesRetrieved)}
            assert {type(passage.score) for passage in found["fast"]} == {float}
            assert len(found["fast"]) < len(found["deep"]) == len(TEXTS)
            assert isinstance(events[-1], RunFinished)
            citation = events[-1].citations[0]
            document = retriever.document(citation.document)
            assert document is not None
            assert (document.uri, document.text) == ("engine.md", TEXTS["engine.md"])
            assert document.text[citation.source_start : citation.source_end] == citation.quote
            assert "Fenwick Works" in citation.quote


@pytest.mark.anyio
@pytest.mark.parametrize("to_filter", [None, qdrant_filter])
async def test_filters_hold_in_a_vector_store(
    qdrant: QdrantVectorStore, to_filter: Callable[[Filters], models.Filter] | None
) -> None:
    retriever = VectorStoreRetriever(qdrant, to_filter)
    hits = await retriever.retrieve("Who made the Larkspur engine?", top_k=1, filters={"lang": "de"})
    assert [hit.passage.uri for hit in hits] == ["bread.md"]


@pytest.mark.anyio
async def test_a_store_that_scores_by_distance_ranks_the_other_way_round() -> None:
    class ByDistance(InMemoryVectorStore):
        def similarity_search_with_score(self, query: str, k: int = 4, **kwargs: Any) -> list[tuple[Document, float]]:
            found = super().similarity_search_with_score(query, k, **kwargs)
            return [(document, 1 - score) for document, score in found]

        async def asimilarity_search_with_score(self, *args: Any, **kwargs: Any) -> list[tuple[Document, float]]:
            return self.similarity_search_with_score(*args, **kwargs)

    store = ByDistance.from_texts([*TEXTS.values()], Hashed(), METADATA)
    hits = await VectorStoreRetriever(store).retrieve("Who made the Larkspur engine?", top_k=3)
    assert hits[0].passage.uri == "engine.md"
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


@pytest.mark.anyio
async def test_entries_may_be_stretches_of_documents_that_are_kept_elsewhere() -> None:
    whole = f"{TEXTS['bread.md']}\n\n{TEXTS['engine.md']}"

    class Folder:
        def document(self, document_id: str) -> OurDocument | None:
            return OurDocument(document_id, "both.md", "Both", whole) if document_id == "both.md" else None

    start = whole.index("The Larkspur")
    store = InMemoryVectorStore.from_texts(
        [TEXTS["engine.md"]], Hashed(), [{"source": "both.md", "start_index": start}], ids=["chunk-7"]
    )
    retriever = VectorStoreRetriever(store, documents=Folder())
    (hit,) = await retriever.retrieve("Larkspur", top_k=5)
    document = retriever.document(hit.passage.document_id)
    assert document is not None
    assert document.text[hit.passage.start : hit.passage.end] == hit.passage.content
    assert VectorStoreRetriever(store).document("chunk-7") is not None
    assert VectorStoreRetriever(store).document("unknown") is None


@pytest.mark.anyio
async def test_a_vector_store_that_fails_is_told_in_our_words(qdrant: QdrantVectorStore) -> None:
    qdrant.client.close()
    with pytest.raises(RetrievalFailed, match="QdrantVectorStore"):
        await VectorStoreRetriever(qdrant).retrieve("any", top_k=1)
