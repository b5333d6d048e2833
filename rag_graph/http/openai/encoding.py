"""OpenAI's chat completions: a request becomes a query, a run's events become chunks, or one completion at the end."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from rag_graph.errors import InvalidRequest, RagGraphError
from rag_graph.events import (
    AnswerDelta,
    AnswerFinished,
    AnswerReset,
    AnswerStarted,
    Citation,
    Decided,
    Event,
    RunCancelled,
    RunFailed,
    RunFinished,
    RunStarted,
    StepStarted,
    Terminal,
    ThinkingDelta,
    ThinkingFinished,
    Usage,
    Version,
)
from rag_graph.http.openai.open_webui import source_lines, status_line
from rag_graph.http.prose import RULE, OneAtATime, Prose
from rag_graph.query import MAX_HISTORY_TURNS, MAX_TURN_CHARS, Filters, Mode, Query, Turn
from rag_graph.transcript import Transcript

Chunk = dict[str, Any]
Draft = Literal["reasoning", "content", "none"]
Sources = Literal["annotations", "markdown", "events"]

MODELS: dict[str, Mode] = {"rag-fast": "fast", "rag-deep": "deep"}
STOPPED_CODE = "run_cancelled"
_DRAFT = "the draft"
_MARKUP = re.compile(r"([\\`*_\[\]<>#|])")


class UnknownModel(RagGraphError):
    """Ask one of the models that `GET /v1/models` lists."""

    code = "model_not_found"


class _Sent(BaseModel):
    """A part of a request: what is not named here is accepted and has no effect."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ContentPart(_Sent):
    """A part of a message; only text can be read."""

    type: str
    text: str = ""

    @field_validator("type")
    @classmethod
    def _is_text(cls, value: str) -> str:
        if value not in ("text", "input_text", "output_text", "refusal"):
            raise ValueError(f"this server reads text, not {value}")
        return value


class Message(_Sent):
    """One message of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[ContentPart] | None = None

    @property
    def written(self) -> str:
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content or ())


class StreamOptions(_Sent):
    """`include_usage` asks for a last chunk with the tokens used."""

    include_usage: bool | None = False


class RagOptions(BaseModel):
    """What OpenAI's API has no words for: where the draft goes, how sources are told, which documents to search."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    draft: Draft | None = Field(default=None, description="Where the draft goes, which the answer may replace.")
    sources: Sources | None = Field(default=None, description="How sources are told, beside the annotations.")
    filters: Filters = Field(default={}, description="Search only documents whose metadata match.")


class ChatRequest(_Sent):
    """The body of `POST /v1/chat/completions`."""

    model: str
    messages: list[Message] = Field(min_length=1)
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    n: int | None = 1
    response_format: dict[str, Any] | None = None
    tool_choice: str | dict[str, Any] | None = None
    function_call: str | dict[str, Any] | None = None
    logprobs: bool | None = None
    modalities: list[str] | None = None
    rag: RagOptions = RagOptions()

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

    draft: Draft = "reasoning"
    sources: Sources = "annotations"

    def chosen(self, options: RagOptions) -> "Presentation":
        """What the request asks for, and this where it asks for nothing."""
        return Presentation(draft=options.draft or self.draft, sources=options.sources or self.sources)


def query_of(request: ChatRequest) -> Query:
    """The last message is the question, those before it are the history. Raises UnknownModel and InvalidRequest."""
    mode = MODELS.get(request.model)
    if mode is None:
        raise UnknownModel(f"There is no model {request.model[:80]!r}: ask {' or '.join(MODELS)}.")
    *earlier, last = request.messages
    if last.role != "user":
        raise InvalidRequest("The last message must be the user's: it is the question.")
    try:
        return Query(question=last.written, mode=mode, history=_turns(earlier), filters=request.rag.filters)
    except ValidationError as exc:
        raise InvalidRequest(f"The question: {exc.errors()[0]['msg']}.") from None


def _turns(messages: Sequence[Message]) -> list[Turn]:
    """The latest turns that a query can hold; instructions and the work of tools are no turns."""
    turns = [
        Turn(role=message.role, content=message.written[-MAX_TURN_CHARS:])
        for message in messages
        if message.role in ("user", "assistant") and message.written
    ]
    return turns[-MAX_HISTORY_TURNS:]


