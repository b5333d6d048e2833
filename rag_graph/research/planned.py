"""The deep mode: a reasoning model says what is missing, it is searched for, and so on until nothing is."""

from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from langchain_core.runnables import RunnableConfig

from rag_graph.errors import ModelError
from rag_graph.events import NumberedPassage
from rag_graph.models.pieces import Content, Restarted, Thinking, TokensUsed
from rag_graph.research.contract import Progress, Researcher, ResearchRequest, SearchBudget
from rag_graph.research.plan import MOST_SEARCHES, SearchPlan, read_plan
from rag_graph.research.search import SearchSession
from rag_graph.retrieval.base import Retriever
from rag_graph.writing.contract import Assignment, ThinkingSpan, usage
from rag_graph.writing.prompts import PROMPTS, Prompts, estimate_tokens, research_prompt

if TYPE_CHECKING:  # its module takes a second to import, and only a chat model needs it
    from rag_graph.models.replies import Replier


@dataclass(frozen=True)
class PlannedResearch(Researcher):
    """Searches by a model's plan, in rounds. Where the model gives none, it follows quotes without it."""

    retriever: Retriever
    model: "Replier"
    context_tokens: int
    budget: SearchBudget
    shows_thinking: bool = True
    prompts: Prompts = PROMPTS

    async def research(
        self, request: ResearchRequest, progress: Progress, config: RunnableConfig
    ) -> list[NumberedPassage]:
        session = SearchSession(self.retriever, request, progress, self.budget)
        await session.begin()
        for number in range(self.budget.rounds):
            if session.spent:
                await progress.narrate(f"The search ends here: {session.spent}.")
                break
            plan = await self._think(session, progress.part("read" if number else "plan"), config)
            if plan is None:
                await session.follow_quotes(rounds=self.budget.rounds - number)
                break
            searches = session.unasked(plan.missing)[:MOST_SEARCHES]
            if not searches:
                break
            await session.search(searches)
        return session.passages.ranked

    async def _think(self, session: SearchSession, step: Progress, config: RunnableConfig) -> SearchPlan | None:
        """Let the model read what was found; None when it gave no plan."""
        is_first = len(session.asked) == 1
        async with step.span("Planning what to look for" if is_first else "Reading what was found"):
            try:
                async with session.limit():
                    reply = await self._ask(session, step, config)
            except TimeoutError:
                # Nothing more to search for: what was found until now is used.
                step.outcome = "Time was up"
                return SearchPlan()
            except ModelError as exc:
                step.outcome = "The model gave no plan"
                await step.warn(exc, "the search goes on without a plan, by the names in what was found")
                return None
            plan = read_plan(reply, session.request.question)
            if plan is None:
                step.outcome = "The model gave no plan that could be read"
                await step.narrate(f"{step.outcome}, so the search goes on by the names in what was found.")
                return None
            match len(plan.missing):
                case 0:
                    step.outcome = "Nothing is missing"
                case 1:
                    step.outcome = "One thing is missing"
                case count:
                    step.outcome = f"{count} things are missing"
            await step.narrate(plan.in_words)
        return plan

    async def _ask(self, session: SearchSession, step: Progress, config: RunnableConfig) -> str:
        # Passages go by number, as in every prompt of the run: what the provider has cached stays the beginning.
        assignment = Assignment(
            question=session.request.question,
            passages=tuple(sorted(session.passages.ranked, key=lambda passage: passage.number)),
            version=2,
            step=step.name,
            history=session.request.history,
        )
        messages = research_prompt(assignment, session.asked, self.context_tokens, self.prompts).messages
        thinking = ThinkingSpan(step.name, step.emit)
        # Services report what a call took when it ends, if at all. A model that thinks without end has to be left
        # before, so tokens are estimated while they come, and the report replaces the estimate.
        reported, reply = session.tokens, ""
        session.tokens += sum(estimate_tokens(str(message.content)) for message in messages)
        try:
            async with aclosing(self.model.stream(messages, config=config)) as pieces:
                async for piece in pieces:
                    match piece:
                        case Content(delta):
                            reply += delta
                            session.tokens += max(1, len(delta) // 4)
                        case Thinking(delta):
                            session.tokens += max(1, len(delta) // 4)
                            if self.shows_thinking:
                                await thinking.add(delta)
                        case Restarted():
                            reply = ""
                        case TokensUsed():
                            reported += piece.input_tokens + piece.output_tokens
                            session.tokens = reported
                            await step.emit(usage(step.name, piece))
                    if session.tokens > session.budget.tokens:
                        break  # closes the model's connection
        finally:
            await thinking.end()
        return reply
