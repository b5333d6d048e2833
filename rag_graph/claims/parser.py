"""An answer as it is written, split into its text with clean markers and the claims that it makes."""

import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from rag_graph.claims.checker import Claim
from rag_graph.claims.markers import Marker, MarkerScanner
from rag_graph.claims.wording import is_talk
from rag_graph.text.sentences import Sentence, SentenceStream

SENTENCES_BEFORE = 3
"""So many are given with a claim as its context."""

_SKIMMED_CHARS = 1_024
"""Text without a sign that means something is read at least so often, so that no reading of it takes long."""


@dataclass(frozen=True, slots=True)
class DeadMarker:
    """A number that the model cited and that no passage has, and the sentence from which it was dropped."""

    number: int
    start: int
    end: int


class ClaimParser:
    """Reads an answer piece by piece; gives its text at once, and its claims as soon as a sentence ends.

    What it finds does not depend on where the pieces are cut. Spans count code points of the text it gives.
    """

    def __init__(self, known: AbstractSet[int], addresses: Mapping[int, str] | None = None) -> None:
        self.found: list[Claim | DeadMarker] = []
        self._known = known
        self._scanner = MarkerScanner(known, addresses)
        self._sentences = SentenceStream()
        self._before: deque[str] = deque(maxlen=SENTENCES_BEFORE)
        self._unread: list[str] = []
        self._read_to = 0
        self._skimmed: list[str] = []
        self._skimmed_chars = 0
        self._space = ""
        self._may_skim = True

    def feed(self, delta: str) -> str:
        """Take the next piece of the model's text; give the text that may be shown now."""
        # Nearly every token ends no sentence and begins no marker. Such a one is shown as it is and read later,
        # with its neighbours: this is the way of each token of each answer, so it is one call long.
        # Of two spaces at the end one would be shown, and the scanner holds back the last of what it is given later.
        shown = self._space + delta
        self._space = ""
        if self._may_skim and not _TURN.search(delta) and not shown.endswith("  "):
            if shown[-1:] == " ":
                self._space, shown = " ", shown[:-1]
            self._skimmed.append(shown)
            self._skimmed_chars += len(shown)
            self._may_skim = self._skimmed_chars < _SKIMMED_CHARS
            return shown
        self._take(self._scanner.feed("".join(self._skimmed)))
        self._skimmed.clear()
        self._skimmed_chars = 0
        if shown[-1:] == " ":
            # The scanner would hold it back as well, and whatever it holds keeps the next token from being skimmed.
            self._space, shown = " ", shown[:-1]
        shown = self._scanner.feed(shown)
        self._take(shown)
        self._may_skim = not self._scanner.is_holding and not self._sentences.is_waiting
        return shown

    def finish(self) -> str:
        """Give the text that was held back: the model is done, or will write no more."""
        self._take(self._scanner.feed("".join(self._skimmed)))
        self._skimmed.clear()
        shown = self._scanner.feed(self._space) + self._scanner.finish()
        self._take(shown)
        self._read(self._sentences.finish())
        self.found += (
            DeadMarker(marker.number, marker.start, marker.end) for marker in self._dead(self._scanner.found)
        )
        return shown

    def _take(self, text: str) -> None:
        if text:
            self._unread.append(text)
            self._read(self._sentences.feed(text))

    def _read(self, sentences: Sequence[Sentence]) -> None:
        """Take the sentences off what is unread, all at once: a text of a thousand is not copied a thousand times."""
        if not sentences:
            return
        text, begin = "".join(self._unread), self._read_to
        markers, at = self._scanner.found, 0
        for sentence in sentences:
            first = at
            while at < len(markers) and markers[at].start <= sentence.end:
                at += 1
            words = text[sentence.start - begin : sentence.end - begin]
            self.found += self._claims(sentence, words, markers[first:at])
        del markers[:at]
        self._read_to = sentences[-1].end
        self._unread = [text[self._read_to - begin :]]

    def _claims(self, sentence: Sentence, words: str, markers: Sequence[Marker]) -> Iterator[Claim | DeadMarker]:
        for marker in self._dead(markers):
            yield DeadMarker(marker.number, sentence.start, sentence.end)
        known = [marker for marker in markers if marker.number in self._known]
        bare = _without(known, words, sentence.start)
        # Headings and rows are seldom sentences: they are claims only where the model cites something for them.
        if sentence.kind != "code" and not is_talk(words) and (known or sentence.kind == "prose"):
            yield from self._parts(sentence, words, bare, known)
        self._before.append(bare)

    def _parts(self, sentence: Sentence, words: str, bare: str, markers: Sequence[Marker]) -> Iterator[Claim]:
        """Cut a sentence behind each group of markers; the one part of an uncut sentence is all of it."""
        groups: list[list[Marker]] = []
        after = 0
        for marker in markers:
            if not groups or not _NO_TEXT_BETWEEN.fullmatch(words, after, marker.start - sentence.start):
                groups.append([])
            groups[-1].append(marker)
            after = marker.end - sentence.start
        rest = words[after:]
        is_cut = len(groups) > 1 or (bool(groups) and any(char.isalnum() for char in rest))
        numbers = [tuple(dict.fromkeys(marker.number for marker in group)) for group in groups]
        if not is_cut:
            yield self._claim(sentence, bare, (0, len(words)), bare, numbers[0] if numbers else ())
            return
        begin = 0
        for group, cited in zip(groups, numbers, strict=True):
            first, last = group[0].start - sentence.start, group[-1].end - sentence.start
            begin += len(words[begin:first]) - len(words[begin:first].lstrip(" ,;"))
            yield self._claim(sentence, words[begin:first], (begin, last), bare, cited)
            begin = last
        if any(char.isalnum() for char in rest):
            begin += len(rest) - len(rest.lstrip(" ,;"))
            yield self._claim(sentence, words[begin:], (begin, len(words)), bare, ())

    def _claim(
        self, sentence: Sentence, content: str, span: tuple[int, int], bare: str, markers: tuple[int, ...]
    ) -> Claim:
        return Claim(
            content=content,
            start=sentence.start + span[0],
            end=sentence.start + span[1],
            sentence=bare,
            sentence_span=(sentence.start, sentence.end),
            markers=markers,
            before=tuple(self._before),
            kind=sentence.kind,
        )

    def _dead(self, markers: Sequence[Marker]) -> list[Marker]:
        return [marker for marker in markers if marker.number not in self._known]


_TURN = re.compile(r"[\[【［〔〖⟦{｛<^\\$⁽¹²³⁴⁵⁶⁷⁸⁹`~(（\n.!?…。！？｡।॥؟۔]")
"""What may begin a marker, code or a link, or end a sentence: every sign that the scanner or the sentences look at."""
_NO_TEXT_BETWEEN = re.compile(r"[\s,;]*(?:and)?[\s,;]*")


def _without(markers: Sequence[Marker], words: str, offset: int) -> str:
    """Blank the markers out, so that what is left stands where it stood."""
    for marker in markers:
        start, end = marker.start - offset, marker.end - offset
        words = words[:start] + " " * (end - start) + words[end:]
    return words
