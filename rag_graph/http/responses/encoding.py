"""A run as a response of the Responses API: events become its events, and it is one object at any time.

The numbers of its events follow those of the run's: the k-th thing that entry n says has number `n * 1000 + k`. So who
was cut off goes on after the last number seen, on whatever server, and whatever the log has dropped.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import orjson

from rag_graph.events import (
    AnswerDelta,
    AnswerFinished,
    AnswerReset,
    AnswerStarted,
    Citation,
    CutBy,
    Decided,
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
    Usage,
    Version,
)
from rag_graph.http.encoding import DONE, Chunk, MessageEncoder
from rag_graph.http.openai.encoding import summed
from rag_graph.http.openai.request import Draft
from rag_graph.http.responses.request import COMMENTARY
from rag_graph.http.sources import address, numbered, up_to_the_highest
from rag_graph.runs.log import Entry, Gap, line_safe

RESPONSE: Final = "resp_"
# More than an entry has to say; should one say more, `_frame` counts on from there, so that no number comes twice.
PER_ENTRY: Final = 1000
_SEARCHES: Final = {"fast_retrieve", "deep_retrieve"}
_CUTS: dict[CutBy, str] = {"length": "max_output_tokens", "filter": "content_filter"}
_DRAFT: Final = "the draft"
_CONFLICT: Final = "a conflict"


@dataclass(frozen=True, slots=True)
class Envelope:
    """What is known of a response beside its run's events."""

    run_id: str
    model: str
    created_at: float
    background: bool = False
    follows: str = ""
    conversation: str | None = None

    def response(self, status: str, output: Sequence[Chunk], **more: object) -> Chunk:
        """The response as it stands; fields that have no meaning here say so by their defaults."""
        return {
            "id": RESPONSE + self.run_id,
            "object": "response",
            "created_at": int(self.created_at),
            "status": status,
            "background": self.background,
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "max_output_tokens": None,
            "model": self.model,
            "output": list(output),
            "parallel_tool_calls": False,
            "previous_response_id": RESPONSE + self.follows if self.follows else None,
            "conversation": {"id": self.conversation} if self.conversation else None,
            "reasoning": {"effort": None, "summary": None},
            "store": True,
            "temperature": None,
            "text": {"format": {"type": "text"}},
            "tool_choice": "none",
            "tools": [],
            "top_p": None,
            "truncation": "disabled",
            "usage": None,
            "user": None,
            "metadata": {},
            **more,
        }


@dataclass(slots=True)
class Message:
    """The message that is being written: a version of the answer, or a new start of one."""

    index: int
    version: Version
    deltas: list[str] = field(default_factory=list)
    annotations: list[Chunk] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.deltas)

    @property
    def part(self) -> Chunk:
        return {"type": "output_text", "text": self.text, "annotations": self.annotations, "logprobs": []}


@dataclass(slots=True)
class Thought:
    """Thinking that goes on."""

    index: int
    deltas: list[str] = field(default_factory=list)

    @property
    def part(self) -> Chunk:
        return {"type": "summary_text", "text": "".join(self.deltas)}


