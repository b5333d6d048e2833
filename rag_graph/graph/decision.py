"""Whether the better evidence changes the answer: the whole rule, of which a model is asked only the last part.

First, without a model: how does the draft stand, and does anything that was found since bear on it? A draft that rests
on sources is asked about only where something speaks against it or for a gap in it: words of the question in a new
passage mean little, as nearly every new passage holds some. Then the writer, who may ask a model, reviews the draft in
the light of what bears on it.
"""

import re
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import islice

from langchain_core.runnables import RunnableConfig

from rag_graph.claims import cited_numbers
from rag_graph.claims.conflicts import Said, conflicts, opposes
from rag_graph.claims.ledger import entries
from rag_graph.claims.wording import is_refusal
from rag_graph.errors import ModelError
from rag_graph.events import NumberedPassage, Quoted, SourceConflict
from rag_graph.graph.step import Step
from rag_graph.retrieval.quotes import content_terms
from rag_graph.text.controls import inert_line
from rag_graph.text.sentences import sentences
from rag_graph.transcript import Written
from rag_graph.writing.contract import Assignment, Verdict, Writer

NEAR = 5
"""A page that the draft's sources name counts among so many of the best: it may be the next hop. Of 62 drafts that
were right on two-hop questions this asks about 8, of 18 that told of something else about 7."""

MOST_MISSING = 0.4
"""A sentence that lacks more of the question's words is about something else, unless it lacks one only."""
MOST_CONFLICTS = 3

_COMPARES = re.compile(
    r"\b(?:both|same|than|or|versus|vs|older|younger|earlier|later|first|larger|bigger|longer|taller|more|most|closer)\b",
    re.IGNORECASE,
)
_SHOWN_WORDS = 12

NOTHING_NEW = "The wider search found nothing new on this"
RESTS_ON_SOURCES = "The first answer rests on its sources, and nothing found since speaks against it"
UNCHECKED = "The first answer could not be compared with what was found since"
NO_DRAFT = "The first answer could not be written"
REASONED = "You asked for harder thinking, so the answer is written from everything that was found"


