"""A refinement as changes to the draft: its sentences, items and rows under labels, and what a model says to change.

Labels stay what they are whatever changes, for models miscount lines that move. A model may forget the form: what it
writes then is taken for a new answer, whole, unless it is none: JSON, or talk of the draft and of what should change.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rag_graph.claims.ledger import claim_spans

MOST_BEFORE = 120
"""What comes before the first change is no part of the answer, such as "Here are the changes:"; after so many
characters without one it is a new answer. A model that writes one is shown so much later."""
LEAD_CHARS = 12
"""So much of a change's words is held back: they may begin with the label again, or be "removed" only."""
LONGEST_HEADER_CHARS = 60
LONGEST_RANGE = 200

Verb = Literal["keep", "replace", "remove", "insert", "void"]

_VERBS: dict[str, Verb] = {
    "keep": "keep",
    "replace": "replace",
    "change": "replace",
    "correct": "replace",
    "remove": "remove",
    "delete": "remove",
    "insert": "insert",
    "add": "insert",
}
_LEAD = r"[ \t>*_`#-]{0,8}(?:\d{1,3}[.)][ \t]+)?[*_`]{0,3}"
_LABEL = r"(?:\{\d{1,4}\}|\[\d{1,4}\]|\d{1,4}\b)"
_VERB = "|".join(_VERBS)
_HEADER = re.compile(
    rf"{_LEAD}(?:(?P<all>keep)\b(?![ \t]*[\[{{\d])"
    rf"|(?P<verb>{_VERB})\b[ \t]*(?P<where>after|before)?[ \t]*(?:sentence|line|item|row|claim)?s?[ \t]*"
    rf"(?P<labels>{_LABEL}(?:[ \t]*(?:,|and|&|-|–|to)[ \t]*{_LABEL})*)"
    rf"|(?P<bare>\{{\d{{1,4}}\}})(?=[*_`]{{0,3}}[ \t:：]))"
    r"[*_`]{0,3}[ \t]*(?:with\b[ \t]*)?(?P<colon>[:：]|[-–—]+(?=[ \t]))?[*_`]{0,3}[ \t]*",
    re.IGNORECASE,
)
_MORE = re.compile(r"[*_` \t]*(?:,|&|a|an|and|t|to|w|wi|wit|with|[-–—]+)?[ \t]*[\[{]?\d{0,4}", re.IGNORECASE)
"""What may go on with the labels of a header, or be the next change's words."""
_BEGINNINGS = "|".join(sorted({verb[:end] for verb in _VERBS for end in range(1, len(verb) + 1)}, reverse=True))
_BEGUN = re.compile(
    rf"{_LEAD}(?:{_BEGINNINGS}|(?:{_VERB})[^\n:：]*|\{{\d{{0,4}}\}}?[*_`]{{0,3}}[ \t]*|\d{{1,3}}[.)]?)?"
    r"|[ \t]*(?:`{1,3}|~{1,3})\w*[ \t]*",
    re.IGNORECASE,
)
_SHOUTED = "|".join(verb.upper() for verb in _VERBS)
_TURN = re.compile(rf"(?:{_SHOUTED})(?:[ \t]+(?:AFTER|BEFORE))?[ \t]*\{{\d{{1,4}}\}}")
"""A change that cannot be words of an answer: shouted, and with our braces. It may follow another on its line, and what
a model thought aloud before."""
_ENDS = r"(?<=[.!?。！？\])}])"
_NEXT = re.compile(rf"(?:[ \t,;]+[*_`]{{0,3}}|{_ENDS})(?={_TURN.pattern})")
_STARTS = "|".join(sorted({verb[:end].upper() for verb in _VERBS for end in range(1, len(verb) + 1)}, reverse=True))
_TURNING = (
    rf"(?:{_STARTS}|(?:{_SHOUTED})[ \t]+[A-Z]{{0,6}}|(?:{_SHOUTED})(?:[ \t]+(?:AFTER|BEFORE))?[ \t]*\{{?\d{{0,4}})"
)
_TURN_BEGUN = re.compile(_TURNING)
_NEXT_BEGUN = re.compile(rf"(?:[ \t,;]+[*_`]{{0,3}}(?:{_TURNING})?|{_ENDS}{_TURNING})\Z")
_DATA = re.compile(r"^[ \t]*(?:\{\s*[\"']|\[\s*[{\"'])", re.MULTILINE)
_ON_DRAFT = re.compile(
    r"\b(?:the|this|your|my) draft\b|\{\d{1,4}\}"
    r"|\b(?:sentence|line|claim)s? \d|\b(?:first|second|third|fourth|fifth|last) (?:sentence|line|claim)\b",
    re.IGNORECASE,
)
"""Talk of changes instead of changes, or of an answer. In English, as the form is asked for in English."""
_KEPT = re.compile(r"\n[*_` \t]*KEEP[*_`. \t]*\s*\Z")
_FENCE = re.compile(r"[ \t]*(?:```|~~~)\w*[ \t]*(?:\n|\Z)")
_OPEN_ENDED = "*_`:：-–— \t"
_LABELS = re.compile(r"(?P<to>-|–|to)?[ \t]*[\[{]?(?P<number>\d+)", re.IGNORECASE)
_ECHO = re.compile(r"\{\d{1,4}\}[ \t]*[:：]?[ \t]*")
_NO_WORDS: dict[Verb, re.Pattern[str]] = {
    "keep": re.compile(r"\W*(?:keep|kept|unchanged|no changes?)\W*", re.IGNORECASE),
    "remove": re.compile(r"\W*(?:removed?|deleted?)\W*", re.IGNORECASE),
}
_NOTHING = re.compile(
    r"\W*(?:none|nothing|no changes?(?: (?:is|are))?(?: (?:needed|necessary|required))?)\W*", re.IGNORECASE
)
_MARK = re.compile(r"(?:[ \t]*(?:[-*+•]|\d{1,3}[.)]|>|#{1,6})[ \t]+)+")
_RULE = re.compile(r"[ \t]*\|?[ \t]*:?-{2,}:?[ \t]*(?:\|[ \t]*:?-{2,}:?[ \t]*)*\|?[ \t]*\n")
_KINDS = {"|": "row", ">": "quote", "#": "heading"}


