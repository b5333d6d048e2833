"""Text to searchable terms: folded, stemmed words and their 64-bit keys, which is all that an index stores of them."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from threading import local

import numpy as np
import Stemmer  # type: ignore[import-not-found]  # a C extension without types
from numpy.typing import NDArray
from xxhash import xxh3_64_intdigest

from rag_graph.text.languages import IRREGULAR, STOP_WORDS

Keys = NDArray[np.uint64]

MAX_TERM_CHARS = 64
KEPT_WORDS = 20_000
"""The common words of a language, whose terms are kept: ten times as many cost 20 MB and index no faster."""

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_WORD = re.compile(rf"[{_CJK}]+|[^\W_{_CJK}]+(?:['’][^\W\d_{_CJK}]{{1,2}}\b)?")
_CJK_RUN = re.compile(rf"[{_CJK}]")
_PARENTHESIS = re.compile(r"\s*\([^()]*\)\s*$")

_thread = local()


def words(text: str) -> Iterator[re.Match[str]]:
    """The words of a text where they stand; a run of Chinese, Japanese or Korean script counts as one."""
    return _WORD.finditer(text)


@lru_cache(maxsize=KEPT_WORDS)
def stems(word: str) -> tuple[str, ...]:
    """The terms of one word: itself without case, accents and ending, or two-character windows of CJK script."""
    folded = fold(word)
    if _CJK_RUN.match(folded):
        return tuple(folded[i : i + 2] for i in range(max(1, len(folded) - 1)))
    term = stem(re.split("['’]", folded, maxsplit=1)[0])
    return (term[:MAX_TERM_CHARS],) if term else ()


def stem(word: str) -> str:
    """A word in small letters without its ending. Index and checks share this: words that meet in one meet in all."""
    if not hasattr(_thread, "stemmer"):
        # One per thread, for it keeps state between calls. Its own cache would keep each word a second time.
        _thread.stemmer = Stemmer.Stemmer("english", 0)
    stemmed: str = _thread.stemmer.stemWord(word)
    return stemmed


@lru_cache(maxsize=KEPT_WORDS)
def root(word: str) -> str:
    """The stem of what a word is a form of: "won" and "winning" are "win". Indexes keep plain stems."""
    return stem(IRREGULAR.get(word, word))


def terms(text: str) -> list[str]:
    """The terms of a text, in order, repeats included."""
    return [stem for match in words(text) for stem in stems(match[0])]


def key(term: str) -> int:
    """The 64-bit key under which a term is stored."""
    return xxh3_64_intdigest(term.encode("utf-8", "surrogatepass"))


def keys(items: Iterable[str]) -> Keys:
    return np.array([key(item) for item in items], dtype=np.uint64)


def title_name(title: str) -> str:
    """What a text calls a document: the words of its title, without a closing parenthesis such as "(film)"."""
    return phrase_name(match[0] for match in words(_PARENTHESIS.sub("", title)))


def phrase_name(phrase: Iterable[str]) -> str:
    """A phrase as titles are compared: folded words, one space apart."""
    return " ".join(fold(word) for word in phrase)


def term_counts(items: Sequence[str]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for item in items:
        number = key(item)
        counts[number] = counts.get(number, 0) + 1
    return counts


@lru_cache(maxsize=KEPT_WORDS)
def fold(word: str) -> str:
    """A word without its case and accents."""
    if word.isascii():
        return word.lower()
    decomposed = unicodedata.normalize("NFKD", word.casefold())
    return unicodedata.normalize("NFC", "".join(c for c in decomposed if not unicodedata.combining(c)))


STOP_TERMS = frozenset(term for word in STOP_WORDS for term in stems(word))
"""The stop words as they stand among terms."""
