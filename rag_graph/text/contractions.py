"""English words that were drawn together, with the apostrophe that hands leave out: "whats" is "what's"."""

import re
from typing import Final

from rag_graph.text.languages import name_of

_BEFORE_THE_APOSTROPHE: Final = re.compile(
    r"\b(?:(?:what|where|when|who|how|why|that|there|here)(?=s\b)"
    r"|(?:do|does|did|is|are|was|were|has|have|had|would|should|could|must|ca|wo)n(?=t\b)"
    r"|(?:you|they|we)(?=ve\b)|(?:you|they)(?=re\b|ll\b))",
    re.IGNORECASE,
)
"""Not "its", "were", "well", "ill" and "id", which are words of their own."""


def with_apostrophes(question: str) -> str:
    """A question with the apostrophes that it lacks; as it is in other languages, where "dont" may be a word."""
    if not _BEFORE_THE_APOSTROPHE.search(question) or name_of(question) not in ("", "English"):
        return question
    return _BEFORE_THE_APOSTROPHE.sub(r"\g<0>'", question)