class ResponseEvents(MessageEncoder):
    """Turns each event into those of the Responses API that it adds, often none.

    Searches are `file_search_call` items, thinking is `reasoning`, and each version of the answer is a message. The
    last message is the one that stands: one that was replaced ends `incomplete`, in the phase `commentary`, marked
    `superseded`, and is not in the `output` of the ended response. With the draft as reasoning, or without it, a
    message begins when it is sure to stand.
    """

    def __init__(
        self, envelope: Envelope, *, draft: Draft = "content", wants_results: bool = False, after: int = -1
    ) -> None:
        super().__init__()
        self._envelope = envelope
        self._draft = draft
        self._wants_results = wants_results
        self._after = after
        self._number = -1
        self._has_begun = False
        self._items: list[Chunk] = []
        self._searches: dict[str, int] = {}
        self._thoughts: dict[str, Thought] = {}
        self._message: Message | None = None
        self._is_writing = False
        self._held: list[Chunk] = []
        self._status = "in_progress"
        self._ending: dict[str, object] = {}

    def encode(self, item: Entry | Gap) -> bytes:
        if isinstance(item, Gap):
            self.tear()
            return b""
        frames = [self._frame(item.seq, nth, chunk) for nth, chunk in enumerate(self._in_turn(self.add(item.event)))]
        return b"".join(frames) + (DONE if item.ends else b"")

    def _in_turn(self, chunks: Iterable[Chunk]) -> Sequence[Chunk]:
        """Hold back what is about other items while a message is written.

        LangChain takes a message that another item interrupts for two. OpenAI's own items come one after the other.
        """
        told: list[Chunk] = []
        for chunk in chunks:
            index = chunk.get("output_index")
            is_of_another = index is not None and self._items[index]["type"] != "message"
            (self._held if self._is_writing and is_of_another else told).append(chunk)
        if self._is_writing:
            return told
        held, self._held = self._held, []
        return [*held, *told]

    def _frame(self, seq: int, nth: int, chunk: Chunk) -> bytes:
        # A log that was lost is told under the number of the last entry, which may have said something already.
        self._number = max(seq * PER_ENTRY + nth, self._number + 1)
        if self._number <= self._after:
            return b""
        data = line_safe(orjson.dumps({**chunk, "sequence_number": self._number}))
        return b"event: %s\ndata: %s\n\n" % (chunk["type"].encode(), data)

    @property
    def response(self) -> Chunk:
        """The response as far as its events go; of a message that does not stand nothing is kept."""
        open_now: dict[int, Chunk] = {thought.index: {"summary": [thought.part]} for thought in self._thoughts.values()}
        if self._message is not None:
            open_now[self._message.index] = {"content": [self._message.part]}
        items = ({**item, **open_now.get(index, {})} for index, item in enumerate(self._items))
        standing = [item for item in items if not item.get("superseded")]
        return self._envelope.response(self._status, standing, **self._ending)

    def on_run_started(self, _: RunStarted) -> Sequence[Chunk]:
        if self._has_begun:  # another process has taken the run over
            return []
        self._has_begun = True
        return [{"type": f"response.{kind}", "response": self.response} for kind in ("created", "in_progress")]

    def on_step_started(self, event: StepStarted) -> Sequence[Chunk]:
        if event.step not in _SEARCHES or event.step in self._searches:
            return []
        search: Chunk = {"type": "file_search_call", "queries": [self.transcript.question], "results": None}
        self._searches[event.step], added = self._add("fs", search)
        about = self._about(self._searches[event.step])
        return [
            added,
            *({"type": f"response.file_search_call.{kind}", **about} for kind in ("in_progress", "searching")),
        ]

    def on_passages_retrieved(self, event: PassagesRetrieved) -> Sequence[Chunk]:
        index = self._searches.pop(f"{event.stage}_retrieve", None)
        if index is None:
            return []
        if self._wants_results:
            self._items[index]["results"] = [
                {
                    "file_id": passage.document,
                    "filename": passage.title,
                    "score": passage.score,
                    "text": passage.content,
                    "attributes": {"uri": passage.uri, "number": passage.number},
                }
                for passage in event.passages
            ]
        about = self._about(index)
        return [{"type": "response.file_search_call.completed", **about}, self._done(index, "completed")]

    def on_step_finished(self, event: StepFinished) -> Sequence[Chunk]:
        index = self._searches.pop(event.step, None)
        return [] if index is None else [self._done(index, "incomplete")]

    def on_thinking_started(self, event: ThinkingStarted) -> Sequence[Chunk]:
        return self._think(event.step, "")

    def on_thinking_delta(self, event: ThinkingDelta) -> Sequence[Chunk]:
        return self._think(event.step, event.delta)

    def on_thinking_finished(self, event: ThinkingFinished) -> Sequence[Chunk]:
        return self._thought(event.step)

    def on_answer_started(self, event: AnswerStarted) -> Sequence[Chunk]:
        if event.version == 1 and self._draft != "content":
            return self._think(_DRAFT, "Draft:\n\n") if self._draft == "reasoning" else []
        return self._turn_to(event.version)

    def on_answer_delta(self, event: AnswerDelta) -> Sequence[Chunk]:
        if self.is_torn:
            return []
        if event.version == 1 and self._draft != "content":
            return self._think(_DRAFT, event.delta) if self._draft == "reasoning" else []
        turned = self._turn_to(event.version)
        self._is_writing = True
        return [*turned, *self._say(event.delta)]

    def on_citation(self, event: Citation) -> Sequence[Chunk]:
        if self.is_torn or self._message is None or self._message.version != event.version:
            return []
        return self._cite(self._message, [event])

    def on_answer_reset(self, event: AnswerReset) -> Sequence[Chunk]:
        if event.version == 1 and self._draft != "content":
            again = f"\n\nDraft, written again: {event.reason}\n\n"
            return self._think(_DRAFT, again) if self._draft == "reasoning" else []
        return self._supersede()

    def on_answer_finished(self, event: AnswerFinished) -> Sequence[Chunk]:
        self._is_writing = False
        return self._thought(_DRAFT) if event.version == 1 else []

    def on_conflict(self, event: SourceConflict) -> Sequence[Chunk]:
        """Said among the thoughts: items and annotations of this protocol have no place for it."""
        return [*self._think(_CONFLICT, event.message), *self._thought(_CONFLICT)]

    def on_decided(self, event: Decided) -> Sequence[Chunk]:
        if event.decision == "keep":
            return [] if self.is_torn else self._settle(self.transcript.standing, self.transcript.answer)
        if self._message is None:
            return []
        reason = "the draft is replaced"
        return [
            *self._supersede(),
            *self._think(reason, f"The draft is replaced: {event.reason}"),
            *self._thought(reason),
        ]

    def on_run_finished(self, event: RunFinished) -> Sequence[Chunk]:
        chunks = [*self._settle(event.version, event.answer, event.citations)]
        cut = _CUTS.get(event.cut_by)
        return [*chunks, *self._end("incomplete" if cut else "completed", cut)]

    def on_run_failed(self, event: RunFailed) -> Sequence[Chunk]:
        # Their clients know a closed list of codes; ours stands beside it.
        self._ending["error"] = {"code": "server_error", "message": event.message, "reason": event.code}
        return self._end("failed")

    def on_run_cancelled(self, event: RunCancelled) -> Sequence[Chunk]:
        if event.by == "budget":
            chunks = self._settle(self.transcript.standing, event.answer, self.transcript.citations)
            return [*chunks, *self._end("incomplete", "max_output_tokens")]
        return self._end("cancelled")

    def _end(self, status: str, cut: str | None = None) -> Sequence[Chunk]:
        """Close what is open and say how it ended; there is no event of its own for what was cancelled."""
        chunks = [chunk for step in list(self._thoughts) for chunk in self._thought(step)]
        chunks += [self._done(self._searches.pop(step), "incomplete") for step in list(self._searches)]
        if self._message is not None:
            chunks += self._close("completed" if status == "completed" else "incomplete")
        self._status = status
        self._ending["usage"] = usage_of(self.transcript.usage)
        if cut:
            self._ending["incomplete_details"] = {"reason": cut}
        kind = "incomplete" if status == "cancelled" else status
        return [*chunks, {"type": f"response.{kind}", "response": self.response}]

    def _settle(self, version: Version, answer: str, citations: Iterable[Citation] = ()) -> Sequence[Chunk]:
        """Say what is missing for this answer to be the message that stands."""
        chunks: list[Chunk] = []
        if self._message is not None and not answer.startswith(self._message.text):
            chunks += self._supersede()
        chunks += self._turn_to(version)
        message = self._message
        if message is None:
            return chunks
        if missing := answer[len(message.text) :]:
            chunks += self._say(missing)
        return [*chunks, *self._cite(message, citations or self.transcript.answers[version].citations)]

    def _turn_to(self, version: Version) -> Sequence[Chunk]:
        """Let the open message be one of this version."""
        if self._message is not None and self._message.version == version:
            return ()
        superseded = self._supersede()
        index, added = self._add("msg", {"type": "message", "role": "assistant", "content": []})
        self._message = Message(index, version)
        part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        about = {**self._about(index), "content_index": 0}
        return [*superseded, added, {"type": "response.content_part.added", **about, "part": part}]

    def _say(self, delta: str) -> Sequence[Chunk]:
        message = self._message
        if message is None or not delta:
            return []
        message.deltas.append(delta)
        about = self._about(message.index)
        return [{"type": "response.output_text.delta", **about, "content_index": 0, "delta": delta, "logprobs": []}]

    def _cite(self, message: Message, citations: Iterable[Citation]) -> Sequence[Chunk]:
        """Annotate with these, except with what is said already."""
        passages = numbered(self.transcript)
        chunks: list[Chunk] = []
        for citation in citations:
            annotation = annotation_of(citation, passages.get(citation.marker))
            if annotation not in message.annotations:
                chunks += self._refer(message, (one for one in passages.values() if one.number < citation.marker))
                chunks.append(self._annotate(message, annotation))
        return chunks

    def _refer(self, message: Message, passages: Iterable[NumberedPassage]) -> Sequence[Chunk]:
        """Name the passages of lower numbers first, empty of words: clients number the sources as they come."""
        told = {annotation["marker"] for annotation in message.annotations}
        at = len(message.text)
        return [self._annotate(message, reference_to(one, at)) for one in passages if one.number not in told]

    def _annotate(self, message: Message, annotation: Chunk) -> Chunk:
        message.annotations.append(annotation)
        return {
            "type": "response.output_text.annotation.added",
            **self._about(message.index),
            "content_index": 0,
            "annotation_index": len(message.annotations) - 1,
            "annotation": annotation,
        }

    def _supersede(self) -> Sequence[Chunk]:
        if self._message is None:
            return []
        self._items[self._message.index]["superseded"] = True
        return self._close("incomplete", COMMENTARY)

    def _close(self, status: str, phase: str = "final_answer") -> Sequence[Chunk]:
        message, self._message, self._is_writing = self._message, None, False
        if message is None:
            return []
        shown = up_to_the_highest(numbered(self.transcript), [message.text])
        referred = self._refer(message, shown)
        about = {**self._about(message.index), "content_index": 0}
        self._items[message.index] |= {"content": [message.part], "phase": phase}
        return [
            *referred,
            {"type": "response.output_text.done", **about, "text": message.text, "logprobs": []},
            {"type": "response.content_part.done", **about, "part": message.part},
            self._done(message.index, status),
        ]

    def _think(self, step: str, delta: str) -> Sequence[Chunk]:
        chunks: list[Chunk] = []
        thought = self._thoughts.get(step)
        if thought is None:
            index, added = self._add("rs", {"type": "reasoning", "summary": []})
            thought = self._thoughts[step] = Thought(index)
            about = {**self._about(index), "summary_index": 0}
            chunks = [added, {"type": "response.reasoning_summary_part.added", **about, "part": thought.part}]
        if delta:
            thought.deltas.append(delta)
            about = {**self._about(thought.index), "summary_index": 0}
            chunks.append({"type": "response.reasoning_summary_text.delta", **about, "delta": delta})
        return chunks

    def _thought(self, step: str) -> Sequence[Chunk]:
        thought = self._thoughts.pop(step, None)
        if thought is None:
            return []
        about = {**self._about(thought.index), "summary_index": 0}
        self._items[thought.index]["summary"] = [thought.part]
        return [
            {"type": "response.reasoning_summary_text.done", **about, "text": thought.part["text"]},
            {"type": "response.reasoning_summary_part.done", **about, "part": thought.part},
            self._done(thought.index, "completed"),
        ]

    def _add(self, prefix: str, item: Chunk) -> tuple[int, Chunk]:
        """Begin an item, and give its index and the event that says so."""
        index = len(self._items)
        begun = {"id": f"{prefix}_{self._envelope.run_id}_{index}", **item, "status": "in_progress"}
        self._items.append(begun)
        return index, {"type": "response.output_item.added", "output_index": index, "item": dict(begun)}

    def _done(self, index: int, status: str) -> Chunk:
        self._items[index]["status"] = status
        return {"type": "response.output_item.done", "output_index": index, "item": dict(self._items[index])}

    def _about(self, index: int) -> Chunk:
        return {"item_id": self._items[index]["id"], "output_index": index}


