"""What a model's reply is made of, whoever speaks: the one vocabulary of everything that reads a reply."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Content:
    """More of the answer."""

    delta: str


@dataclass(frozen=True, slots=True)
class Thinking:
    """More of the model's own reasoning. A reply that is asked for again may bring its thinking again."""

    delta: str


@dataclass(frozen=True, slots=True)
class TokensUsed:
    """What one call took, where the service says so."""

    model: str
    input_tokens: int
    output_tokens: int
    reasoning_tokens: int
    cached_tokens: int


@dataclass(frozen=True, slots=True)
class Restarted:
    """All Content of this reply so far is void; what follows replaces it."""

    reason: str


@dataclass(frozen=True, slots=True)
class CutShort:
    """The answer ends here before the model was done with it: at a limit of tokens, or by its service's filter.

    Where the service names a reason that nobody knows, it may.
    """

    by: Literal["length", "filter", "unknown"]


Piece = Content | Thinking | TokensUsed | Restarted | CutShort