@dataclass(frozen=True, slots=True)
class Piece:
    """A sentence, item or row of a draft, and what stands between it and the one before."""

    gap: str
    content: str


@dataclass(slots=True)
class Change:
    """What is to become of the piece `at`, or what is inserted after it (-1: before all)."""

    verb: Verb
    at: int
    words: str = ""
    held: str = ""
    """Blanks behind the words, which belong to them only if more follows."""
    is_settled: bool = False
    is_told: bool = False
    is_closed: bool = False


@dataclass(frozen=True, slots=True)
class Ending:
    """The rest of the new version; if what was told is `void`, all of it. Void and nothing: the draft stands.

    `unread` is a reply that is neither changes nor an answer.
    """

    content: str
    void: bool = False
    unread: bool = False


def cut(draft: str) -> list[Piece]:
    """The pieces of a draft; joined as they are they give it again, without blanks around it."""
    pieces, at = [], len(draft) - len(draft.lstrip())
    for start, end, _ in claim_spans(draft):
        rule = _RULE.match(draft, start)  # the line under a table's header belongs to no row
        begin = rule.end() if rule else start
        pieces.append(Piece(draft[at:begin], draft[begin:end]))
        at = end
    return pieces


def labelled(draft: str) -> str:
    """A draft as a model is shown it, one piece a line."""
    return "\n".join(f"{{{number}}} {piece.content}" for number, piece in enumerate(cut(draft), 1))


