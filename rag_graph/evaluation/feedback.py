"""Feedback as a dataset for `rag-graph eval`: what was liked is evidence, what was not is to be looked at."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from rag_graph.errors import LibraryError
from rag_graph.index import Index
from rag_graph.runs.feedback import Feedback, SentenceFeedback

_PAGE: Final = 500


def export_feedback(
    feedback: Iterable[Feedback], index: Index, folder: Path, *, sentences: Iterable[SentenceFeedback] = ()
) -> int:
    """Write `corpus.jsonl`, `queries.jsonl` and `qrels.tsv`; return how many questions those are.

    What was said of single sentences goes to `sentences.jsonl`, to be looked at.

    An answer that was liked gives its documents as evidence, or, where it cites none, a question that the library does
    not answer. One that was disliked gives its question and why, and no evidence: `eval` passes over it.
    """
    # Each question once, with what was said of it last.
    questions, of_sentences = list({one.question: one for one in feedback}.values()), list(sentences)
    if not questions and not of_sentences:
        raise LibraryError("Nobody has judged an answer yet, so that there is nothing to export.")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "corpus.jsonl").open("w", encoding="utf-8") as corpus:
        for document_id in _document_ids(index):
            document = index.document(document_id)
            if document is not None:
                corpus.write(_line({"_id": document.id, "title": document.title, "text": document.text}))
    with (folder / "queries.jsonl").open("w", encoding="utf-8") as queries:
        for one in questions:
            entry: dict[str, object] = {
                "_id": one.run_id,
                "text": one.question,
                "feedback": one.verdict,
                "reason": one.reason,
            }
            if one.verdict == "up" and not one.documents:
                entry["answerable"] = False
            queries.write(_line({**entry, "answered": one.answer}))
    with (folder / "qrels.tsv").open("w", encoding="utf-8") as qrels:
        qrels.write("query-id\tcorpus-id\tscore\n")
        for one in questions:
            if one.verdict == "up":
                qrels.writelines(f"{one.run_id}\t{document}\t1\n" for document in one.documents)
    if of_sentences:
        with (folder / "sentences.jsonl").open("w", encoding="utf-8") as judged:
            for said in of_sentences:
                facts = {"query-id": said.run_id, "text": said.question, "sentence": said.sentence}
                judged.write(_line({**facts, "feedback": said.verdict, "reason": said.reason}))
    return len(questions)


def _document_ids(index: Index) -> Iterator[str]:
    after = ""
    while page := index.documents(after=after, limit=_PAGE):
        yield from (one.id for one in page)
        after = page[-1].uri


def _line(entry: dict[str, object]) -> str:
    return json.dumps(entry, ensure_ascii=False) + "\n"
