"""What the embedded embedding models have in common: texts to tokens in batches, and hidden states to vectors."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from rag_graph.models.embeddings import Vectors, unit
from rag_graph.models.local.tokens import encodable

if TYPE_CHECKING:
    from onnxruntime import InferenceSession  # type: ignore[import-untyped]  # it ships no types
    from tokenizers import Tokenizer

BATCH: Final = 8
"""Larger ones leave the processor's cache: 37 passages per CPU-second at 8, 33 at 16."""

_HEADING_TOKENS: Final = 64
"""A quarter of what the smaller model reads at once; a longer heading is cut, so that the text under it has room."""

HiddenStates = Callable[[NDArray[np.int64], NDArray[np.int64]], Vectors]
"""Of token ids and their mask, both of shape (texts, tokens): states of shape (texts, tokens, dims)."""


def open_session(model: bytes) -> "InferenceSession":
    import onnxruntime  # noqa: PLC0415 - an extra

    options = onnxruntime.SessionOptions()
    # Who calls it is spread over the cores already; threads that wait by spinning would take time from each other.
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def mean_vectors(tokens: Sequence[Sequence[int]], hidden: HiddenStates, *, dims: int) -> Vectors:
    """The mean of each text's states as a unit vector, shape (len(tokens), dims)."""
    vectors = np.empty((len(tokens), dims), dtype=np.float32)
    by_length = sorted(range(len(tokens)), key=lambda row: len(tokens[row]))
    for start in range(0, len(by_length), BATCH):
        rows = by_length[start : start + BATCH]
        shape = (len(rows), len(tokens[rows[-1]]))
        ids, mask = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        for at, row in enumerate(rows):
            ids[at, : len(tokens[row])] = tokens[row]
            mask[at, : len(tokens[row])] = 1
        vectors[rows] = unit(np.einsum("btd,bt->bd", hidden(ids, mask), mask.astype(np.float32)))
    return vectors


def parts_within(most_tokens: int, tokenizer: "Tokenizer", heading: str, text: str) -> list[str]:
    """A text in parts under its heading each, of at most so many tokens, cut between words where there are any."""
    above, text = encodable(heading), text.encode("utf-8", "replace").decode("utf-8")
    named = tokenizer.encode(above)
    if len(named.ids) > _HEADING_TOKENS:
        above = above[: named.offsets[_HEADING_TOKENS - 1][1]]
    room = most_tokens - min(len(named.ids), _HEADING_TOKENS)
    encoded = tokenizer.encode(text)
    words, places = encoded.word_ids, encoded.offsets
    parts, first, begin = [], 0, 0
    while len(words) - first > room:
        # A word that is cut has other tokens; but where no spaces are written, a paragraph is one word.
        cut = next((at for at in range(first + room, first, -1) if words[at] != words[at - 1]), first + room)
        end = places[cut][0]
        parts.append(text[begin:end])
        first, begin = cut, end
    return [f"{above}\n{part}" for part in (*parts, text[begin:])]
