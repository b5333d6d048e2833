"""Other forms of a word of a question, as passages may have it: an index stems all of the Latin script as English."""

from functools import lru_cache
from typing import Final

import Stemmer  # type: ignore[import-not-found]  # a C extension without types

from rag_graph.text.terms import fold, stem

_LANGUAGE, _STEMMER = "de", "german"
"""Spanish was tried, too: nDCG@10 of 1,190 questions changed by -0.2, for most of its plurals are those of English."""
_ENDINGS: Final = ("", "e", "em", "en", "er", "ern", "es", "n", "s")
_LEAST_CHARS, _LEAST_BASE = 5, 4
_REMEMBERED: Final = 2_048


@lru_cache(_REMEMBERED)
def other_forms(word: str, language: str) -> tuple[str, ...]:
    """The terms of the other forms of a German word: of "Gruppen" that of "Gruppe"; none in other languages.

    They are all that its stemmer takes for the same word. Most are no words, and no passage has these.
    """
    folded = fold(word)
    if language != _LANGUAGE or len(folded) < _LEAST_CHARS or not folded.isalpha():
        return ()
    bases = {folded.removesuffix(ending) for ending in _ENDINGS if folded.endswith(ending)}
    forms = sorted({base + ending for base in bases if len(base) >= _LEAST_BASE for ending in _ENDINGS})
    # A stemmer keeps state between calls, and threads share none.
    its, *others = Stemmer.Stemmer(_STEMMER, 0).stemWords([folded, *forms])
    alike = (form for form, other in zip(forms, others, strict=True) if other == its)
    return tuple(term for term in dict.fromkeys(map(stem, alike)) if term != stem(folded))
