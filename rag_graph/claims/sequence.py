"""What a sentence tells to come before what: the earlier of two events, or the cause of the two."""

import re

_CONSEQUENT = (
    r"before|prior to|(?:led|leads?|leading) to|result(?:s|ed|ing)? in|(?:was|were|is|are) followed by|and then"
    r"|therefore|so that|(?<!be )(?<!is )(?<!are )(?<!was )(?<!were )(?<!been )(?<!ly )caus(?:es|ed|e)"
    r"|(?:triggers|triggered|prompts|prompted)"
)
_ANTECEDENT = (
    r"after|following|because(?: dueto)?|dueto|result(?:s|ed|ing)? from|(?:is|are|was|were|been|be)(?: \w+ly)?"
    r" (?:caused|triggered|prompted|preceded) by"
)
_MARK = re.compile(
    rf"(?P<then>(?:(?<![\w-])(?:{_CONSEQUENT})|[,;] (?:and )?then)(?!\w))|(?P<since>(?<![\w-])(?:{_ANTECEDENT})(?!\w))",
    re.IGNORECASE,
)
_GAP = re.compile(r"\b\w+ (?:second|minute|hour|day|week|month|year|decade)s?\s*$", re.IGNORECASE)
"""How long one comes before the other is told of neither."""
_LED_IN = re.compile(r"[^,;]*,")


def parts_in_order(text: str) -> tuple[str, str] | None:
    """The earlier and the later part of a sentence that tells of two, or the cause and what it led to.

    None where nothing parts it, or more than one word does: then it takes more than words to tell what belongs where.
    """
    marks = list(_MARK.finditer(text))
    if len(marks) != 1:
        return None
    mark = marks[0]
    head, tail = _GAP.sub("", text[: mark.start()]), text[mark.end() :]
    if not head.strip(" \"'*_(-"):
        # "Before it is sold, it is painted": what is before the comma belongs to the word that it begins with.
        led_in = _LED_IN.match(tail)
        if not led_in:
            return None
        head, tail = tail[led_in.end() :], led_in[0]
    return (head, tail) if mark["then"] else (tail, head)
