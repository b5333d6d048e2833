"""The steps of a run: condense, retrieve fast, draft, retrieve deeply, decide, refine.

A step that fails costs that step only: it warns, and the run goes on with what there is. The run fails
when neither a draft nor a refinement could be written.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from langchain_core.runnables import RunnableConfig
from langgraph.types import StreamWriter

from rag_graph.claims import tell_claims
from rag_graph.clock import steady_time
from rag_graph.errors import ModelError, RetrievalFailed
from rag_graph.events import (
    AnswerDelta,
    AnswerFinished,
    AnswerReset,
    AnswerStarted,
    Decided,
    NumberedPassage,
    PassagesRetrieved,
)
from rag_graph.graph.decision import NO_DRAFT, Draft, Evidence, decide, tell_conflicts, weigh
from rag_graph.graph.parts import OpenParts, Parts
from rag_graph.graph.state import State
from rag_graph.graph.step import Step, emitting, recording
from rag_graph.query import Query
from rag_graph.research import ResearchRequest, counted, numbered, titles
from rag_graph.transcript import Written
from rag_graph.writing.contract import Assignment, Verdict

DRAFT, REFINEMENT = 1, 2
HEAD_START_S = 0.005
"""The draft's request goes out first: a search would hold the interpreter while the first token waits for it."""
NOTHING_FOUND = "The documents hold no passage on this question."


