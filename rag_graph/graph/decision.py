"""Whether the better evidence changes the answer: the whole rule, of which a model is asked only the last part.

First, without a model: how does the draft stand, and does anything that was found since bear on it? A draft that rests
on sources is asked about only where something speaks against it or for a gap in it: words of the question in a new
passage mean little, as nearly every new passage holds some. What is asked about for nothing costs one short call, and
what is missed is a wrong answer, so that doubts are in favour of asking. Then the writer, who may ask a model, reviews
the draft in the light of what bears on it.
"""

import re
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import islice

from langchain_core.runnables import RunnableConfig

from rag_graph.claims import cited_numbers
from rag_graph.claims.conflicts import Said, conflicts, opposes
from rag_graph.claims.ledger import claim_spans, entries
from rag_graph.claims.statements import MULTIPLIERS, NUMBER_WORDS
from rag_graph.claims.wording import is_refusal
from rag_graph.errors import ModelError
from rag_graph.events import ClaimStated, NumberedPassage, Quoted, SourceConflict
from rag_graph.graph.step import Step
from rag_graph.retrieval.quotes import content_terms
from rag_graph.text.controls import inert_line
from rag_graph.text.glossary import MONTHS
from rag_graph.text.sentences import sentences
from rag_graph.text.terms import phrase_name, title_name, words
from rag_graph.transcript import Written
from rag_graph.writing.contract import Assignment, Verdict, Writer

NEAR = 5
"""A page that the draft's sources name counts among so many of the best: it may be the next hop. On the development
halves 6 or 8 found no more, and asked about three more drafts that were right."""

LEAST_FIT = 0.6
"""A new passage fits the question about as well as the draft's sources if its score is so far up from the lowest to
the best of these: scores compare within a search only, and neither their zero nor their unit means anything."""

MOST_MISSING = 0.3
"""A sentence that lacks more of the question's words is about something else, unless it lacks one only. 0.4 asked about
6 more of 67 right drafts and about no more of 21 that told of something else."""
MOST_CONFLICTS = 3

LEAST_EDITED_CHARS = 400
"""Asking for changes makes the prompt some hundred tokens longer, which from 270 characters on is less than it saves;
at 400 the first changed word comes twice as early. Below, a model may know the other form better for little."""
MOST_IN_QUESTION = 1 / 3
"""Of the claims so many at most may be without a source, else the draft is written anew: it is no frame to keep."""

_COMPARES = re.compile(
    r"\b(?:both|same|than|or|versus|vs|older|younger|earlier|later|first|larger|bigger|longer|taller|more|most|closer)\b",
    re.IGNORECASE,
)
_YES_OR_NO = re.compile(
    r"\W*(?:is|are|was|were|do|does|did|can|could|has|have|had|will|would|should|may|might|must)\b", re.IGNORECASE
)
_DATE = (
    r"\d|centur|(?:mon|tues|wednes|thurs|fri|satur|sun)day|\b(?:noon|midnight|dawn|sunrise|sunset|today|tomorrow"
    rf"|spring|summer|autumn|winter|{'|'.join(MONTHS['en'])})\b"
)
_OCCASION = r"\b(?:when|whenever|if|after|before|until|once|during|while|since|as soon|upon|every|each|always|never)\b"
_AMOUNT = rf"\d|\b(?:{'|'.join((*NUMBER_WORDS, *MULTIPLIERS))}|one|dozen|no|none|all|several|many|few|half)\b"
_TOLD_BY = {
    kind: (re.compile(asking, re.IGNORECASE), re.compile(telling, re.IGNORECASE))
    for kind, asking, telling in (
        ("date", r"\b(?:what|which) (?:year|date|day|month|time|century)\b", _DATE),
        ("time", r"^\W*when (?:is|are|was|were|do|does|did|will|has|had)\b|\bwhen\W*$", f"{_DATE}|{_OCCASION}"),
        ("number", r"\bhow (?:many|much|old|tall|high)\b", _AMOUNT),
    )
}
"""What is asked for that shows in an answer: how questions ask for it and how answers tell it. In English only, for
in other languages nothing is missed."""
_SPACED = re.compile(r"[\u0000-\u0dff]")
"""How names in scripts begin that set blanks between words."""
_SHOWN_WORDS = 12

NOTHING_NEW = "The wider search found nothing new on this"
NOTHING_AGAINST = "Nothing found since speaks against the first answer"
"""How far the sources bear a draft out is told of each of its sentences; a draft that says "perhaps" stands too."""
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
    # A marker counts whether or not the check could follow its sentence, and so does a source that the check found.
    cited = {number for told in _claims(draft) for number in told.sources}
    rests_on = cited_numbers(draft.written.content, shown) | cited
    # The first that holds is the reason that people are told,
    # so what speaks most plainly against the draft comes first.
    if denying := list(_denying(draft, new)):
        return Weighed(f"{_named(denying[0])} says otherwise than the first answer", tuple(denying))
    if gap := _gap(question, draft, rests_on):
        return Weighed(f"{gap}, and more was found since", tuple(new))
    for passages, bears in (
        (_other_sides(question, draft, new), "is about the other side of what was asked"),
        (_asked_pages(question, draft, new), "is the page on something that was asked about"),
        (_rivals(question, draft, new), "tells something else of what was asked"),
        (_linked(question, draft, evidence), "goes on where the sources of the first answer end"),
        (_fitting(rests_on, evidence, new), "fits the question about as well as the sources of the first answer"),
    ):
        if found := tuple(passages):
            return Weighed(f"{_named(found[0])} {bears}", found)
    return Weighed(NOTHING_AGAINST)


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
    return inert_line(" ".join(words.split()).strip("| "))


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


