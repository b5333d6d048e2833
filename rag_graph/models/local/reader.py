"""The embedded reader: all-MiniLM-L6-v2 fine-tuned to point at answers; its int8 ONNX weights are in this package."""

import hashlib
import os
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import log
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from rag_graph.errors import SettingsError
from rag_graph.models.local.tokens import CLS, SEP, encodable, tokenizer
from rag_graph.models.reading import ReadablePassage, Span

if TYPE_CHECKING:
    from onnxruntime import InferenceSession  # type: ignore[import-untyped]  # it ships no types
    from tokenizers import Tokenizer

WEIGHTS: Final = Path(__file__).parent / "data" / "reader.int8.onnx"
WEIGHTS_SHA256: Final = "01b911b4456f3677f6798270823891792567022e17fccd6c9bb578e0f34196bf"
# As long as the windows that it was trained on (data/READER.md).
WINDOW_TOKENS: Final = 128
# Nearly the longest answer, so that hardly any lies in two windows and whole in none.
OVERLAP_TOKENS: Final = 24
# Of a window question and title have less than half, or there would be no room for what is read.
QUESTION_TOKENS: Final = 28
TITLE_TOKENS: Final = 16
ANSWER_TOKENS: Final = 26
"""The longest answer that it was trained to give."""

MOST_WINDOWS: Final = 3
"""So many are read at least, and one for each passage: on 300 look-ups five were right no more often than three."""

THREADS: Final = min(2, os.cpu_count() or 1)
"""The reader's first words wait for this, and two threads take about half the time where a core is free."""

BATCH: Final = 8
SPANS_OF_A_WINDOW: Final = 6
_EDGES = " \t\n.,;:*_`\"'“”‘’|"
_BRACKETS = {"(": ")", "[": "]"}
_GLUED = re.compile(r"(?<=\w)(?:\[[A-Za-z_][\w.,-]*\]|\([A-Za-z_][\w.,-]*\))")
"""What belongs to the word before it, as in `flask[async]` and "setting(s)"; not the number of a note."""
_NEAR_CHARS = 3
"""So far behind a span its bracket may close: after the marks of code and emphasis."""

UNSEEN: Final = -20.0
"""The margin of a place that no window holds whole; those of places that were read are hardly ever so low."""

Logits = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Window:
    """A stretch of one passage behind the question and the title; `first` is where its own tokens begin."""

    ids: Sequence[int]
    question: int
    first: int
    passage: int
    offsets: Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class LocalReader:
    """`Reader` on this machine's CPU; threads may share one."""

    weights: Path = WEIGHTS
    sha256: str = WEIGHTS_SHA256
    """Of the weights; empty for those that are only tried."""
    most_windows: int = MOST_WINDOWS
    _loading: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _loaded: list["InferenceSession"] = field(default_factory=list, repr=False)

    def read(self, question: str, passages: Sequence[ReadablePassage]) -> list[Span]:
        most = max(self.most_windows, len(passages))
        windows = _promising(list(_windows(tokenizer(), question, passages)), most)
        found = [
            span
            for window, logits in zip(windows, self._logits(windows), strict=True)
            for span in _spans(window, logits, passages[window.passage].content)
        ]
        return _distinct(sorted(found, key=lambda span: -span.margin))

    def weigh(
        self, question: str, passages: Sequence[ReadablePassage], places: Sequence[tuple[int, int]]
    ) -> list[float]:
        held: dict[int, tuple[_Window, tuple[int, int]]] = {}
        for window in _windows(tokenizer(), question, passages):
            if (tokens := _tokens_of(window, places[window.passage])) is not None:
                held.setdefault(window.passage, (window, tokens))
        margins = [UNSEEN] * len(places)
        said = self._logits([window for window, _ in held.values()])
        for (window, (first, last)), logits in zip(held.values(), said, strict=True):
            margins[window.passage] = float(logits[first, 0] + logits[last, 1] - logits[0].sum())
        return margins

    def load(self) -> None:
        """Do now what the first reading would otherwise wait for. Raises SettingsError."""
        self._session()

    def _logits(self, windows: Sequence[_Window]) -> list[Logits]:
        """What the model says of each window, per token: how likely an answer begins, and ends, there."""
        session = self._session()
        said: dict[int, Logits] = {}
        # Alike in length, so that a batch is filled up with as little as can be.
        by_length = sorted(range(len(windows)), key=lambda row: len(windows[row].ids))
        for start in range(0, len(by_length), BATCH):
            rows = by_length[start : start + BATCH]
            shape = (len(rows), max(len(windows[row].ids) for row in rows))
            ids, mask, types = (np.zeros(shape, dtype=np.int64) for _ in range(3))
            for at, row in enumerate(rows):
                window = windows[row]
                length = len(window.ids)
                ids[at, :length], mask[at, :length], types[at, window.question : length] = window.ids, 1, 1
            feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
            (logits,) = session.run(["logits"], feed)
            said.update((row, logits[at]) for at, row in enumerate(rows))
        return [said[row] for row in range(len(windows))]

    def _session(self) -> "InferenceSession":
        if not self._loaded:
            with self._loading:
                if not self._loaded:
                    self._loaded.append(_load(self.weights, self.sha256))
        return self._loaded[0]


