"""A conversation as other protocols send it: the last message is the question, those before it are the history."""

from collections.abc import Sequence
from itertools import islice
from typing import ClassVar, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from rag_graph.errors import InvalidRequest
from rag_graph.query import MAX_HISTORY_TURNS, Filters, Mode, Query, Turn

MAX_MESSAGES = 2_000
"""In one request. Of a chat of a thousand questions no more than the latest turns are read."""


class Sent(BaseModel):
    """A part of a request of a protocol that is not ours: what is not named here is accepted and has no effect."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class NoQuestion(InvalidRequest):
    """End the messages with a question."""

    field: ClassVar[str] = "messages"


class Message(Protocol):
    """One message; `written` is its text, however the protocol cuts it up."""

    @property
    def role(self) -> str: ...

    @property
    def written(self) -> str: ...


def query_of(
    messages: Sequence[Message], *, mode: Mode, filters: Filters, model: str = "", language: str = ""
) -> Query:
    """The question and as much of the latest history as a query can hold. Raises NoQuestion.

    Instructions, and what tools were asked and gave, are no turns of a conversation.
    """
    *earlier, last = messages
    if last.role != "user":
        raise NoQuestion("The last message must be the user's: it is the question.")
    said = (message for message in reversed(earlier) if message.role in ("user", "assistant") and message.written)
    try:
        turns = [
            Turn.of("user" if message.role == "user" else "assistant", message.written)
            for message in islice(said, MAX_HISTORY_TURNS)
        ]
        return Query(
            question=last.written, mode=mode, history=turns[::-1], filters=filters, model=model, language=language
        )
    except ValidationError as exc:
        raise NoQuestion(f"The question: {exc.errors()[0]['msg']}.") from None
