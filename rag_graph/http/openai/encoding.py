"""A run in OpenAI's words: events become chunks of a completion, or one completion at the end."""

import re
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from rag_graph.events import (
    AnswerDelta,
    AnswerFinished,
    AnswerReset,
    AnswerStarted,
    Citation,
    CutBy,
    Decided,
    NumberedPassage,
    RunCancelled,
    RunFailed,
    RunFinished,
    RunStarted,
    SourceConflict,
    StepStarted,
    ThinkingDelta,
    ThinkingFinished,
    Usage,
    Version,
)
from rag_graph.http.encoding import Chunk, MessageEncoder
from rag_graph.http.openai.open_webui import claims_line, source_lines, status_line
from rag_graph.http.openai.request import Presentation
from rag_graph.http.prose import RULE, OneAtATime, Prose
from rag_graph.http.sources import Numbered, address, numbered, up_to_the_highest
from rag_graph.transcript import Transcript

STOPPED_CODE = "run_cancelled"
_DRAFT = "the draft"
_CONFLICT = "a conflict"
_FINISH_REASONS: dict[CutBy, str] = {"": "stop", "length": "length", "filter": "content_filter"}
_MARKUP = re.compile(r"([\\`*_\[\]<>#|])")


class Envelope:
    """What all chunks of one completion share."""

    def __init__(self, run_id: str, model: str, created: int) -> None:
        self._shared = {"id": f"chatcmpl-{run_id}", "created": created, "model": model}

    def chunk(self, delta: Chunk, finish_reason: str | None = None) -> Chunk:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return {**self._shared, "object": "chat.completion.chunk", "choices": [choice]}

    # With `include_usage` OpenAI's last chunk has the counts and no choices, and its clients look for them there.
    def usage_chunk(self, usage: Chunk) -> Chunk:
        return {**self._shared, "object": "chat.completion.chunk", "choices": [], "usage": usage}

    def completion(self, message: Chunk, finish_reason: str, usage: Chunk) -> Chunk:
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason}
        return {**self._shared, "object": "chat.completion", "choices": [choice], "usage": usage}


