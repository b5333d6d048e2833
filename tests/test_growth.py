"""Whatever is given to be read, four times as much of it takes about four times as long.

Processor time of this process is compared within one run, for n and 4n, the best of several: no clock on the wall and
no limit in seconds, so a slow or busy machine changes nothing. What is quadratic takes sixteen times as long.
"""

import functools
import gc
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from rag_graph.claims import cite
from rag_graph.claims.ledger import state_claims, tell_fates
from rag_graph.claims.markers import MarkerScanner
from rag_graph.claims.parser import ClaimParser
from rag_graph.claims.statements import language_of_text, take_apart
from rag_graph.documents import Passage
from rag_graph.errors import DocumentUnreadable
from rag_graph.events import NumberedPassage
from rag_graph.index.chunking import chunk
from rag_graph.index.loaders import load
from rag_graph.index.loaders.source_tables import with_rows
from rag_graph.models.providers.openai.stream import ChunkReader, EventReader
from rag_graph.models.thinking import ThinkingFilter
from rag_graph.research.plan import read_plan
from rag_graph.retrieval.entities import analyse
from rag_graph.retrieval.quotes import best_quotes
from rag_graph.text.languages import ENGLISH
from rag_graph.text.markup import document_sentences, unmarked
from rag_graph.text.sentences import SentenceStream, sentences
from rag_graph.text.terms import terms
from rag_graph.transcript import Written

LEAST_S = 0.01
"""The smaller input takes at least this long, so that the clock's grain and the caches of the machine do not count."""
MOST = 8.0
"""Between 4, which is linear, and 16, which is quadratic."""
TRIES = 5
"""The growth is judged by the best of so many; for what is quadratic none is good."""
SMALLEST = 8_192
LARGEST = 1 << 20
"""In characters."""

UNITS: Mapping[str, str] = {
    "letters": "a",
    "blanks": " ",
    "newlines": "\n",
    "blank lines": " \n",
    "stops": ".",
    "stops and blanks": ". ",
    "initials": "A. ",
    "words": "Word and ",
    "brackets": "[",
    "open markers": "[1, ",
    "markers": "[1]",
    "lenses": "【1†",
    "parentheses": "(",
    "link targets": "](",
    "backticks": "`",
    "backticks and letters": "`a",
    "fences": "```\n",
    "tildes": "~~~\n",
    "quotation marks": "\"'",
    "list marks": "- ",
    "headings": "# a\n",
    "rows": "| a |\n",
    "rules": "---\n",
    "quoted lines": "> ",
    "digits": "1",
    "numbers": "1,000 ",
    "grouped digits": "1,000.",
    "ordinals": "1. ",
    "names": "Anna ",
    "joined names": "A-",
    "combining accents": "e\u0301",
    "chinese": "中",
    "chinese stops": "中。",
    "apostrophes": "a'",
    "negations": "n't ",
    "addresses": "http://",
    "tags": "<",
    "opening tags": "<think>",
    "closing tags": "</think>",
    "tags at line starts": "\n</think",
    "pairs of tags": "<think></think>",
    "comments": "<!--",
    "literal blocks": "a::\n\n  b\n",
    "pictures": "![a](",
    "roles": "{a}`",
    "braces": "{",
    "objects": '{"a":',
    "drawn rules": "+--+\n| a\n",
    "simple rules": "== ==\nx y\n",
    "tabulars": "\\begin{tabular}[a]{b}",
}


class Empty:
    """A corpus in which every phrase leads somewhere and nothing is a title."""

    size = 1_000

    def frequencies(self, phrases: Any) -> list[int]:
        return [2] * len(phrases)

    def titled(self, names: Any) -> dict[str, list[int]]:
        return {name: [] for name in names}


def in_pieces(text: str, size: int) -> Iterator[str]:
    return (text[at : at + size] for at in range(0, len(text), size))


def scan_markers(text: str) -> None:
    scanner = MarkerScanner({1, 2})
    for piece in in_pieces(text, 7):
        scanner.feed(piece)
    scanner.finish()


def parse_claims(text: str) -> None:
    parser = ClaimParser({1, 2})
    for piece in in_pieces(text, 7):
        parser.feed(piece)
    parser.finish()


