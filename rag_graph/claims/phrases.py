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
_SHORTENED = re.compile("['’]|cannot", re.IGNORECASE)
_FEW_WORDS = r"\w+(?: \w+){0,2}"
_A_NUMBER = r"\d+(?:[.,]\d+)*"
_ABOVE = "older|above|over|up|upwards"
_BELOW = "younger|below|under"
_STATES = "be|have|live|belong|cost|own|stand|exist|seat|like|need|know|want"
"""Who is used to do another thing may be a tool."""
_DONE_BY = "separated|delimited|terminated|defined|generated|supplied|provided|driven|owned|managed|hosted"
_ENDS = r"\s*(?:[.,;:)]|$|by\b|when\b|if\b|and\b|or\b|with\b)"
_SO_OFTEN = r"(?:\d+|two|three|four|five|six|ten|once|twice|times|each)"
_OFTEN = (
    *(("minute", "minute", "minutely"), ("hour", "hour", "hourly"), ("day dai", "day", "daily")),
    *(("week", "week", "weekly"), ("month", "month", "monthly"), ("quarter", "quarter", "quarterly")),
    ("year annual", "year", "yearly|annually"),
)
"""Letters that a text must have, a time, and what is done once in it. A capital behind makes a name, as of a paper."""
_SAME_SENSE = tuple(
    (hints.split(), re.compile(rf"\b(?:{pattern})(?!\w)", re.IGNORECASE), said)
    for hints, pattern, said in (
        ("least", r"(\w+ \w+) at (?:the )?least(?=\s*(?:[.,;]|$))", r"at least \1"),
        ("most", r"(\w+ \w+) at (?:the )?most(?=\s*(?:[.,;]|$))", r"up to \1"),
        (
            "or and",
            rf"({_A_NUMBER}(?: \w+){{0,2}}) (?:or (?:more|longer|greater|higher|later|newer)|(?:or|and) (?:{_ABOVE}))",
            r"at least \1",
        ),
        (
            "or and",
            rf"({_A_NUMBER}(?: \w+){{0,2}}) (?:or (?:less|fewer|shorter|lower|earlier)|(?:or|and) (?:{_BELOW}))",
            r"up to \1",
        ),
        ("+", rf"({_A_NUMBER})\+", r"at least \1"),
        ("version release", rf"(?:version|release)s? ({_A_NUMBER})", r"\1"),
        ("than", r"not? (?:fewer|less|lower|smaller|shorter|earlier|younger) than", "at least"),
        ("than", r"not? (?:more|longer|later|higher|larger|greater|bigger|older) than", "up to"),
        ("most", r"at (?:the )?most", "up to"),
        # Who may cancel until two days before may do so at least two days before.
        ("before", r"(?:until|up to|by)(?= \d+ \w+ before)", "at least"),
        ("maximum", r"(?:with )?a maximum of", "up to"),
        ("minimum", r"(?:with )?a minimum of", "at least"),
        ("one", r"no one", "nobody"),
        ("turn switch", r"(?:turn|switch)(?:s|ed|es|ing)? on", "enable"),
        ("turn switch", r"(?:turn|switch)(?:s|ed|es|ing)? off", "disable"),
        ("turn switch", rf"(?:turn|switch)(?:s|ed|es|ing)? ({_FEW_WORDS}) on(?={_ENDS})", r"enable \1"),
        ("turn switch", rf"(?:turn|switch)(?:s|ed|es|ing)? ({_FEW_WORDS}) off(?={_ENDS})", r"disable \1"),
        ("on", rf"(is|are|was|were|be|stays?|set to) on(?={_ENDS})", r"\1 enabled"),
        ("off", rf"(is|are|was|were|be|stays?|set to) off(?={_ENDS})", r"\1 disabled"),
        (
            "free charge cost fee",
            r"free of charge|(?:for|at) free|(?:without|at no|for no) (?:charge|cost|fee)",
            "free",
        ),
        ("cent", r"per cent", "percent"),
        ("other second", r"every (?:other|second)(?= \w)", "alternate"),
        ("each every", r"of (?:each|every)(?= (?:day|week|month|quarter|year)\b)", "of the"),
        *(
            (hint, rf"(?:every|each|per) {unit}|(?:{often})(?-i:(?! [A-Z]))", f"per{unit}")
            for hint, unit, often in _OFTEN
        ),
        *((unit, rf"({_SO_OFTEN}(?: \w+)?) an? {unit}", rf"\1 per{unit}") for _, unit, _ in _OFTEN),
        ("no", r"(\w+) or no \1", r"\1"),
        ("whether without", r"with or without|whether or not", "whether"),
        ("not", r"(?:need|needs|needed) not|(?:do|does|did) not (?:have|need) to", "not need"),
        ("no not", r"no longer", "not anymore"),
        ("not", r"(?:is|are|be|was|were) not (?:required|obliged|obligated) to", "not need"),
        ("require oblig", r"(?:is|are|was|were|be) (?:required|obliged|obligated) to", "must"),
        ("has have need", r"(?:has|have|(?<!not )needs?) to", "must"),
        ("encourage advise urge", r"(?:is|are|was|were|be) (?:encouraged|advised|urged) to", "should"),
        ("permit allow", r"(?:is|are|was|were|be) (?:permitted|allowed) to", "may"),
        ("fail refuse decline", r"(?:fail|fails|failed|refuse|refuses|refused|decline|declines|declined) to", "not"),
        ("any none no", r"(?:hardly|scarcely|barely) any|(?:almost|virtually|next to|nearly) no(?:ne)?", "hardly"),
        ("a few", r"(?:only|just) a few", "few"),
        ("all but", r"all but(?= (?:one|two|three|four|five|six|\d+)\b)", "all except"),
        (
            "thought said assumed presumed supposed suspected rumoured reported considered likely",
            r"(?:is|are|was|were|be|been) (?:thought|said|assumed|presumed|suspected|rumoured|likely) to",
            "presume to",
        ),
        (
            "thought assumed presumed suspected said believed",
            r"it (?:is|was) (?:widely |generally )?(?:thought|assumed|presumed|suspected|said|believed) that",
            "presume that",
        ),
        (
            "due set scheduled supposed slated",
            r"(?:is|are) (?:due|set|scheduled|supposed|slated) to(?= (?!the\b|a\b|an\b|\d)[a-z])",
            "is planned to",
        ),
        ("stopped ceased", r"(?:(?:has|have|had) )?(?:stopped|ceased)(?= [a-z]+ing\b)", "not anymore"),
        ("even matter", r"even(?= (?:if|when|where|after)\b)|no matter", "regardless"),
        ("irrespective", r"irrespective of", "regardless of"),
        ("apart aside exception", r"apart from|aside from|with the exception of", "except"),
        ("read", r"read[- ]only", "readonly"),
        ("write", r"write[- ]only", "writeonly"),
        ("used to", rf"used to(?= (?:{_STATES})\b)", "formerly"),
        ("according", r"according to", "according"),
        ("because account", r"(?:because|on account) of", "because dueto"),
        ("due owing thanks", r"(?:due|owing|thanks) to", "dueto"),
        (" and ", r"(\d+) and (the )?(?=\d+\b)", r"\1 & "),
        ("replaced", r"replaced with", "replaced by"),
        ("non", r"non ?- ?([a-z]\w*)", r"non\1"),
        # Who says what is done by default names nobody who does it.
        ("default", r"by default", "default"),
        ("get got", r"(?:get|gets|got|getting)(?= \w{2,}ed\b)", "is"),
        # "Comma-separated" and "user-defined" tell by whom or what, as "separated by commas" does.
        ("-", rf"(\w{{3,}})-({_DONE_BY})", r"\2 by \1"),
        ("up", r"(?:go|goes|going|gone|went) up", "rise"),
        ("down", r"(?:go|goes|going|gone|went) down", "fall"),
        ("more", r"costs? more(?! than [\d$€£])", "is expensive"),
        ("less", r"costs? less(?! than [\d$€£])", "is cheap"),
    )
)
"""Letters that a text must have, what stands there, and what it says: a claim often has the one for the other."""
_SET_ASIDE = re.compile(r"(?:, (?:and |but )?not|\brather than|\binstead of) [`*\"]*(\w+(?: \w+){0,3})", re.IGNORECASE)


def in_one_phrase(text: str) -> str:
    """Bring what may be said in several phrases into one; the result is for comparing, and no English to show."""
    if _SHORTENED.search(text):
        for pattern, whole in _CUT_BY_NOT:
            text = pattern.sub(whole, text)
        text = _CLITIC.sub("", CONTRACTION.sub(" not", text))
    lower = text.lower()
    for hints, pattern, said in _SAME_SENSE:
        # Most sentences have none of these, and looking for a few letters takes a tenth of the time.
        for hint in hints:
            if hint in lower:
                text = pattern.sub(said, text)
                break
    return text


def set_aside(text: str) -> frozenset[str]:
    """What a sentence says that it is not about, as the strike in "due to snow, not to a strike"."""
    lower = text.lower()
    if "not" not in lower and "rather than" not in lower and "instead of" not in lower:
        return frozenset()
    told = (word for part in _SET_ASIDE.findall(text) for word in part.lower().split())
    return frozenset(root(word) for word in told if word not in ENGLISH.function_words)
