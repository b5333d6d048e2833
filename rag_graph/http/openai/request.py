"""OpenAI's chat completions as a request: which model, what was said, how the answer is to be told."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from rag_graph.errors import UnknownModel
from rag_graph.http import conversation
from rag_graph.http.conversation import MAX_MESSAGES, Sent
from rag_graph.query import Filters, Language, Mode, Query

Draft = Literal["reasoning", "content", "none"]
Sources = Literal["annotations", "markdown", "events"]

MODELS: dict[str, Mode] = {"rag-fast": "fast", "rag-deep": "deep"}
"""As they are asked for; where models can be chosen, `rag-fast:NAME` and `rag-deep:NAME` are too.

The bare name of a model would stand in a client's list beside that of the model itself, which knows no documents.
"""


class ContentPart(Sent):
    """A part of a message; only text can be read."""

    type: str
    text: str = ""

    @field_validator("type")
    @classmethod
    def _is_text(cls, value: str) -> str:
        # The last two are what assistants said: clients send whole conversations back.
        if value not in ("text", "input_text", "output_text", "refusal"):
            raise ValueError(f"this server reads text, not {value}")
        return value


class Message(Sent):
    """One message of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[ContentPart] | None = None

    @property
    def written(self) -> str:
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content or ())


class StreamOptions(Sent):
    """`include_usage` asks for a last chunk with the tokens used."""

    include_usage: bool | None = False


class RagOptions(BaseModel):
    """What OpenAI's API has no words for: where the draft goes, how sources are told, which documents to search."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    draft: Draft | None = Field(default=None, description="Where the draft goes, which the answer may replace.")
    sources: Sources | None = Field(default=None, description="How sources are told, beside the annotations.")
    filters: Filters = Field(default={}, description="Search only documents whose metadata match.")
    language: Language = Field(default="", description="The language to answer in; unset: the question's.")


Chosen = Annotated[RagOptions, BeforeValidator(lambda given: RagOptions() if given is None else given)]
"""Clients that fill a form in send null for what was left open."""


class ChatRequest(Sent):
    """The body of `POST /v1/chat/completions`."""

    model: str
    messages: list[Message] = Field(min_length=1, max_length=MAX_MESSAGES)
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    n: int | None = 1
    response_format: dict[str, Any] | None = None
    tool_choice: str | dict[str, Any] | None = None
    function_call: str | dict[str, Any] | None = None
    logprobs: bool | None = None
    modalities: list[str] | None = None
    rag: Chosen = RagOptions()

    @field_validator("n")
    @classmethod
    def _is_one(cls, value: int | None) -> int | None:
        if value not in (None, 1):
            raise ValueError("this server gives one answer to a request: leave it out, or send 1")
        return value

    @field_validator("response_format")
    @classmethod
    def _is_text(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        if value is not None and value.get("type") != "text":
            raise ValueError("this server answers in text, not JSON: leave it out")
        return value

    @field_validator("tool_choice", "function_call")
    @classmethod
    def _forces_none(cls, value: str | dict[str, Any] | None) -> str | dict[str, Any] | None:
        if value not in (None, "auto", "none"):
            raise ValueError("this server calls no tools: leave it out, or send none")
        return value

    @field_validator("logprobs")
    @classmethod
    def _is_off(cls, value: bool | None) -> bool | None:
        if value:
            raise ValueError("this server knows no probabilities: leave it out")
        return value

    @field_validator("modalities")
    @classmethod
    def _are_text(cls, value: list[str] | None) -> list[str] | None:
        if value not in (None, ["text"]):
            raise ValueError("this server answers in text only: leave it out")
        return value

    @property
    def wants_usage(self) -> bool:
        return bool(self.stream_options and self.stream_options.include_usage)

    @property
    def prompt(self) -> str:
        """The last message."""
        return self.messages[-1].written


class Presentation(BaseModel):
    """How a run is told in this protocol."""

    model_config = ConfigDict(frozen=True)

    draft: Draft = "content"
    sources: Sources = "annotations"

    def chosen(self, options: RagOptions) -> "Presentation":
        """What the request asks for, and this where it asks for nothing."""
        return Presentation(draft=options.draft or self.draft, sources=options.sources or self.sources)


def model_names(choices: Iterable[str]) -> list[str]:
    """What may be asked for where these models can be chosen."""
    return [*MODELS, *(f"{name}:{choice}" for choice in choices for name in MODELS)]


def read_model(name: str, choices: Sequence[str]) -> tuple[Mode, str]:
    """The mode and the chosen model that a name stands for. Raises UnknownModel."""
    known = model_names(choices)
    if name not in known:
        raise UnknownModel(f"There is no model {name[:80]!r}: ask {' or '.join(known)}.")
    mode, _, choice = name.partition(":")
    return MODELS[mode], choice


def name_of(query: Query) -> str:
    """The name by which a query's mode and model were asked for."""
    name = next(name for name, mode in MODELS.items() if mode == query.mode)
    return f"{name}:{query.model}" if query.model else name


def query_of(request: ChatRequest, choices: Sequence[str] = ()) -> Query:
    """What is asked, by the model's name and the messages. Raises UnknownModel and NoQuestion."""
    mode, model = read_model(request.model, choices)
    rag = request.rag
    return conversation.query_of(request.messages, mode=mode, filters=rag.filters, model=model, language=rag.language)