def annotation_of(citation: Citation, passage: NumberedPassage | None) -> Chunk:
    """A citation as an annotation: where in the message's text, and whence; what they have no words for follows."""
    return {
        "type": "url_citation",
        "start_index": citation.start,
        "end_index": citation.end,
        "title": citation.title,
        "url": address(passage) if passage else citation.uri,
        "quote": citation.quote,
        "marker": citation.marker,
        "document": citation.document,
        "source_start": citation.source_start,
        "source_end": citation.source_end,
        "grade": citation.grade,
    }


def reference_to(passage: NumberedPassage, at: int) -> Chunk:
    """What a number means to which nothing is cited: an annotation of no words, at the end of the text so far."""
    return {
        "type": "url_citation",
        "start_index": at,
        "end_index": at,
        "title": passage.title,
        "url": address(passage),
        "quote": "",
        "marker": passage.number,
        "document": passage.document,
        "source_start": passage.start,
        "source_end": passage.end,
    }


def usage_of(usages: Iterable[Usage]) -> Chunk:
    """What all calls of the run took together, by the names that this API has for it."""
    taken = summed(usages)
    return {
        "input_tokens": taken["prompt_tokens"],
        "input_tokens_details": {**taken["prompt_tokens_details"], "cache_write_tokens": 0},
        "output_tokens": taken["completion_tokens"],
        "output_tokens_details": taken["completion_tokens_details"],
        "total_tokens": taken["total_tokens"],
    }
