"""The ledger of an answer: its claims under names that live across versions, and what became of each.

A claim is a sentence, an item of a list or a row of a table. When a version is whole, `state_claims` says how each
of its claims stands; when it replaces another, `tell_fates` says what became of that one's claims.
"""

import asyncio
import re
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from rag_graph.claims.statements import Statement, language_of_text, take_apart
from rag_graph.claims.support import turns
from rag_graph.claims.wording import is_talk
from rag_graph.events import Citation, ClaimFate, ClaimState, ClaimStated, Emit, Unsupported, Version
from rag_graph.text.controls import inert_line
from rag_graph.text.languages import ENGLISH
from rag_graph.text.sentences import Sentence, sentences
from rag_graph.text.terms import STOP_TERMS, terms
from rag_graph.transcript import Written

LEAST_ALIKE = 0.4
"""Two sentences that share less of their words (Dice's measure) are two claims, not one in other words."""
MOST_CELLS = 4_096
"""Above this product of what is left on both sides only claims in the same words are found again: what comparing
takes stays bounded."""
LONGEST_QUOTE_CHARS = 300

_MARKER = re.compile(r"\s?\[\d{1,3}\]")
_WORDS = re.compile(r"\w+")

_GONE: dict[ClaimState, str] = {
    "supported": "The new answer leaves it out.",
    "contradicted": "A source says otherwise.",
    "unsupported": "No source says it.",
    "not_checked": "No source was found that says it.",
    "needs_no_source": "",
}
"""Why a claim was withdrawn; where it claimed nothing, as a refusal or a heading, there is nothing to say."""

_UNPROVEN = "It is put otherwise, and no source was found that says it."


@dataclass(frozen=True, slots=True)
class Entry:
    """A claim with its words, and the citations that bear it out."""

    told: ClaimStated
    words: str
    citations: tuple[Citation, ...]

    @property
    def key(self) -> tuple[str, ...]:
        """What two claims in the same words have in common; claims without words are compared as they stand."""
        return tuple(word.casefold() for word in _WORDS.findall(self.words)) or (self.words,)

    @property
    def meaning(self) -> frozenset[str]:
        """The words that say something; all of them, where none does."""
        said = frozenset(terms(self.words))
        return said - STOP_TERMS or said


async def tell_claims(written: Written, version: Version, emit: Emit, *, earlier: Sequence[Written] = ()) -> None:
    """Emit the claims of a whole version, and the fates of those of the one before; in a thread other runs go on."""
    if not written.content.strip():
        return
    stated = await asyncio.to_thread(state_claims, written, version, earlier=earlier)
    for told in stated:
        await emit(told)
    if earlier:
        after = replace(written, claims=stated)
        for fate in await asyncio.to_thread(tell_fates, earlier[-1], after, version):
            await emit(fate)


def state_claims(written: Written, version: Version, *, earlier: Sequence[Written] = ()) -> list[ClaimStated]:
    """The claims of a whole version; those that the one before had too keep their names."""
    fresh = list(_stated(written, version))
    names = _named(fresh, earlier)
    return [entry.told.model_copy(update={"claim": name}) for entry, name in zip(fresh, names, strict=True)]


def tell_fates(before: Written, after: Written, version: Version) -> list[ClaimFate]:
    """What became of each claim of the version before, in the order of the new version; the withdrawn ones last."""
    old = {entry.told.claim: entry for entry in entries(before)}
    fates = [_fate(old.pop(new.told.claim, None), new, version) for new in entries(after)]
    withdrawn = (
        ClaimFate(
            version=version,
            claim=gone.told.claim,
            fate="withdrawn",
            before=gone.words,
            reason=gone.told.reason or _GONE[gone.told.state],
        )
        for gone in old.values()
    )
    return [*fates, *withdrawn]


def entries(written: Written) -> list[Entry]:
    """The claims that were stated of a version, with their words."""
    return [
        Entry(told, _bare(written.content[told.start : told.end]), tuple(_within(written.citations, told)))
        for told in written.claims
    ]