class Envelope:
    """What all chunks of one completion share."""

    def __init__(self, run_id: str, model: str, created: int) -> None:
        self._shared = {"id": f"chatcmpl-{run_id}", "created": created, "model": model}

    def chunk(self, delta: Chunk, finish_reason: str | None = None) -> Chunk:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return {**self._shared, "object": "chat.completion.chunk", "choices": [choice]}

    def usage_chunk(self, usage: Chunk) -> Chunk:
        return {**self._shared, "object": "chat.completion.chunk", "choices": [], "usage": usage}

    def completion(self, message: Chunk, finish_reason: str, usage: Chunk) -> Chunk:
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason}
        return {**self._shared, "object": "chat.completion", "choices": [choice], "usage": usage}


class CompletionChunks:
    """Turns each event into the chunks that it adds, often none.

    The draft goes out as reasoning while it is written, and as content once it is sure to stand; a refinement goes
    out as content from its first word. So nothing is said twice and no wrong text remains, unless the request
    wants the draft as content at once: a refinement then follows it under a heading.
    """

    def __init__(self, envelope: Envelope, presentation: Presentation, *, wants_usage: bool = False) -> None:
        self._envelope = envelope
        self._presentation = presentation
        self._wants_usage = wants_usage
        self._transcript = Transcript()
        self._prose = Prose()
        self._thoughts = OneAtATime()
        self._torn = False
        self._saying: Version | None = None

    def tear(self) -> None:
        """Events are missing here: send no more of the text than the end of the run will tell."""
        self._torn = True

    def add(self, event: Event) -> list[Chunk]:
        is_first = not self._transcript.run_id
        self._transcript.add(event)
        match event:
            case AnswerDelta():
                return self._add_delta(event)
            case ThinkingDelta():
                return self._reasoning(self._thoughts.add(event.step, event.delta))
            case ThinkingFinished():
                return self._reasoning(self._thoughts.end(event.step))
            case AnswerStarted() | AnswerReset() | AnswerFinished():
                return self._mark_answer(event)
            case RunStarted() if is_first:
                return [self._envelope.chunk({"role": "assistant", "content": ""})]
            case StepStarted() if self._presentation.sources == "events":
                return [status_line(event.description, done=False)]
            case Decided(decision="keep"):
                return self._keep_draft()
            case RunFinished() | RunFailed() | RunCancelled():
                return self._end(event)
            case _:
                return []

    def _is_content(self, version: Version) -> bool:
        return version != 1 or self._presentation.draft == "content"

    def _add_delta(self, event: AnswerDelta) -> list[Chunk]:
        if self._torn:
            return []
        if self._is_content(event.version):
            self._saying = event.version
            return self._content(self._prose.add(event.delta))
        if self._presentation.draft == "reasoning":
            return self._reasoning(self._thoughts.add(_DRAFT, event.delta))
        return []

    def _keep_draft(self) -> list[Chunk]:
        if self._torn or self._is_content(1):
            return []
        self._saying = 1
        return self._content(self._prose.settle(self._transcript.answers[1].content))

    def _mark_answer(self, event: AnswerStarted | AnswerReset | AnswerFinished) -> list[Chunk]:
        match event:
            case AnswerStarted(version=2) if self._saying == 1:
                return self._content(self._prose.begin(self._refined_heading))
            case AnswerStarted(version=1) if self._presentation.draft == "reasoning":
                return self._reasoning(self._thoughts.add(_DRAFT, "Draft:\n\n"))
            case AnswerReset() if self._is_content(event.version):
                self._prose.restart(event.reason)
            case AnswerReset() if self._presentation.draft == "reasoning":
                return self._reasoning(self._thoughts.add(_DRAFT, f"\n\nDraft, written again: {event.reason}\n\n"))
            case AnswerFinished(version=1):
                return self._reasoning(self._thoughts.end(_DRAFT))
        return []

    @property
    def _refined_heading(self) -> str:
        decision = self._transcript.decision
        return f"Refined: {decision.reason}" if decision else "Refined"

    def _end(self, event: Terminal) -> list[Chunk]:
        done = [status_line("Done", done=True)] if self._presentation.sources == "events" else []
        match event:
            case RunFinished():
                return [*self._whole(event), *done, *self._closing("stop")]
            case RunCancelled(by="budget"):
                return [*self._content(self._prose.settle(event.answer)), *done, *self._closing("length")]
            case RunCancelled():
                return [*done, error_body(STOPPED_CODE, "The run was stopped before its end.", kind="server_error")]
            case RunFailed():
                return [*done, error_body(event.code, event.message, kind="server_error")]

    def _whole(self, event: RunFinished) -> list[Chunk]:
        chunks = self._content(self._prose.settle(event.answer))
        if self._presentation.sources == "markdown" and (listed := markdown_sources(event.citations)):
            chunks += self._content(listed)
        if event.citations:
            annotations = annotated(event.citations, offset=self._prose.start)
            chunks.append(self._envelope.chunk({"annotations": annotations}))
        if self._presentation.sources == "events":
            passages = self._transcript.passages.get("deep") or self._transcript.passages.get("fast")
            chunks += source_lines(passages.passages if passages else (), event.citations)
        return chunks

    def _closing(self, finish_reason: str) -> list[Chunk]:
        chunks = [self._envelope.chunk({}, finish_reason)]
        if self._wants_usage:
            chunks.append(self._envelope.usage_chunk(summed(self._transcript.usage)))
        return chunks

    def _content(self, text: str) -> list[Chunk]:
        return [self._envelope.chunk({"content": text})] if text else []

    def _reasoning(self, text: str) -> list[Chunk]:
        return [self._envelope.chunk({"reasoning_content": text})] if text else []