def stream_sentences(text: str) -> None:
    stream = SentenceStream()
    for piece in in_pieces(text, 7):
        stream.feed(piece)
    stream.finish()


def filter_thinking(text: str) -> None:
    for size in (7, len(text)):
        reader = ThinkingFilter()
        for piece in in_pieces(text, size):
            list(reader.read_text(piece))
        list(reader.end())


def read_events(text: str) -> None:
    wire = b'data: {"choices":[{"delta":{"content":"' + text.encode() + b'"}}]}\n\n'
    for unit in (wire, text.encode()):
        try:
            sse, reader = EventReader(), ChunkReader()
            for at in range(0, len(unit), 64):
                reader.read(sse.feed(unit[at : at + 64]))
            reader.read(sse.end())
        except ValueError:
            pass  # broken or too large, which is what is to be found out


def passage(text: str) -> Passage:
    return Passage(1, "d", "d.md", "Title", 0, len(text), text)


def cited(text: str) -> NumberedPassage:
    return NumberedPassage(
        number=1, document="d", title="Title", uri="d.md", start=0, end=len(text), content=text, score=1.0
    )


def keep_ledger(text: str) -> None:
    """Half a text replaces the other half, whose sentences differ where they can."""
    before, after = Written(deltas=[text[: len(text) // 2]]), Written(deltas=[text[len(text) // 2 :].swapcase()])
    before.claims = state_claims(before, 1)
    after.claims = state_claims(after, 2, earlier=[before])
    tell_fates(before, after, 2)


CLAIMS = (
    "Slice the potato before you peel it [1]. The retries are -5 by default [1]. The size of a box is -5 [1]."
    " It was removed, and gloves are required [1]."
)
GERMAN = language_of_text("Der Hund darf am Montag nicht in den Garten.") or ENGLISH
A_SOURCE = "The tower was built by the company of Gustave Eiffel. It is 330 metres tall and has 1,665 steps."

PARSERS: Mapping[str, Callable[[str], object]] = {
    "markers": scan_markers,
    "claims": parse_claims,
    "claims at once": lambda text: (parser := ClaimParser({1})).feed(text) + parser.finish(),
    "citing": lambda text: cite(text, [cited(A_SOURCE)], question="Who built the tower?"),
    "sources": lambda text: cite(CLAIMS, [cited(text)], question="How is it made?"),
    "ledger": keep_ledger,
    "sentences": sentences,
    "sentences in pieces": stream_sentences,
    "thinking": filter_thinking,
    "terms": terms,
    "chunks": lambda text: list(chunk(text)),
    "entities": lambda text: analyse(passage(text), Empty(), weights={"word": 1.0}),
    "statements": take_apart,
    "statements in German": lambda text: take_apart(text, GERMAN),
    "markup": unmarked,
    "sentences of a document": document_sentences,
    "quotes": lambda text: best_quotes("Who built the tower?", [cited(text)]),
    "plans": lambda text: read_plan(text, "Who built the tower?"),
    "events of a service": read_events,
    "tables in a source": lambda text: [with_rows(text, kind) for kind in (".rst", ".md", ".adoc", ".org", ".tex")],
}


STRUCTURED = (
    "1. Peel the potato.\n2. Slice it and peel it.\n",
    "Then slice the potato and peel it. ",
    "retries: 3\n",
    "`retries` - How often it is tried. Default: 3.\n\n",
    "- Gloves (optional)\n",
    "| box | size | 3 |\n|---|---|---|\n| box | 4 | 5 |\n",
    "### Removed\n\n- a box\n",
    "Are gloves required? No.\n\n",
    "Kein Hund darf um 21:30 Uhr in den Garten. ",
)
"""What a check of claims reads by its structure."""

CACHES: Any = [
    found
    for found in gc.get_objects()
    if isinstance(found, functools._lru_cache_wrapper) and found.__module__.startswith("rag_graph.")
]


def took_s(parse: Callable[[str], object], text: str) -> float:
    for cache in CACHES:
        cache.cache_clear()
    began = time.process_time()
    parse(text)
    return time.process_time() - began


def large_enough(parse: Callable[[str], object], unit: str) -> int:
    """How often the unit is to be repeated so that reading it takes a while.

    Several parsers cut a stretch without an end after 4,000 characters: up to there their work may grow faster.
    """
    count = SMALLEST // len(unit)
    while took_s(parse, unit * count) < LEAST_S and count * len(unit) < LARGEST:
        count *= 2
    return count


@pytest.mark.parametrize("unit", UNITS.values(), ids=UNITS)
@pytest.mark.parametrize("parse", PARSERS.values(), ids=PARSERS)
def test_work_grows_as_the_text_does(parse: Callable[[str], object], unit: str) -> None:
    check_growth(parse, unit)


@pytest.mark.parametrize("unit", STRUCTURED, ids=lambda unit: unit.split()[0])
def test_work_grows_as_the_source_of_a_claim_does(unit: str) -> None:
    check_growth(PARSERS["sources"], unit)


def check_growth(parse: Callable[[str], object], unit: str) -> None:
    count = large_enough(parse, unit)
    growths = []
    for _ in range(TRIES):
        small, large = took_s(parse, unit * count), took_s(parse, unit * count * 4)
        growths.append(large / max(small, 1e-9))
        if large < LEAST_S or growths[-1] < MOST:
            return
    pytest.fail(f"four times as much took {min(growths):.1f} times as long at least")


FILES: Mapping[str, tuple[str, Sequence[str], str]] = {
    ".html": (
        "<body>",
        (
            *("<b>x", "<sup>1", "<s>x", "a<br>", "<dt>a", "<dd>b", "<ol><li>x</ol>", "<li><a>y</a>", "<x-a>x</x-a> "),
            *(
                "<math><mi>x</mi></math>",
                "<table><tr><td>",
                "<table><tr><td>x<td>y</table>",
                "<p style='display:none'>",
            ),
        ),
        "",
    ),
    ".srt": (
        "",
        ("00:00:01,000 --> 00:00:02,000\nx\n\n", "00:00:01,000 --> 00:00:02,000\n<v a", "<v a", "{\\a", "1:"),
        "",
    ),
    ".ics": (
        "BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:s\n",
        (
            "NOTE:x\n y\n",
            " y\n",
            "NOTE;ENCODING=QUOTED-PRINTABLE:=C3=A4=\n",
            "A;TYPE=x",
            "BEGIN:VEVENT\n",
            "ORG:a;b;\n",
        ),
        "\nEND:VEVENT\n",
    ),
    ".svg": ("<svg>", ("<text>x</text>", "<text><tspan>x</tspan></text>", "<desc>x</desc>"), "</svg>"),
    ".json": ("[", ("1,", '{"a":1},', "[1],", '{"a":{"b":1}},', '{"a":[{"b":1}]},', '{"text":"x"},'), "1]"),
    ".jsonl": ("", ('{"a":1}\n', '{"text":"x"}\n', "x\n"), ""),
    ".eml": (
        "Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n",
        ("--b\n\nx\n", "--b\nContent-Type: text/html\n\n<p>x\n", "--b\nContent-Type: message/rfc822\n\nX: y\n\nz\n"),
        "--b--\n",
    ),
    ".csv": ("", ("a,b\n", '"a\n', "a,", "a,b\n\n", "a,b,,c,d\n"), ""),
    ".odt": (
        "<x><text>",
        (
            *("<p>x</p>", "<p><s/>x</p>", "<h>x</h>", "<list><list-item><p>x</p></list-item></list>"),
            *(
                f"<table>{2 * '<table-row><table-cell><p>x</p></table-cell></table-row>'}</table>",
                "<p><frame><p>x</p></frame></p>",
            ),
        ),
        "</text></x>",
    ),
}
"""By suffix of a file what it begins with, what is repeated in it, and with what it ends.

None of the tags whose end lexbor looks for in all elements that are open, as pages never have so many.
"""


@pytest.mark.parametrize(
    ("suffix", "unit"), [(suffix, unit) for suffix, (_, units, _) in FILES.items() for unit in units]
)
def test_the_work_for_a_file_grows_as_it_does(suffix: str, unit: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    before, _, after = FILES[suffix]

    def read(text: str) -> None:
        written = f"{before}{text}{after}"
        if suffix == ".odt":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("META-INF/manifest.xml", "")
                archive.writestr("content.xml", written)
        else:
            path.write_text(written)
        with suppress(DocumentUnreadable):
            list(load(path))

    check_growth(read, unit)
