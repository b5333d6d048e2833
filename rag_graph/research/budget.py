"""How far the deep mode goes: one table of named budgets."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

Depth = Literal["quick", "standard", "thorough"]


@dataclass(frozen=True, slots=True)
class Budget:
    """What one question may take: rounds of searching again, passages kept, seconds, tokens of the model."""

    rounds: int
    passages: int
    seconds: float
    tokens: int


BUDGETS: Final[Mapping[Depth, Budget]] = MappingProxyType(
    {
        "quick": Budget(rounds=1, passages=16, seconds=15, tokens=10_000),
        "standard": Budget(rounds=3, passages=24, seconds=60, tokens=40_000),
        "thorough": Budget(rounds=6, passages=40, seconds=180, tokens=150_000),
    }
)
"""`seconds` ends the search, not the run: what was found until then is used."""
