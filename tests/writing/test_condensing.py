"""What is asked in place of a follow-up question where no model rewrites it."""

import pytest
from langchain_core.runnables import RunnableConfig

from rag_graph.query import Query, Turn
from rag_graph.writing.condensing import PrecedingQuestion
from tests.writing.conftest import Page

pytestmark = pytest.mark.anyio
BEFORE = "Which retrieval system first implemented BM25?"


async def condensed(question: str) -> str:
    history = [Turn(role="user", content=BEFORE), Turn(role="assistant", content="Okapi.")]
    return await PrecedingQuestion().condense(Query(question=question, history=history), Page().emit, RunnableConfig())


@pytest.mark.parametrize(
    "question",
    [
        "When was it built?",
        "Who wrote that?",
        "In which year?",
        "Why?",
        "And in London?",
        "What about dense retrieval?",
        "Who else worked there?",
        "Wann wurde er gebaut?",
    ],
)
async def test_a_question_that_goes_on_is_asked_with_the_one_before(question: str) -> None:
    assert await condensed(question) == f"{BEFORE} {question}"


@pytest.mark.parametrize(
    "question",
    [
        "What is the capital of Australia?",
        "What is bridging?",
        "How does a client resume a stream?",
        "Which header names the last event?",
        "When was FAISS released?",
    ],
)
async def test_a_question_that_stands_by_itself_is_asked_alone(question: str) -> None:
    assert await condensed(question) == question
