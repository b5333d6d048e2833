"""The steps of a run: condense, retrieve fast, draft, retrieve deeply, decide, refine.

A step that fails costs that step only: it warns, and the run goes on with what there is. The run fails
when neither a draft nor a refinement could be written.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import time

from langchain_core.runnables import RunnableConfig
from langgraph.types import StreamWriter

from rag_graph.errors import ModelError, RetrievalFailed
from rag_graph.events import (
    AnswerDelta,
    AnswerFinished,
    AnswerReset,
    AnswerStarted,
    Decided,
    Event,
    NumberedPassage,
    PassagesRetrieved,
)
from rag_graph.graph.judgement import Bearing, bearing_on, in_words
from rag_graph.graph.state import State
from rag_graph.graph.step import Step, telling
from rag_graph.query import Mode, Query
from rag_graph.research import Researcher, ResearchRequest
from rag_graph.research.contract import counted, numbered, titles
from rag_graph.retrieval import Retriever
from rag_graph.transcript import Transcript
from rag_graph.writing.condensing import Condenser
from rag_graph.writing.contract import Assignment, Verdict, Writer

FAST_TOP_K = 3
HEAD_START_S = 0.005
"""The draft's request goes out first: a search would hold the interpreter while the first token waits for it."""
NOTHING_FOUND = "The documents hold no passage on this question."


