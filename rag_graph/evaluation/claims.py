"""How right a check of claims is on claims that people have labelled: what it cites, what it flags, what it misses."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any, Literal

from rag_graph.claims import Claim, ClaimChecker, Sources, facts_of
from rag_graph.claims.parser import ClaimParser
from rag_graph.errors import LibraryError
from rag_graph.events import Citation, NumberedPassage, Unsupported

CLAIMS_FILE = "claims.jsonl"
Label = Literal["supported", "unsupported", "contradicted"]
_LABELS: tuple[Label, ...] = ("supported", "unsupported", "contradicted")


@dataclass(frozen=True, slots=True)
class LabelledClaim:
    """A sentence of an answer, with its markers, over the passages it was written from; `group` is its document."""

    sentence: str
    passages: tuple[NumberedPassage, ...]
    label: Label
    question: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class Checked:
    """What the check made of a labelled claim; neither cited nor flagged is "not checked"."""

    claim: LabelledClaim
    is_quoted: bool
    is_cited: bool
    is_flagged: bool
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many, with Wilson's interval of 95 %."""

    count: int
    of: int

    @property
    def value(self) -> float:
        return self.count / self.of if self.of else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        if not self.of:
            return 0.0, 1.0
        middle = self.value + _Z**2 / (2 * self.of)
        spread = _Z * sqrt(self.value * (1 - self.value) / self.of + _Z**2 / (4 * self.of**2))
        scale = 1 + _Z**2 / self.of
        return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


# Of a normal distribution 95 % lie within so many standard deviations.
_Z = 1.96


def load_claims(path: Path) -> list[LabelledClaim]:
    """Read `claims.jsonl`: a line has `claim`, `passages` (texts, numbered from 1), `label`, and may have `question`.

    Raises `LibraryError` for a line that is something else.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return []
    claims = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                claims.append(_read(json.loads(line)))
            except (ValueError, KeyError, TypeError, AttributeError):
                raise LibraryError(
                    f"Line {number} of {str(path)!r} is no labelled claim: it needs a text `claim`, a list of texts"
                    f" `passages`, and a `label` of {', '.join(_LABELS)}."
                ) from None
    return claims


def _read(entry: dict[str, Any]) -> LabelledClaim:
    texts, label = entry["passages"], entry["label"]
    if label not in _LABELS or isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
        raise ValueError(label)
    return LabelledClaim(
        sentence=str(entry["claim"]),
        passages=tuple(passage_of(number, text) for number, text in enumerate(texts, 1)),
        label=label,
        question=str(entry.get("question", "")),
    )


def passage_of(number: int, content: str, title: str = "") -> NumberedPassage:
    """A passage that is a document of its own."""
    return NumberedPassage(
        number=number, document=str(number), title=title, uri=str(number), start=0, end=len(content), score=1.0,
        content=content,
    )  # fmt: skip


async def check_claims(claims: Sequence[LabelledClaim], checker: ClaimChecker) -> list[Checked]:
    """Have each sentence checked as an answer of its own."""
    return [await _check(claim, checker) for claim in claims]


async def _check(labelled: LabelledClaim, checker: ClaimChecker) -> Checked:
    sources = Sources(labelled.passages, labelled.question)
    parser = ClaimParser(sources.by_number.keys(), sources.addresses)
    parser.feed(labelled.sentence)
    parser.finish()
    claims = [item for item in parser.found if isinstance(item, Claim)]
    facts = facts_of(parser.found, await checker.check(claims, sources), sources, 1)
    cited = [fact for fact in facts if isinstance(fact, Citation)]
    flags = [fact for fact in facts if isinstance(fact, Unsupported)]
    return Checked(
        labelled,
        is_quoted=any(fact.grade == "quoted" for fact in cited),
        is_cited=bool(cited),
        is_flagged=bool(flags) and not cited,
        reasons=tuple(flag.reason for flag in flags),
    )


def claim_scores(checked: Sequence[Checked]) -> dict[str, Share]:
    """Shares by name; precision and recall are those of `supported`, in either grade and in the stricter one."""

    def share(having: Callable[[Checked], bool], among: Callable[[Checked], bool]) -> Share:
        chosen = [one for one in checked if among(one)]
        return Share(sum(map(having, chosen)), len(chosen))

    def is_supported(one: Checked) -> bool:
        return one.claim.label == "supported"

    return {
        "supported": share(is_supported, lambda _: True),
        "cited_precision": share(is_supported, lambda one: one.is_cited),
        "cited_recall": share(lambda one: one.is_cited, is_supported),
        "quoted_precision": share(is_supported, lambda one: one.is_quoted),
        "quoted_recall": share(lambda one: one.is_quoted, is_supported),
        "supported_flagged": share(lambda one: one.is_flagged, is_supported),
        "flag_precision": share(lambda one: not is_supported(one), lambda one: one.is_flagged),
        "contradictions_cited": share(lambda one: one.is_cited, lambda one: one.claim.label == "contradicted"),
    }
