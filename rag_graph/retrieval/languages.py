"""Questions in a language that the embedder does not read, over documents in another: only their words are searched."""

from collections.abc import Iterable

from rag_graph.models.embeddings import Embedder, languages
from rag_graph.text.languages import name_of

QUESTION_UNREAD = "question_unread"
"""The code of the warning."""


def unread_language(question: str, passages: Iterable[str], embedder: Embedder) -> str:
    """The language of a question that neither the embedder reads nor any of the passages is in; "" if there is none."""
    asked_in, known = name_of(question), languages(embedder)
    if known is None or not asked_in or asked_in in known:
        return ""
    return "" if asked_in in map(name_of, passages) else asked_in


def unread_sentence(language: str) -> str:
    """What people are told of it."""
    written = f"written in {language}" if language.endswith(("script", "Devanagari")) else f"in {language}"
    return (
        f"The question is {written}, which the embedded search reads by its words only, and no passage that these "
        "brought up is in that language: ask in the documents' language, or set RAG_EMBEDDING_MODEL to a multilingual "
        "model."
    )
