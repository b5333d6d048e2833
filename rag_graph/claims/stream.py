"""An answer as it is written: its text with clean markers, and each sentence's citations once they are checked."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rag_graph.claims.markers import Marker, MarkerScanner
from rag_graph.claims.statements import Statement, take_apart
from rag_graph.claims.support import Evidence, Support, Thresholds
from rag_graph.events import AnswerDelta, Citation, NumberedPassage, Unsupported, Version
from rag_graph.text.sentences import Sentence, SentenceStream

Fact = AnswerDelta | Citation | Unsupported
DEFAULT_THRESHOLDS = Thresholds()

_NO_SUCH_PASSAGE = "The answer cites a passage that does not exist."
_NOT_THERE = "The cited passage does not say this."
_ELSEWHERE = "The cited passage does not say this; another one does."
_NOWHERE = "No passage says this."


@dataclass(frozen=True, slots=True)
class _Part:
    """A stretch of a sentence and the markers behind it."""

    start: int
    end: int
    claim: Statement
    numbers: tuple[int, ...]


class CitationStream:
    """Reads an answer piece by piece; gives its text at once, and its citations as soon as a sentence ends.

    What it finds does not depend on where the pieces are cut. Spans count code points of `text`.
    """

    def __init__(
        self,
        passages: Sequence[NumberedPassage],
        *,
        version: Version,
        question: str,
        thresholds: Thresholds = DEFAULT_THRESHOLDS,
    ) -> None:
        self._evidence = Evidence(passages, thresholds=thresholds)
        self._question = take_apart(question)
        self._version = version
        self._scanner = MarkerScanner(self._evidence.passages.keys())
        self._sentences = SentenceStream()
        self._emitted: list[str] = []
        self._unjudged: list[str] = []
        self._judged_to = 0

    @property
    def text(self) -> str:
        """All text given out so far."""
        self._emitted = ["".join(self._emitted)]
        return self._emitted[0]

    def prepare(self) -> None:
        """Make the passages comparable before the first sentence ends; a thread may do it while the model begins."""
        self._evidence.prepare()

    def feed(self, delta: str) -> list[Fact]:
        """Take the next piece of the model's text; give what can be said now."""
        return self._take(self._scanner.feed(delta))

    def finish(self) -> list[Fact]:
        """Give what is left: the model is done, or will write no more."""
        facts = self._take(self._scanner.finish())
        for sentence in self._sentences.finish():
            facts += self._judge(sentence)
        facts += (
            self._no_such_passage(marker, marker.start, marker.end) for marker in self._unknown(self._scanner.found)
        )
        self._scanner.found.clear()
        return facts

    def _take(self, text: str) -> list[Fact]:
        if not text:
            return []
        self._emitted.append(text)
        self._unjudged.append(text)
        facts: list[Fact] = [AnswerDelta(version=self._version, delta=text)]
        for sentence in self._sentences.feed(text):
            facts += self._judge(sentence)
        return facts

    def _judge(self, sentence: Sentence) -> Iterator[Fact]:
        pending = "".join(self._unjudged)
        words = pending[sentence.start - self._judged_to : sentence.end - self._judged_to]
        self._unjudged = [pending[sentence.end - self._judged_to :]]
        self._judged_to = sentence.end
        markers = [marker for marker in self._scanner.found if marker.start <= sentence.end]
        del self._scanner.found[: len(markers)]
        for marker in self._unknown(markers):
            yield self._no_such_passage(marker, sentence.start, sentence.end)
        if sentence.kind == "code" or _is_no_claim(words):
            return
        known = [marker for marker in markers if marker.number in self._evidence.passages]
        whole = _Part(sentence.start, sentence.end, take_apart(_without(known, words, sentence)), ())
        if known:
            yield from self._check(whole, list(_parts(words, sentence, known)))
        elif sentence.kind == "prose":
            yield from self._attribute(whole, has_dead_marker=bool(markers))

    def _check(self, whole: _Part, parts: list[_Part]) -> Iterator[Fact]:
        """Check each marker against its passage: for the whole sentence, else for the part before it."""
        if len(parts) == 1:
            parts = [replace(whole, numbers=parts[0].numbers)]
        is_whole_cited = False
        for part in parts:
            if not part.numbers:
                if not is_whole_cited:
                    yield from self._attribute(part)
                continue
            supports = {number: self._support(number, whole, part) for number in part.numbers}
            for found in filter(None, supports.values()):
                is_whole_cited = is_whole_cited or found[0] is whole
                yield self._citation(*found, attributed_by="model")
            missing = [number for number, found in supports.items() if not found]
            other = self._evidence.support_anywhere(part.claim) if len(missing) == len(supports) else None
            if other:
                yield self._citation(part, other, attributed_by="check")
            for number in missing:
                yield self._unsupported(part, _ELSEWHERE if other else _NOT_THERE, marker=number)

    def _support(self, number: int, whole: _Part, part: _Part) -> tuple[_Part, Support] | None:
        for candidate in (whole, part):
            support = self._evidence.support_by(number, candidate.claim, question=self._question)
            if support:
                return candidate, support
        return None

    def _attribute(self, part: _Part, *, has_dead_marker: bool = False) -> Iterator[Fact]:
        """Find a source for what the model did not cite, or flag it."""
        claim = part.claim
        if claim.stems <= self._question.stems or not self._evidence.can_judge(claim):
            return
        support = self._evidence.support_anywhere(claim)
        if support:
            yield self._citation(part, support, attributed_by="check")
        elif not has_dead_marker:
            yield self._unsupported(part, _NOWHERE)

    def _citation(self, part: _Part, support: Support, *, attributed_by: str) -> Citation:
        passage = support.passage
        return Citation(
            version=self._version,
            marker=passage.number,
            start=part.start,
            end=part.end,
            document=passage.document,
            title=passage.title,
            uri=passage.uri,
            source_start=passage.start + support.start,
            source_end=passage.start + support.end,
            quote=passage.content[support.start : support.end],
            attributed_by="model" if attributed_by == "model" else "check",
            score=support.score,
        )

    def _unsupported(self, part: _Part, reason: str, *, marker: int | None = None) -> Unsupported:
        return Unsupported(version=self._version, start=part.start, end=part.end, marker=marker, reason=reason)

    def _no_such_passage(self, marker: Marker, start: int, end: int) -> Unsupported:
        return Unsupported(version=self._version, start=start, end=end, marker=marker.number, reason=_NO_SUCH_PASSAGE)

    def _unknown(self, markers: Sequence[Marker]) -> list[Marker]:
        return [marker for marker in markers if marker.number not in self._evidence.passages]


