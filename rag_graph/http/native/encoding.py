"""Our own language: one event, one frame, in Server-Sent Events or in lines of JSON."""

from typing import Literal

from rag_graph.events import Fact
from rag_graph.runs.log import Entry, Gap


class LogTrimmed(Fact):
    """The log no longer holds the events after `after`; it goes on at `first_kept`. Not part of the numbered list."""

    type: Literal["log_trimmed"] = "log_trimmed"
    after: int
    first_kept: int


def sse_frame(run_id: str, item: Entry | Gap) -> bytes:
    """A Server-Sent Events frame; the id comes last, for clients that take it before the frame is whole."""
    if isinstance(item, Gap):
        return b"event: log_trimmed\ndata: %s\n\n" % _gap(item)
    return b"event: %s\ndata: %s\nid: %s:%d\n\n" % (item.kind.encode(), item.data, run_id.encode(), item.seq)


def json_line(item: Entry | Gap) -> bytes:
    """A line of JSON: the event with its number as `seq`."""
    if isinstance(item, Gap):
        return _gap(item) + b"\n"
    return b'{"seq":%d,%s\n' % (item.seq, item.data[1:])


def _gap(gap: Gap) -> bytes:
    return LogTrimmed(after=gap.after, first_kept=gap.first_kept).model_dump_json().encode()
