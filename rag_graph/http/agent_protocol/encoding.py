"""A thread as the Agent Protocol streams it: what each event of its runs adds to its channels.

The numbers of a thread's events follow from those of its runs: the k-th thing that entry n of turn t says has number
`t * 10**10 + n * 1000 + k`. So who was cut off goes on after the last number seen, on whatever server.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from rag_graph.events import (
    AnswerDelta,
    AnswerFinished,
    AnswerReset,
    Citation,
    ClaimFate,
    ClaimStated,
    Event,
    RunCancelled,
    RunFailed,
    RunFinished,
    RunStarted,
    ThinkingDelta,
    ThinkingStarted,
)
from rag_graph.graph.messages import annotation, told_claim
from rag_graph.http.encoding import Chunk, Encoder
from rag_graph.runs.log import Entry, Gap, line_safe
from rag_graph.transcript import Transcript

# Ten million entries fit a turn, and 900,000 turns what a number of JavaScript's holds, 2**53.
PER_TURN: Final = 10**10
# As in `responses.encoding`, and counted on in the same way.
PER_ENTRY: Final = 1000
GRAPH: Final = "rag_graph"
_VERSIONS: Final = {"draft": 1, "refine": 2}
"""Which version's message the thinking of a step belongs to; what other steps think is told on `custom` alone."""

Told = tuple[str, Any]
"""The method of an event of the protocol, and its data."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A question of a thread: how many came before it, the messages before it, and the run that answers it."""

    place: int
    id: str
    question: str
    run_id: str
    earlier: Sequence[Chunk] = ()

    @property
    def messages(self) -> Sequence[Chunk]:
        return [*self.earlier, question_message(self.id, self.question)]

    def checkpoint(self, *, is_over: bool) -> Chunk:
        """A thread has two a turn: when it is asked, and when it has its answer."""
        kept: Chunk = {"id": f"{self.run_id}-{int(is_over)}", "step": 2 * self.place + int(is_over)}
        return {**kept, "source": "loop" if is_over else "input"}


def question_message(turn_id: str, question: str) -> Chunk:
    return {"type": "human", "id": turn_id, "content": question}


def answer_message(
    run_id: str,
    text: str,
    citations: Iterable[Citation],
    claims: Sequence[ClaimStated] = (),
    fates: Sequence[ClaimFate] = (),
) -> Chunk:
    """The answer of a run as a message of LangChain's: its text with what is known of it."""
    block: Chunk = {"type": "text", "text": text, "annotations": [_cited(citation) for citation in citations]}
    known = {"claims": [told_claim(one) for one in claims], "fates": [told_claim(one) for one in fates]}
    if extras := {name: facts for name, facts in known.items() if facts}:
        block["extras"] = extras
    return {
        "type": "ai",
        "id": message_id(run_id),
        "content": [block],
        "response_metadata": {"output_version": "v1"},
    }


def message_id(run_id: str) -> str:
    return f"run-{run_id}"


def _cited(citation: Citation) -> Chunk:
    """Its id is random, and what is told again is to be the same."""
    return {name: value for name, value in annotation(citation).items() if name != "id"}


@dataclass(slots=True)
class Message:
    """The message that is being written: under one id, a version after the other, each from its beginning."""

    id: str
    version: int = 0
    is_open: bool = False
    blocks: list[Chunk] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(block["text"] for block in self.blocks if block["type"] == "text")

    def begin(self, version: int) -> list[Told]:
        """Whoever honours ids shows it in the place of what was said before."""
        finished = self.finish()
        self.version, self.is_open, self.blocks = version, True, []
        return [*finished, _of_message("message-start", role="ai", id=self.id)]

    def extend(self, kind: str, delta: str) -> list[Told]:
        begun: list[Told] = []
        if not self.blocks or self.blocks[-1]["type"] != kind:
            begun = self._finish_block()
            self.blocks.append({"type": kind, kind: ""})
            begun.append(_of_message("content-block-start", index=self._at, content=dict(self.blocks[-1])))
        self.blocks[-1][kind] += delta
        return [*begun, self._changed({"type": f"{kind}-delta", kind: delta})]

    def annotate(self, citation: Citation) -> list[Told]:
        if not self.blocks or self.blocks[-1]["type"] != "text":
            return []
        annotations = self.blocks[-1].setdefault("annotations", [])
        annotations.append(_cited(citation))
        return [self._changed({"type": "block-delta", "fields": {"type": "text", "annotations": list(annotations)}})]

    def note(self, name: str, fact: Chunk) -> None:
        """Add to what is known of the text, which is told with its whole block."""
        if self.blocks and self.blocks[-1]["type"] == "text":
            self.blocks[-1].setdefault("extras", {}).setdefault(name, []).append(fact)

    def finish(self) -> list[Told]:
        if not self.is_open:
            return []
        self.is_open = False
        return [*self._finish_block(), _of_message("message-finish")]

    def _finish_block(self) -> list[Told]:
        if not self.blocks:
            return []
        return [_of_message("content-block-finish", index=self._at, content=dict(self.blocks[-1]))]

    def _changed(self, delta: Chunk) -> Told:
        return _of_message("content-block-delta", index=self._at, delta=delta)

    @property
    def _at(self) -> int:
        return len(self.blocks) - 1


def _of_message(event: str, **data: Any) -> Told:
    return "messages", {"event": event, **data}