class EditReader:
    """Reads changes as they are written, and gives the new version's text as far as it is known.

    What it gives does not depend on where the reply is cut into deltas.
    """

    def __init__(self, draft: str) -> None:
        self._pieces = cut(draft)
        self._draft = draft.strip()
        self._changes: list[Change] = []
        self._newest = 0
        """Where the changes begin that the last header gave."""
        self._told = ""
        self._pending = ""
        self._state: Literal["undecided", "edits", "rewritten", "unread"] = "undecided"
        self._at_line_start = True
        self._last = ""
        """The last character that was taken of the line under way."""

    def feed(self, delta: str) -> str:
        """Take the next piece of the reply; give the text that may be told now."""
        self._pending += delta
        return self._read(is_final=False)

    def finish(self, *, is_cut: bool = False) -> Ending:
        """End the reply; of one that was cut off the last change is void, since it may be half of one."""
        if is_cut and self._state == "undecided":
            return Ending("")
        told = self._told
        rest = self._read(is_final=True)
        if self._state == "rewritten" and _KEPT.search(self._told):
            return Ending("", void=bool(told))
        if self._state in ("rewritten", "unread"):
            return Ending(rest, unread=self._state == "unread")
        self._close()
        whole = self._rendered(self._changes[: self._newest] if is_cut else self._changes)
        if whole == self._draft or not whole:
            return Ending("", void=bool(told))
        return Ending(whole[len(told) :]) if whole.startswith(told) else Ending(whole, void=True)

    def _read(self, *, is_final: bool) -> str:
        if self._state == "undecided" and not self._decide(is_final=is_final):
            return ""
        told = len(self._told)
        if self._state == "rewritten":
            self._pass_on(is_final=is_final)
        elif self._state == "unread":
            self._pending = ""
        while self._pending and self._state == "edits":
            if self._at_line_start:
                if header := self._header(self._pending, is_final=is_final):
                    self._close()
                    self._open(header)
                    # The blank, which begins no words, lets the next change follow at once.
                    self._pending = f" {self._pending[header.end() :]}"
                    self._at_line_start, self._last = False, ""
                    continue
                if not is_final and _may_be_header(self._pending):
                    break
                if fence := _FENCE.match(self._pending):  # drafts with code are not edited: it wraps the changes
                    self._pending = self._pending[fence.end() :]
                    continue
            if not self._take_line(is_final=is_final):
                break
        return self._told[told:]

    def _take_line(self, *, is_final: bool) -> bool:
        """Take words up to the end of the line, or to the next change on it; false where more must come."""
        line, newline, rest = self._pending.partition("\n")
        seen, after = f"{self._last}{line}", len(self._last)
        if following := _NEXT.search(seen):
            self._add(seen[after : following.start()])
            self._pending = seen[following.end() :] + newline + rest
            self._at_line_start, self._last = True, ""
            return True
        if not newline and not is_final and (begun := _NEXT_BEGUN.search(seen)):
            self._add(seen[after : begun.start()])
            self._last = seen[: begun.start()][-1:]
            self._at_line_start &= begun.start() == 0
            self._pending = seen[begun.start() :]
            return False
        self._pending = rest
        self._add(line + newline)
        self._at_line_start, self._last = bool(newline), "" if newline else seen[-1:]
        return True

    def _pass_on(self, *, is_final: bool) -> None:
        """Tell a new answer as it comes, until changes begin after all: then what was told was thinking aloud."""
        while self._pending:
            if self._at_line_start:
                if _TURN.match(self._pending):
                    self._state = "edits"
                    return
                if not is_final and _TURN_BEGUN.fullmatch(self._pending):
                    return
            line, newline, self._pending = self._pending.partition("\n")
            self._told += line + newline
            self._at_line_start = bool(newline)

    def _decide(self, *, is_final: bool) -> bool:
        """Find the first change, or see that there is none; false while that is open."""
        head = self._pending
        starts = [0, *(match.end() for match in re.finditer(r"\n", head))]
        for start in starts:
            if start <= MOST_BEFORE and self._header(head[start:], is_final=is_final):
                self._state, self._pending = "edits", head[start:]
                return True
        last = head[starts[-1] :]
        if not is_final and (len(head) <= MOST_BEFORE or (starts[-1] <= MOST_BEFORE and _may_be_header(last))):
            return False
        begins = head[:MOST_BEFORE]
        if is_final and (not head.strip() or _NOTHING.fullmatch(head)):
            self._state, self._pending = "edits", ""
        elif _DATA.search(begins) or any(
            said[0].lower() not in self._draft.lower() for said in _ON_DRAFT.finditer(begins)
        ):
            self._state = "unread"
        else:
            self._state = "rewritten"
        return True

    def _header(self, content: str, *, is_final: bool) -> re.Match[str] | None:
        """The header of a change at the beginning of a line, if it is whole."""
        header = _HEADER.match(content)
        if not header or not (is_final or _is_whole(header, content)):
            return None
        said = header["all"] or (header["verb"] if header["verb"] and "{" not in header["labels"] else "")
        # Without our braces only what is shouted is an order: "Replace 3 screws" may be an answer.
        return header if said == said.upper() else None

    def _open(self, header: re.Match[str]) -> None:
        self._newest = len(self._changes)
        if header["all"]:
            self._changes.append(Change("keep", -1))
            return
        verb = _VERBS[header["verb"].lower()] if header["verb"] else "replace"
        numbers = [number - 1 for number in _numbers(header["bare"] or header["labels"])]
        lowest = -1 if verb == "insert" else 0
        if verb == "insert" and (header["where"] or "").lower() == "before":
            numbers = [number - 1 for number in numbers]
        known = [number for number in numbers if lowest <= number < len(self._pieces)]
        if not known:
            self._changes.append(Change("void", -1))
            return
        if verb == "insert":
            self._changes.append(Change("insert", known[-1]))
            self._tell(self._rendered(self._changes, stop=known[-1] + 1))
            return
        others: Verb = "keep" if verb == "keep" else "remove"
        self._changes += (Change(others, number, is_closed=True) for number in known[1:])
        self._changes.append(Change(verb, known[0]))
        self._tell(self._rendered(self._changes, stop=known[0]))

    def _add(self, content: str) -> None:
        """Take words of the open change; a blank line ends them, and what follows it says something else."""
        change = self._changes[-1]
        if change.is_closed or change.verb not in ("replace", "insert"):
            return
        content = change.held + content
        body = content.rstrip()
        change.held = content[len(body) :]
        body = body if change.words else body.lstrip()
        if body:
            change.words += body
            if change.is_told:
                self._told += body
            elif len(change.words) >= LEAD_CHARS and not change.is_settled:
                self._settle(change)
        change.held = change.held if change.words else ""
        change.is_closed = len(re.findall(r"\n", change.held)) > 1

    def _settle(self, change: Change) -> None:
        """Put right how the words begin, and tell them if all that stands before them was told."""
        change.is_settled = True
        change.words = change.words[echo.end() :] if (echo := _ECHO.match(change.words)) else change.words
        if change.verb == "replace":
            mark = _MARK.match(self._pieces[change.at].content)
            if mark and change.words and not _MARK.match(change.words):
                change.words = mark[0] + change.words
        if change.words:
            change.is_told = self._tell(self._rendered(self._changes, until=change))

    def _close(self) -> None:
        if not self._changes:
            return
        change = self._changes[-1]
        change.is_closed = True
        if change.is_settled or change.verb not in ("replace", "insert"):
            return
        bare = _ECHO.sub("", change.words, count=1)
        for verb, words in _NO_WORDS.items():
            if change.verb == "replace" and words.fullmatch(bare):
                change.verb, change.words = verb, ""
                return
        self._settle(change)

    def _tell(self, content: str) -> bool:
        """Tell a beginning of the new version, unless what was told already is none of its."""
        if not content.startswith(self._told):
            return False
        self._told = content
        return True

    def _rendered(self, changes: Sequence[Change], *, stop: int | None = None, until: Change | None = None) -> str:
        """The draft with these changes; up to the piece `stop`, or to the words of one change."""
        content, before, was_foreign = "", "", False
        gap = ""
        for place, words, between, is_foreign, change in self._parts(changes):
            if stop is not None and place >= stop:
                break
            gap = max(gap, between, key=lambda blanks: blanks.count("\n")) if gap else between
            if not words:
                continue
            if content:
                content += _joint(before, words, gap) if is_foreign or was_foreign else gap
            content += words
            before, was_foreign, gap = words, is_foreign, ""
            if until is not None and change is until:
                break
        return content

    def _parts(self, changes: Sequence[Change]) -> Iterator[tuple[int, str, str, bool, Change | None]]:
        """Each piece and insertion: its place, words, the gap before, whether it is of another kind, and its change."""
        replaced: dict[int, Change] = {}
        inserted: defaultdict[int, list[Change]] = defaultdict(list)
        for change in changes:
            if change.verb == "insert":
                inserted[change.at].append(change)
            elif change.verb in ("keep", "remove") or (change.verb == "replace" and change.words):
                replaced[change.at] = change
        for place in range(-1, len(self._pieces)):
            if place >= 0:
                piece = self._pieces[place]
                now = replaced.get(place)
                words = piece.content if now is None or now.verb == "keep" else now.words
                is_foreign = bool(words) and _kind(words) != _kind(piece.content)
                yield place, words, piece.gap, is_foreign, now
            for change in inserted[place]:
                yield place, change.words, "", True, change


