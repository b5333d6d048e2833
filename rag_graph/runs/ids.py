"""Ids of runs, which are ULIDs, and cursors into their logs; hashes of what must not be kept as it came."""

import hashlib
import re
import secrets
from typing import NamedTuple, Self

from rag_graph.errors import BadCursor, KeyMalformed

MAX_KEY_CHARS = 255
# Crockford's alphabet of 32 letters, without I, L, O and U: https://github.com/ulid/spec
RUN_ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
# Fifteen digits at most, which any store's signed integer of 64 bits holds.
_CURSOR = re.compile(rf"({RUN_ID.pattern}):(0|[1-9][0-9]{{0,14}})")


class Cursor(NamedTuple):
    """How far a reader of a run has come, written `run:seq`, as in an SSE id: all up to `seq` has been seen."""

    run_id: str
    seq: int

    @classmethod
    def parse(cls, value: str) -> Self:
        match = _CURSOR.fullmatch(value)
        if match is None:
            raise BadCursor("This is no cursor: send the id of the last event you have seen, as `run:number`.")
        return cls(match[1], int(match[2]))

    def __str__(self) -> str:
        return f"{self.run_id}:{self.seq}"


def new_run_id(now: float) -> str:
    """Make a ULID: ids sort by the time of their creation."""
    # Random, not counted up: on a server without keys, whoever knows an id can read its run.
    number = (int(now * 1000) << 80) | secrets.randbits(80)
    return "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))


def made_at(run_id: str) -> float | None:
    """When a run's id was made, in seconds since the epoch; None for what is no id of ours."""
    if RUN_ID.fullmatch(run_id) is None:
        return None
    number = 0
    for char in run_id:
        number = number << 5 | _CROCKFORD.index(char)
    return (number >> 80) / 1000


def digest(value: str) -> str:
    """Hash a caller or a key: whoever reads the store of the runs learns neither."""
    # JSON may bring half of a surrogate pair, which no encoding holds otherwise.
    return hashlib.sha256(value.encode(errors="surrogatepass")).hexdigest()


def hash_key(owner: str, key: str | None) -> str | None:
    """Hash an idempotency key within its caller's own keys. Raises `KeyMalformed`."""
    if key is None:
        return None
    if not 1 <= len(key) <= MAX_KEY_CHARS:
        raise KeyMalformed(f"An idempotency key has 1 to {MAX_KEY_CHARS} characters.")
    # The owner is a hash and holds no blank, so that no two callers' keys read the same.
    return digest(f"{owner} {key}")
