"""Valid inputs, spoilt: JSON bodies node by node, and bytes of any kind."""

import json
from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

Path = tuple[str | int, ...]

HOSTILE_TEXTS = (
    "", " ", "\x00", "\x1b]0;title\x07", "\u202egnp.exe", "\ud800", "\ufeff", "\u2028", "[1]" * 300, "[[1]]【1†L1】",
    "<think>" * 300, "</think>", "### Task:\n" + "<chat_history>" * 300, "```" * 300, "\n" * 3000, "a" * 20_000,
    "http://" * 500, "../" * 50, "%00", "9" * 400, "-0", "1e999", "{{config}}", "{question}", "\u0300" * 2000,
)  # fmt: skip
HOSTILE_NUMBERS = (0, -1, 2**31, 2**63, -(2**63) - 1, 10**40, 1e308, float("nan"), float("inf"))

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(HOSTILE_NUMBERS),
    st.sampled_from(HOSTILE_TEXTS),
    st.text(max_size=60),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=12) | st.just("$ref"), inner, max_size=4)
    ),
    max_leaves=8,
)


@st.composite
def spoilt_json(draw: st.DrawFn, valid: Sequence[Any]) -> bytes:
    """One of the valid values with up to three of its nodes changed, dropped, wrapped or joined by others."""
    spoilt = deepcopy(draw(st.sampled_from(valid)))
    for _ in range(draw(st.integers(0, 3))):
        path = draw(st.sampled_from(list(_paths(spoilt))))
        if not path:
            spoilt = draw(values)
            continue
        parent = spoilt
        for step in path[:-1]:
            parent = parent[step]
        match draw(st.sampled_from(("change", "change", "drop", "wrap", "repeat", "join"))):
            case "change":
                parent[path[-1]] = draw(values)
            case "drop":
                del parent[path[-1]]
            case "wrap":
                parent[path[-1]] = [parent[path[-1]]]
            case "repeat":
                parent[path[-1]] = [parent[path[-1]]] * draw(st.sampled_from((2, 30, 3000)))
            case "join" if isinstance(parent, dict):
                parent[draw(st.text(max_size=12))] = draw(values)
    return json.dumps(spoilt).encode()


@st.composite
def spoilt_bytes(draw: st.DrawFn, valid: Sequence[bytes]) -> bytes:
    """One of the valid strings with up to six stretches of it changed, cut out, repeated or taken from another."""
    spoilt = bytearray(draw(st.sampled_from(valid)))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(spoilt)))
        end = min(len(spoilt), start + draw(st.sampled_from((0, 1, 1, 4, 32, 512))))
        match draw(st.sampled_from(("flip", "insert", "cut", "repeat", "splice", "end"))):
            case "flip":
                spoilt[start:end] = bytes(byte ^ draw(st.sampled_from((1, 0x80, 0xFF))) for byte in spoilt[start:end])
            case "insert":
                spoilt[start:start] = draw(st.binary(max_size=24))
            case "cut":
                del spoilt[start:end]
            case "repeat":
                spoilt[start:start] = spoilt[start:end] * draw(st.sampled_from((1, 7, 200)))
            case "splice":
                other = draw(st.sampled_from(valid))
                spoilt[start:end] = other[draw(st.integers(0, len(other))) :][:512]
            case "end":
                del spoilt[start:]
    return bytes(spoilt)


def _paths(value: Any, path: Path = ()) -> Iterator[Path]:
    yield path
    items: Iterator[tuple[str | int, Any]] = iter(())
    if isinstance(value, dict):
        items = iter(value.items())
    elif isinstance(value, list):
        items = iter(list(enumerate(value))[:20])
    for key, inner in items:
        yield from _paths(inner, (*path, key))
