"""Making a follow-up question one that can be searched by itself."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from langchain_core.runnables import RunnableConfig

from rag_graph.events import Emit
from rag_graph.query import MAX_QUESTION_CHARS, Query
from rag_graph.writing.prompts import condense_prompt

if TYPE_CHECKING:  # its module takes a second to import, and only a chat model needs it
    from rag_graph.models.replies import Replier


class Condenser(Protocol):
    """Turns a question with a history into one that needs none. Raises ModelError."""

    async def condense(self, query: Query, emit: Emit, config: RunnableConfig) -> str: ...


@dataclass(frozen=True)
class PromptedCondenser:
    """Asks a chat model to rewrite the question."""

    model: "Replier"
    context_tokens: int

    async def condense(self, query: Query, emit: Emit, config: RunnableConfig) -> str:
        prompt = condense_prompt(query.question, query.history, self.context_tokens)
        for warning in prompt.warnings("condense"):
            await emit(warning)
        reply = (await self.model.reply(prompt.messages, config=config)).strip().strip("\"'")
        return reply[:MAX_QUESTION_CHARS] or query.question


class PrecedingQuestion:
    """For models too small to rewrite: the words of the last question before this one are searched with it."""

    async def condense(self, query: Query, emit: Emit, config: RunnableConfig) -> str:  # noqa: ARG002 - contract
        asked = [turn.content for turn in query.history if turn.role == "user"]
        # Cut at its beginning, since the question itself is the end.
        return f"{asked[-1]} {query.question}"[-MAX_QUESTION_CHARS:] if asked else query.question