class ThreadEvents(Encoder):
    """Tells the runs of a thread one after the other; `turn_to` says which one the next entries are of.

    Every version of the answer streams as the same message, which begins anew where a version replaces another. The
    state, on `values`, is told when a run begins and when it ends; every event of ours is on `custom`, by its name.
    """

    def __init__(self, channels: Iterable[str], *, since: int = -1) -> None:
        self._channels = frozenset(channels)
        self._since = since
        self._number = -1

    def turn_to(self, turn: Turn) -> None:
        self._turn = turn
        self._transcript = Transcript()
        self._message = Message(message_id(turn.run_id))
        self._thinkers: dict[str, str] = {}
        self._has_begun = False
        self._is_torn = False

    def encode(self, item: Entry | Gap) -> bytes:
        if isinstance(item, Gap):
            self._is_torn = True
            return b""
        event = item.event
        self._transcript.add(event)
        # The entry's JSON as it lies in the log, not parsed and written again for each reader.
        own = ("custom", {"name": item.kind, "payload": orjson.Fragment(item.data)})
        match event:
            case RunStarted():
                told = [*self._begin(), own]
            case RunFinished() | RunFailed() | RunCancelled():
                told = [own, *self._end(event)]
            case _:
                told = [own, *self._say(event)]
        return b"".join(self._frame(item, nth, method, data) for nth, (method, data) in enumerate(told))

    def _frame(self, entry: Entry, nth: int, method: str, data: Any) -> bytes:
        number = self._turn.place * PER_TURN + entry.seq * PER_ENTRY + nth
        # A log that was lost is told under the number of the last entry, which may have said something already.
        self._number = max(number, self._number + 1)
        is_wanted = method in self._channels or (method == "custom" and f"custom:{data['name']}" in self._channels)
        if self._number <= self._since or not is_wanted:
            return b""
        # The first two parts are by what LangChain's SDKs tell a replayed run from the one that they have started.
        event_id = f"synth:{self._turn.run_id}:{self._number}"
        params = {"namespace": [], "timestamp": int(entry.at * 1000), "data": data}
        event = {"type": "event", "event_id": event_id, "seq": self._number, "method": method, "params": params}
        return b"id: %s\ndata: %s\n\n" % (event_id.encode(), line_safe(orjson.dumps(event)))

    def _begin(self) -> list[Told]:
        if self._has_begun:  # another process has taken the run over
            return []
        self._has_begun = True
        return [
            ("lifecycle", {"event": "running", "graph_name": GRAPH}),
            ("checkpoints", self._turn.checkpoint(is_over=False)),
            ("values", {"messages": self._turn.messages}),
        ]

    def _say(self, event: Event) -> list[Told]:
        """What an event adds to the message."""
        if self._is_torn:
            return []
        match event:
            case ThinkingStarted():
                self._thinkers[event.step] = event.thinker
            case ThinkingDelta() if self._thinkers.get(event.step) == "model" and event.step in _VERSIONS:
                return [*self._turn_to(_VERSIONS[event.step]), *self._message.extend("reasoning", event.delta)]
            case AnswerDelta() if event.delta:
                return [*self._turn_to(event.version), *self._message.extend("text", event.delta)]
            case Citation() | ClaimStated() | ClaimFate() | AnswerReset() | AnswerFinished():
                return self._go_on(event) if event.version == self._message.version else []
            case _:
                pass
        return []

    def _go_on(self, event: Citation | ClaimStated | ClaimFate | AnswerReset | AnswerFinished) -> list[Told]:
        """What an event adds that is about the version which the message holds."""
        match event:
            case Citation():
                return self._message.annotate(event)
            case ClaimStated():
                self._message.note("claims", told_claim(event))
            case ClaimFate():
                self._message.note("fates", told_claim(event))
            case AnswerReset():
                standing = self._transcript.answer
                if not standing:
                    return self._message.begin(event.version)
                return self._restate(standing, self._transcript.citations)
            case AnswerFinished():
                return self._message.finish()
        return []

    def _turn_to(self, version: int) -> list[Told]:
        is_there = self._message.is_open and self._message.version == version
        return [] if is_there else self._message.begin(version)

    def _restate(self, answer: str, citations: Iterable[Citation]) -> list[Told]:
        """Say the answer that stands from its beginning, as what was said since is void, or was not said."""
        told = [*self._message.begin(self._transcript.standing), *self._message.extend("text", answer)]
        for citation in citations:
            told += self._message.annotate(citation)
        return [*told, *self._message.finish()]

    def _end(self, event: RunFinished | RunFailed | RunCancelled) -> list[Told]:
        transcript = self._transcript
        standing = transcript.answers[transcript.standing]
        citations = event.citations if isinstance(event, RunFinished) else transcript.citations
        said: list[Told] = []
        messages = self._turn.messages
        if event.answer:
            if self._message.text != event.answer:
                said = self._restate(event.answer, citations)
            answered = answer_message(self._turn.run_id, event.answer, citations, standing.claims, standing.fates)
            messages = [*messages, answered]
        passages = transcript.passages.get("deep") or transcript.passages.get("fast")
        values = {
            "messages": messages,
            "answer": event.answer,
            "draft": transcript.answers[1].content,
            "citations": [_plain(one) for one in citations],
            "documents": [_plain(one) for one in passages.passages] if passages else [],
            "decision": _plain(transcript.decision) if transcript.decision else None,
        }
        reason = {"error": event.message} if isinstance(event, RunFailed) else {}
        return [
            *said,
            *self._message.finish(),
            ("checkpoints", self._turn.checkpoint(is_over=True)),
            ("values", values),
            ("lifecycle", {"event": _ending(event), "graph_name": GRAPH, **reason}),
        ]


def _plain(fact: Any) -> Chunk:
    dumped: Chunk = fact.model_dump(mode="json", exclude={"type"})
    return dumped


def _ending(event: RunFinished | RunFailed | RunCancelled) -> str:
    match event:
        case RunFailed():
            return "failed"
        case RunCancelled() if event.by != "budget":
            return "interrupted"
        case _:
            return "completed"  # where a budget was spent, what was written stands