def _is_whole(header: re.Match[str], content: str) -> bool:
    """Whether no more text can change how the header reads."""
    is_listing = header["labels"] and not header["colon"] and _MORE.fullmatch(content, header.end("labels"))
    return not is_listing and bool(content[header.end() :].strip(_OPEN_ENDED))


def _may_be_header(content: str) -> bool:
    """Whether a line that has begun may be the header of a change, or the fence around changes."""
    if "\n" in content:
        return False
    if len(content) <= LONGEST_HEADER_CHARS and _BEGUN.fullmatch(content):
        return True
    header = _HEADER.match(content)
    return header is not None and not _is_whole(header, content)


def _numbers(labels: str) -> list[int]:
    numbers: list[int] = []
    for match in _LABELS.finditer(labels):
        number = int(match["number"])
        first = numbers[-1] + 1 if match["to"] and numbers else number
        numbers += range(first, number) if number - first < LONGEST_RANGE else ()
        numbers.append(number)
    return numbers


def _kind(content: str) -> str:
    first = content.lstrip()[:1]
    return _KINDS.get(first) or ("item" if _MARK.match(content) else "prose")


def _joint(before: str, after: str, gap: str) -> str:
    """What stands between two pieces that were not neighbours, or one of which has become of another kind."""
    one, other = _kind(before), _kind(after)
    if "\n" in gap:
        return gap
    if one == other == "prose":
        return gap or ("" if before[-1:] in "。！？" else " ")
    return "\n" if one == other and one in ("item", "row") else "\n\n"