@dataclass(frozen=True)
class Nodes:
    """The graph's steps, one method each, over the parts or what gives them."""

    parts: Parts | OpenParts
    clock: Callable[[], float] = steady_time

    async def condense(self, state: State, writer: StreamWriter, config: RunnableConfig) -> State:
        """Make the question one that stands without the conversation."""
        parts = await self._parts()
        query = _checked(state)
        update = self._opened(query)
        step = self._step("condense", parts, update, writer, config)
        async with step.span("Reading the question in the light of the conversation"):
            try:
                update["search"] = await parts.condenser.condense(query, step.emit, config)
            except ModelError as exc:
                await step.warn(exc, "the question is searched as it was asked")
            step.outcome = f"Searching for: {update['search']}"
        return {**update, "timings": step.timings}

    async def fast_retrieve(self, state: State, writer: StreamWriter, config: RunnableConfig) -> State:
        """Find a few passages in milliseconds."""
        parts = await self._parts()
        update = State() if state.get("history") else self._opened(_checked(state))
        state = {**state, **update}
        step = self._step("fast_retrieve", parts, state, writer, config)
        passages: list[NumberedPassage] = []
        failure = ""
        async with step.span("Searching the documents"):
            try:
                hits = await parts.fast.retrieve(state["search"], top_k=parts.fast_k, filters=state["filters"])
                passages = numbered(hits)
            except RetrievalFailed as exc:
                failure = str(exc)
                await step.warn(exc, "the draft is skipped and the deeper search goes on")
            await step.emit(PassagesRetrieved(stage="fast", passages=tuple(passages)))
            step.outcome = f"Found {counted(passages)}"
        if passages:
            await step.narrate(f"Reading {counted(passages)}: {titles(passages)}.")
        return {**update, "fast_passages": passages, "draft_failure": failure, "timings": step.timings}

    async def draft(self, state: State, writer: StreamWriter, config: RunnableConfig) -> State:
        """Write version 1 from the first passages."""
        if state["draft_failure"]:
            return State(draft="", draft_citations=[])
        parts = await self._parts()
        passages = state["fast_passages"]
        step = self._step("draft", parts, state, writer, config)
        emit, written = recording(step.emit)
        update = State()
        async with step.span(f"Drafting an answer from {counted(passages)}"):
            await emit(AnswerStarted(version=DRAFT))
            try:
                if passages:
                    # In a task of its own a token wakes the writer, and not all of LangGraph's calls above it.
                    await asyncio.create_task(parts.drafter.write(_assignment(state, step, DRAFT), emit, config))
                else:
                    await emit(AnswerDelta(version=DRAFT, delta=NOTHING_FOUND))
            except ModelError as exc:
                update["draft_failure"] = str(exc)
                await step.warn(exc, "the draft breaks off here and the deeper search goes on")
            await tell_claims(written.answers[DRAFT], DRAFT, emit)
            await emit(AnswerFinished(version=DRAFT))
            step.outcome = "The draft broke off" if "draft_failure" in update else "Drafted an answer"
        draft = written.answers[DRAFT]
        return {
            **update,
            "draft": draft.content,
            "draft_citations": draft.citations,
            "draft_claims": draft.claims,
            "timings": step.timings,
        }

    async def deep_retrieve(self, state: State, writer: StreamWriter, config: RunnableConfig) -> State:
        """Gather the better evidence, while the draft is written."""
        parts = await self._parts()
        step = self._step("deep_retrieve", parts, state, writer, config)
        first = state["fast_passages"]
        passages = first
        request = ResearchRequest(
            question=state["search"], filters=state["filters"], known=tuple(first), history=tuple(state["history"])
        )
        async with step.span("Searching more widely" if state["mode"] == "fast" else "Searching in several steps"):
            await asyncio.sleep(HEAD_START_S)
            try:
                passages = await parts.researcher(state["mode"]).research(request, step, config)
            except (RetrievalFailed, ModelError) as exc:
                if state["draft_failure"]:
                    raise
                await step.warn(exc, "the draft stands on the first passages")
            step.outcome = f"Gathered {counted(passages)}, {len(passages) - len(first)} of them new"
        return State(documents=list(passages), timings=step.timings)

    async def decide(self, state: State, writer: StreamWriter, config: RunnableConfig) -> State:
        """Say whether the better evidence changes the draft, and why."""
        parts = await self._parts()
        step = self._step("decide", parts, state, writer, config)
        known = {passage.number for passage in state["fast_passages"]}
        new = tuple(sorted(p.number for p in state["documents"] if p.number not in known))
        async with step.span("Comparing the draft with what was found since"):
            draft, evidence = Draft(_drafted(state), state["fast_passages"]), Evidence(state["documents"], parts.fast_k)
            weighed = await asyncio.to_thread(weigh, state["search"], draft, evidence)
            for told in await asyncio.to_thread(tell_conflicts, state["search"], evidence):
                await step.emit(told)
            bearing = tuple(sorted(passage.number for passage in weighed.bearing))
            if state["draft_failure"]:
                verdict, checked = Verdict(refine=True, reason=NO_DRAFT), False
            else:
                verdict, checked = await decide(
                    _assignment(state, step, REFINEMENT, new_passages=bearing),
                    weighed,
                    step,
                    config,
                    drafter=parts.drafter,
                    refiner=parts.refiner(state["mode"]),
                )
            decision = Decided(
                decision="refine" if verdict.refine else "keep",
                checked=checked,
                reason=verdict.reason,
                new_passages=new,
            )
            await step.emit(decision)
            step.outcome = "The answer is written anew" if verdict.refine else "The draft stands"
        update = State(decision=decision, bearing=bearing, timings=step.timings)
        if not verdict.refine:
            update["answer"] = state["draft"]
            update["citations"] = state["draft_citations"]
        return update

    async def refine(self, state: State, writer: StreamWriter, config: RunnableConfig) -> State:
        """Write version 2 from all the evidence; if that fails, the draft stands."""
        parts = await self._parts()
        step = self._step("refine", parts, state, writer, config)
        emit, written = recording(step.emit)
        assignment = _assignment(state, step, REFINEMENT, new_passages=state["bearing"])
        async with step.span(f"Writing the answer from {counted(state['documents'])}"):
            await emit(AnswerStarted(version=REFINEMENT))
            try:
                await asyncio.create_task(parts.refiner(state["mode"]).write(assignment, emit, config))  # as above
            except ModelError as exc:
                if state["draft_failure"]:
                    raise
                reason = "the refinement broke off, so the draft stands"
                await step.warn(exc, reason)
                await emit(AnswerReset(version=REFINEMENT, attempt=1, reason=reason))
            await tell_claims(written.answers[REFINEMENT], REFINEMENT, emit, earlier=[_drafted(state)])
            await emit(AnswerFinished(version=REFINEMENT))
            answer = written.answers[REFINEMENT]
            step.outcome = "Wrote the answer" if answer.content else "The draft stands"
        if not answer.content:
            return State(answer=state["draft"], citations=state["draft_citations"], timings=step.timings)
        return State(answer=answer.content, citations=answer.citations, timings=step.timings)

    async def _parts(self) -> Parts:
        return self.parts if isinstance(self.parts, Parts) else await self.parts()

    def _opened(self, query: Query) -> State:
        """What the first node of a run adds for those after it."""
        return State(
            mode=query.mode, history=query.history, filters=query.filters, began=self.clock(), search=query.question
        )

    def _step(self, name: str, parts: Parts, state: State, writer: StreamWriter, config: RunnableConfig) -> Step:
        return Step(name, emitting(writer, config), began=state["began"], clock=self.clock, narrates=parts.narrates)


def _drafted(state: State) -> Written:
    """The draft as it was written, whichever process wrote it."""
    return Written(deltas=[state["draft"]], citations=state["draft_citations"], claims=state.get("draft_claims", []))


def _assignment(state: State, step: Step, version: int, *, new_passages: tuple[int, ...] = ()) -> Assignment:
    is_draft = version == DRAFT
    passages = state["fast_passages"] if is_draft else state["documents"]
    return Assignment(
        question=state["search"],
        passages=tuple(sorted(passages, key=lambda passage: passage.number)),
        version=version,
        step=step.name,
        history=tuple(state["history"]),
        draft="" if is_draft or state["draft_failure"] else state["draft"],
        new_passages=new_passages,
    )


def _checked(state: State) -> Query:
    """The input, which nobody has checked when the graph is called by itself."""
    return Query.model_validate({name: value for name, value in state.items() if name in Query.model_fields})