def mostly_stands(written: Written) -> bool:
    """Whether changes to a draft are less than writing it anew: it is long, and sources bear out most of it."""
    claims = [told for told in written.claims if told.state != "needs_no_source"]
    in_question = sum(told.state != "supported" for told in claims)
    is_long = len(written.content) >= LEAST_EDITED_CHARS
    if not claims or not is_long or in_question > MOST_IN_QUESTION * len(claims):
        return False
    # A line of a program is no piece that can be changed by itself.
    return not any(sentence and sentence.kind == "code" for _, _, sentence in claim_spans(written.content))


def says_what_lacks(written: Written) -> bool:
    """Whether a sentence that needs no source says what the sources do not: a draft that knows its gap."""
    return any(entry.told.state == "needs_no_source" and is_refusal(entry.words) for entry in entries(written))


def _gap(question: str, draft: Draft, rests_on: AbstractSet[int]) -> str:
    """What the draft lacks by itself, whatever was found; nothing, where it seems to answer."""
    claims = _claims(draft)
    if not claims:
        return "The first answer did not answer the question"
    if says_what_lacks(draft.written):
        return "The first answer left a part of the question open"
    if not rests_on and not any(told.state == "supported" for told in claims):
        return "No source was found for what the first answer says"
    said = " ".join(entry.words for entry in entries(draft.written))
    for kind, (asking, telling) in _TOLD_BY.items():
        if asking.search(question) and not telling.search(said):
            return f"The first answer tells no {kind}"
    # "Is A older than B?" is rightly answered in the question's own words.
    is_choice = _COMPARES.search(question) or _YES_OR_NO.match(question)
    if not is_choice and content_terms(said) <= content_terms(question):
        return "The first answer only repeats the question"
    return ""


def _claims(draft: Draft) -> list[ClaimStated]:
    return [told for told in draft.written.claims if told.state != "needs_no_source"]


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


def _linked(question: str, draft: Draft, evidence: Evidence) -> Iterator[NumberedPassage]:
    """New pages among the best that what the draft was shown names, and the question does not."""
    asked, shown = _phrase(question), {passage.number for passage in draft.shown}
    held = [_phrase(part) for passage in draft.shown for part in (passage.title, passage.content)]
    known = {title_name(passage.title) for passage in draft.shown}
    for passage in evidence.documents[: max(NEAR, evidence.top)]:
        name = title_name(passage.title)
        # A page that the question names itself is no next hop; `_asked_pages` looks after those.
        if passage.number in shown or name in known or not content_terms(passage.title) or _names(asked, name):
            continue
        if any(_names(phrase, name) for phrase in held):
            yield passage


def _asked_pages(question: str, draft: Draft, new: Sequence[NumberedPassage]) -> Iterator[NumberedPassage]:
    """New pages of a name that stands in the question, where the draft was shown no page of that name."""
    asked = _phrase(question)
    known = {title_name(passage.title) for passage in draft.shown}
    for passage in new:
        name = title_name(passage.title)
        if name not in known and content_terms(name) and _names(asked, name):
            yield passage


def _fitting(
    rests_on: AbstractSet[int], evidence: Evidence, new: Sequence[NumberedPassage]
) -> Iterator[NumberedPassage]:
    """New passages that the search puts nearly beside the best of those that the draft rests on."""
    lowest = min(passage.score for passage in evidence.documents)
    best = max((passage.score for passage in evidence.documents if passage.number in rests_on), default=lowest)
    return (passage for passage in new if best > lowest and passage.score - lowest >= LEAST_FIT * (best - lowest))


def _phrase(text: str) -> str:
    return f" {phrase_name(match[0] for match in words(text))} "


def _names(phrase: str, name: str) -> bool:
    """Whether a title's name stands in a text, whole; in scripts without spaces anywhere."""
    return (f" {name} " if _SPACED.match(name) else name) in phrase


def _named(passage: NumberedPassage) -> str:
    words = inert_line(passage.title).split()
    return f"“{' '.join(words[:_SHOWN_WORDS])}{' …' if len(words) > _SHOWN_WORDS else ''}”"


async def decide(
    assignment: Assignment, weighed: Weighed, step: Step, config: RunnableConfig, *, drafter: Writer, refiner: Writer
) -> tuple[Verdict, bool]:
    """Say whether to refine, and whether a model was asked. `assignment` has the draft, or none if it failed.

    Who thinks harder with another model asked for that model's answer, so nothing is checked then. A model
    that would only write again is asked whether it would write something else, if anything new bears on the
    question at all; a writer that asks none reviews every draft.
    """
    if assignment.passages and refiner is not drafter:
        return Verdict(refine=True, reason=REASONED), False
    stands = Verdict(refine=False, reason=weighed.reason)
    if not weighed.asks:
        if not getattr(refiner, "reviews_freely", False):
            return stands, False
        verdict = await refiner.review(assignment, step.emit, config)
        return (verdict, True) if verdict.refine else (stands, False)
    await step.narrate(f"{weighed.reason}: comparing.")
    try:
        return await refiner.review(assignment, step.emit, config), True
    except ModelError as exc:
        await step.warn(exc, "the draft could not be checked and stands as it is")
        return Verdict(refine=False, reason=UNCHECKED), False