def completion(transcript: Transcript, envelope: Envelope, presentation: Presentation) -> Chunk | None:
    """The whole answer at once, None for a run that gave none."""
    last = transcript.terminal
    if not (isinstance(last, RunFinished) or (isinstance(last, RunCancelled) and last.by == "budget")):
        return None
    citations = last.citations if isinstance(last, RunFinished) else transcript.citations
    listed = markdown_sources(citations) if presentation.sources == "markdown" else ""
    message: Chunk = {
        "role": "assistant",
        "content": last.answer + listed,
        "reasoning_content": "\n\n".join("".join(deltas) for deltas in transcript.thinking.values()),
        "annotations": annotated(citations),
        "refusal": None,
    }
    reason = "stop" if isinstance(last, RunFinished) else "length"
    return envelope.completion(message, reason, summed(transcript.usage))


def said(content: str, envelope: Envelope) -> Sequence[Chunk]:
    """Chunks that say one thing, for what is answered without a run."""
    return envelope.chunk({"role": "assistant", "content": content}), envelope.chunk({}, "stop")


def model_list(created: int) -> Chunk:
    return {"object": "list", "data": [model_card(name, created) for name in MODELS]}


def model_card(name: str, created: int) -> Chunk:
    return {"id": name, "object": "model", "created": created, "owned_by": "rag_graph"}


def error_body(code: str | None, message: str, *, kind: str, param: str | None = None) -> Chunk:
    """An error as OpenAI's clients read it; `kind` is what they call its type."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def annotated(citations: Iterable[Citation], *, offset: int = 0) -> list[Chunk]:
    """Citations as OpenAI annotates: where in the content, and whence; the exact words are the `content`."""
    return [
        {
            "type": "url_citation",
            "url_citation": {
                "start_index": citation.start + offset,
                "end_index": citation.end + offset,
                "title": citation.title,
                "url": citation.uri,
                "content": citation.quote,
                "marker": citation.marker,
                "document": citation.document,
                "source_start": citation.source_start,
                "source_end": citation.source_end,
            },
        }
        for citation in citations
    ]


def markdown_sources(citations: Iterable[Citation]) -> str:
    """The cited documents as a Markdown list, in the order of their numbers."""
    cited = {citation.marker: citation for citation in citations}
    lines = [f"- [{marker}] {_link(cited[marker])}" for marker in sorted(cited)]
    return RULE + "\n".join(lines) if lines else ""


def _link(citation: Citation) -> str:
    title = _MARKUP.sub(r"\\\1", " ".join(citation.title.split()))
    return f"[{title}]({quote(citation.uri, safe=':/?#@!$&*+,;=%~')})"


def summed(usages: Iterable[Usage]) -> Chunk:
    """What all calls of the run took together."""
    taken = list(usages)
    sent, written = sum(one.input_tokens for one in taken), sum(one.output_tokens for one in taken)
    return {
        "prompt_tokens": sent,
        "completion_tokens": written,
        "total_tokens": sent + written,
        "prompt_tokens_details": {"cached_tokens": sum(one.cached_tokens for one in taken)},
        "completion_tokens_details": {"reasoning_tokens": sum(one.reasoning_tokens for one in taken)},
    }