@dataclass(frozen=True, slots=True)
class Draft:
    """What was written, and the passages it was written from."""

    written: Written
    shown: Sequence[NumberedPassage]


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known now, best first. A draft was written from `top` passages."""

    documents: Sequence[NumberedPassage]
    top: int


@dataclass(frozen=True, slots=True)
class Weighed:
    """What speaks for changing the draft: a sentence for people, and the passages behind it; none, and it stands."""

    reason: str
    bearing: tuple[NumberedPassage, ...] = field(default=())

    @property
    def asks(self) -> bool:
        return bool(self.bearing)


def weigh(question: str, draft: Draft, evidence: Evidence) -> Weighed:
    """Say whether anything found since the draft bears on it. Blocks for some milliseconds."""
    shown = {passage.number for passage in draft.shown}
    new = [passage for passage in evidence.documents if passage.number not in shown]
    if not new:
        return Weighed(NOTHING_NEW)
    if denying := list(_denying(draft, new)):
        return Weighed(f"{_named(denying[0])} says otherwise than the first answer", tuple(denying))
    claims = [told for told in draft.written.claims if told.state != "needs_no_source"]
    if not claims:
        return Weighed("The first answer did not answer the question, and more was found since", tuple(new))
    if says_what_lacks(draft.written):
        return Weighed("The first answer left a part of the question open, and more was found since", tuple(new))
    # A marker counts whether or not the check could follow its sentence, and so does a source that the check found.
    rests_on = cited_numbers(draft.written.content, shown) | {number for told in claims for number in told.sources}
    if not rests_on and not any(told.state == "supported" for told in claims):
        return Weighed("No source was found for what the first answer says, and more was found since", tuple(new))
    if sides := list(_other_sides(question, draft, new)):
        return Weighed(f"{_named(sides[0])} is about the other side of what was asked", tuple(sides))
    if rivals := list(_rivals(question, draft, new)):
        return Weighed(f"{_named(rivals[0])} tells something else of what was asked", tuple(rivals))
    if linked := list(_linked(question, draft, evidence, shown)):
        return Weighed(f"{_named(linked[0])} goes on where the sources of the first answer end", tuple(linked))
    return Weighed(RESTS_ON_SOURCES)


def tell_conflicts(question: str, evidence: Evidence) -> list[SourceConflict]:
    """Where the passages say different things of what was asked. Blocks for some milliseconds."""
    found = islice(conflicts(question, evidence.documents), MOST_CONFLICTS)
    return [
        SourceConflict(message=_in_words(one.one, one.other), quotes=(_quoted(one.one), _quoted(one.other)))
        for one in found
    ]


def _in_words(one: Said, other: Said) -> str:
    is_newer = one.year > other.year > 0
    newer = ", which is newer" if is_newer else ""
    first, second = _named(one.passage), _named(other.passage)
    return f"The sources disagree. {first}{newer}: “{_flat(one.words)}” {second}: “{_flat(other.words)}”"


def _flat(words: str) -> str:
    return inert_line(" ".join(words.split()))


def _quoted(said: Said) -> Quoted:
    passage = said.passage
    return Quoted(
        marker=passage.number,
        document=passage.document,
        title=passage.title,
        uri=passage.uri,
        source_start=passage.start + said.start,
        source_end=passage.start + said.end,
        quote=said.words,
    )


def says_what_lacks(written: Written) -> bool:
    """Whether a sentence that needs no source says what the sources do not: a draft that knows its gap."""
    return any(entry.told.state == "needs_no_source" and is_refusal(entry.words) for entry in entries(written))


def _denying(draft: Draft, new: Sequence[NumberedPassage]) -> Iterator[NumberedPassage]:
    """New passages that say otherwise than a claim of the draft, in nearly its words."""
    said = [entry.words for entry in entries(draft.written) if entry.told.state != "needs_no_source"]
    titles = " ".join(passage.title for passage in draft.shown)
    return (passage for passage in new if any(opposes(words, titles, passage) for words in said))


def _other_sides(question: str, draft: Draft, new: Sequence[NumberedPassage]) -> Iterator[NumberedPassage]:
    """New pages on what the question compares, where no passage that the draft was shown is about that."""
    if not _COMPARES.search(question):
        return
    asked = content_terms(question)
    known = [content_terms(passage.title) for passage in draft.shown]
    for passage in new:
        title = content_terms(passage.title)
        if title and title <= asked and not any(title <= other for other in known):
            yield passage


def _rivals(question: str, draft: Draft, new: Sequence[NumberedPassage]) -> Iterator[NumberedPassage]:
    """New passages that have a sentence on the question, in other words than the draft's."""
    asked = content_terms(question)
    answered = content_terms(" ".join(entry.words for entry in entries(draft.written))) - asked
    for passage in new:
        title = content_terms(passage.title)
        for sentence in sentences(passage.content):
            said = title | content_terms(passage.content[sentence.start : sentence.end])
            missing = len(asked - said)
            if missing < len(asked) and missing <= max(1, MOST_MISSING * len(asked)) and not answered <= said:
                yield passage
                break


def _linked(question: str, draft: Draft, evidence: Evidence, shown: AbstractSet[int]) -> Iterator[NumberedPassage]:
    """New pages among the best whose title stands in what the draft was shown, and not in the question."""
    asked = content_terms(question)
    held = frozenset[str]().union(*(content_terms(f"{passage.title} {passage.content}") for passage in draft.shown))
    for passage in evidence.documents[: max(NEAR, evidence.top)]:
        title = content_terms(passage.title)
        if passage.number not in shown and title and title <= held and not title <= asked:
            yield passage


def _named(passage: NumberedPassage) -> str:
    words = inert_line(passage.title).split()
    return f"“{' '.join(words[:_SHOWN_WORDS])}{' …' if len(words) > _SHOWN_WORDS else ''}”"


async def decide(
    assignment: Assignment, weighed: Weighed, step: Step, config: RunnableConfig, *, drafter: Writer, refiner: Writer
) -> tuple[Verdict, bool]:
    """Say whether to refine, and whether a model was asked. `assignment` has the draft, or none if it failed.

    Who thinks harder with another model asked for that model's answer, so nothing is checked then. A model
    that would only write again is asked whether it would write something else, if anything new bears on the
    question at all.
    """
    if assignment.passages and refiner is not drafter:
        return Verdict(refine=True, reason=REASONED), False
    if not weighed.asks:
        return Verdict(refine=False, reason=weighed.reason), False
    await step.narrate(f"{weighed.reason}: comparing.")
    try:
        return await refiner.review(assignment, step.emit, config), True
    except ModelError as exc:
        await step.warn(exc, "the draft could not be checked and stands as it is")
        return Verdict(refine=False, reason=UNCHECKED), False
