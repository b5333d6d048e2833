"""A run as a conversation of LangChain's messages: the question out of them, and the answer as one that streams."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import uuid4

from langchain_core.callbacks import BaseCallbackManager
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, convert_to_messages
from langchain_core.messages.content import create_citation, create_reasoning_block, create_text_block
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.runnables import RunnableConfig
from langgraph.constants import TAG_NOSTREAM
from langgraph.pregel._messages import StreamMessagesHandler, StreamMessagesHandlerV2
from pydantic import ValidationError

from rag_graph.errors import InvalidRequest
from rag_graph.events import (
    AnswerDelta,
    AnswerFinished,
    AnswerReset,
    Citation,
    ClaimFate,
    ClaimStated,
    Emit,
    Event,
    ThinkingDelta,
)
from rag_graph.graph.state import State
from rag_graph.query import MAX_HISTORY_TURNS, Query, Turn
from rag_graph.transcript import Written

_V1: Final = {"output_version": "v1"}
"""Says to LangChain that the content is of its own content blocks, so that it reads them as they are."""


def read_query(state: State) -> Query:
    """What this run is asked: its `question`, else the last of the `messages`. Raises InvalidRequest.

    The messages before it, and those that a thread has kept, are the history unless one is given.
    """
    messages = state.get("messages", [])
    given: dict[str, Any] = {name: state[name] for name in ("mode", "filters", "model", "language") if name in state}
    if "question" in state:
        given |= {"question": state["question"], "history": _history(state) or turns_of(messages)}
    elif not messages:
        raise InvalidRequest("messages: there are none, and no question: ask with one of the two.")
    else:
        question, turns = question_in(messages)
        given |= {"question": question, "history": _history(state) or turns}
    return asked_query(given)


def asked_query(given: Mapping[str, Any]) -> Query:
    """The query of these fields. Raises InvalidRequest, which names the first that is wrong."""
    try:
        return Query.model_validate(given)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        raise InvalidRequest(f"{'.'.join(map(str, first['loc']))}: {first['msg']}.") from None


def _history(state: State) -> Sequence[Any]:
    """The history as it is given: turns, or messages in any of the forms that LangChain takes them in."""
    given: list[Any] = state.get("history") or []  # whatever else it is, the query says what is wrong with it
    if not isinstance(given, list) or not any(isinstance(one, BaseMessage | tuple) for one in given):
        return given
    try:
        return turns_of(convert_to_messages(given))
    except (NotImplementedError, TypeError, ValueError):
        raise InvalidRequest("history: it is to be turns, or messages of people and models.") from None


def is_conversation(state: State) -> bool:
    """Whether something was said before this question."""
    earlier = state.get("messages", []) if "question" in state else state.get("messages", [])[:-1]
    return bool(state.get("history")) or bool(turns_of(earlier))


def question_in(messages: Sequence[BaseMessage]) -> tuple[str, list[Turn]]:
    """The last message, and what people and models said before it. Raises InvalidRequest.

    An agent that hands over leaves its call of a tool, and the tool's reply, behind the question.
    """
    said = [message for message in messages if _is_said(message)]
    if not said or not isinstance(said[-1], HumanMessage):
        raise InvalidRequest("messages: the last one must be a question, as a human message.")
    question = said[-1].text.strip()
    if not question:
        raise InvalidRequest("messages: the question must be text: leave out pictures and files.")
    return question, turns_of(said[:-1])


def turns_of(messages: Iterable[BaseMessage]) -> list[Turn]:
    """The newest turns of a conversation, each as much of it as a turn may have."""
    said = [message for message in messages if _is_said(message) and message.text]
    return [
        Turn.of("user" if isinstance(message, HumanMessage) else "assistant", message.text)
        for message in said[-MAX_HISTORY_TURNS:]
    ]


def _is_said(message: BaseMessage) -> bool:
    if isinstance(message, AIMessage):
        return not message.tool_calls
    return isinstance(message, HumanMessage)


def answer_message(message_id: str, written: Written, thinking: Sequence[str]) -> AIMessage:
    """A version of the answer as LangChain's content blocks: the model's reasoning, the text and what is known of it.

    Citations are the text's annotations; how its claims stand, and what became of those before, are its `extras`.
    """
    blocks: list[Any] = [create_reasoning_block("".join(thinking))] if thinking else []
    citations: list[Any] = [annotation(citation) for citation in written.citations]
    ledger = {
        "claims": [told_claim(claim) for claim in written.claims],
        "fates": [told_claim(fate) for fate in written.fates],
    }
    known: dict[str, Any] = {name: facts for name, facts in ledger.items() if facts}
    blocks.append(create_text_block(written.content, annotations=citations, **known))
    return AIMessage(content=blocks, id=message_id, response_metadata=_V1)


def annotation(citation: Citation) -> Any:
    """A citation as LangChain's annotation; what that has no field for is among the `extras`."""
    return create_citation(
        url=citation.uri,
        title=citation.title,
        start_index=citation.start,
        end_index=citation.end,
        cited_text=citation.quote,
        marker=citation.marker,
        document=citation.document,
        source_start=citation.source_start,
        source_end=citation.source_end,
        grade=citation.grade,
    )


