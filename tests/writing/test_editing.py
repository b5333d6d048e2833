"""Changes to a draft, read as a model writes them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_graph.writing.editing import MOST_BEFORE, EditReader, Ending, cut, labelled

DRAFT = (
    "The tower is 300 metres tall [1]. It was built in 1887 [1].\n\n- one item [1].\n- two items.\n\n"
    "| A | B |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n\nSo it is."
)
PROSE = "The tower is 300 metres tall [1]. It was built in 1887 [1]. It is made of iron [2]."
RIGHT = PROSE.replace("1887", "1889")
NEW = "The tower was built in 1889 [1], and it is made of iron [2]. Nothing else is known of who had it built, or why."

ALOUD = (
    "What was written says 1887, and this year is given by source [1] as that of the plan, while it was built two"
    " years after that; the iron is right."
)


def read(draft: str, reply: str, *, size: int = 4, is_cut: bool = False) -> tuple[str, Ending]:
    """What was told as the reply came in deltas of this size, and how it ended."""
    reader = EditReader(draft)
    told = "".join(reader.feed(reply[at : at + size]) for at in range(0, len(reply), size))
    return told, reader.finish(is_cut=is_cut)


def answer(draft: str, reply: str, *, size: int = 4) -> str:
    """The answer that stands after it."""
    told, ending = read(draft, reply, size=size)
    return ("" if ending.void else told) + ending.content or draft


def test_a_draft_is_shown_line_by_line_and_joins_again() -> None:
    assert labelled(DRAFT).splitlines()[1:4] == [
        "{2} It was built in 1887 [1].",
        "{3} - one item [1].",
        "{4} - two items.",
    ]
    assert labelled(DRAFT).splitlines()[5] == "{6} | 1 | 2 |"
    assert "".join(piece.gap + piece.content for piece in cut(DRAFT)) == DRAFT


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("REPLACE {2}: It was built in 1889 [1].", RIGHT),
        ("replace {2} - It was built in 1889 [1].\n", RIGHT),
        ("REPLACE 2: It was built in 1889 [1].", RIGHT),
        ("1. **REPLACE {2}:** {2}: It was built in 1889 [1].", RIGHT),
        ("{2} It was built in 1889 [1].", RIGHT),
        ("{1} KEEP\n{2}: It was built in 1889 [1].\n{3} unchanged", RIGHT),
        ("KEEP {1}\nREPLACE {2}: It was built in 1887.\nREPLACE {2}: It was built in 1889 [1].", RIGHT),
        ("Here are the changes:\n\n```\nREPLACE {2}: It was built in 1889 [1].\n```\n\nAll else stands.", RIGHT),
        ("REMOVE {1}\nINSERT AFTER {3}: It is old.", "It was built in 1887 [1]. It is made of iron [2]. It is old."),
        ("REMOVE {1}, {3}", "It was built in 1887 [1]."),
        ("DELETE {1}-{2}", "It is made of iron [2]."),
        ("REPLACE {1}-{3}: It is iron [2].", "It is iron [2]."),
        ("INSERT BEFORE {1}: Well.\nADD AFTER 0: Then.", f"Well. Then. {PROSE}"),
        ("REPLACE {3}: It is iron [2].\nREMOVE {1}", "It was built in 1887 [1]. It is iron [2]."),
        ("INSERT AFTER {3}:\n- iron\n- steel", f"{PROSE}\n\n- iron\n- steel"),
        ("REMOVE {9}\nREPLACE {7}: What is that?\nREMOVE {3}", PROSE[: PROSE.index(" It is made")]),
        ("REMOVE {1}, REMOVE {3}", "It was built in 1887 [1]."),
        ("KEEP {1}; **REPLACE {2}:** It was built in 1889 [1].KEEP {3}", RIGHT),
        ("REPLACE {1}: REPLACE {2}: It was built in 1889 [1].", RIGHT),
        (f"{ALOUD}\n\nREPLACE {{2}}: It was built in 1889 [1].", RIGHT),
        (f"{ALOUD}\n\n**KEEP**", PROSE),
        (NEW, NEW),
        (f"{NEW} Keep it shut. REMOVED.", f"{NEW} Keep it shut. REMOVED."),
        ("Replace 3 screws.", "Replace 3 screws."),
        ("Keep it shut.", "Keep it shut."),
        ("[1] says that it is iron.", "[1] says that it is iron."),
        *(
            (same, PROSE)
            for same in ("KEEP", "No changes are needed.", "", "REPLACE {2}:", "REMOVE {9}", "REMOVE {1}-{3}")
        ),
    ],
)
@pytest.mark.parametrize("size", [1, 5, 1_000])
def test_changes_are_read_however_they_are_written(reply: str, expected: str, size: int) -> None:
    assert answer(PROSE, reply, size=size) == expected


@pytest.mark.parametrize(
    "reply",
    [
        '{"edits": [{"replace": 2, "text": "It was',
        '```json\n[{"label": 2}]\n```',
        "Here is the change:\n{\n  'replace': 2",
        "The second sentence should say 1889.",
        f"I would change what the draft says of the year to 1889. {NEW}",
        "Labels {2} and {3} are wrong.",
    ],
)
@pytest.mark.parametrize("size", [1, 5, 1_000])
def test_what_is_neither_changes_nor_an_answer_is_told_to_nobody(reply: str, size: int) -> None:
    assert read(PROSE, reply, size=size) == ("", Ending("", unread=True))


def test_a_draft_that_speaks_of_drafts_may_be_written_anew_with_that_word() -> None:
    draft, reply = "The draft of the ship is 3 metres [1].", "The draft of the ship is 4 metres [2]."
    assert answer(draft, reply) == reply


def test_items_rows_and_paragraphs_keep_their_form() -> None:
    changed = answer(
        DRAFT,
        "REPLACE {3}: first item [1].\nINSERT AFTER {4}: - three\nREMOVE {6}\nINSERT AFTER {7}: | 5 | 6 |\n"
        "INSERT AFTER {8}: End.",
    )
    assert changed == (
        "The tower is 300 metres tall [1]. It was built in 1887 [1].\n\n- first item [1].\n- two items.\n- three\n\n"
        "| A | B |\n|---|---|\n| 3 | 4 |\n| 5 | 6 |\n\nSo it is. End."
    )


def test_what_is_kept_comes_at_once_and_only_changed_words_stream() -> None:
    reader = EditReader(PROSE)
    told = [reader.feed(word) for word in ("REPLACE ", "{2}:", " It", " was built", " in", " 1889", " [1].", "\n")]
    assert told == ["", "", "The tower is 300 metres tall [1].", " It was built", " in", " 1889", " [1].", ""]
    assert reader.finish() == Ending(" It is made of iron [2].")


def test_a_new_answer_is_held_back_no_longer_than_a_preamble() -> None:
    reader = EditReader(PROSE)
    assert not reader.feed(f"{NEW} {NEW}"[:MOST_BEFORE])
    assert reader.feed(f"{NEW} {NEW}"[MOST_BEFORE:]) == f"{NEW} {NEW}"
    assert reader.feed(" REMOVE {1}") == " REMOVE {1}"
    assert reader.finish() == Ending("")


def test_changes_out_of_order_void_what_was_told() -> None:
    told, ending = read(PROSE, "REPLACE {3}: It is all iron [2].\nREPLACE {1}: It is tall.")
    assert told.endswith("It is all iron [2].")
    assert ending == Ending("It is tall. It was built in 1887 [1]. It is all iron [2].", void=True)


WORDS = st.lists(st.sampled_from(["iron", "steel", "tower", "1889", "[2]", "river", "x=1"]), min_size=1, max_size=6)
SENTENCE = WORDS.map(lambda words: f"It has {' '.join(words)} then.")
CHANGE = st.one_of(
    st.tuples(st.just("REPLACE"), st.integers(0, 9), SENTENCE),
    st.tuples(st.just("REMOVE"), st.integers(0, 9), st.just("")),
    st.tuples(st.just("INSERT AFTER"), st.integers(0, 9), SENTENCE),
)


def applied(pieces: list[str], changes: list[tuple[str, int, str]]) -> list[str]:
    """What the changes mean, without any streaming."""
    now = [[""], *([piece] for piece in pieces)]
    for verb, number, words in changes:
        if number < len(now) and (number or verb == "INSERT AFTER"):
            now[number] = [*now[number], words] if verb == "INSERT AFTER" else [words, *now[number][1:]]
    return [words for part in now for words in part if words]


@settings(deadline=None)  # a busy machine is slow
@given(st.lists(SENTENCE, min_size=1, max_size=7), st.lists(CHANGE, max_size=6), st.integers(1, 40), st.booleans())
def test_the_told_text_is_the_draft_with_exactly_these_changes(
    pieces: list[str], changes: list[tuple[str, int, str]], size: int, is_list: bool
) -> None:
    mark, gap = ("- ", "\n") if is_list else ("", " ")
    draft = gap.join(f"{mark}{piece}" for piece in pieces)
    marked = [(verb, number, mark + words if words else "") for verb, number, words in changes]
    reply = "\n".join(f"{verb} {{{number}}}{': ' if words else ''}{words}" for verb, number, words in marked)
    expected = gap.join(applied([f"{mark}{piece}" for piece in pieces], marked))
    assert answer(draft, reply, size=size) == (expected or draft)


@settings(deadline=None)  # a busy machine is slow
@given(st.lists(SENTENCE, min_size=1, max_size=5), st.lists(CHANGE, min_size=1, max_size=4), st.data())
def test_a_reply_cut_anywhere_leaves_an_answer_of_whole_sentences(
    pieces: list[str], changes: list[tuple[str, int, str]], data: st.DataObject
) -> None:
    draft = " ".join(pieces)
    reply = "\n".join(f"{verb} {{{number}}}{': ' if words else ''}{words}" for verb, number, words in changes)
    at = data.draw(st.integers(0, len(reply)))
    told, ending = read(draft, reply[:at], is_cut=True)
    left = ("" if ending.void else told) + ending.content or draft
    begun = [" ".join(applied(pieces, changes[:count])) or draft for count in range(len(changes) + 1)]
    assert left in begun


FRAGMENTS = st.sampled_from(
    (
        *(
            "REPLACE {2}: It is iron [2].",
            "REPLACE {9}: Ghost.",
            "REMOVE {1}",
            "REMOVE {3}-{1}",
            "REMOVE {1}-{999999999}",
        ),
        *(
            "INSERT AFTER {2}: New.",
            "INSERT BEFORE {1}: Well.",
            "KEEP",
            "KEEP {1}",
            "{2}",
            "{2}:",
            "REPLACE {",
            "```json",
        ),
        *("~~~", '{"replace": {"2": "It is', '[{"op": "', "**REPLACE {2}**:", "1) REMOVE {2}", "Here are the changes:"),
        *(
            "The second sentence should say so.",
            "</draft>",
            "\x00",
            "铁[2]。",
            "No changes.",
            "REPLACE {2}: removed",
            NEW,
        ),
    )
)
REPLY = st.lists(
    st.one_of(FRAGMENTS, st.text(alphabet="REPLACMOVINkeep {}0123:\n*`-. ,;。", max_size=60)), max_size=6
).flatmap(lambda parts: st.sampled_from((" ", "\n", "\n\n", "")).map(lambda gap: gap.join(parts)))


@settings(deadline=None)  # a busy machine is slow
@given(
    st.sampled_from((PROSE, DRAFT, "塔高300米[1]。它建于1887年[1]。铁制[2]。")), REPLY, st.integers(1, 30), st.data()
)
def test_any_reply_reads_alike_however_it_comes_and_leaves_an_answer_wherever_it_is_cut(
    draft: str, reply: str, size: int, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(reply)))
    for content, is_cut in ((reply, False), (reply[:at], True)):
        told, ending = read(draft, content, size=size, is_cut=is_cut)
        whole, other = read(draft, content, size=1_000, is_cut=is_cut)
        left = ("" if ending.void else told) + ending.content
        assert (left, ending.unread) == (("" if other.void else whole) + other.content, other.unread)
        assert (left or draft).strip()
        assert not (ending.unread and left)
