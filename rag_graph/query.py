"""What a person asks: the question, how hard to think about it, what was said before, where to look."""

import re
from collections.abc import Mapping
from math import isfinite
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    model_serializer,
)

MAX_QUESTION_CHARS = 4_000
MAX_HISTORY_TURNS = 100
MAX_TURN_CHARS = 32_000
MAX_MODEL_CHARS: Final = 200
MAX_LANGUAGE_CHARS: Final = 40
_LANGUAGE = re.compile(r"[^\W\d_][\w ()-]*")

Mode = Literal["fast", "deep"]
Scalar = str | int | float | bool
Filter = Scalar | list[Scalar] | dict[Literal["from", "to"], str | int | float]
"""One value, any of several, or a closed range. A string with `*` or `?` is a shell pattern."""
MAX_FILTERS: Final = 32
MAX_FILTER_VALUES: Final = 256
"""Of all filters together. Each is compared with each document, and SQLite nests no more than a thousand."""
MAX_FILTER_CHARS: Final = 1_000
"""Of a name or a text."""


def check_filters(filters: Any) -> Any:
    """Give them as they are. Raises ValueError for what no store can compare with, or not in time.

    It looks at the values before pydantic does, which would tell of each of a million of them.
    """
    if not isinstance(filters, Mapping):
        return filters
    if len(filters) > MAX_FILTERS:
        raise ValueError(f"there may be {MAX_FILTERS}, not {len(filters)}")
    count = sum(len(wanted) if isinstance(wanted, list | tuple | Mapping) else 1 for wanted in filters.values())
    if count > MAX_FILTER_VALUES:
        raise ValueError(f"they may have {MAX_FILTER_VALUES} values in all, not {count}")
    for name, wanted in filters.items():
        _check_comparable(name)
        match wanted:
            case Mapping():
                values = [*wanted, *wanted.values()]
            case list() | tuple():
                values = list(wanted)
            case _:
                values = [wanted]
        for value in values:
            _check_comparable(value)
    return filters


def _check_comparable(value: Any) -> None:
    match value:
        case str():
            if len(value) > MAX_FILTER_CHARS:
                raise ValueError(f"a name or a text may have {MAX_FILTER_CHARS} characters, not {len(value)}")
            if "\0" in value or any("\ud800" <= char <= "\udfff" for char in value):
                raise ValueError("a text holds a character that no text of a document has (NUL, or half of a pair)")
        # JSON has larger ones, and neither SQLite nor PostgreSQL can compare with them.
        case int() if not -(2**63) <= value < 2**63:
            raise ValueError("a whole number must fit into 64 bits")
        case float() if not isfinite(value):
            raise ValueError("a number must be finite")
        case _:
            pass


Filters = Annotated[dict[str, Filter], Field(max_length=MAX_FILTERS), BeforeValidator(check_filters)]
"""By `uri`, `title`, `document`, or any metadata key; all must hold."""


def _check_named(language: str) -> str:
    if language and not _LANGUAGE.fullmatch(language):
        raise ValueError("a language is named by letters, such as German, pt-BR or Chinese (Traditional)")
    return language


Language = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=MAX_LANGUAGE_CHARS), AfterValidator(_check_named)
]
"""A name or a code. It stands in a prompt, so that it may hold letters and what joins them, and no sentence."""


class Turn(BaseModel):
    """One thing said earlier in the conversation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Literal["user", "assistant"]
    content: str = Field(max_length=MAX_TURN_CHARS)

    @classmethod
    def of(cls, role: Literal["user", "assistant"], said: str) -> Self:
        """As much of what was said as a turn may have: its end, which is what the next one answers to."""
        return cls(role=role, content=said[-MAX_TURN_CHARS:])


class Query(BaseModel):
    """A question over the library."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_QUESTION_CHARS)] = (
        Field(description="What you want to know.")
    )
    mode: Mode = Field(default="fast", description="`deep` thinks harder: more searches, the reasoning model.")
    history: list[Turn] = Field(default=[], max_length=MAX_HISTORY_TURNS, description="Earlier turns, oldest first.")
    filters: Filters = Field(default={}, description="Search only documents whose metadata match.")
    model: str = Field(
        default="",
        max_length=MAX_MODEL_CHARS,
        description="Who answers, of the `choices` of `GET /config`; unset: the server's models.",
    )
    language: Language = Field(
        default="", description="The language to answer in, such as `German` or `pt-BR`; unset: the question's."
    )

    @model_serializer(mode="wrap")
    def _without_what_is_unset(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A server of an earlier version, over the same Redis, knows neither name, and takes none that is not known.

        Its hash of a question, by which an idempotency key is known again, is without them too.
        """
        told: dict[str, Any] = serialize(self)
        return {name: value for name, value in told.items() if value or name not in ("model", "language")}