def told_claim(fact: ClaimStated | ClaimFate) -> dict[str, Any]:
    """A fact about a claim of the one version that a message holds."""
    return fact.model_dump(mode="json", exclude={"type", "version"}, exclude_defaults=True)


def unheard(config: RunnableConfig) -> RunnableConfig:
    """The config of a model call that no reader of messages sees: what it says comes as the answer, or not at all."""
    return RunnableConfig(**{**config, "tags": [*(config.get("tags") or ()), TAG_NOSTREAM]})


def asked_message(question: str, config: RunnableConfig) -> HumanMessage:
    """A question that came by itself, as the thread keeps it; readers of messages are not told what they asked."""
    message = HumanMessage(question, id=str(uuid4()))
    for reader in _readers(config):
        # LangGraph's reader streams each message that it finds in the state and has not seen.
        reader.seen.add(str(message.id))
    return message


def speaking(emit: Emit, message_id: str, config: RunnableConfig, *, after: Written | None = None) -> Emit:
    """The same way out, on which a version of the answer also streams as a message, if anybody reads messages.

    What reads chunks can only append: it is told no more from a reset on, nor of a version that comes `after` another,
    and the whole message takes its place in the state. Under version 3 a message begins anew, by its id: front ends
    of that version prefer what has streamed to what the state says.
    """
    callbacks = config.get("callbacks")
    if not isinstance(callbacks, BaseCallbackManager):
        return emit
    appending = [reader for reader in _readers(config) if not isinstance(reader, StreamMessagesHandlerV2)]
    replacing = [reader for reader in _readers(config) if isinstance(reader, StreamMessagesHandlerV2)]
    messages: list[_StreamedMessage] = []
    if appending and (after is None or not after.content):
        messages.append(_AppendedMessage(message_id, appending, callbacks.parent_run_id))
    if replacing:
        messages.append(_ReplacedMessage(message_id, replacing, callbacks.parent_run_id, after))
    if not messages:
        return emit

    async def emit_and_speak(event: Event) -> None:
        await emit(event)
        for message in messages:
            message.add(event)

    return emit_and_speak


def _readers(config: RunnableConfig) -> list[StreamMessagesHandler]:
    callbacks = config.get("callbacks")
    handlers = callbacks.handlers if isinstance(callbacks, BaseCallbackManager) else []
    return [handler for handler in handlers if isinstance(handler, StreamMessagesHandler)]


