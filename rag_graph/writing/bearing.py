"""Whether passages bear on a question that no short span answers, such as one for a way, a reason, yes or no.

A search always finds something: what is nearest may be about the right program and tell nothing of what was asked. So
how near the nearest sentence is by meaning is weighed with how many of the question's words the best passage holds: a
question in other words than the document has the first, one about another matter mostly neither.
"""

from collections.abc import Sequence
from math import exp
from typing import Final

from rag_graph.events import NumberedPassage
from rag_graph.retrieval.quotes import QuoteChoice
from rag_graph.writing.reading import Asked, terms_of

WEIGHTS: Final = (-3.69, 3.65, 3.76, -2.7)
""""The passages answer", by logistic regression on 1 and the three signs."""

BEARS: Final = 0.38
"""From here on passages bear on a question. Of questions for ways, reasons, yes or no over four manuals, each judged by
weights of the other three, that was said of 92 % of 132 with an answer there, and of 13 % of 169 without."""


def bearing(question: str, passages: Sequence[NumberedPassage], choice: QuoteChoice) -> float:
    """How surely the passages bear on a question, 0 to 1."""
    if not passages:
        return 0.0
    asked = Asked.of(question)
    held = [terms_of(passage) for passage in passages]
    covered = max(len(asked.terms & its) for its in held) / (len(asked.terms) or 1)
    is_of_another = bool(asked.names.difference(*held))
    signs = (1.0, choice.closest, covered, float(is_of_another))
    return 1 / (1 + exp(-sum(weight * sign for weight, sign in zip(WEIGHTS, signs, strict=True))))
