"""Questions with passages and answers to train the reader on, and the windows that it sees of them.

The sets are read from a folder by the names that their publishers gave them; `README.md` here says where they are.
"""

import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tokenizers import Encoding, Tokenizer

from rag_graph.index.lexical import Averages, LexicalScorer, PostingsBuilder
from rag_graph.text.terms import key, terms

SQUADSHIFTS = ("new_wiki_v1.0.json", "reddit_v1.0.json", "amazon_reviews_v1.0.json")
QED = "qed-dev.jsonlines"
QED_TRAINED = 678
"""The lines of QED's development set that are trained on; what follows them is measured."""

QED_TIMES = 3
"""How often an epoch has each question of QED: they are the ones that look like what people look up."""

MAX_TOKENS, MAX_QUESTION, MAX_TITLE, MAX_ANSWER = 128, 28, 16, 26
NEIGHBOURS = 12

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Question:
    """A question, the passage that answers it, and where; `group` is the article or set of the passage."""

    text: str
    title: str
    passage: str
    answers: tuple[Span, ...]
    group: str
    neighbours: list[int] = field(default_factory=list)
    """Questions whose passages a search by words finds for this one, and that do not hold its answer."""


def read_questions(folder: Path) -> list[Question]:
    """All questions to train on, each with its neighbours."""
    found = [question for name in SQUADSHIFTS for question in _squadshifts(folder / name)]
    found += [question for question in _qed(folder / QED) for _ in range(QED_TIMES)]
    _find_neighbours(found)
    return found


def _squadshifts(path: Path) -> Iterator[Question]:
    for article in json.loads(path.read_text())["data"]:
        # Only the articles of Wikipedia have titles that say something.
        title = article["title"].replace("_", " ") if path.name.startswith("new_wiki") else ""
        for paragraph in article["paragraphs"]:
            for asked in paragraph["qas"]:
                spans = tuple(
                    (given["answer_start"], given["answer_start"] + len(given["text"])) for given in asked["answers"]
                )
                if spans:
                    yield Question(asked["question"], title, paragraph["context"], spans, path.stem + article["title"])


def _qed(path: Path) -> Iterator[Question]:
    for line in path.read_text().splitlines()[:QED_TRAINED]:
        read = json.loads(line)
        # An answer of several spans is a list, which one span cannot give.
        spans = tuple(
            (part["start"], part["end"]) for whole in read["original_nq_answers"] if len(whole) == 1 for part in whole
        )
        if spans:
            # Signs of the Penn Treebank become those that people write, at the same places.
            passage = read["paragraph_text"].replace("``", '" ').replace("''", ' "').replace("--", " -")
            yield Question(read["question_text"], read["title_text"], passage, spans, "qed")


def _find_neighbours(questions: Sequence[Question]) -> None:
    """The passages that a search by words confuses with the right one: from these it is learnt what is no answer."""
    passages: dict[str, int] = {}
    builder = PostingsBuilder()
    for number, question in enumerate(questions):
        if question.passage not in passages:
            passages[question.passage] = number
            builder.add(terms(question.title), terms(question.passage))
    numbers = list(passages.values())
    postings = builder.build()
    scorer = LexicalScorer(postings, Averages.of([postings]))
    for question in questions:
        found = {key(term) for term in terms(question.text)}
        held = zip(sorted(found), postings.rows(np.array(sorted(found), dtype=np.uint64)).tolist(), strict=True)
        rarity = {term: float(np.log(1 + postings.size / (postings.frequency(row) + 0.5))) for term, row in held}
        ordinals, _ = scorer.search([rarity], limit=NEIGHBOURS, allowed=None)
        golds = {question.passage[start:end].casefold() for start, end in question.answers}
        for ordinal in ordinals.tolist():
            other = questions[numbers[ordinal]]
            if other.passage != question.passage and not any(gold in other.passage.casefold() for gold in golds):
                question.neighbours.append(numbers[ordinal])


@dataclass(frozen=True, slots=True)
class Example:
    """One window as the model sees it: tokens, where the passage's part begins, the answer's first and last token.

    Both are 0, the place of [CLS], where the window does not answer.
    """

    ids: tuple[int, ...]
    second: int
    first: int = 0
    last: int = 0


CLS, SEP = 101, 102
_NAME_OR_NUMBER = re.compile(r"(?<=\s)(?:[A-Z][\w'’-]+(?:\s[A-Z][\w'’-]+)*|\d[\d,.]*\d|\d)")


