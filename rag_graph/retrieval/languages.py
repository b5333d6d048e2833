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
    return (
        f"The question is {_in(language)}, which the embedded search reads by its words only, and no passage that "
        "these brought up is in that language: ask in the documents' language, or set "
        "RAG_EMBEDDING_MODEL=local:multilingual-e5-small or to another multilingual model."
    )


def unread_by_reader(language: str) -> str:
    """What people are told where the search has read the question, and what answers without a language model cannot."""
    return (
        f"The question is {_in(language)}, which the embedded reader does not read: what was found nearest is shown, "
        "and no answer is read from it. Ask in the documents' language, or set RAG_CHAT_MODEL."
    )


def _in(language: str) -> str:
    return f"written in {language}" if language.endswith(("script", "Devanagari")) else f"in {language}"
