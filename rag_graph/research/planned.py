"""The deep mode: a reasoning model says what is missing, it is searched for, and so on until nothing is."""

from contextlib import aclosing
from dataclasses import dataclass

from langchain_core.runnables import RunnableConfig

from rag_graph.errors import ModelError
from rag_graph.events import NumberedPassage
from rag_graph.models.replies import Content, Replier, Restarted, Thinking, TokensUsed
from rag_graph.research.bridged import bridge
from rag_graph.research.budget import Budget
from rag_graph.research.contract import Inquiry, Progress, Researcher
from rag_graph.research.hunt import Hunt
from rag_graph.research.planning import MOST_SEARCHES, Plan, read_plan
from rag_graph.retrieval.base import Retriever
from rag_graph.writing.contract import Assignment
from rag_graph.writing.prompts import Prompt, estimate_tokens, research_prompt
from rag_graph.writing.telling import ThinkingSpan, usage


@dataclass(frozen=True)
class PlannedResearch(Researcher):
    """Searches by a model's plan, in rounds. Where the model gives none, it follows names without it."""

    retriever: Retriever
    model: Replier
    context_tokens: int
    budget: Budget
    shows_thinking: bool = True

    async def research(self, inquiry: Inquiry, progress: Progress, config: RunnableConfig) -> list[NumberedPassage]:
        hunt = Hunt(self.retriever, inquiry, progress, self.budget)
        await hunt.begin()
        for number in range(self.budget.rounds):
            if hunt.spent:
                await progress.narrate(f"The search ends here: {hunt.spent}.")
                break
            plan = await self._think(hunt, progress.part("read" if number else "plan"), config)
            if plan is None:
                await bridge(hunt, rounds=self.budget.rounds - number)
                break
            searches = hunt.unasked(plan.missing)[:MOST_SEARCHES]
            if not searches:
                break
            await hunt.search(searches)
        return hunt.findings.passages

    async def _think(self, hunt: Hunt, step: Progress, config: RunnableConfig) -> Plan | None:
        """Let the model read what was found; None when it gave no plan."""
        is_first = len(hunt.asked) == 1
        async with step.span("Planning what to look for" if is_first else "Reading what was found"):
            try:
                async with hunt.limit():
                    reply = await self._ask(hunt, step, config)
            except TimeoutError:
                step.outcome = "Time was up"
                return Plan()
            except ModelError as exc:
                step.outcome = "The model gave no plan"
                await step.warn(exc, "the search goes on without a plan, by the names in what was found")
                return None
            plan = read_plan(reply, hunt.inquiry.question)
            step.outcome = _outcome(plan)
            await step.narrate(_in_words(plan))
        return plan

    async def _ask(self, hunt: Hunt, step: Progress, config: RunnableConfig) -> str:
        prompt = self._prompt(hunt, step)
        thinking = ThinkingSpan(step.name, step.emit)
        told, said = hunt.tokens, ""
        hunt.tokens += sum(estimate_tokens(str(message.content)) for message in prompt.messages)
        try:
            async with aclosing(self.model.stream(prompt.messages, config=config)) as pieces:
                async for piece in pieces:
                    match piece:
                        case Content(delta):
                            said += delta
                            hunt.tokens += _roughly(delta)
                        case Thinking(delta):
                            hunt.tokens += _roughly(delta)
                            if self.shows_thinking:
                                await thinking.add(delta)
                        case Restarted():
                            said = ""
                        case TokensUsed():
                            told += piece.input_tokens + piece.output_tokens
                            hunt.tokens = told
                            await step.emit(usage(step.name, piece))
                    if hunt.tokens > hunt.budget.tokens:
                        break
        finally:
            await thinking.end()
        return said

    def _prompt(self, hunt: Hunt, step: Progress) -> Prompt:
        assignment = Assignment(
            question=hunt.inquiry.question,
            passages=tuple(sorted(hunt.findings.passages, key=lambda passage: passage.number)),
            version=2,
            step=step.name,
            history=hunt.inquiry.history,
        )
        return research_prompt(assignment, hunt.asked, self.context_tokens)


def _roughly(delta: str) -> int:
    return max(1, len(delta) // 4)


def _outcome(plan: Plan | None) -> str:
    if plan is None:
        return "The model gave no plan that could be read"
    if not plan.missing:
        return "Nothing is missing"
    return "One thing is missing" if len(plan.missing) == 1 else f"{len(plan.missing)} things are missing"


def _in_words(plan: Plan | None) -> str:
    """The plan and the findings, as those who follow the run read them."""
    if plan is None:
        return "The model gave no plan that could be read, so the search goes on by the names in what was found."
    parts = (("To find out", plan.steps), ("Found", plan.found), ("Still missing", plan.missing))
    lines = [f"{name}: {'; '.join(item.rstrip(' .;') for item in items)}" for name, items in parts if items]
    return "\n".join(lines if plan.missing else [*lines, "Nothing is missing."])
