"""Our own language: one event, one frame, in Server-Sent Events or in lines of JSON.

Frames are made of an entry's JSON as it lies in the log, so that a token that many read is encoded once, and an
event that only a newer version knows gets through.
"""

from typing import Final, Literal

from rag_graph.events import Fact
from rag_graph.http.encoding import JSON_LINES, Encoder
from rag_graph.runs.log import Entry, Gap

RETRY: Final = b"retry: 500\n"
"""Milliseconds: a proxy that is reloaded is back by then, and a server that is down is not asked too often."""


class LogTrimmed(Fact):
    """The log no longer holds the events after `after`; it goes on at `first_kept`. Not part of the numbered list."""

    type: Literal["log_trimmed"] = "log_trimmed"
    after: int
    first_kept: int


class EventFrames(Encoder):
    """Server-Sent Events; the id comes last, for clients that take it before the frame is whole.

    With `reconnects` the first frame tells a browser's EventSource how soon to come back when its connection breaks;
    left alone, it waits seconds. Whoever asks by POST is none.
    """

    def __init__(self, run_id: str, *, reconnects: bool = False) -> None:
        self._run_id = run_id.encode()
        self._retry = RETRY if reconnects else b""

    def encode(self, item: Entry | Gap) -> bytes:
        retry, self._retry = self._retry, b""
        if isinstance(item, Gap):
            return b"%sevent: log_trimmed\ndata: %s\n\n" % (retry, _trimmed(item))
        data = (retry, item.kind.encode(), item.data, self._run_id, item.seq)
        return b"%sevent: %s\ndata: %s\nid: %s:%d\n\n" % data


class EventLines(Encoder):
    """Lines of JSON: the event with its number as `seq`."""

    media_type = JSON_LINES
    heartbeat = b""

    def encode(self, item: Entry | Gap) -> bytes:
        if isinstance(item, Gap):
            return _trimmed(item) + b"\n"
        # Put in behind the brace of the entry's JSON, which so need not be read for each of its readers.
        return b'{"seq":%d,%s\n' % (item.seq, item.data[1:])


def _trimmed(gap: Gap) -> bytes:
    return LogTrimmed(after=gap.after, first_kept=gap.first_kept).model_dump_json().encode()
