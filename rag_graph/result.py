"""A run as one JSON document, for those who wait for its end."""

from collections.abc import Iterator

from rag_graph.events import (
    AnswerDelta,
    AnswerFinished,
    AnswerReset,
    AnswerStarted,
    CancelledBy,
    Citation,
    Decided,
    Event,
    Fact,
    NumberedPassage,
    PassagesRetrieved,
    RunCancelled,
    RunFailed,
    RunFinished,
    RunStarted,
    Terminal,
    Timings,
    Unsupported,
    Usage,
    Version,
)
from rag_graph.query import Mode
from rag_graph.runs.log import Run, Status, status_of
from rag_graph.transcript import Transcript


class RunError(Fact):
    """Why a run gave no answer."""

    code: str
    message: str
    retryable: bool


class RunState(Fact):
    """How a run stands. `last_seq` is the number of its newest event."""

    run_id: str
    status: Status
    question: str
    mode: Mode
    attempt: int
    last_seq: int
    created_at: float
    ended_at: float | None


class RunResult(Fact):
    """What became of a run; `version` is the one that stands, and `documents` the evidence by rank."""

    run_id: str
    status: Status
    question: str
    mode: Mode
    version: Version
    answer: str
    draft: str
    citations: tuple[Citation, ...]
    unsupported: tuple[Unsupported, ...]
    documents: tuple[NumberedPassage, ...]
    thinking: str
    decision: Decided | None
    warnings: tuple[str, ...]
    usage: tuple[Usage, ...]
    timings: Timings
    error: RunError | None
    cancelled_by: CancelledBy | None = None


def run_result(transcript: Transcript) -> RunResult:
    """Sum a run up; its transcript holds a terminal event, or the run counts as running."""
    passages = transcript.passages.get("deep") or transcript.passages.get("fast")
    last = transcript.terminal
    return RunResult(
        run_id=transcript.run_id,
        status=status_of(last) if last else "running",
        question=transcript.question,
        mode=transcript.mode,
        version=last.version if isinstance(last, RunFinished) else transcript.standing,
        answer=last.answer if last else transcript.answer,
        draft=transcript.answers[1].content,
        citations=last.citations if isinstance(last, RunFinished) else transcript.citations,
        unsupported=tuple(transcript.answers[transcript.standing].unsupported),
        documents=passages.passages if passages else (),
        thinking="".join("".join(deltas) for deltas in transcript.thinking.values()),
        decision=transcript.decision,
        warnings=tuple(warning.message for warning in transcript.warnings),
        usage=tuple(transcript.usage),
        timings=transcript.timings,
        error=RunError(code=last.code, message=last.message, retryable=last.retryable)
        if isinstance(last, RunFailed)
        else None,
        cancelled_by=last.by if isinstance(last, RunCancelled) else None,
    )


def run_state(run: Run) -> RunState:
    return RunState(
        run_id=run.run_id,
        status=run.status,
        question=run.query.question,
        mode=run.query.mode,
        attempt=run.attempt,
        last_seq=run.last_seq,
        created_at=run.created_at,
        ended_at=run.ended_at,
    )


def remaining_events(result: RunResult, known: Transcript) -> Iterator[Event]:
    """The events that bring a reader to the end of a run; each is added to `known` before the next is asked for."""
    refined = result.version != 1
    if known.run_id != result.run_id:
        yield RunStarted(run_id=result.run_id, question=result.question, mode=result.mode)
    if result.documents and "deep" not in known.passages:
        yield PassagesRetrieved(stage="deep", passages=result.documents)
    if refined:
        yield from _rewritten(1, result.draft, None, known)
    elif result.answer:
        yield from _rewritten(1, result.answer, result, known)
    if result.decision and known.decision is None:
        yield result.decision
    if refined:
        yield from _rewritten(2, result.answer, result, known)
    yield from known.closings(at_ms=result.timings.total_ms or 0.0)
    yield _terminal(result)


def _rewritten(version: Version, content: str, claims: RunResult | None, known: Transcript) -> Iterator[Event]:
    """That version's text and, where they are known, its citations and flags, unless the reader has them already."""
    written = known.answers[version]
    citations = claims.citations if claims else tuple(written.citations)
    unsupported = claims.unsupported if claims else tuple(written.unsupported)
    if written.content == content and tuple(written.citations) == citations:
        return
    if written.deltas:
        reason = "The rest of this version did not get through, so it is told as a whole."
        yield AnswerReset(version=version, attempt=known.attempt, reason=reason)
    if not written.open:
        yield AnswerStarted(version=version)
    yield AnswerDelta(version=version, delta=content)
    yield from citations
    yield from unsupported
    yield AnswerFinished(version=version)


def _terminal(result: RunResult) -> Terminal:
    if result.error is not None:
        return RunFailed(**result.error.model_dump(), answer=result.answer)
    if result.cancelled_by is not None:
        return RunCancelled(by=result.cancelled_by, answer=result.answer)
    return RunFinished(version=result.version, answer=result.answer, citations=result.citations, timings=result.timings)
