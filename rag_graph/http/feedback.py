"""Feedback over HTTP: a caller's verdict on an answer of theirs, or on a sentence of it."""

import asyncio
import time
from typing import Annotated, Final

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from rag_graph.errors import InvalidRequest
from rag_graph.http.answering import read_run
from rag_graph.http.library import NO_NUL
from rag_graph.http.problems import documented
from rag_graph.http.state import caller_of, feedback_of, runner_of
from rag_graph.result import run_result
from rag_graph.runs.feedback import Feedback, SentenceFeedback, Verdict

MAX_REASON_CHARS: Final = 2_000


class Judgement(BaseModel):
    """Whether the answer was good; without a verdict, what was said before is taken back.

    With a `claim`, one that the run's events or its result name, the judgement is of that sentence alone.
    """

    model_config = ConfigDict(extra="forbid")

    verdict: Verdict | None
    reason: Annotated[str, Field(max_length=MAX_REASON_CHARS)] = ""
    claim: Annotated[str, Field(max_length=100, pattern=NO_NUL)] = ""


router = APIRouter(tags=["runs"])


@router.post("/runs/{run_id}/feedback", status_code=204, responses=documented(404, 410, 422, 503))
async def judge(request: Request, run_id: str, judgement: Judgement) -> Response:
    """Say whether an answer was good, or a sentence of it. It is kept with its question, as material to measure by."""
    caller = caller_of(request)
    run = await runner_of(request).state(run_id, caller=caller)
    store = feedback_of(request)
    if judgement.verdict is None:
        if judgement.claim:
            await asyncio.to_thread(store.remove_sentence, run_id, caller, judgement.claim)
        else:
            await asyncio.to_thread(store.remove, run_id, caller)
        return Response(status_code=204)
    if run.status == "running":
        raise InvalidRequest("run_id: this run is still answering; judge it once it has ended.")
    # Question and answer are the run's own: what a client says of them would make a worthless dataset.
    result = run_result(await read_run(request, run_id))
    # PostgreSQL takes a NUL in no text.
    reason = judgement.reason.replace("\x00", "")
    if judgement.claim:
        told = next((claim for claim in result.claims if claim.claim == judgement.claim), None)
        if told is None:
            raise InvalidRequest("claim: the answer that stands has no sentence of this name.")
        sentence = result.answer[told.start : told.end].strip()
        one = SentenceFeedback(
            run_id, caller, judgement.claim, time.time(), judgement.verdict, reason, result.question, sentence
        )
        await asyncio.to_thread(store.put_sentence, one)
        return Response(status_code=204)
    kept = Feedback(
        run_id=run_id,
        caller=caller,
        at=time.time(),
        verdict=judgement.verdict,
        reason=reason,
        question=result.question,
        answer=result.answer,
        documents=tuple(dict.fromkeys(citation.document for citation in result.citations)),
    )
    await asyncio.to_thread(store.put, kept)
    return Response(status_code=204)
