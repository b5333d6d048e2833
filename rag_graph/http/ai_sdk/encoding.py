"""The Vercel AI SDK's UI message stream: a chat becomes a query, a run's events become message parts.

Every field that is sent is known to all versions from 5 on, the early ones of which refuse any other.
"""

from collections.abc import Sequence
from mimetypes import guess_type
from pathlib import PurePosixPath
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rag_graph.errors import InvalidRequest
from rag_graph.events import (
    AnswerDelta,
    AnswerFinished,
    AnswerReset,
    Citation,
    Decided,
    Event,
    NumberedPassage,
    PassagesRetrieved,
    RunCancelled,
    RunFailed,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
    Terminal,
    ThinkingDelta,
    ThinkingFinished,
    ThinkingStarted,
    Unsupported,
    Version,
    Warned,
)
from rag_graph.query import MAX_HISTORY_TURNS, MAX_TURN_CHARS, Filters, Mode, Query, Turn
from rag_graph.transcript import Transcript

Part = dict[str, Any]
Status = Literal["writing", "kept", "refining", "void", "final", "failed", "stopped"]

MAX_ID_CHARS = 200


class _Sent(BaseModel):
    """A part of a request; the whole history comes back with every kind of part, so the unknown is ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class UIPart(_Sent):
    """A part of a message: `text`, or something else that only matters by its type."""

    type: str
    text: str = ""
    data: Any = None


class UIMessage(_Sent):
    """One message of the chat."""

    role: Literal["system", "user", "assistant"]
    parts: list[UIPart] = []

    @property
    def written(self) -> str:
        """Its text; of an answer, the version that stands."""
        texts = [part.text for part in self.parts if part.type == "text"]
        standing = [part.data for part in self.parts if part.type == "data-answer" and isinstance(part.data, dict)]
        place = standing[-1].get("part") if standing else None
        if isinstance(place, int) and 0 <= place < len(texts):
            return texts[place]
        return "\n".join(texts)


class ChatPost(_Sent):
    """The body of `POST /api/chat`; `mode` and `filters` come with the transport's `body`."""

    id: str = Field(min_length=1, max_length=MAX_ID_CHARS)
    messages: list[UIMessage] = Field(min_length=1)
    mode: Mode = "fast"
    filters: Filters = {}


def query_of(post: ChatPost) -> Query:
    """The last message is the question, those before it are the history. Raises InvalidRequest."""
    *earlier, last = post.messages
    if last.role != "user":
        raise InvalidRequest("The last message must be the user's: it is the question.")
    if any(part.type == "file" for part in last.parts):
        raise InvalidRequest("This server reads text, not files: send the question alone.")
    try:
        return Query(question=last.written, mode=post.mode, history=_turns(earlier), filters=post.filters)
    except ValidationError as exc:
        raise InvalidRequest(f"The question: {exc.errors()[0]['msg']}.") from None


def _turns(messages: Sequence[UIMessage]) -> list[Turn]:
    turns = [
        Turn(role=message.role, content=message.written[-MAX_TURN_CHARS:])
        for message in messages
        if message.role != "system" and message.written
    ]
    return turns[-MAX_HISTORY_TURNS:]


