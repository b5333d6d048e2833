"""The hand-labelled claims, and how the citation check fares on them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rag_graph.claims import cite
from rag_graph.events import Citation, Grade, NumberedPassage

Split = Literal["tuning", "held_out", "fresh"]
"""Rules were tuned on the first only. The second was written before them, the third after them."""


@dataclass(frozen=True, slots=True)
class LabelledClaim:
    """A claim about one passage, and the sentence that supports it, if one does."""

    passage: int
    words: str
    kind: str
    support: str | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the check made of a claim."""

    claim: LabelledClaim
    quote: str | None

    @property
    def is_right(self) -> bool:
        return self.quote is not None and self.quote == self.claim.support


@dataclass(frozen=True, slots=True)
class Score:
    """Precision of what was called a citation, and recall of what could have been."""

    precision: float
    recall: float
    cited: int
    supported: int


def load(split: Split) -> tuple[list[NumberedPassage], list[LabelledClaim]]:
    """Read the passages of a split, numbered from 1, and the claims about them."""
    lines = Path(__file__).with_name("labelled.jsonl").read_text(encoding="utf-8").splitlines()
    groups = [group for group in map(json.loads, lines) if group["split"] == split]
    passages = [number_passage(number, group["title"], group["content"]) for number, group in enumerate(groups, 1)]
    claims = [
        LabelledClaim(number, claim["claim"], claim["kind"], claim["support"])
        for number, group in enumerate(groups, 1)
        for claim in group["claims"]
    ]
    return passages, claims


def judge(split: Split, *, marked: bool, grade: Grade | None = None) -> Iterator[Verdict]:
    """Check every claim of a split, with the marker of its passage or with none; count one grade or both."""
    passages, claims = load(split)
    for claim in claims:
        answer = f"{claim.words[:-1]} [{claim.passage}]." if marked else claim.words
        facts = cite(answer, passages, question="")
        citations = [fact for fact in facts if isinstance(fact, Citation) and grade in (None, fact.grade)]
        yield Verdict(claim, citations[0].quote if citations else None)


def score(verdicts: list[Verdict]) -> Score:
    """Count a citation as right only if it quotes the labelled sentence."""
    right = sum(verdict.is_right for verdict in verdicts)
    cited = sum(verdict.quote is not None for verdict in verdicts)
    supported = sum(verdict.claim.support is not None for verdict in verdicts)
    return Score(right / max(cited, 1), right / supported, cited, supported)


def number_passage(number: int, title: str, content: str) -> NumberedPassage:
    """Make a passage that does not begin where its document does."""
    start = 1_000 * number
    return NumberedPassage(
        number=number,
        document=f"document-{number}",
        title=title,
        uri=f"{number}.md",
        start=start,
        end=start + len(content),
        score=1.0,
        content=content,
    )