class CompletionChunks(MessageEncoder):
    """Turns each event into the chunks that it adds, often none.

    The draft goes out as reasoning while it is written, and as content once it is sure to stand; a refinement goes
    out as content from its first word. So nothing is said twice and no wrong text remains, unless the request
    wants the draft as content at once: a refinement then follows it under a heading, and each later one too.
    """

    def __init__(self, envelope: Envelope, presentation: Presentation, *, wants_usage: bool = False) -> None:
        super().__init__()
        self._envelope = envelope
        self._presentation = presentation
        self._wants_usage = wants_usage
        self._prose = Prose()
        self._thoughts = OneAtATime()
        self._has_begun = False
        self._saying: Version | None = None
        self._said: list[str] = []

    def on_run_started(self, _: RunStarted) -> Sequence[Chunk]:
        if self._has_begun:
            # Another process has taken the run over: the message goes on.
            return []
        self._has_begun = True
        return [self._envelope.chunk({"role": "assistant", "content": ""})]

    def on_step_started(self, event: StepStarted) -> Sequence[Chunk]:
        return [status_line(event.description, done=False)] if self._presentation.sources == "events" else []

    def on_thinking_delta(self, event: ThinkingDelta) -> Sequence[Chunk]:
        return self._reasoning(self._thoughts.add(event.step, event.delta))

    def on_thinking_finished(self, event: ThinkingFinished) -> Sequence[Chunk]:
        return self._reasoning(self._thoughts.end(event.step))

    def on_answer_started(self, event: AnswerStarted) -> Sequence[Chunk]:
        if self._saying is not None and event.version > self._saying:
            decision = self.transcript.decision
            replaced = "This replaces the answer above"
            return self._content(self._prose.begin(f"{replaced}: {decision.reason}" if decision else f"{replaced}."))
        if event.version == 1 and self._presentation.draft == "reasoning":
            return self._reasoning(self._thoughts.add(_DRAFT, "Draft:\n\n"))
        return []

    def on_answer_delta(self, event: AnswerDelta) -> Sequence[Chunk]:
        if self.is_torn:
            return []
        if event.version != 1 or self._presentation.draft == "content":
            self._saying = event.version
            return self._content(self._prose.add(event.delta))
        if self._presentation.draft == "reasoning":
            return self._reasoning(self._thoughts.add(_DRAFT, event.delta))
        return []

    def on_answer_reset(self, event: AnswerReset) -> Sequence[Chunk]:
        if event.version != 1 or self._presentation.draft == "content":
            self._prose.restart(event.reason)
        elif self._presentation.draft == "reasoning":
            return self._reasoning(self._thoughts.add(_DRAFT, f"\n\nDraft, written again: {event.reason}\n\n"))
        return []

    def on_answer_finished(self, event: AnswerFinished) -> Sequence[Chunk]:
        return self._reasoning(self._thoughts.end(_DRAFT)) if event.version == 1 else []

    def on_conflict(self, event: SourceConflict) -> Sequence[Chunk]:
        """Said among the thoughts, as this protocol has no other place beside the answer."""
        told = self._reasoning(self._thoughts.add(_CONFLICT, event.message))
        return [*told, *self._reasoning(self._thoughts.end(_CONFLICT))]

    def on_decided(self, event: Decided) -> Sequence[Chunk]:
        """A draft that is sure to stand is said now, unless it was content all along."""
        if event.decision != "keep" or self.is_torn or self._presentation.draft == "content":
            return []
        self._saying = self.transcript.standing
        return self._content(self._prose.settle(self.transcript.answer))

    def on_run_finished(self, event: RunFinished) -> Sequence[Chunk]:
        chunks = [*self._content(self._prose.settle(event.answer))]
        if self._presentation.sources == "markdown":
            chunks += self._content(markdown_sources(event.citations, self.transcript.conflicts))
        chunks += self._sources(event.citations, offset=self._prose.start)
        if self._presentation.sources == "events":
            standing = self.transcript.answers[event.version]
            if standing.claims:
                chunks.append(claims_line(standing.claims, standing.fates))
        return [*chunks, *self._done(), *self._closing(_FINISH_REASONS[event.cut_by])]

    def on_run_failed(self, event: RunFailed) -> Sequence[Chunk]:
        # The status is sent, and no finish reason means a failure: an error in the stream is what their SDKs raise.
        return [*self._sources(), *self._done(), error_body(event.code, event.message, kind="server_error")]

    def on_run_cancelled(self, event: RunCancelled) -> Sequence[Chunk]:
        if event.by != "budget":
            stopped = error_body(STOPPED_CODE, "The run was stopped before its end.", kind="server_error")
            return [*self._sources(), *self._done(), stopped]
        settled = self._content(self._prose.settle(event.answer))
        sources = self._sources(self.transcript.citations, offset=self._prose.start)
        return [*settled, *sources, *self._done(), *self._closing("length")]

    def _sources(self, citations: Sequence[Citation] = (), *, offset: int = 0) -> Sequence[Chunk]:
        """The sources of all that was said, whatever stands of it; `citations` are in the text from `offset` on."""
        said = "".join(self._said)
        passages = numbered(self.transcript)
        shown = up_to_the_highest(passages, [said])
        # Open WebUI makes a source of every annotation too, which would shift the numbers of those sent as events.
        if self._presentation.sources == "events":
            return list(source_lines(shown, citations))
        annotations = annotated(citations, passages, shown, offset=offset, end=len(said))
        return [self._envelope.chunk({"annotations": annotations})] if annotations else []

    def _done(self) -> Sequence[Chunk]:
        """Open WebUI shows the last status for ever, unless it is told that all is done."""
        return [status_line("Done", done=True)] if self._presentation.sources == "events" else []

    def _closing(self, finish_reason: str) -> Sequence[Chunk]:
        chunks = [self._envelope.chunk({}, finish_reason)]
        if self._wants_usage:
            chunks.append(self._envelope.usage_chunk(summed(self.transcript.usage)))
        return chunks

    def _content(self, text: str) -> Sequence[Chunk]:
        self._said.append(text)
        return [self._envelope.chunk({"content": text})] if text else []

    def _reasoning(self, text: str) -> Sequence[Chunk]:
        # No field of OpenAI's, but DeepSeek's, which vLLM and most clients have taken over.
        return [self._envelope.chunk({"reasoning_content": text})] if text else []


