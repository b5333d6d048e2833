"""Kinds of files that few have many of, and files that are not of the kind that their suffix says."""

import mailbox
import zipfile
from contextlib import closing
from email.message import EmailMessage
from pathlib import Path

import openpyxl
import pytest

from rag_graph.errors import DocumentUnreadable
from rag_graph.index.loaders import load
from rag_graph.index.loading import Failure, FoundFile, LoadedDocument, find_files
from tests.index.pdfs import pdf, words


def read(path: Path, content: str | bytes) -> LoadedDocument:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    (document,) = load(path)
    assert isinstance(document, LoadedDocument)
    return document


SUBRIP = """1
00:00:01,000 --> 00:00:02,000
The pump <i>moves</i>

2
00:00:02,000 --> 00:00:03,000
40 litres.
"""
WEBVTT = """WEBVTT

NOTE not said

00:01.000 --> 00:02.000 align:start
<v Ada>It moves

00:02.000 --> 00:03.000
<v Ada>40 litres &amp; more.
"""
ICALENDAR = """BEGIN:VCALENDAR\r
BEGIN:VEVENT\r
UID:7\r
DTSTART;TZID=Europe/Berlin:20260301T090000\r
DTEND:20260301T100000Z\r
SUMMARY:Release\\, the big one\r
ATTENDEE;CN=Ada:mailto:ada@example.org\r
DESCRIPTION:Who b\r
 rings what\r
BEGIN:VALARM\r
DESCRIPTION:Alarm\r
END:VALARM\r
END:VEVENT\r
END:VCALENDAR\r
"""
EVENT = """Release, the big one

Start: 2026-03-01 09:00 Europe/Berlin
End: 2026-03-01 10:00 UTC
Attendee: Ada <ada@example.org>
Description: Who brings what"""
VCARD = """BEGIN:VCARD
VERSION:2.1
FN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:J=C3=BCrgen=
 Maier
ORG:Firm;Sales
item1.TEL;TYPE=work,voice:+49 30 1234
PHOTO;ENCODING=b:iVBORw0KGgo9
END:VCARD
"""
PERSON = "Jürgen Maier\n\nOrganization: Firm, Sales\nTelephone: +49 30 1234 (work, voice)"


@pytest.mark.parametrize(
    ("name", "content", "text", "line"),
    [
        ("a.srt", SUBRIP, "The pump moves 40 litres.", 3),
        ("a.vtt", WEBVTT, "Ada: It moves 40 litres & more.", 6),
        ("a.ics", ICALENDAR, EVENT, 2),
        ("a.vcf", VCARD, PERSON, 1),
    ],
)
def test_each_of_them_gives_what_people_read_and_its_line(
    name: str, content: str, text: str, line: int, tmp_path: Path
) -> None:
    document = read(tmp_path / name, content)
    assert (document.text, document.places[0].where) == (text, {"line": line})


def test_a_drawing_gives_its_words_and_a_text_of_org_or_latex_its_headings(tmp_path: Path) -> None:
    svg = '<svg xmlns="http://www.w3.org/2000/svg"><title>Pump</title><text>Inlet <tspan>40 l</tspan></text></svg>'
    assert read(tmp_path / "a.svg", svg).text == "Pump\n\nInlet 40 l"
    org = read(tmp_path / "a.org", "#+TITLE: Guide\n* TODO Flow :tag:\nText.\n** Low\n#+begin_src\n* no\n#+end_src\n")
    assert (org.title, [(one.level, one.title) for one in org.outline]) == ("Guide", [(1, "Flow"), (2, "Low")])
    tex = read(tmp_path / "a.tex", "\\title{Guide}\n\\section{Flow of \\emph{all}} % not said\n50\\% is.\n")
    assert (tex.title, [one.title for one in tex.outline]) == ("Guide", ["Flow of all"])
    assert tex.text == "\\title{Guide}\n\\section{Flow of \\emph{all}} \n50\\% is.\n"


def test_each_mail_of_a_mailbox_is_a_document(tmp_path: Path) -> None:
    with closing(mailbox.mbox(tmp_path / "a.mbox")) as box:
        for subject in ("One", "Two"):
            mail = EmailMessage()
            mail["Subject"] = subject
            mail.set_content(f"Text of {subject}.\n")
            box.add(mail)
    found = [one for one in load(tmp_path / "a.mbox") if isinstance(one, LoadedDocument)]
    assert [(one.key, one.title, one.text) for one in found] == [
        ("1", "One", "Subject: One\n\nText of One."),
        ("2", "Two", "Subject: Two\n\nText of Two."),
    ]


PAGE = "<html><body><table><tr><th>Model</th><th>Flow</th></tr><tr><td>A10</td><td>40</td></tr></table></body></html>"
TABLE = "| Model | Flow |\n| --- | --- |\n| A10 | 40 |"


@pytest.mark.parametrize(
    ("name", "content", "suffix"),
    [("a.xls", PAGE, ".html"), ("a.docx", PAGE, ".html"), ("a.xls", "Model\tFlow\nA10\t40\n", ".tsv")],
)
def test_an_export_that_is_not_what_its_suffix_says_is_read_as_what_it_is(
    name: str, content: str, suffix: str, tmp_path: Path
) -> None:
    document = read(tmp_path / name, content)
    assert document.text == TABLE
    assert suffix in document.note


