"""What the tools of the Model Context Protocol take, and from whom."""

from typing import Any

from mcp.server import ServerRequestContext
from pydantic import BaseModel, ConfigDict, Field

from rag_graph.query import MAX_QUESTION_CHARS, Filters, Mode, Query

MAX_TOP_K = 50


class SearchInput(BaseModel):
    """What `search` takes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: str = Field(min_length=1, max_length=MAX_QUESTION_CHARS, description="What to look for, in plain words.")
    top_k: int = Field(default=10, ge=1, le=MAX_TOP_K, description="How many passages at most.")
    filters: Filters = Field(default={}, description="Search only documents whose metadata match.")


class AskInput(BaseModel):
    """What `ask` takes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: str = Field(min_length=1, max_length=MAX_QUESTION_CHARS, description="What you want to know.")
    mode: Mode = Field(default="fast", description="`deep` thinks harder: more searches, the reasoning model.")
    filters: Filters = Field(default={}, description="Search only documents whose metadata match.")

    @property
    def query(self) -> Query:
        return Query(question=self.question, mode=self.mode, filters=self.filters)


def caller_of(context: ServerRequestContext[Any, Any]) -> str:
    """Who asks over HTTP: the name that authentication has left, or everybody."""
    return getattr(getattr(context.request, "state", None), "caller", "")