def completion(transcript: Transcript, envelope: Envelope, presentation: Presentation) -> Chunk | None:
    """The whole answer at once, None for a run that gave none."""
    last = transcript.terminal
    if not (isinstance(last, RunFinished) or (isinstance(last, RunCancelled) and last.by == "budget")):
        return None
    citations = last.citations if isinstance(last, RunFinished) else transcript.citations
    passages = numbered(transcript)
    listed = markdown_sources(citations, transcript.conflicts) if presentation.sources == "markdown" else ""
    message: Chunk = {
        "role": "assistant",
        "content": last.answer + listed,
        "reasoning_content": "\n\n".join("".join(deltas) for deltas in transcript.thinking.values()),
        "annotations": annotated(citations, passages, up_to_the_highest(passages, [last.answer]), end=len(last.answer)),
        "refusal": None,
    }
    reason = _FINISH_REASONS[last.cut_by] if isinstance(last, RunFinished) else "length"
    return envelope.completion(message, reason, summed(transcript.usage))


def said(content: str, envelope: Envelope) -> Sequence[Chunk]:
    """Chunks that say one thing, for what is answered without a run."""
    return envelope.chunk({"role": "assistant", "content": content}), envelope.chunk({}, "stop")


def model_list(names: Iterable[str], created: int) -> Chunk:
    return {"object": "list", "data": [model_card(name, created) for name in names]}


def model_card(name: str, created: int) -> Chunk:
    return {"id": name, "object": "model", "created": created, "owned_by": "rag_graph"}


def error_body(code: str | None, message: str, *, kind: str, param: str | None = None) -> Chunk:
    """An error as OpenAI's clients read it; `kind` is what they call its type."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def annotated(
    citations: Iterable[Citation],
    passages: Numbered,
    shown: Iterable[NumberedPassage],
    *,
    offset: int = 0,
    end: int = 0,
) -> list[Chunk]:
    """Citations as OpenAI annotates: where in the content, and whence; the exact words are the `content`.

    Clients that know no markers number the sources as they come, so a number that is shown and that nothing cites has
    an annotation too: an empty one, at the `end`.
    """
    listed = [(citation.marker, _annotation(citation, passages.get(citation.marker), offset)) for citation in citations]
    cited = {marker for marker, _ in listed}
    listed += [(passage.number, _reference(passage, end)) for passage in shown if passage.number not in cited]
    listed.sort(key=lambda one: (one[0], one[1]["start_index"]))
    return [{"type": "url_citation", "url_citation": annotation} for _, annotation in listed]


def _annotation(citation: Citation, passage: NumberedPassage | None, offset: int) -> Chunk:
    return {
        "start_index": citation.start + offset,
        "end_index": citation.end + offset,
        "title": citation.title,
        "url": address(passage) if passage else citation.uri,
        "content": citation.quote,
        "marker": citation.marker,
        "document": citation.document,
        "source_start": citation.source_start,
        "source_end": citation.source_end,
        "grade": citation.grade,
        **({"page": citation.page} if citation.page else {}),
        **({"place": citation.place} if citation.place else {}),
    }


def _reference(passage: NumberedPassage, at: int) -> Chunk:
    return {
        "start_index": at,
        "end_index": at,
        "title": passage.title,
        "url": address(passage),
        "content": "",
        "marker": passage.number,
        "document": passage.document,
        "source_start": passage.start,
        "source_end": passage.end,
    }


def markdown_sources(citations: Iterable[Citation], conflicts: Iterable[SourceConflict] = ()) -> str:
    """The cited documents as a Markdown list, in the order of their numbers; before it, where sources disagree."""
    cited = {citation.marker: citation for citation in citations}
    lines = [f"- [{marker}] {_link(cited[marker])}" for marker in sorted(cited)]
    parts = [*(_MARKUP.sub(r"\\\1", told.message) for told in conflicts), "\n".join(lines)]
    return RULE + "\n\n".join(part for part in parts if part) if any(parts) else ""


def _link(citation: Citation) -> str:
    title = _MARKUP.sub(r"\\\1", " ".join(citation.title.split()))
    place = f", {citation.place}" if citation.place else ""
    return f"[{title}]({quote(citation.uri, safe=':/?#@!$&*+,;=%~')}){place}"


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