class MessageParts:
    """Turns each event into the parts of a message that it adds, often none.

    Each version of the answer is a text part of its own, and so is each new start of one. `data-answer` says which
    one stands: `part` counts the message's text parts from 0.
    """

    def __init__(self) -> None:
        self._transcript = Transcript()
        self._texts = 0
        self._standing: dict[Version, int] = {}
        self._open_text: str | None = None
        self._thoughts: dict[str, str] = {}
        self._thought_count = 0
        self._sources: set[str] = set()
        self._facts = 0
        self._torn = False

    def tear(self) -> list[Part]:
        """Events are missing here: send no more of the text than the end of the run will tell."""
        self._torn = True
        return self._close()

    def add(self, event: Event) -> list[Part]:
        is_first = not self._transcript.run_id
        self._transcript.add(event)
        match event:
            case AnswerDelta():
                return self._add_text(event.version, event.delta)
            case AnswerFinished():
                return self._end_text()
            case AnswerReset():
                return self._reset(event)
            case ThinkingStarted() | ThinkingDelta() | ThinkingFinished():
                return self._add_thinking(event)
            case RunStarted() if is_first:
                return [_start(event), {"type": "start-step"}]
            case RunFinished() | RunFailed() | RunCancelled():
                return self._end(event)
            case _:
                return self._add_fact(event)

    def _add_fact(self, event: Event) -> list[Part]:
        match event:
            case Citation():
                return [self._fact("citation", {**_plain(event), "part": self._standing.get(event.version)})]
            case Unsupported():
                return [self._fact("unsupported", {**_plain(event), "part": self._standing.get(event.version)})]
            case Decided():
                status: Status = "kept" if event.decision == "keep" else "refining"
                return [self._answer(1, status, event.reason)]
            case PassagesRetrieved():
                return self._add_sources(event)
            case StepStarted() | StepFinished():
                return [_status(event.step, event.description, done=event.type == "step_finished")]
            case Warned():
                return [_status(event.step, event.message, done=False, code=event.code)]
            case _:
                return []

    def _add_text(self, version: Version, delta: str) -> list[Part]:
        if self._torn or not delta:
            return []
        parts = [] if self._open_text else self._start_text(version)
        return [*parts, {"type": "text-delta", "id": self._open_text, "delta": delta}]

    def _start_text(self, version: Version) -> list[Part]:
        self._standing[version] = self._texts
        self._open_text = f"answer-{self._texts}"
        self._texts += 1
        return [{"type": "text-start", "id": self._open_text}, self._answer(version, "writing")]

    def _end_text(self) -> list[Part]:
        if self._open_text is None:
            return []
        ended, self._open_text = self._open_text, None
        return [{"type": "text-end", "id": ended}]

    def _reset(self, event: AnswerReset) -> list[Part]:
        parts = self._end_text()
        self._standing.pop(event.version, None)
        if event.version != 1 and 1 in self._standing:
            return [*parts, self._answer(1, "refining", event.reason)]
        return [*parts, self._answer(event.version, "void", event.reason)]

    def _add_thinking(self, event: ThinkingStarted | ThinkingDelta | ThinkingFinished) -> list[Part]:
        match event:
            case ThinkingStarted():
                self._thought_count += 1
                thought = self._thoughts[event.step] = f"thinking-{self._thought_count}"
                return [{"type": "reasoning-start", "id": thought}]
            case ThinkingDelta() if event.step in self._thoughts:
                return [{"type": "reasoning-delta", "id": self._thoughts[event.step], "delta": event.delta}]
            case ThinkingFinished() if event.step in self._thoughts:
                return [{"type": "reasoning-end", "id": self._thoughts.pop(event.step)}]
        return []

    def _add_sources(self, event: PassagesRetrieved) -> list[Part]:
        new = {one.document: one for one in event.passages if one.document not in self._sources}
        self._sources |= new.keys()
        return [_source(passage) for passage in new.values()]

    def _end(self, event: Terminal) -> list[Part]:
        parts = self._close()
        match event:
            case RunFinished():
                if self._torn or (event.version not in self._standing and event.answer):
                    parts += self._written_whole(event)
                reason = self._transcript.decision.reason if self._transcript.decision else ""
                return [*parts, self._answer(event.version, "final", reason), *_finish(self._transcript)]
            case RunFailed():
                told = self._answer(self._transcript.standing, "failed", event.message)
                return [*parts, told, {"type": "error", "errorText": event.message}, *_finish(self._transcript)]
            case RunCancelled():
                return [*parts, self._answer(self._transcript.standing, "stopped", event.by), {"type": "abort"}]

    def _written_whole(self, event: RunFinished) -> list[Part]:
        self._torn = False
        return [*self._add_text(event.version, event.answer), *self._end_text()]

    def _close(self) -> list[Part]:
        thoughts = [{"type": "reasoning-end", "id": thought} for thought in self._thoughts.values()]
        self._thoughts.clear()
        return [*thoughts, *self._end_text()]

    def _answer(self, version: Version, status: Status, reason: str = "") -> Part:
        data = {
            "version": version,
            "phase": "draft" if version == 1 else "refinement",
            "status": status,
            "part": self._standing.get(version),
            "reason": reason,
        }
        return {"type": "data-answer", "id": "answer", "data": data}

    def _fact(self, name: str, data: dict[str, Any]) -> Part:
        self._facts += 1
        return {"type": f"data-{name}", "id": f"{name}-{self._facts}", "data": data}


def _start(event: RunStarted) -> Part:
    metadata = {"run_id": event.run_id, "mode": event.mode}
    return {"type": "start", "messageId": event.run_id, "messageMetadata": metadata}


def _finish(transcript: Transcript) -> list[Part]:
    usage = [_plain(used) for used in transcript.usage]
    metadata = {"timings": transcript.timings.model_dump(mode="json"), "usage": usage}
    return [{"type": "finish-step"}, {"type": "finish", "messageMetadata": metadata}]


def _status(step: str, description: str, *, done: bool, code: str = "") -> Part:
    data = {"step": step, "description": description, "done": done, "code": code}
    return {"type": "data-status", "id": "status", "data": data, "transient": True}


def _source(passage: NumberedPassage) -> Part:
    if passage.uri.startswith(("http://", "https://")):
        return {"type": "source-url", "sourceId": passage.document, "url": passage.uri, "title": passage.title}
    return {
        "type": "source-document",
        "sourceId": passage.document,
        "mediaType": guess_type(passage.uri)[0] or "text/plain",
        "title": passage.title,
        "filename": PurePosixPath(passage.uri).name,
    }


def _plain(event: Event) -> dict[str, Any]:
    dumped: dict[str, Any] = event.model_dump(mode="json", exclude={"type"})
    return dumped