def _stated(written: Written, version: Version) -> Iterator[Entry]:
    """Cut a text into claims, so that each character but blanks is in one, and say how they stand."""
    content = written.content
    for start, end, sentence in claim_spans(content):
        words = content[start:end]
        span = ClaimStated(version=version, claim="", start=start, end=end, state="not_checked")
        citations = tuple(_within(written.citations, span))
        flags = [flag for flag in written.unsupported if flag.start < end and start < flag.end]
        state, reason = _standing(words, sentence, citations, flags)
        sources = tuple(sorted({citation.marker for citation in citations}))
        told = span.model_copy(update={"state": state, "sources": sources, "reason": reason})
        yield Entry(told, _bare(words), citations)


def claim_spans(content: str) -> Iterator[tuple[int, int, Sentence | None]]:
    """The stretches of the claims: a mark of a list or a heading belongs to what it stands before."""
    found = sentences(content)
    whole = len(content.rstrip())
    at = 0
    for number, sentence in enumerate(found):
        start = at + len(content[at : sentence.end]) - len(content[at : sentence.end].lstrip())
        at = whole if number == len(found) - 1 else sentence.end
        yield start, at, sentence
    if not found and content.strip():
        yield len(content) - len(content.lstrip()), whole, None


def _standing(
    words: str, sentence: Sentence | None, citations: Sequence[Citation], flags: Sequence[Unsupported]
) -> tuple[ClaimState, str]:
    """A flag weighs more than a citation, unless the citation bears out what is flagged: then its marker was wrong."""
    open_flags = [
        flag for flag in flags if not any(one.start <= flag.start and flag.end <= one.end for one in citations)
    ]
    if denied := next((flag for flag in open_flags if flag.contradicted), None):
        return "contradicted", denied.reason
    if open_flags:
        return "unsupported", open_flags[0].reason
    if citations:
        return "supported", ""
    says_nothing = sentence is None or sentence.kind in ("heading", "code") or not _WORDS.search(words)
    if says_nothing or is_talk(_bare(words)):
        return "needs_no_source", ""
    return "not_checked", ""


def _within(citations: Iterable[Citation], span: ClaimStated) -> Iterator[Citation]:
    return (citation for citation in citations if citation.start < span.end and span.start < citation.end)


def _bare(words: str) -> str:
    """In one line and without markers. Both versions' words go out as quotations, so they hold no controls."""
    return inert_line(" ".join(_MARKER.sub("", words).split()))


def _named(fresh: Sequence[Entry], earlier: Sequence[Written]) -> list[str]:
    """The names of new claims: that of the claim before which one goes on with, or the next that was never given."""
    last = max((int(told.claim[1:]) for written in earlier for told in written.claims), default=0)
    before = entries(earlier[-1]) if earlier else []
    goes_on = _matched(before, fresh)
    names = []
    for at in range(len(fresh)):
        if at in goes_on:
            names.append(before[goes_on[at]].told.claim)
        else:
            last += 1
            names.append(f"c{last}")
    return names


def _matched(before: Sequence[Entry], fresh: Sequence[Entry]) -> dict[int, int]:
    """For claims that go on with an earlier one: its place among those.

    The same words are found again wherever they went; other words for the same only in the same order.
    """
    where: defaultdict[tuple[str, ...], deque[int]] = defaultdict(deque)
    for at, entry in enumerate(before):
        where[entry.key].append(at)
    found = {at: where[entry.key].popleft() for at, entry in enumerate(fresh) if where.get(entry.key)}
    taken = set(found.values())
    old = [at for at in range(len(before)) if at not in taken]
    new = [at for at in range(len(fresh)) if at not in found]
    if old and new and len(old) * len(new) <= MOST_CELLS:
        # What an answer says is not said otherwise by what it quotes, so that each is paired with its like.
        for quotes in (False, True):
            olds = [at for at in old if before[at].words.startswith(">") == quotes]
            news = [at for at in new if fresh[at].words.startswith(">") == quotes]
            pairs = _aligned([before[at].meaning for at in olds], [fresh[at].meaning for at in news])
            found |= {news[to]: olds[at] for at, to in pairs}
    return found


