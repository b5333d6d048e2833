"""A run's plain result told as the events that a reader has missed, where no stream gets through."""

from collections.abc import Iterator

from rag_graph.events import (
    AnswerDelta,
    AnswerFinished,
    AnswerReset,
    AnswerStarted,
    Event,
    PassagesRetrieved,
    RunCancelled,
    RunFailed,
    RunFinished,
    RunStarted,
    Version,
)
from rag_graph.result import RunResult
from rag_graph.transcript import Transcript


def remaining_events(result: RunResult, known: Transcript) -> Iterator[Event]:
    """The events that bring a reader to the end of a run; each is added to `known` before the next is asked for."""
    if known.run_id != result.run_id:
        yield RunStarted(run_id=result.run_id, question=result.question, mode=result.mode)
    if result.documents and "deep" not in known.passages:
        yield PassagesRetrieved(stage="deep", passages=result.documents)
    if result.version != 1:
        yield from _rewritten(1, result.draft, None, known)
    elif result.answer:
        yield from _rewritten(1, result.answer, result, known)
    yield from (told for told in result.conflicts if told not in known.conflicts)
    if result.decision and known.decision is None:
        yield result.decision
    if result.version != 1:
        yield from _rewritten(result.version, result.answer, result, known)
    yield from known.closings(at_ms=result.timings.total_ms or 0.0)
    if result.error is not None:
        yield RunFailed(**result.error.model_dump(), answer=result.answer)
    elif result.cancelled_by is not None:
        yield RunCancelled(by=result.cancelled_by, answer=result.answer)
    else:
        yield RunFinished(
            version=result.version,
            answer=result.answer,
            citations=result.citations,
            timings=result.timings,
            cut_by=result.cut_by,
        )


def _rewritten(version: Version, content: str, claims: RunResult | None, known: Transcript) -> Iterator[Event]:
    """That version's text and, where they are known, its citations and flags, unless the reader has them already."""
    written = known.answers[version]
    citations = claims.citations if claims else tuple(written.citations)
    unsupported = claims.unsupported if claims else tuple(written.unsupported)
    if written.content == content and tuple(written.citations) == citations:
        return
    # Text that a reader has cannot be added to by what it may hold already, so it is void first.
    if written.deltas:
        reason = "The rest of this version did not get through, so it is told as a whole."
        yield AnswerReset(version=version, attempt=known.attempt, reason=reason)
    if not written.open:
        yield AnswerStarted(version=version)
    yield AnswerDelta(version=version, delta=content)
    yield from citations
    yield from unsupported
    yield from claims.claims if claims else written.claims
    yield from claims.fates if claims else written.fates
    yield AnswerFinished(version=version)