class Examples:
    """Windows drawn at random: of a passage that answers, of one that almost does, of one that does not at all."""

    ALTERED, ELSEWHERE, UNANSWERED = 0.06, 0.26, 0.12
    """The shares of windows that do not answer: the question asks for another name or number than the passage tells
    of; the window is of another passage; it is of the right passage, and the answer stands outside."""

    UNMARKED, TITLED, CROPPED = 0.50, 0.85, 0.60
    """How many questions lose their question mark, as people type them (letters are small to the model anyway); how
    many windows keep their title; how many are cut to a length at random, so that the model meets short ones."""

    def __init__(self, questions: Sequence[Question], tokenizer: Tokenizer, seed: int) -> None:
        self._questions = questions
        self._tokenizer = tokenizer
        self._random = random.Random(seed)  # noqa: S311 - nothing is kept secret
        self._groups: dict[str, list[int]] = defaultdict(list)
        self._names: dict[bool, list[str]] = {True: [], False: []}
        for number, question in enumerate(questions):
            self._groups[question.group].append(number)
            for name in _NAME_OR_NUMBER.findall(question.text):
                self._names[name[0].isdigit()].append(name)

    def seed(self, seed: int) -> None:
        """Begin chance anew, so that what is drawn hangs on this and not on who drew before."""
        self._random.seed(seed)

    def draw(self, number: int) -> Example | None:
        """A window for this question; None where a draw fails, as when an answer does not fit into it."""
        asked, chance = self._questions[number], self._random.random()
        text = asked.text
        if chance < self.ALTERED:
            altered = self._altered(asked)
            return self._window(altered, asked, answered=False, anywhere=True) if altered else None
        chance -= self.ALTERED
        if chance < self.ELSEWHERE:
            other = self._questions[self._other(asked)]
            gold = {asked.passage[start:end].casefold() for start, end in asked.answers}
            if any(answer in other.passage.casefold() for answer in gold):
                return None
            return self._window(text, other, answered=False, anywhere=True)
        chance -= self.ELSEWHERE
        return self._window(text, asked, answered=chance >= self.UNANSWERED, anywhere=False)

    def _other(self, asked: Question) -> int:
        chance = self._random.random()
        if chance < 0.7 and asked.neighbours:
            return self._random.choice(asked.neighbours)
        if chance < 0.9:
            return self._random.choice(self._groups[asked.group])
        return self._random.randrange(len(self._questions))

    def _altered(self, asked: Question) -> str | None:
        """The question about another name or number, of which the passage tells nothing."""
        held = [
            match for match in _NAME_OR_NUMBER.finditer(asked.text) if match[0].casefold() in asked.passage.casefold()
        ]
        if not held:
            return None
        match = self._random.choice(held)
        other = self._random.choice(self._names[match[0][0].isdigit()])
        if other.casefold() in asked.passage.casefold():
            return None
        return asked.text[: match.start()] + other + asked.text[match.end() :]

    def _window(self, text: str, of: Question, *, answered: bool, anywhere: bool) -> Example | None:
        if self._random.random() < self.UNMARKED:
            text = text.rstrip(" ?")
        asked = self._ids(text)[:MAX_QUESTION]
        title = self._ids(f"{of.title}.")[:MAX_TITLE] if of.title and self._random.random() < self.TITLED else []
        passage: Encoding = self._tokenizer.encode(of.passage, add_special_tokens=False)
        room = MAX_TOKENS - 3 - len(asked) - len(title)
        if self._random.random() < self.CROPPED:
            room = self._random.randint(32, room)
        spans = [] if anywhere else [_tokens(passage, span) for span in of.answers]
        if any(span is None for span in spans):
            return None
        places = [span for span in spans if span is not None]
        slack = max(0, len(passage.ids) - room)
        if answered:
            first, last = self._random.choice(Counter(places).most_common(1))[0]
            if last - first >= min(room, MAX_ANSWER):
                return None
            at = self._random.randint(max(0, min(last - room + 1, slack)), min(first, slack))
            start = 2 + len(asked) + len(title) - at
            return _example(asked, title, passage.ids[at : at + room], first + start, last + start)
        for _ in range(8):
            at = self._random.randint(0, slack)
            if not any(first < at + room and last >= at for first, last in places):
                return _example(asked, title, passage.ids[at : at + room], 0, 0)
        return None

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids


def _tokens(passage: Encoding, span: Span) -> Span | None:
    """The first and the last token of these characters."""
    held = [at for at, (start, end) in enumerate(passage.offsets) if end > span[0] and start < span[1]]
    return (held[0], held[-1]) if held else None


def _example(asked: Sequence[int], title: Sequence[int], passage: Sequence[int], first: int, last: int) -> Example:
    return Example((CLS, *asked, SEP, *title, *passage, SEP), len(asked) + 2, first, last)
