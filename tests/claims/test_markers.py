from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rag_graph.claims.markers import _OPENERS, MAX_HELD_CHARS, MAX_TARGET_CHARS, MarkerScanner, cited_numbers

KNOWN = frozenset({1, 2, 3, 12})
ADDRESSES = {1: "https://example.org/a b.html", 2: "notes/towers.md"}
TEXTS = st.lists(
    st.sampled_from(
        [
            *(
                "[1]",
                " [2]",
                "[1, 2]",
                "[1-3]",
                "【1】",
                "【2†source】",
                "[99]",
                " [12]",
                "[",
                "]",
                "【",
                "】",
                "†",
                "[1",
                "(",
                ")",
            ),
            *(
                "`",
                "``",
                "```",
                "```py\n",
                "\n",
                "~~~\n",
                "[1](http://x/[2])",
                "![1](x)",
                "[1]: x",
                "[^1]",
                "a[1]",
                "x_y[2]",
            ),
            *(
                "¹",
                "²",
                "⁻",
                "⁽",
                "⁾",
                "<sup>",
                "</sup>",
                "<cite>1</cite>",
                "{1}",
                "{",
                "}",
                "^",
                "\\cite{1}",
                "\\[",
                "\\]",
            ),
            *(
                "$",
                "$$",
                "\\(",
                "\\)",
                "\\",
                "[[1]](",
                "(#1)",
                "https://example.org/",
                "[1](",
                "]]",
                "1",
                "source ",
                "m",
            ),
            *(" ", ".", ". ", "- ", "> ", "The tower", "é𝒳漢"),
        ]
    )
    | st.text(max_size=3),
    max_size=30,
).map("".join)


def scan(*pieces: str) -> tuple[str, list[tuple[int, str]]]:
    scanner = MarkerScanner(KNOWN, ADDRESSES)
    text = "".join(map(scanner.feed, pieces)) + scanner.finish()
    assert scanner.length == len(text)
    return text, [(marker.number, text[marker.start : marker.end]) for marker in scanner.found]