def _windows(tokens: "Tokenizer", question: str, passages: Sequence[ReadablePassage]) -> Iterator[_Window]:
    asked = tokens.encode(encodable(question).rstrip(" ?")).ids[:QUESTION_TOKENS]
    for number, passage in enumerate(passages):
        title = tokens.encode(encodable(f"{passage.title}.")).ids[:TITLE_TOKENS] if passage.title else []
        content = tokens.encode(encodable(passage.content))
        first = 2 + len(asked) + len(title)
        room = WINDOW_TOKENS - 1 - first
        for at in range(0, max(1, len(content.ids) - OVERLAP_TOKENS), room - OVERLAP_TOKENS):
            ids = [CLS, *asked, SEP, *title, *content.ids[at : at + room], SEP]
            yield _Window(ids, 2 + len(asked), first, number, content.offsets[at : at + room])


def _promising(windows: Sequence[_Window], most: int) -> list[_Window]:
    """Those that hold most of the question's tokens, which weigh the more the fewer windows hold them."""
    if len(windows) <= most:
        return list(windows)
    held = [frozenset(window.ids[window.question :]) for window in windows]
    asked = frozenset(windows[0].ids[1 : windows[0].question - 1])
    weight = {token: log(1 + len(held) / (1 + sum(token in its for its in held))) for token in asked}
    promise = [sum(weight[token] for token in asked & its) for its in held]
    best = sorted(range(len(windows)), key=lambda row: -promise[row])[:most]
    return [windows[row] for row in sorted(best)]


def _spans(window: _Window, logits: Logits, content: str) -> Iterator[Span]:
    """The likeliest spans of one window, each weighed against the window having none."""
    count = len(window.offsets)
    if not count:
        return
    starts = logits[window.first : window.first + count, 0]
    ends = logits[window.first : window.first + count, 1]
    # "No answer here" is what begins and ends at the first token, as in SQuAD 2.0.
    margins = starts[:, None] + ends[None, :] - logits[0].sum()
    longer = np.arange(count)[None, :] - np.arange(count)[:, None]
    margins[(longer < 0) | (longer >= ANSWER_TOKENS)] = -np.inf
    # No answer reaches over the border of a table's cell, or from one paragraph into the next.
    borders = [content[start:end] == "|" for start, end in window.offsets]
    gaps = [False, *("\n\n" in content[end:start] for (_, end), (start, _) in pairwise(window.offsets))]
    passed = np.cumsum(np.logical_or(borders, gaps))
    margins[passed[None, :] > passed[:, None]] = -np.inf
    for flat in np.argsort(-margins, axis=None)[:SPANS_OF_A_WINDOW].tolist():
        first, last = divmod(flat, count)
        if not np.isfinite(margins[first, last]):
            return
        start, end = _whole_words(content, window.offsets[first][0], window.offsets[last][1])
        if start < end:
            yield Span(window.passage, start, end, content[start:end], float(margins[first, last]))


def _tokens_of(window: _Window, place: tuple[int, int]) -> tuple[int, int] | None:
    """Where the first and the last token of a place are among the window's; None where it does not hold all of it."""
    start, end = place
    held = [at for at, (first, last) in enumerate(window.offsets, window.first) if first < end and start < last]
    if not held or window.offsets[0][0] > start or window.offsets[-1][1] < end:
        return None
    return held[0], held[-1]


def _whole_words(content: str, start: int, end: int) -> tuple[int, int]:
    """The span without half a word, the punctuation around it, and brackets that it opens or closes alone."""
    while 0 < start < len(content) and _is_inside(content, start):
        start -= 1
    while 0 < end < len(content) and _is_inside(content, end):
        end += 1
    if start < end and content[end - 1] in _BRACKETS:
        end -= 1
    if glued := _GLUED.match(content, end):
        end = glued.end()
    while start < end and (content[start] in _EDGES or content.startswith("- ", start)):  # the mark of a list
        start += 1
    while start < end and content[end - 1] in _EDGES:
        end -= 1
    for opening, closing in _BRACKETS.items():
        inside = content[start:end]
        if inside.count(opening) < inside.count(closing) and inside.endswith(closing):
            end -= 1
        elif inside.count(opening) > inside.count(closing):
            after = content.find(closing, end, end + _NEAR_CHARS)
            start, end = (start, after + 1) if after >= 0 else (start + inside.startswith(opening), end)
    return start, end


def _is_inside(content: str, at: int) -> bool:
    """Whether a place is within a word; names in code hold underscores, which the model's tokens end at."""
    return all(char.isalnum() or char == "_" for char in content[at - 1 : at + 1])


def _distinct(spans: Sequence[Span]) -> list[Span]:
    kept: list[Span] = []
    for span in spans:
        if not any(span.passage == it.passage and span.start < it.end and it.start < span.end for it in kept):
            kept.append(span)
    return kept


def _load(path: Path, sha256: str) -> Any:
    try:
        import onnxruntime  # noqa: PLC0415 - of the `local` extra
    except ImportError as exc:
        raise SettingsError(
            "The embedded reader's runtime is not installed: run pip install 'rag-graph[local]', "
            "or set RAG_CHAT_BASE_URL or an API key to let a chat model answer."
        ) from exc

    weights = path.read_bytes()
    if sha256 and hashlib.sha256(weights).hexdigest() != sha256:
        raise SettingsError("The weights of the embedded reader are damaged: install rag-graph again.")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])