def _aligned(old: Sequence[frozenset[str]], new: Sequence[frozenset[str]]) -> Iterator[tuple[int, int]]:
    """Pair sets of words in their order so that the pairs are alike as much as they can be."""
    alike = [[_alike(one, other) for other in new] for one in old]
    best = [[0.0] * (len(new) + 1) for _ in range(len(old) + 1)]
    for i in range(len(old) - 1, -1, -1):
        for j in range(len(new) - 1, -1, -1):
            paired = best[i + 1][j + 1] + alike[i][j] if alike[i][j] >= LEAST_ALIKE else 0.0
            best[i][j] = max(best[i + 1][j], best[i][j + 1], paired)
    i = j = 0
    while i < len(old) and j < len(new):
        if alike[i][j] >= LEAST_ALIKE and best[i][j] == best[i + 1][j + 1] + alike[i][j]:
            yield i, j
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1


def _alike(one: frozenset[str], other: frozenset[str]) -> float:
    return 2 * len(one & other) / (len(one) + len(other)) if one and other else 0.0


def _fate(old: Entry | None, new: Entry, version: Version) -> ClaimFate:
    claim = new.told.claim
    proof = _moving(old, new)
    quoted = {"quote": _short(proof.quote), "marker": proof.marker} if proof else {}
    if old is None:
        return ClaimFate(version=version, claim=claim, fate="added", after=new.words, **quoted)
    wording = {} if old.key == new.key else {"before": old.words, "after": new.words}
    if wording and _says_other(old.words, new.words):
        reason = f"{_source(proof)} {_otherwise(old.words, new.words)}." if proof else old.told.reason or _UNPROVEN
        return ClaimFate(version=version, claim=claim, fate="corrected", reason=reason, **wording, **quoted)
    known = {citation.document for citation in old.citations}
    more = {one.document: one.marker for one in reversed(new.citations) if one.document not in known}
    if new.told.state == "supported" and more:
        return ClaimFate(
            version=version,
            claim=claim,
            fate="confirmed",
            reason=confirmed_by(len(more), more=bool(known)),
            sources=tuple(sorted(more.values())),
            **wording,
            **quoted,
        )
    return ClaimFate(version=version, claim=claim, fate="kept", **wording)


def confirmed_by(count: int, *, more: bool) -> str:
    """Such as "Confirmed by 2 more sources."."""
    return f"Confirmed by {count}{' more' if more else ''} source{'' if count == 1 else 's'}."


def _moving(old: Entry | None, new: Entry) -> Citation | None:
    """The citation behind what is new: one of a passage that the claim before did not rest on, if there is any."""
    known = {citation.document for citation in old.citations} if old else set()
    return next((one for one in new.citations if one.document not in known), next(iter(new.citations), None))


def _says_other(old: str, new: str) -> bool:
    """Whether other words say something else: another number, name, negation, or another word in a word's place."""
    one, other = _apart(old), _apart(new)
    known = one.stems | other.stems  # whatever stands in another word's place was meant to
    return turns(one, other, known) or turns(other, one, known)


def _apart(words: str) -> Statement:
    return take_apart(words, language_of_text(words) or ENGLISH)


def _source(proof: Citation) -> str:
    return f"“{inert_line(proof.title)}”" if proof.title.strip() else "A source"


def _otherwise(old: str, new: str) -> str:
    """What a source does in which the new words differ from the old ones."""
    one, other = _apart(old), _apart(new)
    gone = {number.stem for number in one.numbers} ^ {number.stem for number in other.numbers}
    if any(len(number) == _YEAR_DIGITS and number[0] in "12" for number in gone):
        return "gives another date" if one.numbers and other.numbers else "gives the date"
    if gone:
        return "gives another number" if one.numbers and other.numbers else "gives the number"
    if {name.stem for name in one.names} ^ {name.stem for name in other.names}:
        return "gives another name" if one.names and other.names else "gives the name"
    return "says it otherwise"


_YEAR_DIGITS = 4


def _short(quote: str) -> str:
    quote = " ".join(quote.split())
    return quote if len(quote) <= LONGEST_QUOTE_CHARS else f"{quote[: LONGEST_QUOTE_CHARS - 2]} …"
