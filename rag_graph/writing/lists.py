"""What stands beside an answer: the other items of its list, other counts, and names in code that may be meant."""

import re
from collections.abc import Iterator
from dataclasses import replace

from rag_graph.claims.statements import NUMBER_WORDS
from rag_graph.retrieval.quotes import content_terms
from rag_graph.text.sentences import Sentence
from rag_graph.writing.excerpts import list_around
from rag_graph.writing.reading import Answer

_CODE = r"(?::[\w:.+-]+:|\{[\w:.+-]+\})?`+[~!]?[^`\n]{1,60}`+"
_NAME = r"[A-Z0-9][\w.+#-]*(?:\s[A-Z0-9][\w.+#-]*){0,3}(?<![.])"
_WORD = r"[^\W\d_][\w+-]*"
_COUNT = rf"(?:\d[\d.,]*|one|{'|'.join(NUMBER_WORDS)})"
_PHRASE = rf"(?:the|an?|his|her|its|their|our|some|all|{_COUNT})\s[\w'’-]+(?:\s(?!and\b|or\b)[\w'’-]+){{0,2}}"
"""What a sentence counts up in several words each, as "the old weir, three mills and eleven houses"."""
_BEFORE_PHRASES = re.compile(rf"\b(?:the|an?|his|her|its|their|our|some|all|{_COUNT})\s+$", re.IGNORECASE)
_AND = r"(?:\s*\([^()]{0,60}\))?(?:\s*,\s*(?:(?:and|or)\s+)?|\s+(?:and|or)\s+)"
_ENDS = re.compile(r"\s*(?:[.,;:!?)]|\n\n|$|(?:as|at|by|for|from|in|on|to|with)\b)")
"""What may stand behind a list of plain words; behind "reads and writes" stands what both are done to."""


def listed_with(answer: Answer) -> list[Answer]:
    """The items of the list that an answer stands in, in order; the answer alone where it stands in none."""
    content = answer.passage.content
    start, end = _with_marks(content, answer.start, answer.end)
    said = content[start:end]
    if re.search(_AND + r"\S", said):
        return [answer]
    item = _CODE if "`" in said else _NAME if said[:1].isupper() or said[:1].isdigit() else _WORD
    if item == _WORD and (_BEFORE_PHRASES.search(content[:start]) or re.fullmatch(_PHRASE, said)):
        item = _PHRASE
    before, after = [], []
    at = start
    while found := re.search(rf"(?<![\w`])({item}){_AND}$", content[answer.sentence.start : at]):
        at = answer.sentence.start + found.start(1)
        before.append((at, answer.sentence.start + found.end(1)))
    at = end
    while found := re.compile(rf"{_AND}({item})(?![\w`])").match(content, at, answer.sentence.end):
        at = found.end(1)
        after.append(found.span(1))
    first, last = (before[-1] if before else (start, end))[0], (after[-1] if after else (start, end))[1]
    is_plain = item in (_WORD, _PHRASE)
    is_list = re.search(r"\s(?:and|or)\s", content[first:last]) and (not is_plain or _ENDS.match(content, last))
    if not is_list:
        return [answer]
    return [*(_at(answer, span) for span in reversed(before)), answer, *(_at(answer, span) for span in after)]


def whole_list(answer: Answer, question: str) -> list[Answer]:
    """The items of the list on lines of their own that an answer stands in; none where the question is about one item.

    That is where an item has a word of the question: who asks what has to be packed means all that the list leads in
    to, who asks what takes batteries the one item that says so.
    """
    content = answer.passage.content
    items = list_around(content, answer.start)
    asked = content_terms(question)
    if len(items) < LEAST_ITEMS or any(asked & content_terms(content[start:end]) for start, end in items):
        return []
    return [replace(answer, start=start, end=end, sentence=Sentence(start, end)) for start, end in items]


def counted(answer: Answer, question: str) -> list[Answer] | None:
    """Each of the counts that are asked for in "how many mills and houses", as "three mills"; None where but one is.

    Empty where the answer's sentence does not hold them all.
    """
    asked = _ASKS_FOR_COUNTS.search(question)
    if asked is None:
        return None
    held = answer.sentence
    found: list[Answer] = []
    for noun in map(content_terms, asked.groups()):
        for match in _COUNTED_NOUN.finditer(answer.passage.content, held.start, held.end):
            ends = [word.end() for word in re.finditer(r"[\w'’-]+", match[1]) if content_terms(word[0]) == noun]
            if ends:
                found.append(replace(answer, start=match.start(), end=match.start(1) + ends[0]))
                break
    return found if len(found) == len(asked.groups()) else []


LEAST_ITEMS = 2
_COUNTED_NOUN = re.compile(
    rf"\b{_COUNT}\s((?!{_COUNT}\b)[\w'’-]+(?:\s(?!(?:and|or|{_COUNT})\b)[\w'’-]+){{0,2}})", re.IGNORECASE
)
_ASKS_FOR_COUNTS = re.compile(r"\bhow\s+many\s+([\w'’-]+)\s+and\s+(?:how\s+many\s+)?([\w'’-]+)", re.IGNORECASE)


def names_alike(answer: Answer, question: str) -> bool:
    """Whether an answer in code is one of several that its sentence names, of which the question names none.

    Which of them it is hangs on the words between them, which the reader weighs little. Where the passage names another
    that has more of the question's words in it, as `ConnectTimeout` beside `ReadTimeout`, it may be that one anywhere.
    """
    held = answer.sentence
    if held.kind == "code":
        return False
    names = frozenset(_names_in_code(answer.passage.content[held.start : held.end]))
    said = answer.text.casefold()
    asked = question.casefold()
    others = [name for name in names if name != said and not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", asked)]
    return said in names and (bool(others) or _is_outdone(answer, question))


def _is_outdone(answer: Answer, question: str) -> bool:
    """Whether the passage names another of the same sort with more of the question's words, which may be meant."""
    wanted, own = content_terms(question), _parts(answer.text)
    asked = question.casefold()
    spans = [span for span in _IN_CODE.findall(answer.passage.content) if span.casefold() not in asked]
    return bool(own) and len(wanted & own) < max((len(wanted & _parts(span)) for span in spans), default=0)


def _parts(name: str) -> frozenset[str]:
    """The terms of the words that a name in code is made of."""
    return content_terms(" ".join(_PART.findall(name))) if len(name.split()) == 1 else frozenset()


_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_IN_CODE = re.compile(r"`+[~!]?([^`\n]{1,60})`+")


def _names_in_code(text: str) -> Iterator[str]:
    for found in _IN_CODE.finditer(text):
        yield " ".join(found[1].split()).casefold()


def _with_marks(content: str, start: int, end: int) -> tuple[int, int]:
    """The span with the marks of code around it."""
    before = re.search(r"(?::[\w:.+-]+:|\{[\w:.+-]+\})?`+[~!]?$", content[max(0, start - 40) : start])
    after = re.compile(r"`+").match(content, end)
    return (start - len(before[0]), after.end()) if before and after else (start, end)


def _at(answer: Answer, span: tuple[int, int]) -> Answer:
    inner = re.compile(r"(?::[\w:.+-]+:|\{[\w:.+-]+\})?`+[~!]?([^`]*)`+").fullmatch(answer.passage.content, *span)
    start, end = inner.span(1) if inner else span
    return replace(answer, start=start, end=end)
