"""The steps of a run: condense, retrieve fast, draft, retrieve deeply, decide, refine.

A step that fails costs that step only: it warns, and the run goes on with what there is. The run fails
when neither a draft nor a refinement could be written.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from langchain_core.runnables import RunnableConfig
from langgraph.types import Overwrite, StreamWriter

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
    Warned,
)
from rag_graph.graph.decision import NO_DRAFT, Draft, Evidence, decide, mostly_stands, tell_conflicts, weigh
from rag_graph.graph.messages import answer_message, asked_message, read_query, speaking, unheard
from rag_graph.graph.parts import OpenParts, Parts
from rag_graph.graph.state import State
from rag_graph.graph.step import SINK, Step, emitting, recording
from rag_graph.query import Query
from rag_graph.research import NumberedPassages, ResearchRequest, counted, titles
from rag_graph.retrieval.languages import QUESTION_UNREAD, unread_language, unread_sentence
from rag_graph.retrieval.runs import search
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
        update = self._opened(state, config)
        query = update["query"]
        parts = await self._parts(query)
        step = self._step("condense", parts, update, writer, config)
        async with step.span("Reading the question in the light of the conversation"):
            try:
                update["search"] = await parts.condenser.condense(query, step.emit, unheard(config))
            except ModelError as exc:
                await step.warn(exc, "the question is searched as it was asked")
            step.outcome = f"Searching for: {update['search']}"
        return {**update, "is_condensed": True, "timings": _only(step.timings)}

    async def fast_retrieve(self, state: State, writer: StreamWriter, config: RunnableConfig) -> State:
        """Find a few passages in milliseconds."""
        is_first = not state.get("is_condensed")
        update = self._opened(state, config) if is_first else State()
        state = {**state, **update}
        parts = await self._parts(state["query"])
        step = self._step("fast_retrieve", parts, state, writer, config)
        passages: list[NumberedPassage] = []
        failure = ""
        async with step.span("Searching the documents"):
            try:
                hits = await search(parts.fast, state["search"], top_k=parts.fast_k, filters=state["query"].filters)
                # More than asked for, where all of something are.
                passages = NumberedPassages(most=len(hits)).add(hits)
                if parts.index and (
                    language := unread_language(
                        state["search"], (hit.passage.content for hit in hits), parts.index.embedder
                    )
                ):
                    message = unread_sentence(language)
                    await step.emit(Warned(step=step.name, code=QUESTION_UNREAD, message=message))
            # Only what the search itself reports: a fault of ours
            # ends the run, and is not told as a search that failed.
            except RetrievalFailed as exc:
                failure = str(exc)
                await step.warn(exc, "the draft is skipped and the deeper search goes on")
            await step.emit(PassagesRetrieved(stage="fast", passages=tuple(passages)))
            step.outcome = f"Found {counted(passages)}"
        if passages:
            await step.narrate(f"Reading {counted(passages)}: {titles(passages)}.")
        timings = _only(step.timings) if is_first else step.timings
        # The failure is always set, also to none: on a thread the state outlives the run, and a draft that failed in
        # one turn would count as failed in all that follow.
        return {**update, "fast_passages": passages, "draft_failure": failure, "timings": timings}

    async def draft(self, state: State, writer: StreamWriter, config: RunnableConfig) -> State:
        """Write version 1 from the first passages."""
        if state["draft_failure"]:
            return State(draft="", draft_citations=[])
        parts = await self._parts(state["query"])
        passages = state["fast_passages"]
        step = self._step("draft", parts, state, writer, config)
        emit, written = recording(speaking(step.emit, state["message_id"], config))
        update = State()
        async with step.span(f"Drafting an answer from {counted(passages)}"):
            await emit(AnswerStarted(version=DRAFT))
            try:
                if passages:
                    # In a task of its own a token wakes the writer, and not all of LangGraph's calls above it.
                    await asyncio.create_task(
                        parts.drafter.write(_assignment(state, step, DRAFT), emit, unheard(config))
                    )
                else:
                    await emit(AnswerDelta(version=DRAFT, delta=NOTHING_FOUND))
            except ModelError as exc:
                update["draft_failure"] = str(exc)
                await step.warn(exc, "the draft breaks off here and the deeper search goes on")
            await tell_claims(written.answers[DRAFT], DRAFT, emit)
            await emit(AnswerFinished(version=DRAFT))
            step.outcome = "The draft broke off" if "draft_failure" in update else "Drafted an answer"
        draft = written.answers[DRAFT]
        if "draft_failure" not in update and _keeps_messages(config):
            update["messages"] = [answer_message(state["message_id"], draft, written.thinking.get(step.name, []))]
        return {
            **update,
            "draft": draft.content,
            "draft_citations": draft.citations,
            "draft_claims": draft.claims,
            "timings": step.timings,
        }

    async def deep_retrieve(self, state: State, writer: StreamWriter, config: RunnableConfig) -> State:
        """Gather the better evidence, while the draft is written."""
        parts = await self._parts(state["query"])
        step = self._step("deep_retrieve", parts, state, writer, config)
        first, query = state["fast_passages"], state["query"]
        passages = first
        request = ResearchRequest(
            question=state["search"], filters=query.filters, known=tuple(first), history=tuple(query.history)
        )
        async with step.span("Searching more widely" if query.mode == "fast" else "Searching in several steps"):
            await asyncio.sleep(HEAD_START_S)
            try:
                passages = await parts.researcher(query.mode).research(request, step, unheard(config))
            except (RetrievalFailed, ModelError) as exc:
                if state["draft_failure"]:
                    raise
                await step.warn(exc, "the draft stands on the first passages")
            step.outcome = f"Gathered {counted(passages)}, {len(passages) - len(first)} of them new"
        return State(documents=list(passages), timings=step.timings)

    async def decide(self, state: State, writer: StreamWriter, config: RunnableConfig) -> State:
        """Say whether the better evidence changes the draft, and why."""
        parts = await self._parts(state["query"])
        step = self._step("decide", parts, state, writer, config)
        known = {passage.number for passage in state["fast_passages"]}
        new = tuple(sorted(p.number for p in state["documents"] if p.number not in known))
        async with step.span("Comparing the draft with what was found since"):
            draft, evidence = Draft(_drafted(state), state["fast_passages"]), Evidence(state["documents"], parts.fast_k)
            weighed = await asyncio.to_thread(weigh, state["search"], draft, evidence)
            # Told whether or not the draft stands: that sources disagree is for whoever reads them.
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
                    unheard(config),
                    drafter=parts.drafter,
                    refiner=parts.refiner(state["query"].mode),
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
        parts = await self._parts(state["query"])
        step = self._step("refine", parts, state, writer, config)
        emit, written = recording(speaking(step.emit, state["message_id"], config, after=_drafted(state)))
        refiner = parts.refiner(state["query"].mode)
        # Who asked for another model's answer gets all of it from that one.
        edits = refiner is parts.drafter and not state["draft_failure"] and mostly_stands(_drafted(state))
        assignment = _assignment(state, step, REFINEMENT, new_passages=state["bearing"], edits=edits)
        async with step.span(f"Writing the answer from {counted(state['documents'])}"):
            await emit(AnswerStarted(version=REFINEMENT))
            try:
                await asyncio.create_task(refiner.write(assignment, emit, unheard(config)))  # as above
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
        update = State(answer=answer.content, citations=answer.citations, timings=step.timings)
        if _keeps_messages(config):
            update["messages"] = [answer_message(state["message_id"], answer, written.thinking.get(step.name, []))]
        return update

    async def _parts(self, query: Query) -> Parts:
        """What answers this question; by its query, so that every process of a run takes the same model."""
        parts = self.parts if isinstance(self.parts, Parts) else await self.parts()
        return parts.chosen(query.model)

    def _opened(self, state: State, config: RunnableConfig) -> State:
        """What the first node of a run adds for those after it. Raises InvalidRequest."""
        query = read_query(state)
        update = State(query=query, message_id=str(uuid4()), began=self.clock(), search=query.question)
        if "question" in state and _keeps_messages(config):
            update["messages"] = [asked_message(query.question, config)]
        return update

    def _step(self, name: str, parts: Parts, state: State, writer: StreamWriter, config: RunnableConfig) -> Step:
        return Step(name, emitting(writer, config), began=state["began"], clock=self.clock, narrates=parts.narrates)


def _drafted(state: State) -> Written:
    """The draft as it was written, whichever process wrote it."""
    return Written(deltas=[state["draft"]], citations=state["draft_citations"], claims=state.get("draft_claims", []))


def _assignment(
    state: State, step: Step, version: int, *, new_passages: tuple[int, ...] = (), edits: bool = False
) -> Assignment:
    is_draft = version == DRAFT
    passages = state["fast_passages"] if is_draft else state["documents"]
    if edits:  # what is kept cites what the draft was written from, which a researcher may have dropped
        known = {passage.number for passage in passages}
        passages = [*passages, *(passage for passage in state["fast_passages"] if passage.number not in known)]
    return Assignment(
        question=state["search"],
        # By number, not by rank: what the provider has cached of an earlier prompt stays the beginning of this one.
        passages=tuple(sorted(passages, key=lambda passage: passage.number)),
        version=version,
        step=step.name,
        history=tuple(state["query"].history),
        language=state["query"].language,
        draft="" if is_draft or state["draft_failure"] else state["draft"],
        edits=edits,
        new_passages=new_passages,
    )


def _keeps_messages(config: RunnableConfig) -> bool:
    """Whoever takes the events has a log of them, and no thread."""
    return SINK not in config.get("configurable", {})


def _only(timings: dict[str, float]) -> Any:
    """In place of those that an earlier question on this thread has left."""
    return Overwrite(timings)
