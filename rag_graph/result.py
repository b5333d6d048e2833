"""A run as one JSON document, for those who wait for its end."""

from rag_graph.events import (
    CancelledBy,
    Citation,
    ClaimFate,
    ClaimStated,
    CutBy,
    Decided,
    Fact,
    NumberedPassage,
    RunCancelled,
    RunFailed,
    RunFinished,
    SourceConflict,
    Timings,
    Unsupported,
    Usage,
    Version,
)
from rag_graph.query import Mode
from rag_graph.runs.log import Run, Status, status_of
from rag_graph.transcript import StepRan, Transcript


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
    claims: tuple[ClaimStated, ...] = ()
    fates: tuple[ClaimFate, ...] = ()
    conflicts: tuple[SourceConflict, ...] = ()
    documents: tuple[NumberedPassage, ...]
    thinking: str
    decision: Decided | None
    warnings: tuple[str, ...]
    usage: tuple[Usage, ...]
    timings: Timings
    steps: tuple[StepRan, ...] = ()
    error: RunError | None
    cancelled_by: CancelledBy | None = None
    cut_by: CutBy = ""


def run_result(transcript: Transcript) -> RunResult:
    """Sum a run up; its transcript holds a terminal event, or the run counts as running."""
    passages = transcript.passages.get("deep") or transcript.passages.get("fast")
    last = transcript.terminal
    standing = transcript.answers[transcript.standing]
    return RunResult(
        run_id=transcript.run_id,
        status=status_of(last) if last else "running",
        question=transcript.question,
        mode=transcript.mode,
        version=last.version if isinstance(last, RunFinished) else transcript.standing,
        answer=last.answer if last else transcript.answer,
        draft=transcript.answers[1].content,
        citations=last.citations if isinstance(last, RunFinished) else transcript.citations,
        unsupported=tuple(standing.unsupported),
        claims=tuple(standing.claims),
        fates=tuple(standing.fates),
        conflicts=tuple(transcript.conflicts),
        documents=passages.passages if passages else (),
        thinking="".join("".join(deltas) for deltas in transcript.thinking.values()),
        decision=transcript.decision,
        warnings=tuple(warning.message for warning in transcript.warnings),
        usage=tuple(transcript.usage),
        timings=transcript.timings,
        steps=tuple(sorted(transcript.steps, key=lambda step: step.started_ms)),
        error=RunError(code=last.code, message=last.message, retryable=last.retryable)
        if isinstance(last, RunFailed)
        else None,
        cancelled_by=last.by if isinstance(last, RunCancelled) else None,
        cut_by=last.cut_by if isinstance(last, RunFinished) else transcript.cut_by,
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