def cite(answer: str, passages: Sequence[NumberedPassage], *, question: str, version: Version = 1) -> list[Fact]:
    """Check a finished answer: its clean text and every fact about it."""
    stream = CitationStream(passages, version=version, question=question)
    return [*stream.feed(answer), *stream.finish()]


_REFUSAL = re.compile(
    r"\b(?:do(?:es)?|did) ?n[o'’]t (?:\w+ ){0,2}(?:say|mention|contain|provide|include|specif|state|give|discuss"
    r"|address|cover|indicate|answer|describe|explain|know)"
    r"|\b(?:i|we) (?:cannot|can['’]t|could not|couldn['’]t|am not|was unable|am unable)\b"
    r"|\bno (?:information|mention|answer|relevant|source|passage|details?)\b"
    r"|\bnot (?:mentioned|specified|stated|provided|found) in\b",
    re.IGNORECASE,
)
_SPEAKER = re.compile(r"\b(?:sources?|passages?|documents?|context|texts?|excerpts?|information|i|we)\b", re.IGNORECASE)
_CHAT = re.compile(
    r"\W*(?:here (?:is|are)|let me|sure\b|certainly|of course|i hope|hope this|in summary[,:]?$|please"
    r"|i (?:found|will|can)"
    r"|based on the (?:sources|passages|documents|context)[^,]*[,:]?$|thank|you can find|sources?:|references?:)",
    re.IGNORECASE,
)
_NO_TEXT_BETWEEN = re.compile(r"[\s,;]*(?:and)?[\s,;]*")


def _is_no_claim(words: str) -> bool:
    """Tell questions, lead-ins, refusals and talk from claims."""
    bare = words.rstrip(" *_\"'”’)")
    if bare.endswith(("?", ":", "？", "：")) or _CHAT.match(words):
        return True
    return bool(_REFUSAL.search(words) and _SPEAKER.search(words))


def _without(markers: Sequence[Marker], words: str, sentence: Sentence) -> str:
    for marker in markers:
        start, end = marker.start - sentence.start, marker.end - sentence.start
        words = words[:start] + " " * (end - start) + words[end:]
    return words


def _parts(words: str, sentence: Sentence, markers: Sequence[Marker]) -> Iterator[_Part]:
    """Cut a sentence behind each group of markers."""
    begin = after = 0
    group: list[Marker] = []
    for marker in markers:
        start = marker.start - sentence.start
        if group and not _NO_TEXT_BETWEEN.fullmatch(words, after, start):
            yield _part(words, sentence, begin, group)
            begin, group = after, []
        group.append(marker)
        after = marker.end - sentence.start
    if group:
        yield _part(words, sentence, begin, group)
        begin = after
    rest = words[begin:]
    if not markers or any(char.isalnum() for char in rest):
        stripped = len(rest) - len(rest.lstrip(" ,;"))
        yield _Part(sentence.start + begin + stripped, sentence.end, take_apart(rest), ())


def _part(words: str, sentence: Sentence, begin: int, group: Sequence[Marker]) -> _Part:
    first, last = group[0].start - sentence.start, group[-1].end - sentence.start
    begin += len(words[begin:first]) - len(words[begin:first].lstrip(" ,;"))
    numbers = dict.fromkeys(marker.number for marker in group)
    return _Part(sentence.start + begin, sentence.start + last, take_apart(words[begin:first]), tuple(numbers))
