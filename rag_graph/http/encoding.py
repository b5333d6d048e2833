"""What a protocol is to the rest: an encoder, which turns a run's entries into the bytes of one reader's stream."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final

import orjson

from rag_graph.events import Event
from rag_graph.runs.log import Entry, Gap, line_safe
from rag_graph.transcript import Transcript

EVENT_STREAM: Final = "text/event-stream"
JSON_LINES: Final = "application/x-ndjson"
# A line that begins with a colon is passed by: https://html.spec.whatwg.org/multipage/server-sent-events.html
COMMENT: Final = b": keep-alive\n\n"
# How a stream ends in OpenAI's protocol, and in that of the AI SDK.
DONE: Final = b"data: [DONE]\n\n"

Chunk = dict[str, Any]
"""One message of a protocol, as it goes out in JSON."""


class Encoder(ABC):
    """Tells one reader a run in one protocol: an entry or a gap in, the bytes that it adds out, often none.

    Events of kinds that it does not know are passed by: newer servers, which may write the same log, know more.
    """

    media_type: ClassVar[str] = EVENT_STREAM
    heartbeat: ClassVar[bytes] = COMMENT
    """What breaks a silence; nothing, where the protocol has no words for that."""
    headers: ClassVar[Mapping[str, str]] = {}

    @abstractmethod
    def encode(self, item: Entry | Gap) -> bytes: ...


class MessageEncoder(Encoder):
    """For protocols that tell a run as one message, in chunks of JSON.

    A subclass has a hook for each event that says something in its protocol: `on_answer_delta(event)` returns the
    chunks that one adds, and `at_gap()` those to send where events are missing. When its hook is called, an event is
    in `transcript`; `is_torn` tells that some were missing.
    """

    def __init__(self) -> None:
        self.transcript = Transcript()
        self.is_torn = False

    def encode(self, item: Entry | Gap) -> bytes:
        if isinstance(item, Gap):
            return framed(self.tear())
        frames = framed(self.add(item.event))
        return frames + DONE if item.ends else frames

    def add(self, event: Event) -> Sequence[Chunk]:
        """The chunks that an event adds."""
        self.transcript.add(event)
        # By name, since a chain of `isinstance` is slow on pydantic models, and this is asked of every token.
        hook = getattr(self, f"on_{event.type}", None)
        return hook(event) if hook is not None else ()

    def tear(self) -> Sequence[Chunk]:
        """Events are missing here: what is left of the text comes with the end of the run."""
        self.is_torn = True
        return self.at_gap()

    def at_gap(self) -> Sequence[Chunk]:
        return ()


def framed(chunks: Iterable[Chunk]) -> bytes:
    """Chunks as Server-Sent Events without a name."""
    frames = b""
    for chunk in chunks:
        json = orjson.dumps(chunk)
        frames += b"data: %s\n\n" % (json if json.isascii() else line_safe(json))
    return frames
