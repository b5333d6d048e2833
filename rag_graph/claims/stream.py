"""An answer told as it is written: its text at once, and what a check makes of its sentences when that is known."""

import asyncio
import logging
from collections.abc import Iterator, Sequence

from rag_graph.claims.checker import Claim, ClaimChecker, Sources, Support, Verdict
from rag_graph.claims.parser import ClaimParser, DeadMarker
from rag_graph.claims.rules import RuleChecker
from rag_graph.events import AnswerDelta, Citation, Emit, NumberedPassage, Unsupported, Version, Warned
from rag_graph.text.controls import in_reading_order

CHECK_PATIENCE_S = 10.0
"""So long after its last word an answer waits for the verdicts that are still out; then it ends without them."""
_CANCEL_PATIENCE_S = 1.0

AnswerEvent = AnswerDelta | Citation | Unsupported

_NO_SUCH_PASSAGE = "The answer cites a passage that does not exist."
_NOT_THERE = "The cited passage does not say this."
_ELSEWHERE = "The cited passage does not say this; another one does."
_NOWHERE = "No passage says this."
_OTHERWISE = "A passage says otherwise."
_UNCHECKED = "Some sentences of the answer were not checked against the sources: the check {problem}."

logger = logging.getLogger(__name__)


class CitationStream:
    """Tells an answer's text, citations and flags while the model writes; a slow check holds no word back.

    Everything is told from within `write` and `finish`, so events never overtake one another: verdicts come in
    the order of the sentences, each after its sentence, and a late one waits for the next word. Only one call of
    the checker is under way at a time; sentences that end meanwhile are its next batch.
    """

    def __init__(
        self,
        sources: Sources,
        checker: ClaimChecker,
        emit: Emit,
        *,
        version: Version,
        step: str,
        patience_s: float = CHECK_PATIENCE_S,
    ) -> None:
        self._sources = sources
        self._checker = checker
        self._emit = emit
        self._version = version
        self._step = step
        self._patience_s = patience_s
        self._parser = ClaimParser(sources.by_number.keys(), sources.addresses)
        self._batch: list[Claim | DeadMarker] = []
        self._check: asyncio.Task[list[Citation | Unsupported] | None] | None = None
        self._preparing: asyncio.Task[None] | None = None
        self._has_warned = False

    def prepare(self) -> None:
        """Let the checker read the passages while the answer is being written."""
        self._preparing = asyncio.create_task(self._prepare())

    async def write(self, delta: str) -> None:
        """Take the next piece of the model's text, and tell all that can be told now."""
        # ASCII, as nearly all tokens are, has nothing that reorders; else that goes before any span counts it.
        text = self._parser.feed(delta if delta.isascii() else in_reading_order(delta))
        if text:
            await self._emit(AnswerDelta(version=self._version, delta=text))
        if self._parser.found or self._check:
            await self._settle()

    async def finish(self) -> None:
        """Tell what is left, the verdicts still out included: the model is done, or will write no more."""
        text = self._parser.finish()
        if text:
            await self._emit(AnswerDelta(version=self._version, delta=text))
        deadline = asyncio.get_running_loop().time() + self._patience_s
        while True:
            await self._settle()
            if not self._check:
                return
            left = deadline - asyncio.get_running_loop().time()
            await asyncio.wait({self._check}, timeout=max(0.0, left))
            if not self._check.done():
                await self.aclose()
                await self._give_up("took too long", [*self._batch, *self._parser.found])
                return

    async def aclose(self) -> None:
        """End what the checker is still at; its verdicts are not told. To be called however the answer ends."""
        tasks = {task for task in (self._preparing, self._check) if task}
        self._preparing = self._check = None
        for task in tasks:
            task.cancel()
        if tasks:
            # Bounded, because a checker that swallows its cancellation must not hold the run.
            await asyncio.wait(tasks, timeout=_CANCEL_PATIENCE_S)

    async def _prepare(self) -> None:
        try:
            await self._checker.prepare(self._sources)
        except Exception:
            # Nothing is lost yet: the check fails next and tells so, or it needs no preparing.
            logger.exception("The claim checker could not prepare")

    async def _settle(self) -> None:
        """Tell the verdicts that are in, and have the sentences that ended since checked, all in one batch."""
        while self._check or self._parser.found:
            if not self._check:
                self._batch, self._parser.found = self._parser.found, []
                self._check = asyncio.create_task(self._judge(self._batch))
                # One turn of the loop: a check that waits for nothing is done then, and told before the next word.
                await asyncio.sleep(0)
            if not self._check.done():
                return
            check, self._check = self._check, None
            facts = None if check.cancelled() else check.result()
            if facts is None:
                await self._give_up("failed", self._batch)
            for fact in facts or ():
                await self._emit(fact)

    async def _judge(self, batch: Sequence[Claim | DeadMarker]) -> list[Citation | Unsupported] | None:
        """Have the claims of a batch checked; None if the checker failed."""
        claims = [item for item in batch if isinstance(item, Claim)]
        try:
            verdicts = list(await self._checker.check(claims, self._sources)) if claims else []
            return facts_of(batch, verdicts, self._sources, self._version)
        except Exception:
            # The checker may be anybody's and call anything, so whatever it raises ends here.
            logger.exception("The claim checker failed")
            return None

    async def _give_up(self, problem: str, found: Sequence[Claim | DeadMarker]) -> None:
        """Leave sentences unchecked, and say so once; that a marker points nowhere needs no check."""
        if not self._has_warned:
            self._has_warned = True
            message = _UNCHECKED.format(problem=problem)
            await self._emit(Warned(step=self._step, code="claims_unchecked", message=message))
        dead = [item for item in found if isinstance(item, DeadMarker)]
        for fact in facts_of(dead, [], self._sources, self._version):
            await self._emit(fact)


