"""Subtitles: what is said, SubRip's and WebVTT's, without the times at which it is shown."""

import re
from html import unescape
from typing import Final

from rag_graph.index.encoding import decode
from rag_graph.index.loaders.base import Source, Writer
from rag_graph.index.loading import Loaded

_TIMES: Final = re.compile(
    r"[ \t]*(?P<from>(?:\d+:)?\d+:\d\d[.,]\d+)[ \t]*-->[ \t]*(?:\d+:)?\d+:\d\d[.,]\d+[^\n]*", re.MULTILINE
)
_SPEAKER: Final = re.compile(r"<v(?:\.[\w.]+)?[ \t]+([^>]+)>")
_MARK: Final = re.compile(r"</?[a-zA-Z][^<>\n]*>|<[\d:.]+>|\{\\[^{}\n]*\}")
_END: Final = re.compile(r"[.!?…。！？][\"'”’)\]]*$")
_PARAGRAPH_CHARS: Final = 600


def load(source: Source) -> Loaded:
    """A sentence goes over many cues, so a paragraph is as many of them as end with one."""
    text, note = decode(source.content())
    lines = re.split(r"\r\n|\r|\n", text)
    writer = Writer()
    said: list[str] = []
    speaker = ""
    at = 0
    while at < len(lines):
        if not _TIMES.fullmatch(lines[at]):
            at += 1
            continue
        first = at = at + 1
        while at < len(lines) and lines[at].strip() and not _TIMES.fullmatch(lines[at]):
            at += 1
        shown = "\n".join(lines[first:at])
        speaks = found[1].strip() if (found := _SPEAKER.search(shown)) else ""
        words = " ".join(unescape(_MARK.sub("", shown)).split())
        if not words or (said and said[-1] == words):  # what rolls up is shown twice
            continue
        is_full = sum(map(len, said)) > _PARAGRAPH_CHARS and _END.search(said[-1])
        if said and (is_full or speaks != speaker):
            writer.block(" ".join(said))
            said = []
        if not said:
            writer.place(line=first + 1)
            if speaks:
                words = f"{speaks}: {words}"
        speaker = speaks
        said.append(words)
    writer.block(" ".join(said))
    yield source.document(writer.text, places=tuple(writer.places), note=note)