@pytest.mark.parametrize(
    ("raw", "shown", "numbers"),
    [
        ("Tall [1].", "Tall [1].", [1]),
        ("Tall [1, 2].", "Tall [1][2].", [1, 2]),
        ("Tall [1][2].", "Tall [1][2].", [1, 2]),
        ("Tall [1-3].", "Tall [1][2][3].", [1, 2, 3]),
        ("Tall [1; 12].", "Tall [1][12].", [1, 12]),
        ("Tall【1】.", "Tall[1].", [1]),
        ("Tall 【12†L3-L9】.", "Tall [12].", [12]),
        ("Tall [1, 1].", "Tall [1].", [1]),
        ("The tower[1] is tall.", "The tower[1] is tall.", [1]),
        ("It is 330 m[1].", "It is 330 m[1].", [1]),
        ("Tall [[1]].", "Tall [1].", [1]),
        ("Tall[^1].", "Tall[1].", [1]),
        ("Tall [Source 1].", "Tall [1].", [1]),
        ("Tall (Source 1).", "Tall [1].", [1]),
        ("Высокая [Источник 1].", "Высокая [1].", [1]),
        ("Hög [Källa 1, 2].", "Hög [1][2].", [1, 2]),
        ("Hoch (Dokument 1, Seite 3).", "Hoch (Dokument 1, Seite 3).", []),
        ("Hoch [Dokument 1, Seite 3].", "Hoch [1].", [1]),
        ("很高[來源1]。", "很高[1]。", [1]),
        ("高い[文書1、第3ページ]。", "高い[1]。", [1]),
        ("طويل [١].", "طويل [1].", [1]),
        ("ऊँचा [१, २]।", "ऊँचा [1][2]।", [1, 2]),
        ("Tall [\u200f1\u200f].", "Tall [1].", [1]),
        ("Tall [Source n° 1].", "Tall [1].", [1]),
        ("Tall [Source 1: Documented towers].", "Tall [1].", [1]),
        ("Tall [@1] [№ 2].", "Tall [1] [№ 2].", [1]),
        ("Tall __[1]__.", "Tall __[1]__.", [1]),
        ("Tall [1 (p. 3)].", "Tall [1].", [1]),
        ("Tall (sources 1 and 2).", "Tall [1][2].", [1, 2]),
        ("Tall [Doc 1, Doc 2].", "Tall [1][2].", [1, 2]),
        ("Tall [ID:1].", "Tall [1].", [1]),
        ("Tall [1†L3-L5].", "Tall [1].", [1]),
        ("Tall [1-3, 12].", "Tall [1][2][3][12].", [1, 2, 3, 12]),
        ("Tall [1 to 3].", "Tall [1][2][3].", [1, 2, 3]),
        ("Tall [1—3].", "Tall [1][2][3].", [1, 2, 3]),
        ("Tall [1，2].", "Tall [1][2].", [1, 2]),
        ("Tall [1 und 2].", "Tall [1][2].", [1, 2]),
        ("Tall [^1^].", "Tall [1].", [1]),
        ("Tall ［1］.", "Tall [1].", [1]),
        ("Tall [来源：1].", "Tall [1].", [1]),
        ("Tall （来源1）.", "Tall [1].", [1]),
        ("[cite_start]Tall [cite: 1, 2].", "Tall [1][2].", [1, 2]),
        ("It is [cite_start]tall [cite: 1].", "It is tall [1].", [1]),
        ("Tall [doc_1] [source-2] [id=3].", "Tall [1] [2] [3].", [1, 2, 3]),
        ("Tall [chunk 1, chunk 2].", "Tall [1][2].", [1, 2]),
        ("Tall [1, p. 3].", "Tall [1].", [1]),
        ("Tall [1, lines 3-5].", "Tall [1].", [1]),
        ("Tall ([1], [2]) and **[3]**.", "Tall ([1], [2]) and **[3]**.", [1, 2, 3]),
        ("Tall [[1]](https://example.com/x).", "Tall [1].", [1]),
        ("Tall [1](#source-1) and [2](#cite-2).", "Tall [1] and [2].", [1, 2]),
        ("Tall [1]() and [2](2).", "Tall [1] and [2].", [1, 2]),
        ("Tall [1](https://example.org/a%20b.html#p3).", "Tall [1].", [1]),
        ("Tall [\\[1\\]](https://example.com).", "Tall [1].", [1]),
        ("Tall \\[1\\] and \\cite{2,3}.", "Tall [1] and [2][3].", [1, 2, 3]),
        (
            "Tall¹ and red.² It is¹³ built in 1889³.",
            "Tall[1] and red.[2] It is[1][3] built in 1889[3].",
            [1, 2, 1, 3, 3],
        ),
        ("Tall¹⁻³, red ⁽²⁾ and “old”¹².", "Tall[1][2][3], red [2] and “old”[12].", [1, 2, 3, 2, 12]),
        ("Tall<sup>1</sup><sup>[2]</sup>, red<sup>1-3</sup>.", "Tall[1][2], red[1][2][3].", [1, 2, 1, 2, 3]),
        ('Tall<sup><a href="#fn1">1</a></sup>.', "Tall[1].", [1]),
        ("Tall^1^ and red ^[2]^.", "Tall[1] and red [2].", [1, 2]),
        ('Tall <cite>1</cite><source id="2"/>.', "Tall [1][2].", [1, 2]),
        ("Tall {1}. Red {1, 2}. Old {{3}} ｛1｝.", "Tall [1]. Red [1][2]. Old [3] [1].", [1, 1, 2, 3, 1]),
        ("Tall {Source: 1}. Red [see source 2].", "Tall [1]. Red [2].", [1, 2]),
        ("Tall [Source 1: The tower's history].", "Tall [1].", [1]),
        ("Tall [Document 1, Section 2] and [1, § 4].", "Tall [1] and [1].", [1, 1]),
        ("Tall [１] ［１，２］〔3〕【1:0†a.pdf】.", "Tall [1] [1][2][3][1].", [1, 1, 2, 3, 1]),
        ("Tall [1..3] [1 through 3] [1 和 2].", "Tall [1][2][3] [1][2][3] [1][2].", [1, 2, 3, 1, 2, 3, 1, 2]),
        ("$AAPL rose [1], for $5 [2] and $6 [3].", "$AAPL rose [1], for $5 [2] and $6 [3].", [1, 2, 3]),
        (
            "It holds that $x[1] = 2$ [1].\n$$\ny[2]\n$$\nTall [2].",
            "It holds that $x[1] = 2$ [1].\n$$\ny[2]\n$$\nTall [2].",
            [1, 2],
        ),
        ("Tall (1).", "Tall (1).", []),
        ("Tall (see the source 1).", "Tall (see the source 1).", []),
        ("Tall [99].", "Tall.", [99]),
        ("Tall [99] and [1, 99] old.", "Tall and [1] old.", [99, 1, 99]),
    ],
)
def test_markers_are_normalised_and_dead_ones_dropped(raw: str, shown: str, numbers: list[int]) -> None:
    text, found = scan(raw)
    assert text == shown
    assert [number for number, _ in found] == numbers
    assert all(label in ("", f"[{number}]") for number, label in found)


