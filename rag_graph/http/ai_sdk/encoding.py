"""The Vercel AI SDK's UI message stream: a run's events become parts of a message.

Every field that is sent is known to all versions from 5 on, the early ones of which refuse any other.
"""

from collections.abc import Sequence
from mimetypes import guess_type
from pathlib import PurePosixPath
from typing import Any, ClassVar, Literal

from rag_graph.events import (
    AnswerDelta,
    AnswerFinished,
    AnswerReset,
    Citation,
    ClaimFate,
    ClaimStated,
    CutBy,
    Decided,
    Event,
    NumberedPassage,
    PassagesRetrieved,
    RunCancelled,
    RunFailed,
    RunFinished,
    RunStarted,
    SourceConflict,
    StepFinished,
    StepStarted,
    ThinkingDelta,
    ThinkingFinished,
    ThinkingStarted,
    Unsupported,
    Version,
    Warned,
)
from rag_graph.http.encoding import Chunk, MessageEncoder
from rag_graph.transcript import Transcript

Status = Literal["writing", "kept", "refining", "void", "final", "failed", "stopped"]


class MessageParts(MessageEncoder):
    """Turns each event into the parts of a message that it adds, often none.

    Each version of the answer is a text part of its own, and so is each new start of one. `data-answer` says which
    one stands: `part` counts the message's text parts from 0.
    """

    # The SDK's documents ask it of every server that is not made with the SDK.
    headers: ClassVar = {"x-vercel-ai-ui-message-stream": "v1"}

    def __init__(self) -> None:
        super().__init__()
        self._texts = 0
        self._standing: dict[Version, int] = {}
        self._open_text: str | None = None
        self._thoughts: dict[str, str] = {}
        self._thought_count = 0
        self._sources: set[str] = set()
        self._facts = 0
        self._has_begun = False

    def at_gap(self) -> Sequence[Chunk]:
        return self._close()

    def on_run_started(self, event: RunStarted) -> Sequence[Chunk]:
        if self._has_begun:
            # Another process has taken the run over: the message goes on.
            return []
        self._has_begun = True
        metadata = {"run_id": event.run_id, "mode": event.mode}
        return [
            {"type": "start", "messageId": event.run_id, "messageMetadata": metadata},
            {"type": "start-step"},
        ]

    def on_step_started(self, event: StepStarted) -> Sequence[Chunk]:
        return [_status(event.step, event.description, done=False)]

    def on_step_finished(self, event: StepFinished) -> Sequence[Chunk]:
        return [_status(event.step, event.description, done=True)]

    def on_warning(self, event: Warned) -> Sequence[Chunk]:
        return [_status(event.step, event.message, done=False, code=event.code)]

    def on_passages_retrieved(self, event: PassagesRetrieved) -> Sequence[Chunk]:
        new = {one.document: one for one in event.passages if one.document not in self._sources}
        self._sources |= new.keys()
        return [_source(passage) for passage in new.values()]

    def on_thinking_started(self, event: ThinkingStarted) -> Sequence[Chunk]:
        self._thought_count += 1
        thought = self._thoughts[event.step] = f"thinking-{self._thought_count}"
        return [{"type": "reasoning-start", "id": thought}]

    def on_thinking_delta(self, event: ThinkingDelta) -> Sequence[Chunk]:
        thought = self._thoughts.get(event.step)
        return [{"type": "reasoning-delta", "id": thought, "delta": event.delta}] if thought else []

    def on_thinking_finished(self, event: ThinkingFinished) -> Sequence[Chunk]:
        thought = self._thoughts.pop(event.step, None)
        return [{"type": "reasoning-end", "id": thought}] if thought else []

    def on_answer_delta(self, event: AnswerDelta) -> Sequence[Chunk]:
        return self._add_text(event.version, event.delta) if event.delta and not self.is_torn else []

    def on_answer_finished(self, _: AnswerFinished) -> Sequence[Chunk]:
        return self._end_text()

    def on_answer_reset(self, event: AnswerReset) -> Sequence[Chunk]:
        """What replaced nothing yet is void; else what it was to replace stands again."""
        parts = self._end_text()
        self._standing.pop(event.version, None)
        earlier = max((version for version in self._standing if version < event.version), default=None)
        if earlier is None:
            return [*parts, self._answer(event.version, "void", event.reason)]
        return [*parts, self._answer(earlier, "refining", event.reason)]

    def on_citation(self, event: Citation) -> Sequence[Chunk]:
        return [self._fact("citation", {**_plain(event), "part": self._standing.get(event.version)})]

    def on_unsupported(self, event: Unsupported) -> Sequence[Chunk]:
        return [self._fact("unsupported", {**_plain(event), "part": self._standing.get(event.version)})]

    def on_claim(self, event: ClaimStated) -> Sequence[Chunk]:
        return [self._fact("claim", {**_plain(event), "part": self._standing.get(event.version)})]

    def on_claim_fate(self, event: ClaimFate) -> Sequence[Chunk]:
        return [self._fact("claim-fate", {**_plain(event), "part": self._standing.get(event.version)})]

    def on_conflict(self, event: SourceConflict) -> Sequence[Chunk]:
        return [self._fact("conflict", _plain(event))]

    def on_decided(self, event: Decided) -> Sequence[Chunk]:
        status: Status = "kept" if event.decision == "keep" else "refining"
        return [self._answer(self.transcript.standing, status, event.reason)]

    def on_run_finished(self, event: RunFinished) -> Sequence[Chunk]:
        parts = self._close()
        if self.is_torn or (event.version not in self._standing and event.answer):
            parts += [*self._add_text(event.version, event.answer), *self._end_text()]
        decision = self.transcript.decision
        told = self._answer(event.version, "final", decision.reason if decision else "")
        return [*parts, told, *_finish(self.transcript)]

    def on_run_failed(self, event: RunFailed) -> Sequence[Chunk]:
        told = self._answer(self.transcript.standing, "failed", event.message)
        return [*self._close(), told, {"type": "error", "errorText": event.message}, *_finish(self.transcript)]

    def on_run_cancelled(self, event: RunCancelled) -> Sequence[Chunk]:
        return [*self._close(), self._answer(self.transcript.standing, "stopped", event.by), {"type": "abort"}]

    def _add_text(self, version: Version, delta: str) -> list[Chunk]:
        parts: list[Chunk] = []
        if self._open_text is None:
            self._standing[version] = self._texts
            self._open_text = f"answer-{self._texts}"
            self._texts += 1
            parts = [{"type": "text-start", "id": self._open_text}, self._answer(version, "writing")]
        return [*parts, {"type": "text-delta", "id": self._open_text, "delta": delta}]

    def _end_text(self) -> list[Chunk]:
        if self._open_text is None:
            return []
        ended, self._open_text = self._open_text, None
        return [{"type": "text-end", "id": ended}]

    def _close(self) -> list[Chunk]:
        """End what is open, for a message must not be left with an open part."""
        thoughts = [{"type": "reasoning-end", "id": thought} for thought in self._thoughts.values()]
        self._thoughts.clear()
        return [*thoughts, *self._end_text()]

    def _answer(self, version: Version, status: Status, reason: str = "") -> Chunk:
        data = {
            "version": version,
            "phase": "draft" if version == 1 else "refinement",
            "status": status,
            "part": self._standing.get(version),
            "reason": reason,
        }
        return {"type": "data-answer", "id": "answer", "data": data}

    def _fact(self, name: str, data: dict[str, Any]) -> Chunk:
        self._facts += 1
        return {"type": f"data-{name}", "id": f"{name}-{self._facts}", "data": data}


_FINISH_REASONS: dict[CutBy, str] = {"": "stop", "length": "length", "filter": "content-filter"}


def _finish(transcript: Transcript) -> list[Chunk]:
    usage = [_plain(used) for used in transcript.usage]
    last = transcript.terminal
    # In the metadata, since version 5 of the SDK refuses a `finish` with a field for it, as versions 6 and 7 have.
    reason = _FINISH_REASONS[last.cut_by] if isinstance(last, RunFinished) else "error"
    timings = transcript.timings.model_dump(mode="json")
    metadata = {"timings": timings, "usage": usage, "finishReason": reason}
    return [{"type": "finish-step"}, {"type": "finish", "messageMetadata": metadata}]


def _status(step: str, description: str, *, done: bool, code: str = "") -> Chunk:
    # Transient: shown as it comes, and not kept in the message that the SDK sends back with the next question.
    data = {"step": step, "description": description, "done": done, "code": code}
    return {"type": "data-status", "id": "status", "data": data, "transient": True}


def _source(passage: NumberedPassage) -> Chunk:
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
