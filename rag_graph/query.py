"""What a person asks: the question, how hard to think about it, what was said before, where to look."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

MAX_QUESTION_CHARS = 4_000
MAX_HISTORY_TURNS = 100
MAX_TURN_CHARS = 32_000

Mode = Literal["fast", "deep"]
Scalar = str | int | float | bool
Filter = Scalar | list[Scalar] | dict[Literal["from", "to"], str | int | float]
"""One value, any of several, or a closed range. A string with `*` or `?` is a shell pattern."""
Filters = dict[str, Filter]
"""By `uri`, `title`, `document`, or any metadata key; all must hold."""


class Turn(BaseModel):
    """One thing said earlier in the conversation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Literal["user", "assistant"]
    content: str = Field(max_length=MAX_TURN_CHARS)


class Query(BaseModel):
    """A question over the library."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_QUESTION_CHARS)] = (
        Field(description="What you want to know.")
    )
    mode: Mode = Field(default="fast", description="`deep` thinks harder: more searches, the reasoning model.")
    history: list[Turn] = Field(default=[], max_length=MAX_HISTORY_TURNS, description="Earlier turns, oldest first.")
    filters: Filters = Field(default={}, description="Search only documents whose metadata match.")
