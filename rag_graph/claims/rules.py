"""The check that needs no model: a claim is supported where a source sentence holds its words and no rule objects."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import replace
from weakref import WeakKeyDictionary

from rag_graph.claims.checker import Claim, Sources, Verdict
from rag_graph.claims.evidence import DEFAULT_COVERAGE, Coverage, ReadSources, taken_apart
from rag_graph.claims.wording import without_wrapping
from rag_graph.text.languages import ENGLISH, PRONOUNS

_UNKNOWN_LANGUAGE = "The rules do not know this language, so only word for word would count."
_NOT_FOLLOWED = "The rules cannot follow this."
_ASKED = "It says the question again."


class RuleChecker:
    """Checks claims by words, numbers, names, order and negation, in milliseconds each; the default checker.

    It calls *quoted* what a sentence of a source says in nearly the same words, says of less that the source *bears
    on it*, and flags only what no passage has. Where a claim differs from a sentence in few words, that it differs
    is what counts. In a language whose negations it does not know, only what is there word for word is cited.
    """

    def __init__(self, coverage: Coverage = DEFAULT_COVERAGE) -> None:
        self._coverage = coverage
        self._read: WeakKeyDictionary[Sources, ReadSources] = WeakKeyDictionary()

    async def prepare(self, sources: Sources) -> None:
        read = await asyncio.to_thread(ReadSources, sources.passages, sources.question, self._coverage)
        self._read.setdefault(sources, read)

    async def check(self, claims: Sequence[Claim], sources: Sources) -> Sequence[Verdict]:
        """Judge in a thread: other runs' tokens go on between its steps."""
        return await asyncio.to_thread(self.judge, claims, sources)

    def judge(self, claims: Sequence[Claim], sources: Sources) -> list[Verdict]:
        """Check claims without an event loop; reads the sources first if nobody has."""
        if not claims:
            return []
        read = self._read.get(sources)
        if read is None:
            read = self._read[sources] = ReadSources(sources.passages, sources.question, self._coverage)
        return [self._verdict(claim, read) for claim in claims]

    def _verdict(self, claim: Claim, read: "ReadSources") -> Verdict:
        content, sentence = without_wrapping(claim.content), without_wrapping(claim.sentence)
        subject = _meant(claim, read.question)
        if read.is_asked(content):
            return Verdict("unchecked", reason=_ASKED)
        if not claim.markers:
            return self._attribute(content, subject, read)
        supports, left = [], []
        for number in claim.markers:
            # A marker inside a sentence may be about the part before it, or about all of the sentence.
            for words in dict.fromkeys((sentence, content)):
                found = read.quoted_by(number, words, subject)
                if found:
                    supports.append(replace(found, whole_sentence=words != content))
                    break
            else:
                left.append(number)
        if left:
            supports += read.borne_by(left, content, least=self._coverage.to_bear)
        if supports:
            return Verdict("supported", tuple(supports))
        if elsewhere := read.quoted_anywhere(content, subject):
            refused = [
                number
                for number in left
                if read.held_by([number], content) < self._coverage.next_to_none or read.lacks_number(number, content)
            ]
            return Verdict("supported", (elsewhere,), tuple(refused))
        return self._doubt(content, read, claim.markers)

    def _attribute(self, content: str, subject: frozenset[str], read: "ReadSources") -> Verdict:
        """Find a source for what the model did not cite."""
        if not read.can_judge(content):
            return Verdict("unchecked", reason=_NOT_FOLLOWED)
        if found := read.quoted_anywhere(content, subject):
            return Verdict("supported", (found,))
        borne = (read.borne_by([number], content, least=self._coverage.to_bear_unmarked) for number in read.passages)
        if best := max(borne, key=lambda supports: max((one.score for one in supports), default=0.0), default=()):
            return Verdict("supported", tuple(best))
        return self._doubt(content, read, ())

    def _doubt(self, content: str, read: "ReadSources", markers: Sequence[int]) -> Verdict:
        """Flag what no passage has; of all else nothing is said."""
        if not any(read.knows_language_of(content, number) for number in markers or read.passages):
            return Verdict("unchecked", reason=_UNKNOWN_LANGUAGE)
        if reason := read.absence_of(content):
            return Verdict("unsupported", reason=reason)
        if any(read.is_denied_by(number, content) for number in markers or read.passages):
            return Verdict("contradicted")
        return Verdict("unchecked", reason=_NOT_FOLLOWED)


def _meant(claim: Claim, question: str) -> frozenset[str]:
    """The names that a pronoun at the beginning of a claim stands for, as far as what came before tells."""
    if not (opening := re.match(r"\w+", claim.content)) or opening[0].lower() not in PRONOUNS:
        return frozenset()
    for words in (*reversed(claim.before), question):
        names = frozenset(name.stem for name in taken_apart(words, ENGLISH).names)
        if names:
            return names
    return frozenset()