@pytest.mark.parametrize(
    "text",
    [
        "Call `a [1]` and ``b [1] ` [2]``.",
        "```py\na = b [1]\n```",
        "~~~\n[1]\n```\n[2]\n~~~",
        "- ````\n```\n[1]\n````",
        "See [1](http://example.com/[2]) there.",
        "See ![1](picture.png) there.",
        "[docs](http://example.com/a[1])",
        "[1]: http://example.com",
        "A footnote[^note].",
        "items[1].name, row_1[2], x[1], a[1]=3",
        "In [2019] or [0] or [1234].",
        "foo[1] = 3 and f(1)",
        "It lies in the interval [1, 2], x ∈ [1, 3], and [1, 3) is open.",
        "[Figure 1], [Step 2], [1/2], {1}, m², x¹, m<sup>2</sup>, - [x] done",
        "(Source 1: The tower)",
        "An escaped \\[1].",
        "[[9]](http://example.com) and [9](#9)",
        "See [1](https://example.com) and [2](notes/other.md).",
        "m², cm³, x¹, 10², (a+b)², Ca², 330 m ², sin², m<sup>2</sup>, 2^1^, x^[1], inch², mètre²",
        "E = mc², A = πr², 4πr², ax² + bx + c = 0, F = kx²/2",
        "¹⁴C and ²³⁵U, tall⁹, 10⁻³, CO<sub>2</sub>, the 1<sup>st</sup>",
        "The set {1, 2}, A = {1}, x ∈ {1, 2}, a{1,2}, \\frac{1}{2}, x_{1}, ${1}, {0} and more {9}",
        "$x^{1}[1]$ and $$[1]$$ and \\(y[1]\\) and \\[ z [1] \\]",
        "- ¹ a footnote",
        "An unfinished [1",
        "[3-1",
    ],
)
def test_what_is_no_marker_is_left_alone(text: str) -> None:
    assert scan(text) == (text, [])


def test_markers_count_again_after_code() -> None:
    assert [number for number, _ in scan("`a [1]` [2]\n```\n[1]\n```\nOpen ` tick [1]\nTall [3]")[1]] == [2, 3]


@settings(deadline=None)
@given(TEXTS, st.lists(st.integers(min_value=0), max_size=8))
@example("ax² + bx, and so it is¹ told", [3])
def test_pieces_give_the_same_text_and_markers_as_the_whole(text: str, cuts: list[int]) -> None:
    borders = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    pieces = [text[start:end] for start, end in pairwise(borders)]
    assert scan(*pieces) == scan(text)
    assert scan(*text) == scan(text)


@settings(deadline=None)
@given(TEXTS)
def test_no_more_is_held_back_than_an_unfinished_marker(raw: str) -> None:
    scanner = MarkerScanner(frozenset())
    shown = 0
    for at, char in enumerate(raw, 1):
        shown += len(scanner.feed(char))
        held = at - shown - sum(_length_dropped(scanner))
        assert held <= MAX_HELD_CHARS + MAX_TARGET_CHARS or not scanner.found
        assert len(scanner._held) <= MAX_HELD_CHARS + MAX_TARGET_CHARS
        assert "](" in scanner._held or len(scanner._held) <= MAX_HELD_CHARS
        if scanner._held:
            assert scanner._held.lstrip(" ")[:1] in ("", *_OPENERS, "$")


def _length_dropped(scanner: MarkerScanner) -> list[int]:
    return [MAX_HELD_CHARS for _ in scanner.found]


@settings(deadline=None)
@given(TEXTS)
def test_without_brackets_the_text_passes_unchanged(text: str) -> None:
    plain = text.translate(dict.fromkeys(map(ord, _OPENERS.replace(" ", ""))))
    assert scan(*plain) == (plain, [])


def test_the_numbers_that_a_text_cites_are_known_whatever_a_check_says_of_them() -> None:
    assert cited_numbers("Tall [2]. Red (Source 3). `x[1]` [99]", KNOWN) == {2, 3}