class _StreamedMessage(ABC):
    """One message as LangGraph's readers take it, block by block."""

    def __init__(self, message_id: str, readers: Sequence[StreamMessagesHandler], node_run_id: Any) -> None:
        self._id = message_id
        self._readers = readers
        self._run_id = node_run_id
        self._blocks: list[dict[str, Any]] = []

    @abstractmethod
    def add(self, event: Event) -> None: ...

    def _extend(self, kind: str, delta: str) -> bool:
        """Whether that began a block."""
        begins = not self._blocks or self._blocks[-1]["type"] != kind
        if begins:
            self._blocks.append({"type": kind, kind: ""})
        self._blocks[-1][kind] += delta
        return begins

    def _add_to_text(self, event: Citation | ClaimStated | ClaimFate) -> dict[str, Any] | None:
        """What that adds to the text's block, if there is one."""
        if not self._blocks or self._blocks[-1]["type"] != "text":
            return None
        block = self._blocks[-1]
        if isinstance(event, Citation):
            block.setdefault("annotations", []).append(annotation(event))
            return {"annotations": block["annotations"][-1:]}
        name = "claims" if isinstance(event, ClaimStated) else "fates"
        block.setdefault("extras", {}).setdefault(name, []).append(told_claim(event))
        return {"extras": {name: block["extras"][name][-1:]}}

    @property
    def _at(self) -> int:
        return len(self._blocks) - 1


class _AppendedMessage(_StreamedMessage):
    """As chunks that add up. It ends where a version is void."""

    _is_over = False

    def add(self, event: Event) -> None:
        if self._is_over:
            return
        match event:
            case AnswerDelta() if event.delta:
                self._extend("text", event.delta)
                self._say({"text": event.delta})
            case ThinkingDelta():
                self._extend("reasoning", event.delta)
                self._say({"reasoning": event.delta})
            case Citation() | ClaimStated() | ClaimFate():
                if added := self._add_to_text(event):
                    self._say({"text": "", **added})
            case AnswerReset() | AnswerFinished():
                self._is_over = True
            case _:
                pass

    def _say(self, said: dict[str, Any]) -> None:
        block = {"type": self._blocks[-1]["type"], **said, "index": self._at}
        chunk = AIMessageChunk(content=[block], id=self._id, response_metadata=_V1)
        for reader in self._readers:
            reader.on_llm_new_token("", chunk=ChatGenerationChunk(message=chunk), run_id=self._run_id)


class _ReplacedMessage(_StreamedMessage):
    """As the events of version 3. What is void is replaced: by what comes, or by the version `after` which it came."""

    def __init__(
        self,
        message_id: str,
        readers: Sequence[StreamMessagesHandler],
        node_run_id: Any,
        after: Written | None,
    ) -> None:
        super().__init__(message_id, readers, node_run_id)
        self._after = after
        self._is_open = False

    def add(self, event: Event) -> None:
        match event:
            case AnswerDelta() if event.delta:
                self._say("text", event.delta)
            case ThinkingDelta():
                self._say("reasoning", event.delta)
            case Citation() | ClaimStated() | ClaimFate():
                self._add_to_text(event)
            case AnswerReset() if self._blocks:
                self._finish()
                self._restore()
            case AnswerFinished():
                self._finish()
            case _:
                pass

    def _restore(self) -> None:
        """Say again what stands until the version that was void has words again."""
        if self._after is not None and self._after.content:
            self._say("text", self._after.content)
            for citation in self._after.citations:
                self._add_to_text(citation)
            self._finish()
        else:
            self._begin()

    def _begin(self) -> None:
        self._is_open, self._blocks = True, []
        self._tell({"event": "message-start", "role": "ai", "id": self._id, "message_id": self._id})

    def _say(self, kind: str, delta: str) -> None:
        if not self._is_open:
            self._begin()
        if self._blocks and self._blocks[-1]["type"] != kind:
            self._finish_block()
        if self._extend(kind, delta):
            self._tell({"event": "content-block-start", "index": self._at, "content": {"type": kind, kind: ""}})
        self._tell({"event": "content-block-delta", "index": self._at, "delta": {"type": f"{kind}-delta", kind: delta}})

    def _finish(self) -> None:
        if self._is_open:
            self._finish_block()
            self._tell({"event": "message-finish"})
            self._is_open = False

    def _finish_block(self) -> None:
        if self._blocks:
            self._tell({"event": "content-block-finish", "index": self._at, "content": self._blocks[-1]})

    def _tell(self, event: dict[str, Any]) -> None:
        for reader in self._readers:
            if isinstance(reader, StreamMessagesHandlerV2):
                reader.on_stream_event(event, run_id=self._run_id)
