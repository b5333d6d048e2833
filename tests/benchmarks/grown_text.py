"""Text of an encyclopaedia in any amount: its 9,002 real paragraphs, and above these others that are made of them.

The real ones are those of the shared sets, with what the embedded embedder makes of them. A made one has the sentences
of one paragraph and the first two of another; a name of its own, which no other has, stands for the title of the first
in title and text; its vector is drawn around theirs. So words are as frequent as in real text and the vocabulary grows,
and vectors lie in clusters as real ones do; but sentences recur, so that nothing here says how well is found.
"""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from rag_graph.evaluation.scores import load_dataset
from rag_graph.models.embeddings import Vectors, unit
from rag_graph.models.local.embedder import LocalEmbedder
from rag_graph.text.sentences import sentence_spans
from tests.benchmarks.retrieval import DATA, SETS

KINDS = 100
"""Each passage has for its topic, to filter by, that of so many real ones which is nearest to what it is made of."""
OF_ITS_OWN, OF_THE_OTHER, NOISE = 0.7, 0.3, 0.5
"""What a made vector consists of: its length is about 0.7 without the noise, which has 0.5."""
_SYLLABLES = "ba ce di fo gu ha ki lo mu na pe ri so tu va we xi yo za bren clor dast fenn gril holm".split()  # noqa: SIM905
_NAME_SYLLABLES = 6
_LOT_STEP = 37


def questions() -> list[str]:
    """Of two hops, as they come with the real paragraphs."""
    return [question.text for name in SETS for question in load_dataset(DATA / name).questions]


@dataclass(frozen=True)
class GrownText:
    """The passages by number; the vectors of the real ones are kept in `cache`, for embedding them takes minutes."""

    cache: Path

    def passages(self, count: int) -> Iterator[dict[str, str]]:
        """The first `count`, as lines of JSON Lines; the first ones are the same whatever the count."""
        for number in range(count):
            title, text = self.text(number)
            topic, lot = self.kinds(number)
            yield {"_id": str(number), "title": title, "text": text, "topic": topic, "lot": lot}

    def text(self, number: int) -> tuple[str, str]:
        """Title and text."""
        if number < len(self._real):
            return self._real[number]
        own, other = self._parents(number)
        title, text = self._real[own]
        name = f"{_name(number).capitalize()} of {title.split()[0]}"
        return name, f"{text.replace(title, name)} {self._openings[other]}"

    def kinds(self, number: int) -> tuple[str, str]:
        """Its topic, and one of as many lots, which have none."""
        return f"topic {self._topics[number % len(self._real)]}", f"lot {number * _LOT_STEP % KINDS}"

    def vector(self, number: int) -> Vectors:
        if number < len(self._real):
            real: Vectors = self._vectors[number]
            return real
        own, other = self._parents(number)
        noise = np.random.default_rng(number).standard_normal(self._vectors.shape[1], dtype=np.float32)
        parts = OF_ITS_OWN * self._vectors[own] + OF_THE_OTHER * self._vectors[other]
        row: Vectors = unit([parts + NOISE * noise / np.linalg.norm(noise)])[0]
        return row

    def number(self, embedded: str) -> int:
        """Which passage it is, from what is embedded of it or of a part of it."""
        title = embedded.partition("\n")[0]
        known = self._numbers.get(embedded, self._numbers.get(title))
        return _number(title.partition(" of ")[0].lower()) if known is None else known

    def _parents(self, number: int) -> tuple[int, int]:
        return number % len(self._real), random.Random(number).randrange(len(self._real))  # noqa: S311 - the same

    @cached_property
    def _real(self) -> list[tuple[str, str]]:
        lines = (line for name in (*SETS, "distractors") for line in (DATA / name / "corpus.jsonl").open())
        return list(dict.fromkeys((entry["title"], entry["text"]) for entry in map(json.loads, lines)))

    @cached_property
    def _openings(self) -> list[str]:
        spans = (sentence_spans(text)[:2] for _, text in self._real)
        return [text[its[0][0] : its[-1][1]] for (_, text), its in zip(self._real, spans, strict=True)]

    @cached_property
    def _topics(self) -> list[int]:
        topics: list[int] = np.argmax(self._vectors @ self._vectors[:KINDS].T, axis=1).tolist()
        return topics

    @cached_property
    def _numbers(self) -> dict[str, int]:
        """Of the real ones, by title and by what is embedded of them."""
        by_title = {title: number for number, (title, _) in enumerate(self._real)}
        return by_title | {f"{title}\n{text}": number for number, (title, text) in enumerate(self._real)}

    @cached_property
    def _vectors(self) -> Vectors:
        path = self.cache / "vectors.npy"
        if not path.exists():
            self.cache.mkdir(parents=True, exist_ok=True)
            np.save(path, LocalEmbedder().embed([f"{title}\n{text}" for title, text in self._real]))
        vectors: Vectors = np.load(path)
        return vectors


class GrownEmbedder:
    """Knows the vectors of these passages; embeds questions, which costs what it costs."""

    dims = 384

    def __init__(self, text: GrownText) -> None:
        self._text, self._real = text, LocalEmbedder()
        self.name = self._real.name
        self.known_share = self._real.known_share
        self.embed_queries, self.embed_query = self._real.embed_queries, self._real.embed_query

    def embed(self, texts: Sequence[str]) -> Vectors:
        return np.array([self._text.vector(self._text.number(text)) for text in texts], dtype=np.float32)


def _name(number: int) -> str:
    digits = (number // len(_SYLLABLES) ** place % len(_SYLLABLES) for place in range(_NAME_SYLLABLES))
    return "".join(_SYLLABLES[digit] for digit in digits)


def _number(name: str) -> int:
    number, place = 0, 1
    while name:
        syllable = next(syllable for syllable in _SYLLABLES if name.startswith(syllable))
        number += _SYLLABLES.index(syllable) * place
        name, place = name[len(syllable) :], place * len(_SYLLABLES)
    return number
