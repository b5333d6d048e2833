"""Making a follow-up question one that can be searched by itself."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from langchain_core.runnables import RunnableConfig

from rag_graph.events import Emit
from rag_graph.query import MAX_QUESTION_CHARS, Query
from rag_graph.text.languages import ENGLISH, PRONOUNS, UNTOLD, language_of
from rag_graph.text.terms import words
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
    """For where no model rewrites: the last question before this one is asked with it, if this one leans on it."""

    async def condense(self, query: Query, emit: Emit, config: RunnableConfig) -> str:  # noqa: ARG002 - contract
        asked = [turn.content for turn in query.history if turn.role == "user"]
        if not asked or not leans_on_another(query.question):
            return query.question
        # Cut at its beginning, since the question itself is the end.
        return f"{asked[-1]} {query.question}"[-MAX_QUESTION_CHARS:]


def leans_on_another(question: str) -> bool:
    """Whether a question seems to go on from one before it: by a pronoun, how it begins, or as a mere scrap.

    In languages other than English nothing tells, so that each counts as one that does.
    """
    said = [match[0].lower() for match in words(question)]
    if language_of(said) not in (ENGLISH, UNTOLD):
        return True
    is_scrap = len(said) <= _SCRAP_WORDS and _FINITE.isdisjoint(said)
    return is_scrap or bool(_GOES_ON.match(question)) or not _LEANING.isdisjoint(said)


_SCRAP_WORDS: Final = 3
"""As in "In which year?"; with a verb, as in "What is bridging?", so few words are a question."""
_FINITE: Final = frozenset(
    ["is", "are", "was", "were", "do", "does", "did", "has", "have", "had", "can", "could", "will", "should", "may"]
)
_LEANING: Final = PRONOUNS | {"that", "those", "there", "then", "else", "others", "one", "ones", "same", "latter"}
_GOES_ON: Final = re.compile(r"\W*(?:and|but|or|so|also|(?:what|how) about)\b", re.IGNORECASE)
