"""A request of the Responses API: what is asked, what was said before, how the answer is to be told."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from rag_graph.errors import InvalidRequest
from rag_graph.http import conversation
from rag_graph.http.conversation import MAX_MESSAGES, NoQuestion, Sent
from rag_graph.http.openai.request import Chosen, ContentPart, RagOptions, read_model
from rag_graph.query import Query, Turn

RESULTS = "file_search_call.results"
MAX_ID_CHARS = 255
COMMENTARY = "commentary"
"""The phase of a message that does not stand, such as a draft which was replaced."""


class NoSuchResponse(InvalidRequest):
    """Send the id of a response that has ended and is still kept, or the whole conversation as `input`."""

    code = "previous_response_not_found"
    field: ClassVar[str] = "previous_response_id"


class Item(Sent):
    """One thing of the input; what is no message, such as a call of a tool, says nothing here."""

    type: str | None = "message"
    role: Literal["system", "developer", "user", "assistant", "tool"] | None = None
    content: str | list[ContentPart] | None = None
    phase: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _is_message(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("type") not in (None, "message"):
            return {"type": value["type"] if isinstance(value["type"], str) else "unknown"}
        return value

    @property
    def written(self) -> str:
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content or ())


class TextFormat(Sent):
    """What the answer is written in."""

    type: Literal["text"] = "text"


class TextOptions(Sent):
    """Of the answer's text."""

    format: TextFormat | None = None


class Conversation(Sent):
    """A conversation by its id."""

    id: str = Field(min_length=1, max_length=MAX_ID_CHARS)


class NewConversation(Sent):
    """The body of `POST /v1/conversations`, which may be missing."""

    metadata: dict[str, str] | None = Field(default=None, max_length=16)
    items: list[Item] | None = None

    @field_validator("items")
    @classmethod
    def _begins_empty(cls, items: list[Item] | None) -> list[Item] | None:
        if items:
            raise ValueError("A conversation begins empty here: send earlier messages as `input` of its first response")
        return items


class ResponseRequest(Sent):
    """The body of `POST /v1/responses`."""

    model: str
    # The number bounds a text's characters; the items of a list, which shares it, are bounded by the validator below.
    input: str | list[Item] = Field(max_length=MAX_MESSAGES * 2_000)
    stream: bool | None = False
    background: bool | None = False
    previous_response_id: str | None = Field(default=None, max_length=MAX_ID_CHARS)
    conversation: str | Conversation | None = None
    include: list[str] | None = Field(default=None, max_length=100)
    text: TextOptions | None = None
    tool_choice: str | dict[str, Any] | None = None
    rag: Chosen = RagOptions()

    @field_validator("input")
    @classmethod
    def _has_messages(cls, value: str | list[Item]) -> str | list[Item]:
        if isinstance(value, list) and not 1 <= len(value) <= MAX_MESSAGES:
            raise ValueError(f"there must be 1 to {MAX_MESSAGES} items, not {len(value)}")
        return value

    @field_validator("tool_choice")
    @classmethod
    def _forces_none(cls, value: str | dict[str, Any] | None) -> str | dict[str, Any] | None:
        """An answer always comes of a search, so asking for that one asks for nothing else."""
        named = value.get("type") if isinstance(value, dict) else value
        if named not in (None, "auto", "none", "file_search"):
            raise ValueError("this server calls no tools of yours: leave it out, or send none")
        return value

    @model_validator(mode="after")
    def _goes_on_from_one(self) -> "ResponseRequest":
        if self.previous_response_id and self.conversation:
            raise ValueError("send previous_response_id or conversation, not both")
        return self

    @property
    def conversation_id(self) -> str | None:
        return self.conversation.id if isinstance(self.conversation, Conversation) else self.conversation

    @property
    def wants_results(self) -> bool:
        return RESULTS in (self.include or ())


def query_of(request: ResponseRequest, earlier: Sequence[Turn], choices: Sequence[str] = ()) -> Query:
    """What is asked after `earlier`, the turns that the server knows. Raises UnknownModel and NoQuestion."""
    mode, model = read_model(request.model, choices)
    known = [Item(role=turn.role, content=turn.content) for turn in earlier]
    if isinstance(request.input, str):
        said = [Item(role="user", content=request.input)]
    else:
        said = [item for item in request.input if item.role is not None and item.phase != COMMENTARY]
    if not said:
        raise NoQuestion("The input holds no message: end it with the user's question.")
    messages = [Spoken(item) for item in (*known, *said)]
    rag = request.rag
    return conversation.query_of(messages, mode=mode, filters=rag.filters, model=model, language=rag.language)


class Spoken:
    """An item that is known to have a role."""

    def __init__(self, item: Item) -> None:
        self.role = item.role or "system"
        self.written = item.written
