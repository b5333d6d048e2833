import json
from pathlib import Path

import pytest
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever

from rag_graph.errors import RetrievalFailed
from rag_graph.index import EmbeddedIndex, index_paths
from rag_graph.retrieval import FastRetriever, LangChainRetriever, LibraryRetriever
from tests.index.hashing import HashEmbedder


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
