"""One spelling for what reads the same: ligatures, widths, accents, soft hyphens, dashes, quotation marks."""

import html
import re
import unicodedata

_SAME = str.maketrans(
    dict.fromkeys("\u00ad\u200b\u2060\ufeff", "")  # what no reader sees
    | dict.fromkeys("\u2010\u2011\u2212\ufe63\uff0d", "-")
    | dict.fromkeys("‘’‚‛`´ʻʼ", "'")
    | dict.fromkeys("“”„‟«»", '"')
)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]{2,8});")
_RAISED = re.compile(r"(?<=\w)[⁰¹²³⁴-⁹]+")


def one_spelling(text: str) -> str:
    """The text in the spelling in which texts are compared; its characters do not stand where they stood."""
    if "&" in text:
        # Some services escape what they send, and the figures of "&#39;" are nobody's number.
        text = _ENTITY.sub(lambda found: html.unescape(found[0]), text)
    if text.isascii():
        return text
    # Else 10² would become 102.
    raised = _RAISED.sub(lambda found: f"^{found[0]}", text)
    return unicodedata.normalize("NFKC", raised).translate(_SAME)


def spelled(text: str) -> tuple[str, ...]:
    """The words of a text, its numbers with their signs, and what else would change what it says."""
    # Folded after all: only its capital tells a megawatt from a milliwatt.
    return tuple(word if _CASED.fullmatch(word) else word.casefold() for word in _SPELLED.findall(one_spelling(text)))


_CASED = re.compile(r"[mM][WVAJΩ]")
_SPELLED = re.compile(r"(?:(?<![\w)])[-+±])?\d+(?:[.,:]\d+)*|[^\W\d]+|[<>≤≥=≠%$€£°]")
