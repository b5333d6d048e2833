"""A request of the Agent Protocol: a command to a thread, or which channels of it are to be streamed."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AliasChoices, Field, StringConstraints

from rag_graph.errors import InvalidRequest
from rag_graph.http import conversation
from rag_graph.http.conversation import MAX_MESSAGES, NoQuestion, Sent
from rag_graph.http.conversations import ID
from rag_graph.query import MAX_MODEL_CHARS, Filters, Language, Mode, Query, Turn

MAX_NUMBER = 2**53 - 1
"""What a number of JavaScript's holds."""
ROLES = {"human": "user", "user": "user", "ai": "assistant", "assistant": "assistant"}

Channel = Annotated[
    str,
    StringConstraints(
        pattern=r"^(values|updates|messages|tools|lifecycle|input|checkpoints|tasks|custom|custom:.{1,100})$"
    ),
]


class NotSupported(InvalidRequest):
    """Leave it out: a thread of this server is a conversation over documents."""

    code = "not_supported"


class ThreadBusy(InvalidRequest):
    """Wait for the end of the run, or let the question interrupt it."""

    code = "thread_busy"
    field: ClassVar[str] = "params.multitask_strategy"


class Block(Sent):
    """A content block; what is no text says nothing here."""

    type: str = ""
    text: str = ""


class Message(Sent):
    """A message as LangChain's SDKs send it, by its type or by its role."""

    type: str = Field(default="human", validation_alias=AliasChoices("type", "role"))
    content: str | list[Block | str] | None = None
    id: str | None = Field(default=None, min_length=1, max_length=255)

    @property
    def role(self) -> str:
        return ROLES.get(self.type, "system")

    @property
    def written(self) -> str:
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part if isinstance(part, str) else part.text for part in self.content or ())


class Input(Sent):
    """What a run is asked: the last of the messages, or a question."""

    messages: list[Message] = Field(default=[], max_length=MAX_MESSAGES)
    question: str | None = None
    mode: Mode = "fast"
    filters: Filters = Field(default={})
    model: str = Field(default="", max_length=MAX_MODEL_CHARS)
    language: Language = ""


class Configurable(Sent):
    """Of a run's config: what would change the meaning of the question is refused, the rest has no effect."""

    checkpoint_id: str | None = None


class Config(Sent):
    configurable: Configurable = Configurable()


class RunStart(Sent):
    """The `params` of `run.start`. Whatever assistant is named, the documents answer."""

    input: Input
    config: Config | None = None
    multitask_strategy: Literal["interrupt", "rollback", "reject", "enqueue"] | None = Field(
        default=None, validation_alias=AliasChoices("multitask_strategy", "multitaskStrategy")
    )

    @property
    def message_id(self) -> str | None:
        """Of the question, where it came as a message that has one."""
        return self.input.messages[-1].id if self.input.messages and self.input.question is None else None


class Command(Sent):
    """The body of `POST /threads/{id}/commands`."""

    id: int = Field(ge=0, le=MAX_NUMBER)
    method: str = Field(max_length=100)
    params: dict[str, Any] = Field(default={})


class StreamRequest(Sent):
    """The body of `POST /threads/{id}/stream/events`: the channels, and after which number they go on."""

    channels: list[Channel] = Field(min_length=1, max_length=100)
    namespaces: list[list[str]] | None = Field(default=None, max_length=1_000)
    depth: int | None = Field(default=None, ge=0, le=MAX_NUMBER)
    since: int | None = Field(default=None, ge=0, le=MAX_NUMBER)

    @property
    def is_of_root(self) -> bool:
        """Whether the graph itself is meant; it has no others within it."""
        return not self.namespaces or [] in self.namespaces


class NewThread(Sent):
    """The body of `POST /threads`."""

    thread_id: str | None = Field(default=None, pattern=ID)


def query_of(start: RunStart, earlier: Sequence[Turn]) -> Query:
    """What is asked after `earlier`, the turns that the thread has; it has none of its own for its first question.

    Raises NoQuestion.
    """
    asked = start.input
    given = asked.messages if asked.question is None else [*asked.messages, Message(content=asked.question)]
    if not given:
        raise NoQuestion("The input holds no question: send messages that end with one.")
    known = [Message(type=turn.role, content=turn.content) for turn in earlier]
    return conversation.query_of(
        [*known, given[-1]] if known else given,
        mode=asked.mode,
        filters=asked.filters,
        model=asked.model,
        language=asked.language,
    )
