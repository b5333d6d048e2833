"""Text that can only be added to, for protocols in which nothing said can be taken back."""

from collections.abc import Iterable

from rag_graph.events import Citation, ClaimFate

RULE = "\n\n---\n\n"


class Prose:
    """An answer that may start again while it is sent.

    What is written anew stays silent for as long as it agrees with what was sent; where it does not, a heading says
    so and it follows in full. `start` is where the text that stands begins, in code points.
    """

    def __init__(self) -> None:
        self.start = 0
        self._length = 0
        self._sent: list[str] = []
        self._anew: str | None = None
        self._heading = "The whole answer"
        self._earlier: dict[str, int] = {}

    def add(self, delta: str) -> str:
        """Take more of the text and give what is to be sent for it."""
        if self._anew is None:
            return self._send(delta)
        self._anew += delta
        return self._catch_up(self._anew, ends=False)

    def restart(self, reason: str) -> None:
        """The text so far is void; what is added from here replaces it."""
        self._anew = ""
        self._heading = f"Written again: {reason}"

    def begin(self, heading: str) -> str:
        """Start another text, under a heading if anything was sent before it."""
        if not self._sent:
            return ""
        self._earlier["".join(self._sent)] = self.start
        return self._headed(heading)

    def settle(self, answer: str) -> str:
        """Give what is missing for the answer to stand, be it the last text or one before it."""
        if answer in self._earlier and answer != "".join(self._sent):
            self.start = self._earlier[answer]
            return f"{RULE}*The answer above stands.*"
        return self._catch_up(answer, ends=True)

    def _catch_up(self, text: str, *, ends: bool) -> str:
        sent = "".join(self._sent)
        if sent.startswith(text) and len(text) < len(sent) and not ends:
            return ""
        self._anew = None
        if text.startswith(sent):
            return self._send(text[len(sent) :])
        return self._headed(self._heading) + self._send(text)

    def _headed(self, heading: str) -> str:
        self._sent.clear()
        line = f"{RULE}**{heading}**\n\n"
        self._length += len(line)
        self.start = self._length
        return line

    def _send(self, text: str) -> str:
        self._sent.append(text)
        self._length += len(text)
        return text


class OneAtATime:
    """Several speakers in one text: one is heard at a time, the others wait for its end."""

    def __init__(self) -> None:
        self._speaker: str | None = None
        self._spoken = False
        self._waiting: dict[str, list[str]] = {}
        self._ended: set[str] = set()

    def add(self, speaker: str, words: str) -> str:
        """Take what a speaker says and give what is to be sent now."""
        if self._speaker is None:
            return self._open(speaker) + words
        if self._speaker == speaker:
            return words
        self._ended.discard(speaker)
        self._waiting.setdefault(speaker, []).append(words)
        return ""

    def end(self, speaker: str) -> str:
        """Let the next one speak, and give what those have said meanwhile whose turn it is."""
        if speaker != self._speaker:
            self._ended.add(speaker)
            return ""
        self._speaker = None
        heard = ""
        while self._waiting and self._speaker is None:
            following = next(iter(self._waiting))
            heard += self._open(following) + "".join(self._waiting.pop(following))
            if following in self._ended:
                self._ended.remove(following)
                self._speaker = None
        return heard

    def _open(self, speaker: str) -> str:
        gap = "\n\n" if self._spoken else ""
        self._speaker, self._spoken = speaker, True
        return gap


def source_list(citations: Iterable[Citation]) -> str:
    """The cited documents, one a line, in the order of their numbers."""
    cited = {citation.marker: citation for citation in citations}
    lines = []
    for marker in sorted(cited):
        citation = cited[marker]
        place = f"{citation.uri}, {citation.place}" if citation.place else citation.uri
        lines.append(f"[{marker}] {citation.title} ({place})")
    return "\n".join(lines)


def change_list(fates: Iterable[ClaimFate]) -> str:
    """What a version corrected and withdrew of the one before, and what new sources bear out, one a line, and why."""
    lines = []
    for fate in fates:
        # Words and titles both stand in quotation marks: a dash tells where the reason begins.
        if fate.fate == "corrected":
            lines.append(f"Corrected: “{fate.before}” → “{fate.after}” – {fate.reason}")
        elif fate.fate == "withdrawn" and fate.reason:
            lines.append(f"Withdrawn: “{fate.before}” – {fate.reason}")
        elif fate.fate == "confirmed":
            lines.append(f"{fate.reason} “{fate.quote}”")
    return "\n".join(lines)