def facts_of(
    found: Sequence[Claim | DeadMarker], verdicts: Sequence[Verdict], sources: Sources, version: Version
) -> list[Citation | Unsupported]:
    """Put the verdicts on these claims into events; raises ValueError where they do not fit the claims or sources."""
    given = iter(verdicts)
    if len(verdicts) != sum(isinstance(item, Claim) for item in found):
        raise ValueError(f"{len(verdicts)} verdicts were given for other claims than were asked about")
    facts: list[Citation | Unsupported] = []
    dead: set[tuple[int, int]] = set()
    wholly_cited: set[tuple[int, int]] = set()
    for item in found:
        if isinstance(item, DeadMarker):
            dead.add((item.start, item.end))
            facts.append(_flag(item, item.number, _NO_SUCH_PASSAGE, version))
            continue
        verdict = next(given)
        if not item.markers and item.sentence_span in wholly_cited:
            continue  # "A [1], and B.": where [1] says all of it, B needs no source of its own
        if verdict.state == "supported":
            facts += (_citation(item, support, sources, version) for support in verdict.supports)
            if any(support.whole_sentence for support in verdict.supports):
                wholly_cited.add(item.sentence_span)
        # A sentence whose only markers were dead ones has been flagged for those already.
        if item.markers or (item.start, item.end) not in dead:
            facts += _flags(item, verdict, version)
    return facts


def _flags(claim: Claim, verdict: Verdict, version: Version) -> Iterator[Unsupported]:
    if verdict.state == "supported":
        has_cited = any(support.passage in claim.markers for support in verdict.supports)
        for marker in verdict.refused:
            yield _flag(claim, marker, verdict.reason or (_NOT_THERE if has_cited else _ELSEWHERE), version)
    elif verdict.state != "unchecked":
        plain = _OTHERWISE if verdict.state == "contradicted" else _NOT_THERE if claim.markers else _NOWHERE
        for at in claim.markers or (None,):
            yield _flag(claim, at, verdict.reason or plain, version, contradicted=verdict.state == "contradicted")


def _flag(
    where: Claim | DeadMarker, marker: int | None, reason: str, version: Version, *, contradicted: bool = False
) -> Unsupported:
    return Unsupported(
        version=version, start=where.start, end=where.end, marker=marker, reason=reason, contradicted=contradicted
    )


def _citation(claim: Claim, support: Support, sources: Sources, version: Version) -> Citation:
    passage = sources.by_number.get(support.passage)
    if passage is None or not 0 <= support.start < support.end <= len(passage.content):
        raise ValueError(f"{support} quotes what no passage holds")
    start, end = claim.sentence_span if support.whole_sentence else (claim.start, claim.end)
    return Citation(
        version=version,
        marker=passage.number,
        start=start,
        end=end,
        document=passage.document,
        title=passage.title,
        uri=passage.uri,
        source_start=passage.start + support.start,
        source_end=passage.start + support.end,
        quote=passage.content[support.start : support.end],
        attributed_by="model" if passage.number in claim.markers else "check",
        score=support.score,
        grade=support.grade,
        page=passage.page_at(support.start),
        place=passage.place_at(support.start, support.end),
    )


def cite(answer: str, passages: Sequence[NumberedPassage], *, question: str, version: Version = 1) -> list[AnswerEvent]:
    """Check a finished answer by the rules: its clean text, then every fact about it."""
    sources = Sources(tuple(passages), question)
    parser = ClaimParser(sources.by_number.keys(), sources.addresses)
    text = parser.feed(in_reading_order(answer)) + parser.finish()
    claims = [item for item in parser.found if isinstance(item, Claim)]
    verdicts = RuleChecker().judge(claims, sources)
    written = [AnswerDelta(version=version, delta=text)] if text else []
    return [*written, *facts_of(parser.found, verdicts, sources, version)]
