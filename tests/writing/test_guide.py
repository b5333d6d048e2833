"""The plain install over the guide that comes along: 35 questions of ours, of which it answers 25."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import pytest
from langchain_core.runnables import RunnableConfig

from rag_graph.index import EmbeddedIndex, index_paths
from rag_graph.models.embeddings import RememberingEmbedder
from rag_graph.models.local.embedder import LocalEmbedder
from rag_graph.models.local.reader import LocalReader
from rag_graph.research import numbered
from rag_graph.retrieval import FastRetriever
from rag_graph.writing.contract import Assignment
from rag_graph.writing.quoting import NO_ANSWER, QuotingWriter, short_answer
from tests.benchmarks.lookups import is_right
from tests.writing.conftest import Page

pytestmark = pytest.mark.anyio
QUESTIONS = [json.loads(line) for line in (Path(__file__).parent / "guide.jsonl").read_text().splitlines()]


@dataclass(frozen=True)
class Answered:
    question: str
    answerable: bool
    content: str
    right: bool

    @property
    def is_sure(self) -> bool:
        return " — read from [" in self.content

    @property
    def is_refused(self) -> bool:
        return self.content.startswith(NO_ANSWER)


@pytest.fixture(scope="module")
def guide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedIndex]:
    index = EmbeddedIndex(tmp_path_factory.mktemp("guide"), RememberingEmbedder(LocalEmbedder()))
    index_paths(index, [Path(str(files("rag_graph") / "sample"))])
    yield index
    index.close()


async def ask(guide: EmbeddedIndex, question: str) -> str:
    hits = await FastRetriever(guide).retrieve(question, top_k=3)
    page = Page()
    writer = QuotingWriter(guide.embedder, READER)
    await writer.write(Assignment(question, tuple(numbered(hits)), 1, "draft"), page.emit, RunnableConfig())
    return page.transcript.answers[1].content


READER = LocalReader()


async def test_the_readmes_question_is_answered_as_it_says(guide: EmbeddedIndex) -> None:
    said = await ask(guide, "Which retrieval system first implemented BM25?")
    assert short_answer(said).startswith("Okapi")


async def test_what_is_given_as_sure_is_right_and_what_cannot_be_answered_is_refused(guide: EmbeddedIndex) -> None:
    asked = []
    for item in QUESTIONS:
        said = await ask(guide, item["question"])
        right = is_right(short_answer(said), item["answers"])
        asked.append(Answered(item["question"], bool(item["answers"]), said, right))
    answerable = [it for it in asked if it.answerable]
    sure = [it for it in asked if it.is_sure]
    wrong = [f"{it.question} {it.content[:80]}" for it in sure if not it.right]
    assert len(sure) >= len(answerable) / 2
    assert len(wrong) <= len(sure) / 8, wrong
    assert not [it.question for it in asked if it.is_sure and not it.answerable]
    assert sum(it.is_refused for it in asked if not it.answerable) >= 8
    assert sum(it.is_refused for it in answerable) <= len(answerable) / 10
