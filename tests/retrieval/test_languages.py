import json
from contextlib import closing
from pathlib import Path

import pytest

from rag_graph.events import PassagesRetrieved, RunFinished, Warned
from rag_graph.graph.build import build_graph
from rag_graph.graph.parts import Parts
from rag_graph.graph.stream import stream_events
from rag_graph.index import EmbeddedIndex, index_paths
from rag_graph.models.embeddings import Embedder, RememberingEmbedder
from rag_graph.models.local.embedder import LocalEmbedder
from rag_graph.models.local.reader import LocalReader
from rag_graph.query import Query
from rag_graph.retrieval import DeepRetriever, FastRetriever
from rag_graph.retrieval.languages import QUESTION_UNREAD, unread_language
from rag_graph.writing.quoting import NOT_READ, QuotingWriter
from tests.index.hashing import HashEmbedder

ENGLISH = "The Larkspur engine was built by Ada Brown in 1874. It is shown in the museum of Leeds."
GERMAN = "Der Motor wurde im Jahr 1874 von Ada Brown gebaut. Er ist im Museum von Leeds zu sehen."


@pytest.mark.parametrize(
    ("question", "passages", "language"),
    [
        ("Who built the Larkspur engine?", [ENGLISH], ""),
        ("Who built the Larkspur engine?", [GERMAN], ""),
        ("Wer hat den Motor gebaut?", [ENGLISH], "German"),
        ("Wer hat den Motor gebaut?", [ENGLISH, GERMAN], ""),
        ("Qui a construit le moteur Larkspur ?", [ENGLISH, GERMAN], "French"),
        ("谁造了这台发动机？", [ENGLISH], "Chinese"),
        ("Кто построил двигатель?", [], "Russian"),
        ("Larkspur", [GERMAN], ""),
        ("La vie en rose", [ENGLISH], ""),
    ],
)
def test_a_question_is_unread_in_a_language_of_neither_embedder_nor_passages(
    question: str, passages: list[str], language: str
) -> None:
    assert unread_language(question, passages, RememberingEmbedder(LocalEmbedder())) == language
    assert unread_language(question, passages, RememberingEmbedder(HashEmbedder())) == ""


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("question", "searching", "language", "answer"),
    [
        ("Qui a construit le moteur Larkspur ?", LocalEmbedder(), "French", NOT_READ),
        # One that reads the question does not make the reader do so: it finds, and nothing is read from what it finds.
        ("Qui a construit le moteur Larkspur ?", HashEmbedder(), "French", f"{NOT_READ} Nearest to it:"),
        ("Who built the Larkspur engine?", LocalEmbedder(), "", "Ada Brown"),
    ],
)
async def test_an_unread_question_is_said_to_be_so_and_answered_by_no_quote(
    tmp_path: Path, question: str, searching: Embedder, language: str, answer: str
) -> None:
    (tmp_path / "notes.jsonl").write_text(json.dumps({"_id": "a", "title": "Larkspur engine", "text": ENGLISH}))
    with closing(EmbeddedIndex(tmp_path / "index", searching)) as index:
        index_paths(index, [tmp_path / "notes.jsonl"])
        parts = Parts(
            fast=FastRetriever(index),
            deep=DeepRetriever(index),
            drafter=QuotingWriter(RememberingEmbedder(LocalEmbedder()), LocalReader(), searching),
            index=index,
        )
        events = [event async for event in stream_events(build_graph(parts), Query(question=question))]
    warnings = [event for event in events if isinstance(event, Warned)]
    last = events[-1]
    assert any(isinstance(event, PassagesRetrieved) and event.passages for event in events)
    assert isinstance(last, RunFinished)
    assert [warning.code for warning in warnings] == [QUESTION_UNREAD] * bool(language)
    assert all(f"in {language}" in warning.message for warning in warnings)
    assert last.answer.startswith(answer) or answer in last.answer.partition("\n")[0]
    assert bool(last.citations) == (answer == "Ada Brown")
