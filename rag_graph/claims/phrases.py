"""English phrases that say what another phrase or one word says, brought into one form before claims are compared."""

import re

from rag_graph.text.languages import ENGLISH
from rag_graph.text.terms import root

CONTRACTION = re.compile(r"n['’]t\b", re.IGNORECASE)
_CUT_BY_NOT = (
    (re.compile(r"\bwon['’]t\b", re.IGNORECASE), "will not"),
    (re.compile(r"\bcan(?:['’]t|not)\b", re.IGNORECASE), "can not"),
)
"""What "n't" has changed in the word before it, or eaten of it."""
_CLITIC = re.compile(r"(?<=\w) ?['’](?:s|ve|re|ll|d|m)\b(?!['’])", re.IGNORECASE)
"""Endings that would count as words of their own: "Renegades'" has no "s" behind it, and "Montana's" has."""
_FEW_WORDS = r"\w+(?: \w+){0,2}"
_ENDS = r"\s*(?:[.,;:)]|$|by\b|when\b|if\b|and\b|or\b|with\b)"
_SAME_SENSE = tuple(
    (hints.split(), re.compile(rf"\b(?:{pattern})(?!\w)", re.IGNORECASE), said)
    for hints, pattern, said in (
        ("least", r"(\w+ \w+) at (?:the )?least(?=\s*(?:[.,;]|$))", r"at least \1"),
        ("most", r"(\w+ \w+) at (?:the )?most(?=\s*(?:[.,;]|$))", r"up to \1"),
        ("or", r"(\d+(?: \w+){0,2}) or (?:older|more|longer|greater|higher|above|over|later)", r"at least \1"),
        ("or", r"(\d+(?: \w+){0,2}) or (?:younger|less|fewer|shorter|lower|below|under|earlier)", r"up to \1"),
        ("than", r"not? (?:fewer|less|lower|smaller|shorter|earlier|younger) than", "at least"),
        ("than", r"not? (?:more|longer|later|higher|larger|greater|bigger|older) than", "up to"),
        ("most", r"at (?:the )?most", "up to"),
        ("one", r"no one", "nobody"),
        ("turn switch", r"(?:turn|switch)(?:s|ed|es|ing)? on", "enable"),
        ("turn switch", r"(?:turn|switch)(?:s|ed|es|ing)? off", "disable"),
        ("turn switch", rf"(?:turn|switch)(?:s|ed|es|ing)? ({_FEW_WORDS}) on(?={_ENDS})", r"enable \1"),
        ("turn switch", rf"(?:turn|switch)(?:s|ed|es|ing)? ({_FEW_WORDS}) off(?={_ENDS})", r"disable \1"),
        (
            "free charge cost fee",
            r"free of charge|(?:for|at) free|(?:without|at no|for no) (?:charge|cost|fee)",
            "free",
        ),
        ("cent", r"per cent", "percent"),
        ("every each", r"(?:every|each)(?= (?:minute|hour|day|week|month|year)\b)", "per"),
        ("no", r"(\w+) or no \1", r"\1"),
        ("whether without", r"with or without|whether or not", "whether"),
        ("not", r"(?:need|needs|needed) not|(?:do|does|did) not (?:have|need) to", "not need"),
        ("not", r"(?:is|are|be|was|were) not (?:required|obliged|obligated) to", "not need"),
        ("require oblig", r"(?:is|are|was|were|be) (?:required|obliged|obligated) to", "must"),
        ("has have", r"(?:has|have) to", "must"),
        ("permit allow", r"(?:is|are|was|were|be) (?:permitted|allowed) to", "may"),
        ("fail refuse decline", r"(?:fail|fails|failed|refuse|refuses|refused|decline|declines|declined) to", "not"),
    )
)
"""Letters that a text must have, what stands there, and what it says: a claim often has the one for the other."""
_SET_ASIDE = re.compile(r"(?:, (?:and |but )?not|\brather than|\binstead of) (\w+(?: \w+){0,3})", re.IGNORECASE)


def in_one_phrase(text: str) -> str:
    """Bring what may be said in several phrases into one; the result is for comparing, and no English to show."""
    for pattern, whole in _CUT_BY_NOT:
        text = pattern.sub(whole, text)
    text = _CLITIC.sub("", CONTRACTION.sub(" not", text))
    lower = text.lower()
    for hints, pattern, said in _SAME_SENSE:
        # Most sentences have none of these, and looking for a few letters takes a tenth of the time.
        if any(hint in lower for hint in hints):
            text = pattern.sub(said, text)
    return text


def set_aside(text: str) -> frozenset[str]:
    """What a sentence says that it is not about, as the strike in "due to snow, not to a strike"."""
    told = (word for part in _SET_ASIDE.findall(text) for word in part.lower().split())
    return frozenset(root(word) for word in told if word not in ENGLISH.function_words)
