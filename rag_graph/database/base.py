"""What a database has to do for those who keep something in it."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

Execute = Callable[[str, Sequence[object]], list[tuple[Any, ...]]]
"""Runs a statement with its values and gives its rows; a value's place is `%s`."""


class Database(Protocol):
    """A place of its own for one kind of thing. Everything blocks."""

    @property
    def exists(self) -> bool:
        """False as long as nothing was ever kept there."""

    def transaction(self, *, write: bool = False) -> AbstractContextManager[Execute]:
        """All or nothing of what is executed in it; those that write come one after the other.

        Raises `DatabaseUnavailable`.
        """

    def close(self) -> None: ...
