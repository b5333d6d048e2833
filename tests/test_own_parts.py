"""Parts of one's own, from public names only: answered with in this process, and served."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest
from anyio import fail_after
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.vectorstores import InMemoryVectorStore
from pydantic import SecretStr

from rag_graph import Hit, Parts, Passage, Query, Settings, Transcript, default_parts, open_answerer
from rag_graph.contracts import Claim, ClaimVerdict, Filters, Sources, Support
from tests.servers import Serve, serve, towers, upstream
from tests.terminals import run

__all__ = ["serve", "towers", "upstream"]

ANSWER = "The bridge was opened in 1931 [1]."
TEXT = "The bridge was opened in 1931."
QUESTION = "When was the bridge opened?"


@dataclass
class Shelf:
    """A retriever that knows one passage, and notes what it was asked."""

    asked: list[str] = field(default_factory=list)

    async def retrieve(self, question: str, *, top_k: int, filters: Filters | None = None) -> list[Hit]:
        del top_k, filters
        self.asked.append(question)
        return [Hit(Passage(1, "bridges", "bridges.md", "Bridges", 0, len(TEXT), TEXT), 1.0)]


class Believer:
    """A checker that takes the first words of a passage for the source of whatever is said."""

    async def prepare(self, sources: Sources) -> None: ...

    async def check(self, claims: Sequence[Claim], sources: Sources) -> Sequence[ClaimVerdict]:
        support = Support(passage=sources.passages[0].number, start=0, end=10, score=0.5)
        return [ClaimVerdict("supported", (support,)) for _ in claims]


def settings(**given: Any) -> Settings:
    return Settings(_env_file=None, **{"OPENAI_API_KEY": "", "OPENAI_BASE_URL": "", **given})


def model() -> GenericFakeChatModel:
    return GenericFakeChatModel(messages=repeat(ANSWER))


async def ask(given: Settings, parts: Parts) -> Transcript:
    with fail_after(60):
        async with open_answerer(given, parts) as answerer:
            return Transcript.of([event async for event in answerer.ask(Query(question=QUESTION))])


@pytest.mark.anyio
async def test_a_retriever_and_a_chat_model_of_ones_own_answer_with_checked_citations() -> None:
    shelf = Shelf()
    transcript = await ask(settings(), default_parts(settings(), chat_model=model(), retriever=shelf))
    assert transcript.answer == ANSWER
    assert [citation.quote for citation in transcript.citations] == [TEXT]
    assert set(shelf.asked) == {QUESTION}


@pytest.mark.anyio
async def test_any_vector_store_is_taken_as_it_is_and_gives_the_documents_to_its_citations() -> None:
    store = InMemoryVectorStore.from_texts([TEXT], DeterministicFakeEmbedding(size=8))
    parts = default_parts(settings(), chat_model=model(), retriever=store)
    transcript = await ask(settings(), parts)
    [citation] = transcript.citations
    assert parts.documents is not None
    document = parts.documents.document(citation.document)
    assert document is not None
    assert document.text[citation.source_start : citation.source_end] == citation.quote == TEXT


@pytest.mark.anyio
async def test_a_checker_of_ones_own_says_what_is_cited() -> None:
    parts = default_parts(settings(), chat_model=model(), retriever=Shelf(), checker=Believer())
    transcript = await ask(settings(), parts)
    assert [citation.quote for citation in transcript.citations] == [TEXT[:10]]


@pytest.mark.anyio
async def test_single_parts_can_be_replaced() -> None:
    first, second = Shelf(), Shelf()
    parts = replace(default_parts(settings(), chat_model=model(), retriever=first), fast=second)
    await ask(settings(), parts)
    assert second.asked == first.asked == [QUESTION]


@pytest.mark.anyio
async def test_who_only_asks_joins_no_other_process() -> None:
    nobody_there = settings(redis_url=SecretStr("redis://127.0.0.1:1"))
    transcript = await ask(nobody_there, default_parts(nobody_there, chat_model=model(), retriever=Shelf()))
    assert transcript.answer == ANSWER


def test_parts_of_ones_own_are_served(serve: Serve) -> None:
    shelf = Shelf()
    server = serve(parts=default_parts(settings(), chat_model=model(), retriever=shelf))
    answer = server.ask(QUESTION, accept="application/json").json()
    assert (answer["status"], answer["answer"]) == ("finished", ANSWER)
    assert [citation["quote"] for citation in answer["citations"]] == [TEXT]
    assert server.http.get("/health").json()["status"] == "ready"
    assert server.http.get("/documents/bridges").status_code == 404
    assert set(shelf.asked) == {QUESTION}


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("no_such_module:parts", "there is none such"),
        ("json:parts", "there is none such"),
        ("math:pi", "is to give rag_graph.Parts"),
    ],
)
def test_parts_that_are_not_there_are_one_line_and_exit_code_2(tmp_path: Path, name: str, problem: str) -> None:
    done = run("serve", "--parts", name, settings={"RAG_DATA_DIR": str(tmp_path), "RAG_PORT": "0"})
    assert done.returncode == 2
    assert problem in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
