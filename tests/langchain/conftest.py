"""A graph of the factory's over what a test gives it."""

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.retrievers import BaseRetriever
from langchain_core.vectorstores import InMemoryVectorStore
from pydantic import Field

from rag_graph import create_rag_graph

OPENED = "The bridge was opened in 1931."
ANSWER = "The bridge was opened in 1931 [1]."
QUESTION = "When was the bridge opened?"


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever runs the tests may have settings of their own."""
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "RAG_CHAT_MODEL", "RAG_CHAT_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAG_DATA_DIR", str(tmp_path))


class Found(BaseRetriever):
    """A LangChain retriever that finds what it is given, whatever is asked; an exception is raised."""

    documents: Sequence[Any]
    asked: list[str] = Field(default_factory=list)

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        del run_manager
        self.asked.append(query)
        for one in self.documents:
            if isinstance(one, Exception):
                raise one
        return list(self.documents)

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun
    ) -> list[Document]:
        return self._get_relevant_documents(query, run_manager=run_manager.get_sync())


def document(text: str, **metadata: Any) -> Document:
    return Document(page_content=text, metadata={"source": f"{text[:12]}.md", **metadata})


def saying(*replies: str) -> GenericFakeChatModel:
    return GenericFakeChatModel(messages=cycle(replies or (ANSWER,)))


def store(*texts: str) -> InMemoryVectorStore:
    return InMemoryVectorStore.from_texts(list(texts) or [OPENED], DeterministicFakeEmbedding(size=8))


def graph_over(*given: Any, **named: Any) -> Any:
    """The factory's graph; LangGraph's own types know nothing of inputs written as literals."""
    return create_rag_graph(*given, **named)


ASKED = {"messages": [{"role": "user", "content": QUESTION}]}
CORRECTED = "The bridge was opened on 3 May 1932, a year later than planned."
REFINED = "The bridge was opened on 3 May 1932 [2]."


def refining(**given: Any) -> Any:
    """A graph whose draft the deeper evidence changes."""
    model = saying(ANSWER, "REFINE: another source names a later day", REFINED)
    found = [document(OPENED), document(CORRECTED)]
    return graph_over(model, Found(documents=found[:1]), deep_retriever=Found(documents=found), **given)
