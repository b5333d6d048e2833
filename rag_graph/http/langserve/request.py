"""What LangServe's endpoints take: a conversation, and no more of a config than may come from outside."""

from typing import Any, Self

from fastapi import Request
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, convert_to_messages
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from rag_graph.errors import InvalidRequest
from rag_graph.query import MAX_HISTORY_TURNS, Query, Turn

MAX_BATCH = 100
"""A batch is answered one question after the other under one slot: this many take minutes."""
MAX_BATCH_MESSAGES = 1_000
"""Messages in one request: LangChain's own models take 0.04 ms for each to check, twice, on the event loop."""

TEXT_OPTIONS = frozenset({"final", "sources"})
"""What a config may say of the text."""
_ROLES = ("human", "user", "ai", "assistant", "system")
_BOOKKEEPING = frozenset({"thread_id", "checkpoint_id", "checkpoint_ns", "checkpoint_map"})


class Conversation(BaseModel):
    """Messages, oldest first; the last one is the question.

    LangServe's chat playground takes any other text field for the place of what is typed, so there is none.
    """

    messages: list[HumanMessage | AIMessage | SystemMessage] = Field(
        description="The conversation so far.",
        json_schema_extra={"widget": {"type": "chat", "input": "messages"}},
    )

    @field_validator("messages", mode="before")
    @classmethod
    def _are_objects(cls, messages: Any) -> Any:
        """Pairs are made messages; LangChain's own validators take any other item for an object.

        What tools were asked and gave are no turns.
        """
        if not isinstance(messages, list):
            return messages
        if not all(isinstance(item, dict | BaseMessage) or _is_pair(item) for item in messages):
            raise ValueError("a message must be an object, or a pair of who said it and what")
        given = [convert_to_messages([tuple(item)])[0] if _is_pair(item) else item for item in messages]
        return [item for item in given if not _is_of_tool(item)]

    @model_validator(mode="after")
    def _ends_in_a_question(self) -> Self:
        try:
            self.query()
        except ValidationError as exc:
            raise ValueError(exc.errors()[0]["msg"]) from None
        return self

    def query(self) -> Query:
        """What is asked; instructions are no turns. Raises ValueError."""
        said = [message for message in self.messages if not isinstance(message, SystemMessage)]
        if not said or said[-1].type != "human":
            raise ValueError("the last message must be a question")
        *earlier, last = said[-MAX_HISTORY_TURNS - 1 :]
        turns = [Turn.of("user" if message.type == "human" else "assistant", message.text) for message in earlier]
        return Query(question=last.text, history=turns)


def _is_pair(item: Any) -> bool:
    return isinstance(item, list | tuple) and [type(part) for part in item] == [str, str] and item[0] in _ROLES


def _is_of_tool(item: Any) -> bool:
    fields = item if isinstance(item, dict) else vars(item)
    return fields.get("type") == "tool" or (fields.get("type") == "ai" and bool(fields.get("tool_calls")))


def is_batch(request: Request) -> bool:
    return request.url.path.endswith("/batch")


def is_answered_whole(request: Request) -> bool:
    """Whether LangServe answers with the outcome; what it streams, it stops by itself when the reader leaves."""
    return request.url.path.endswith(("/invoke", "/batch"))


def _check_batch(inputs: Any, configs: Any) -> None:
    if not isinstance(inputs, list):
        raise InvalidRequest("inputs: must be a list.")
    if len(inputs) > MAX_BATCH:
        raise InvalidRequest(f"inputs: a batch has at most {MAX_BATCH} questions; send the others after it.")
    if isinstance(configs, list) and len(configs) != len(inputs):
        raise InvalidRequest("config: a list has as many as there are inputs.")


async def check_body(request: Request) -> None:
    """Refuse what LangServe itself would answer with a 500, and what would steer the graph."""
    if request.method != "POST":
        return
    try:
        body = await request.json()
    except (ValueError, RecursionError):
        raise InvalidRequest("The body is no valid JSON.") from None
    if not isinstance(body, dict):
        raise InvalidRequest("The body must be an object.")
    _check_messages(body)
    configs = body.get("config")
    if is_batch(request):
        _check_batch(body.get("inputs"), configs)
    may_set = frozenset[str]() if request.url.path.startswith("/rag/structured/") else TEXT_OPTIONS
    for config in configs if isinstance(configs, list) else [configs]:
        # What a graph around a `RemoteRunnable` passes on of its own is ignored.
        configurable = config.get("configurable") if isinstance(config, dict) else None
        for name in configurable if isinstance(configurable, dict) else ():
            # LangGraph's own names begin so, as `__pregel_…`: those of a graph around the client's come along.
            if not name.startswith("__") and name not in _BOOKKEEPING | may_set:
                raise InvalidRequest(f"config.configurable.{name[:80]}: cannot be set from outside.")


def _check_messages(body: dict[str, Any]) -> None:
    """Bound what LangServe would check one by one, before it knows how many there are."""
    inputs = body.get("inputs", [body.get("input")])
    given = [one.get("messages") for one in inputs if isinstance(one, dict)] if isinstance(inputs, list) else []
    if sum(len(messages) for messages in given if isinstance(messages, list)) > MAX_BATCH_MESSAGES:
        raise InvalidRequest(f"messages: a request may have {MAX_BATCH_MESSAGES}: leave out the oldest.")
