"""What sentences say by where they stand: an answer behind its question, an item of a list under its heading."""

import re
from collections.abc import Iterable

from rag_graph.claims.opposites import CHOICES
from rag_graph.text.languages import ENGLISH, PREPOSITIONS
from rag_graph.text.sentences import Sentence
from rag_graph.text.terms import root

LIST_MARK = re.compile(r"(?:^|\n)[ \t>]*(?:[-*+•–]|\d{1,3}[.)])[ \t]+\Z")
_ANSWER = re.compile(
    r"[\s*_>]*+(?:(?:A|Answer)[.:][\s*_]*)?(?:(?P<no>no|never)|yes|always)\b[*_]*(?:[,.;:!–—-]|\Z)", re.IGNORECASE
)
_ASKED = re.compile(r"[\s*_>#]*+(?:Q[.:]\s*)?(?P<words>[^?]*)\?[\s*_]*")
_NO_CELL = re.compile(r"(?<=\|)\s*(?:no|none|not|never)\s*(?=\|)", re.IGNORECASE)
"""A cell that denies what stands above it, and nothing of the cells beside it."""
_MODAL = re.compile(r"(?:can|may|must|shall|should|could|will|would)\b", re.IGNORECASE)
_SAID_OF_IT = re.compile(r"\b(?=\w+ed\b|possible|available|free\b)", re.IGNORECASE)
_SHORT_ANSWER = 4
"""An answer of so few words says nothing without its question, as in "How long is it kept? 90 days."."""
_FRAGMENT = re.compile(rf"[\s*_>]*+(?:\d|(?:an?|the|{'|'.join(sorted(PREPOSITIONS))})\s)", re.IGNORECASE)
_LONGEST_HEADING = 2
"""A longer heading tells what its items are about, and not what became of them, as "Removed" does."""


def mark_before(content: str, start: int) -> re.Match[str] | None:
    """The mark of a list's item that stands before it."""
    return LIST_MARK.search(content, max(0, start - 12), start)


def is_question(text: str) -> bool:
    """Whether a sentence asks: then it says nothing, and what follows is about it."""
    return text.rstrip(' *_"”').endswith(("?", "？"))


def in_full(content: str, found: Iterable[Sentence]) -> list[tuple[Sentence, str]]:
    """Give each sentence with what it says in full: "Are dogs allowed? No." says that dogs are not allowed."""
    told: list[tuple[Sentence, str]] = []
    choice = ""
    for sentence in found:
        text = content[sentence.start : sentence.end]
        is_item = mark_before(content, sentence.start) is not None
        if sentence.kind == "row":
            text = _NO_CELL.sub(" ", text)
        elif sentence.kind == "heading" or (not is_item and text.rstrip(" *_").endswith(":")):
            choice = text if _is_choice(text) else ""
        elif is_item and choice:
            text = f"{text.rstrip(' .;')}; {choice.strip(' *_:')}"
        told.append((sentence, text))
        answer = _ANSWER.match(text)
        # "Is the door shut? Start the press." goes on behind the question, and does not answer it.
        is_short = len(text.split()) <= _SHORT_ANSWER and _FRAGMENT.match(text)
        asked = len(told) > 1 and (answer or is_short) and _ASKED.fullmatch(content, told[-2][0].start, told[-2][0].end)
        if asked:
            rest = text[answer.end() :] if answer else text
            is_denied = bool(answer and answer["no"])
            told[-2:] = _answer(told[-2], sentence, asked["words"], rest, is_denied=is_denied)
    return told


def _answer(
    asked: tuple[Sentence, str], sentence: Sentence, question: str, rest: str, *, is_denied: bool
) -> list[tuple[Sentence, str]]:
    """A question and its yes or no as one sentence; a heading that asks stays what the others stand under."""
    words = f"{_answered(question, is_denied=is_denied)}, {rest}"
    if asked[0].kind == "heading":
        return [asked, (sentence, words)]
    return [(Sentence(asked[0].start, sentence.end, sentence.kind), words)]


def _answered(question: str, *, is_denied: bool) -> str:
    if not is_denied:
        return question
    if _MODAL.match(question):
        return _MODAL.sub(r"\g<0> not", question, count=1)
    return _SAID_OF_IT.sub("not ", question, count=1) if _SAID_OF_IT.search(question) else f"not {question}"


def _is_choice(heading: str) -> bool:
    """Whether a heading such as "Removed" says of its items what another, such as "Added", says of others."""
    words = [word for word in re.findall(r"\w+", heading.lower()) if word not in ENGLISH.function_words]
    is_plain = len(words) <= _LONGEST_HEADING and ENGLISH.negations.isdisjoint(words)
    return is_plain and any(root(word) in CHOICES for word in words)
