"""Text to searchable terms: folded, stemmed words and their 64-bit keys, which is all that an index stores of them."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import filterfalse
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

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai and Lao, Burmese, Khmer
    "\u3005\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)
_MARKS = (
    "\u00ad\u200c\u200d"  # a soft hyphen and joiners, which nobody sees
    "\u0300-\u036f\u0483-\u0487\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u0900-\u0963\u0966-\u0dff"
)
"""What stands on or in the letters of a word and is none itself, and all of the Indian scripts, half of which is."""
_LETTERS = rf"[^\W_{_UNSPACED}]"
_WORD = re.compile(rf"[{_UNSPACED}]+|{_LETTERS}+(?:[{_MARKS}]+{_LETTERS}*)*(?:['’][^\W\d_{_UNSPACED}]{{1,2}}\b)?")
_UNSPACED_RUN = re.compile(rf"[{_UNSPACED}]")
_PARENTHESIS = re.compile(r"\s*\([^()]*\)\s*$")
_COMPOUND = re.compile(r"(?<!\w)[^\W_]+(?:[-‐‑._][^\W_]+)+|(?<!\w)[A-Za-z](?:\+\+|#)(?!\w)", re.ASCII)
"""What is one name to people, though its words are told apart: `add_middleware`, `SKU-8847`, `v1.2.3`, `C++`."""
_AROUND = ".,;:!?()[]{}\"'“”’…"
_PARTED = re.compile("[-._]")
_SUBWORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_LEAST_SUBWORDS = 3
"""`getUserByName` and `HttpRequestHandler` are made of words; "McDonald" and "YouTube" are names."""
_MEASURE = re.compile(r"(\d+)([^\W\d_]{1,4})")
"""A number and what it counts without a space between, as in "5km" and "3rd"."""
_GROUPED = re.compile(r"(?<![\w.,])\d{1,3}(?:,\d{3})+(?![\d,])|(?<![\w.,])\d+,\d{1,2}(?![\d,])")
"""A number in groups of three, or with the comma of most of Europe before its fraction."""

_STEMMERS = {
    range(0x0370, 0x0400): "greek",
    range(0x0400, 0x0530): "russian",
    range(0x0530, 0x0590): "armenian",
    range(0x0600, 0x0700): "arabic",
    range(0x0900, 0x0980): "hindi",
    range(0x0B80, 0x0C00): "tamil",
}
"""By script, so that a word has one stem wherever it stands; all of the Latin script goes by the rules of English."""
_UNDECOMPOSED = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ı": "i", "æ": "ae", "œ": "oe", "\u00ad": "", "\u200c": "", "\u200d": "", "ـ": ""}
)

_HYPHENS = str.maketrans("‐‑", "--")

_thread = local()


def words(text: str) -> Iterator[re.Match[str]]:
    """The words of a text where they stand; a run of a script that is written without spaces counts as one."""
    return _WORD.finditer(text)


@lru_cache(maxsize=KEPT_WORDS)
def stems(word: str) -> tuple[str, ...]:
    """The terms of one word: itself without case, accents and ending, or windows of two characters where no spaces are.

    A name in code that is made of several words has those, too, and so has a number with its unit.
    """
    folded = fold(word)
    if _UNSPACED_RUN.match(folded):
        return tuple(folded[i : i + 2] for i in range(max(1, len(folded) - 1)))
    if measure := _MEASURE.fullmatch(folded):
        return (folded, measure[1], stem(measure[2]))
    # What stands behind an apostrophe is an ending: of a possessive, or of two words that were drawn together.
    term = stem(re.split("['’]", folded, maxsplit=1)[0])[:MAX_TERM_CHARS]
    if word.islower() or word.istitle() or word.isupper() or not word.isascii():
        return (term,) if term else ()
    parts = [part for part in _SUBWORDS.findall(word) if len(part) > 1]
    if len(parts) < (_LEAST_SUBWORDS if word[0].isupper() else _LEAST_SUBWORDS - 1):
        return (term,)
    return (term, *(stem(part.lower()) for part in parts))


def stem(word: str) -> str:
    """A word in small letters without its ending. Index and checks share this: words that meet in one meet in all."""
    language = "english"
    if not word.isascii():
        code = ord(word[0])
        language = next((its for script, its in _STEMMERS.items() if code in script), language)
    if not hasattr(_thread, "stemmers"):
        # One per thread, for they keep state between calls. Their own cache would keep each word a second time.
        _thread.stemmers = {}
    if language not in _thread.stemmers:
        _thread.stemmers[language] = Stemmer.Stemmer(language, 0)
    stemmed: str = _thread.stemmers[language].stemWord(word)
    return stemmed


@lru_cache(maxsize=KEPT_WORDS)
def root(word: str) -> str:
    """The stem of what a word is a form of: "won" and "winning" are "win". Indexes keep plain stems."""
    return stem(IRREGULAR.get(word, word))


def terms(text: str) -> list[str]:
    """The terms of a text, repeats included: those of its words in order, then names and numbers of several."""
    return [*(stem for match in words(text) for stem in stems(match[0])), *compounds(text), *_plain_numbers(text)]


def _plain_numbers(text: str) -> list[str]:
    """Numbers that hold a comma as others write them: "1,000" is 1000, and "3,5" is 3.5."""
    if "," not in text:
        return []
    whole = len("000")
    return [
        number.replace(",", "") if len(number.rpartition(",")[2]) == whole else number.replace(",", ".")
        for number in _GROUPED.findall(text)
    ]


def compounds(text: str) -> list[str]:
    """The names in a text that are more than their words: with digits or `_` as they stand, "e-mail" as "email"."""
    found = []
    # Most words have no mark inside; to leave them out first is four times as fast as to let the pattern look at all.
    marked = [token for token in text.split() if not token.strip(_AROUND).isalpha()]
    for match in _COMPOUND.finditer(" ".join(marked)):
        whole = match[0].lower().translate(_HYPHENS)
        parts = _PARTED.split(whole)
        if not all(map(str.isalpha, parts)):
            found.append(whole[:MAX_TERM_CHARS])
        elif "_" in whole:
            # What stands before a full stop is what it belongs to, or the end of a sentence.
            found += (name[:MAX_TERM_CHARS] for name in whole.split(".") if "_" in name)
        elif len(parts) == 2 and "-" in whole:  # noqa: PLR2004
            found.append(stem("".join(parts))[:MAX_TERM_CHARS])
    return found


def other_names(word: str) -> tuple[str, ...]:
    """What others call a name in code that is made of several words: `maxRetries` is `max_retries`."""
    parts = _SUBWORDS.findall(word) if word.isascii() and not (word.islower() or word.istitle()) else ()
    return ("_".join(parts).lower()[:MAX_TERM_CHARS],) if len(parts) > 1 else ()


def key(term: str) -> int:
    """The 64-bit key under which a term is stored."""
    # Of ten million terms two share a key with a chance of three in a
    # million. Nothing looks for that: they would be found for each other.
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
    return fold_text(word)


def fold_text(text: str) -> str:
    """As `fold`, of whole passages, which are not to be kept: thousands of answers would fill the memory with them."""
    if text.isascii():
        return text.lower()
    # Letters with a stroke or a hook are none with an accent to Unicode, so that a table has to know them.
    decomposed = unicodedata.normalize("NFKD", text.casefold().translate(_UNDECOMPOSED))
    return unicodedata.normalize("NFC", "".join(filterfalse(unicodedata.combining, decomposed)))


STOP_TERMS = frozenset(term for word in STOP_WORDS for term in stems(word))
"""The stop words as they stand among terms."""
