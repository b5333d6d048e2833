"""A chat as the Vercel AI SDK sends it: the whole history comes back with every kind of part."""

from typing import Any, Literal

from pydantic import Field

from rag_graph.http import conversation
from rag_graph.http.conversation import MAX_MESSAGES, NoQuestion, Sent
from rag_graph.query import MAX_MODEL_CHARS, Filters, Language, Mode, Query

MAX_ID_CHARS = 200


class UIPart(Sent):
    """A part of a message: `text`, or something else that only matters by its type."""

    type: str
    text: str = ""
    data: Any = None


class UIMessage(Sent):
    """One message of the chat."""

    role: Literal["system", "user", "assistant"]
    parts: list[UIPart] = Field(default=[])
    content: str = ""
    """All that a message was in version 4; the parts go before it."""

    @property
    def written(self) -> str:
        """Its text; of an answer, the version that stands."""
        texts = [part.text for part in self.parts if part.type == "text"]
        standing = [part.data for part in self.parts if part.type == "data-answer" and isinstance(part.data, dict)]
        place = standing[-1].get("part") if standing else None
        if isinstance(place, int) and 0 <= place < len(texts):
            return texts[place]
        return "\n".join(texts) or self.content


class ChatPost(Sent):
    """The body of `POST /api/chat`; `mode` and what follows it come with the transport's `body`."""

    id: str = Field(min_length=1, max_length=MAX_ID_CHARS)
    messages: list[UIMessage] = Field(min_length=1, max_length=MAX_MESSAGES)
    mode: Mode = "fast"
    filters: Filters = Field(default={})
    model: str = Field(default="", max_length=MAX_MODEL_CHARS)
    language: Language = ""


def query_of(post: ChatPost) -> Query:
    """What is asked. Raises NoQuestion."""
    if any(part.type == "file" for part in post.messages[-1].parts):
        raise NoQuestion("This server reads text, not files: send the question alone.")
    return conversation.query_of(
        post.messages, mode=post.mode, filters=post.filters, model=post.model, language=post.language
    )
