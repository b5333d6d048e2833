"""What it is worth that an answer is withheld: how often rightly, and how wrong what is shown is at which coverage."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rag_graph.evaluation.scores import Estimate, estimate

COVERAGES: Final = (0.2, 0.4, 0.5, 0.6, 0.8, 1.0)


@dataclass(frozen=True, slots=True)
class Judged:
    """An answer to a question that the library can answer or cannot; `confidence` is None where it was withheld."""

    answerable: bool
    right: bool
    confidence: float | None


def abstention(judged: Sequence[Judged]) -> dict[str, Estimate]:
    """Shares of what was withheld, and `risk@50`: of the surest answers, half as many as questions, the wrong share.

    A coverage that was not reached has no risk. An answer to a question that nothing answers is wrong.
    """
    refused = {
        f"{name}_refused": estimate(
            [float(item.confidence is None) for item in judged if item.answerable is answerable]
        )
        for name, answerable in (("unanswerable", False), ("answerable", True))
    }
    shown = [item for item in judged if item.confidence is not None]
    wrong = [
        float(not (item.right and item.answerable))
        for item in sorted(shown, key=lambda item: item.confidence or 0.0, reverse=True)
    ]
    risks = {
        f"risk@{share * 100:.0f}": estimate(wrong[: round(share * len(judged))])
        for share in COVERAGES
        if 0 < round(share * len(judged)) <= len(wrong)
    }
    return refused | {"answered": estimate([float(item.confidence is not None) for item in judged])} | risks