@dataclass(frozen=True)
class Nodes:
    """The graph's steps and the parts they work with. `narrates`: the pipeline thinks aloud."""

    fast: Retriever
    researchers: Mapping[Mode, Researcher]
    drafter: Writer
    refiners: Mapping[Mode, Writer]
    condenser: Condenser
    narrates: bool = True
    clock: Callable[[], float] = time

    async def condense(self, state: State, writer: StreamWriter, config: RunnableConfig) -> State:
        """Make the question one that stands without the conversation."""
        query = _checked(state)
        update = self._opened(query)
        step = self._step("condense", update, writer, config)
        async with step.span("Reading the question in the light of the conversation"):
            try:
                update["search"] = await self.condenser.condense(query, step.emit, config)
            except ModelError as exc:
                await step.warn(exc, "the question is searched as it was asked")
            step.outcome = f"Searching for: {update['search']}"
        return {**update, "timings": step.timings}

    async def fast_retrieve(self, state: State, writer: StreamWriter, config: RunnableConfig) -> State:
        """Find a few passages in milliseconds."""
        update = State() if state.get("history") else self._opened(_checked(state))
        state = {**state, **update}
        step = self._step("fast_retrieve", state, writer, config)
        passages: list[NumberedPassage] = []
        failure = ""
        async with step.span("Searching the documents"):
            try:
                hits = await self.fast.retrieve(state["search"], top_k=FAST_TOP_K, filters=state["filters"])
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
        passages = state["fast_passages"]
        step = self._step("draft", state, writer, config)
        written = Transcript()

        async def emit(event: Event) -> None:
            written.add(event)
            await step.emit(event)

        update = State()
        async with step.span(f"Drafting an answer from {counted(passages)}"):
            await emit(AnswerStarted(version=1))
            try:
                if passages:
                    await self.drafter.write(self._assignment(state, step), emit, config)
                else:
                    await emit(AnswerDelta(version=1, delta=NOTHING_FOUND))
            except ModelError as exc:
                update["draft_failure"] = str(exc)
                await step.warn(exc, "the draft breaks off here and the deeper search goes on")
            await emit(AnswerFinished(version=1))
            step.outcome = "The draft broke off" if "draft_failure" in update else "Drafted an answer"
        draft = written.answers[1]
        return {**update, "draft": draft.content, "draft_citations": draft.citations, "timings": step.timings}

    async def deep_retrieve(self, state: State, writer: StreamWriter, config: RunnableConfig) -> State:
        """Gather the better evidence, while the draft is written."""
        step = self._step("deep_retrieve", state, writer, config)
        first = state["fast_passages"]
        passages = first
        inquiry = ResearchRequest(
            question=state["search"], filters=state["filters"], known=tuple(first), history=tuple(state["history"])
        )
        async with step.span("Searching more widely" if state["mode"] == "fast" else "Searching in several steps"):
            await asyncio.sleep(HEAD_START_S)
            try:
                passages = await self.researchers[state["mode"]].research(inquiry, step, config)
            except (RetrievalFailed, ModelError) as exc:
                if state["draft_failure"]:
                    raise
                await step.warn(exc, "the draft stands on the first passages")
            step.outcome = f"Gathered {counted(passages)}, {len(passages) - len(first)} of them new"
        return State(documents=list(passages), timings=step.timings)

    async def decide(self, state: State, writer: StreamWriter, config: RunnableConfig) -> State:
        """Say whether the better evidence changes the draft, and why."""
        step = self._step("decide", state, writer, config)
        known = {passage.number for passage in state["fast_passages"]}
        new = tuple(sorted(p.number for p in state["documents"] if p.number not in known))
        async with step.span("Comparing the draft with what was found since"):
            bearings = self._bearings(state, new)
            verdict, checked = await self._verdict(state, step, bearings, config)
            decision = Decided(
                decision="refine" if verdict.refine else "keep",
                checked=checked,
                reason=verdict.reason,
                new_passages=new,
            )
            await step.emit(decision)
            step.outcome = "The answer is written anew" if verdict.refine else "The draft stands"
        bearing = tuple(sorted(item.passage.number for item in bearings))
        update = State(decision=decision, bearing=bearing, timings=step.timings)
        if not verdict.refine:
            update["answer"] = state["draft"]
            update["citations"] = state["draft_citations"]
        return update

    async def refine(self, state: State, writer: StreamWriter, config: RunnableConfig) -> State:
        """Write version 2 from all the evidence; if that fails, the draft stands."""
        step = self._step("refine", state, writer, config)
        written = Transcript()

        async def emit(event: Event) -> None:
            written.add(event)
            await step.emit(event)

        assignment = self._assignment(state, step, new_passages=state["bearing"])
        async with step.span(f"Writing the answer from {counted(state['documents'])}"):
            await emit(AnswerStarted(version=2))
            try:
                await self.refiners[state["mode"]].write(assignment, emit, config)
            except ModelError as exc:
                if state["draft_failure"]:
                    raise
                reason = "the refinement broke off, so the draft stands"
                await step.warn(exc, reason)
                await emit(AnswerReset(version=2, attempt=1, reason=reason))
            await emit(AnswerFinished(version=2))
            step.outcome = "Wrote the answer" if written.answers[2].content else "The draft stands"
        answer = written.answers[2]
        if not answer.content:
            return State(answer=state["draft"], citations=state["draft_citations"], timings=step.timings)
        return State(answer=answer.content, citations=answer.citations, timings=step.timings)

    def _opened(self, query: Query) -> State:
        """What the first node of a run adds for those after it."""
        return State(
            mode=query.mode, history=query.history, filters=query.filters, began=self.clock(), search=query.question
        )

    def _bearings(self, state: State, new: tuple[int, ...]) -> list[Bearing]:
        cited = {citation.marker for citation in state["draft_citations"]} if "draft_citations" in state else set()
        return bearing_on(state["search"], state["documents"], new=set(new), cited=cited)

    async def _verdict(
        self, state: State, step: Step, bearings: Sequence[Bearing], config: RunnableConfig
    ) -> tuple[Verdict, bool]:
        """Say whether to refine, and whether a model was asked.

        Who thinks harder with another model asked for that model's answer, so nothing is checked then. A model
        that would only write again is asked whether it would write something else, if anything new bears on the
        question at all.
        """
        if state["draft_failure"]:
            return Verdict(refine=True, reason="the draft could not be written"), False
        documents = state["documents"]
        if documents and self.refiners[state["mode"]] is not self.drafter:
            found = f": {in_words(bearings)}" if bearings else ""
            return Verdict(refine=True, reason=f"the reasoning model answers from {counted(documents)}{found}"), False
        if not bearings:
            return Verdict(refine=False, reason="the search found nothing new that bears on the question"), False
        await step.narrate(f"Comparing the draft with {in_words(bearings)}.")
        try:
            bearing = tuple(sorted(item.passage.number for item in bearings))
            assignment = self._assignment(state, step, new_passages=bearing)
            verdict = await self.refiners[state["mode"]].review(assignment, step.emit, config)
        except ModelError as exc:
            await step.warn(exc, "the draft could not be checked and stands as it is")
            return Verdict(refine=False, reason="the draft could not be checked"), False
        return Verdict(verdict.refine, f"{verdict.reason} ({in_words(bearings)})"), True

    def _assignment(self, state: State, step: Step, *, new_passages: tuple[int, ...] = ()) -> Assignment:
        drafting = step.name == "draft"
        passages = state["fast_passages"] if drafting else state["documents"]
        return Assignment(
            question=state["search"],
            passages=tuple(sorted(passages, key=lambda passage: passage.number)),
            version=1 if drafting else 2,
            step=step.name,
            history=tuple(state["history"]),
            draft="" if drafting or state["draft_failure"] else state["draft"],
            new_passages=new_passages,
        )

    def _step(self, name: str, state: State, writer: StreamWriter, config: RunnableConfig) -> Step:
        return Step(
            name,
            telling(writer, config),
            began=state["began"],
            clock=self.clock,
            narrates=self.narrates,
        )


def _checked(state: State) -> Query:
    """The input, which nobody has checked when the graph is called by itself."""
    return Query.model_validate({name: value for name, value in state.items() if name in Query.model_fields})