def test_what_is_inside_says_of_which_kind_a_file_is(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    assert book.active is not None
    for row in (["Model", "Flow"], ["A10", 40]):
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    drawn = pdf(tmp_path / "b.pdf", words(50, 700, "It moves water.")).read_bytes()
    for name in ("a.xls", "a.docx", "a.txt"):
        assert TABLE in read(tmp_path / name, (tmp_path / "a.xlsx").read_bytes()).text
    assert read(tmp_path / "b.md", drawn).text == "It moves water."


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.docx", b"", "it is empty"),
        ("a.pdf", b"plain text", "not what its suffix says"),
        ("a.xlsx", b"PK\x03\x04 cut off", "damaged"),
        ("a.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "save it anew without a password"),
        ("a.docx", rb"{\rtf1 Hello}", "save it as .docx"),
        ("a.vcf", b"BEGIN:NOTHING", "not what its suffix says"),
    ],
)
def test_what_cannot_be_read_says_why(name: str, content: bytes, reason: str, tmp_path: Path) -> None:
    with pytest.raises(DocumentUnreadable, match=reason):
        read(tmp_path / name, content)


@pytest.mark.parametrize(
    ("name", "advice"),
    [("a.doc", "save them as .docx"), ("a.zip", "unpack them first"), ("a.1", "man NAME"), ("notes", ".txt")],
)
def test_a_kind_that_is_not_read_says_what_to_do(name: str, advice: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"x")
    (failure,) = find_files(tmp_path / name)
    assert isinstance(failure, Failure)
    assert advice in failure.reason


def test_a_readme_is_text_without_a_suffix_too(tmp_path: Path) -> None:
    (tmp_path / "README").write_text("It moves water.")
    (found,) = find_files(tmp_path)
    assert isinstance(found, FoundFile)
    assert read(tmp_path / "README", "It moves water.").title == "README"


@pytest.mark.parametrize("order", ['<itemref idref="1"/>', "", 2 * '<itemref idref="1"/>'])
def test_an_archive_that_is_a_book_of_another_name_is_read(order: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.odt", "w") as book:
        book.writestr("mimetype", "application/epub+zip")
        book.writestr("META-INF/container.xml", '<container><rootfile full-path="b.opf"/></container>')
        book.writestr("b.opf", f'<package><item id="1" href="c.html"/>{order}</package>')
        book.writestr("c.html", "<p>It moves water.</p>")
    (document,) = load(tmp_path / "a.odt")
    assert isinstance(document, LoadedDocument)
    assert document.text == "It moves water."


NAV = '<nav><ol><li><a href="one.html#x">The <i>first</i> part</a></li><li><a href="two.html">Two</a></li></ol></nav>'
NCX = (
    '<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/"><navMap>'
    '<navPoint><navLabel><text>The first part</text></navLabel><content src="one.html#x"/></navPoint>'
    '<navPoint><navLabel><text>Two</text></navLabel><content src="two.html"/></navPoint></navMap></ncx>'
)


@pytest.mark.parametrize(
    ("table", "about"), [(NAV, 'properties="nav"'), (NCX, 'media-type="application/x-dtbncx+xml"'), (None, "")]
)
def test_chapters_without_headings_have_the_names_of_the_books_table_of_contents(
    table: str | None, about: str, tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "a.epub", "w") as book:
        book.writestr("META-INF/container.xml", '<container><rootfile full-path="OEBPS/b.opf"/></container>')
        book.writestr(
            "OEBPS/b.opf",
            f'<package><title>Pumps</title><item id="t" href="toc/t.xml" {about}/><item id="1" href="toc/one.html"/>'
            '<item id="2" href="toc/two.html"/><itemref idref="1"/><itemref idref="2"/></package>',
        )
        book.writestr("OEBPS/toc/one.html", "<p>It moves water.</p><h2>Flow</h2><p>40 litres.</p>")
        book.writestr("OEBPS/toc/two.html", "<h1>The second</h1><p>It holds water.</p>")
        if table:
            book.writestr("OEBPS/toc/t.xml", table)
    (document,) = load(tmp_path / "a.epub")
    assert isinstance(document, LoadedDocument)
    first = "The first part\n\n" if table else ""
    assert document.text == f"{first}It moves water.\n\nFlow\n\n40 litres.\n\nThe second\n\nIt holds water."
    headings = [(document.text[one.start :][: len(one.title)], one.title) for one in document.outline]
    assert headings == [(one, one) for one in [*(["The first part"] if table else []), "Flow", "The second"]]
    assert [document.text[one.start :][:7] for one in document.places] == [first[:7] or "It move", "The sec"]


MANY = "9" * 5_000
"""Digits; Python reads no more than 4,300 of a number."""


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("a.html", f"<table><tr><th>A<th>B<tr><td colspan={MANY}>5</table>", "| A | B |\n| --- | --- |\n| 5 |  |"),
        ("a.html", f"<ol start={MANY}><li value={MANY}>a</ol><p role=heading aria-level={MANY}>b", "1. a\n\nb"),
        ("a.rst", f".. list-table:: T\n   :header-rows: {MANY}\n\n   * - A\n     - 5\n", "T\n\n| A | 5 |"),
        ("a.json", f'{{"a": {MANY}, "b": 1e{MANY}, "c": 5}}', f"a: {MANY}\nb: 1e{MANY}\nc: 5"),
    ],
)
def test_a_number_without_end_costs_no_more_than_itself(name: str, content: str, text: str, tmp_path: Path) -> None:
    assert read(tmp_path / name, content).text.strip() == text
