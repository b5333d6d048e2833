"""Each kind of file, written by another program or library than the one that reads it."""

import email.message
import io
import json
import zipfile
from pathlib import Path

import docx
import openpyxl
import pptx
import pypdf
import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

from rag_graph.errors import DocumentUnreadable
from rag_graph.index.chunking import PASSAGE_CHARS, chunk
from rag_graph.index.indexing import where
from rag_graph.index.loaders import load
from rag_graph.index.loaders.pdf import mended
from rag_graph.index.loading import KINDS, Failure, FoundFile, LoadedDocument, PassedOver, find_files
from tests.index.loaders.lines import LineLoader, LoaderThatFails, LoaderThatNeedsMore
from tests.index.pdfs import pdf, words


def only(path: Path) -> LoadedDocument:
    (document,) = load(path)
    assert isinstance(document, LoadedDocument)
    return document


def of_text(folder: Path, name: str, text: str) -> LoadedDocument:
    (folder / name).write_bytes(text.encode())
    return only(folder / name)


@pytest.mark.parametrize(
    ("name", "text", "title", "headings"),
    [
        (
            "a.mdx",
            "---\ntitle: 'Pumps: all'\nsidebar: 3\n---\n\n## Flow\n\nText.\n",
            "Pumps: all",
            ["Flow"],
        ),
        ("a.rst", "=====\nPumps\n=====\n\nIntro.\n\nFlow\n----\n\nText.\n", "Pumps", ["Pumps", "Flow"]),
        ("a.rst", "Pumps\n*****\n\n::\n\n   x\n\nFlow\n====\n\n``a``\n-----\nText.\n", "Pumps", ["Pumps", "Flow", "a"]),
        ("a.adoc", "= Pumps\n\n----\n== not\n----\n\n== Flow\n\nText.\n", "Pumps", ["Pumps", "Flow"]),
        ("a.rst", "Pumps\r\n=====\r\n\r\nFlow\r\n----\r\n\r\nText.\r\n", "Pumps", ["Pumps", "Flow"]),
        ("a.md", '+++\ntitle = "Pumps: all"\n+++\n# Flow\n', "Pumps: all", ["Flow"]),
        ("tool.py", "def f():\n    return 1\n", "tool.py", []),
    ],
)
def test_a_text_has_the_title_and_headings_that_its_language_marks(
    tmp_path: Path, name: str, text: str, title: str, headings: list[str]
) -> None:
    document = of_text(tmp_path, name, text)
    assert (document.title, [heading.title for heading in document.outline]) == (title, headings)
    assert document.text == text


def test_front_matter_says_what_one_can_filter_by(tmp_path: Path) -> None:
    document = of_text(tmp_path, "a.md", "---\ntitle: T\nyear: 2024\ntags: [a]\n---\ntext\n")
    assert document.metadata == {"year": 2024}
    assert of_text(tmp_path, "b.md", "---\n: : [\n---\n# Top\n").title == "Top"


ROWS = [["Model", "Flow", "Note"], ["A10", "40", ""], ["B20", "40", "new"]]
TABLE = "| Model | Flow | Note |\n| --- | --- | --- |\n| A10 | 40 |  |\n| B20 | 40 | new |"


def test_sheets_give_their_rows_under_the_names_of_their_columns(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Pumps"
    for row in ROWS:
        sheet.append([int(cell) if cell.isdigit() else cell for cell in row])
    hidden = book.create_sheet("Secret")
    hidden.append(["x", "y"])
    hidden.sheet_state = "hidden"
    book.save(tmp_path / "a.xlsx")
    document = only(tmp_path / "a.xlsx")
    assert document.text == f"Pumps\n\n{TABLE}"
    assert "hidden sheet" in document.note
    (tmp_path / "a.csv").write_text("\n".join(";".join(row) for row in ROWS))
    assert only(tmp_path / "a.csv").text == TABLE
    (tmp_path / "a.tsv").write_text("\n".join("\t".join(row) for row in ROWS))
    assert only(tmp_path / "a.tsv").text == TABLE
    (tmp_path / "a.json").write_text(json.dumps([dict(zip(ROWS[0], row, strict=True)) for row in ROWS[1:]]))
    assert only(tmp_path / "a.json").text == TABLE


def test_json_is_a_line_for_each_value_and_documents_where_it_holds_texts(tmp_path: Path) -> None:
    assert of_text(tmp_path, "a.json", '{"title": "T", "pump": {"flow": [1, 2], "on": true}}').text == (
        "title: T\npump.flow: 1, 2\npump.on: true"
    )
    (tmp_path / "b.json").write_text('[{"id": "x", "text": "One."}, {"id": "y", "text": "Two."}]')
    assert [item.key for item in load(tmp_path / "b.json") if isinstance(item, LoadedDocument)] == ["x", "y"]
    assert of_text(tmp_path, "c.jsonl", '{"level": "error", "code": 7}\n').text == "level: error\ncode: 7"


def test_lists_in_a_list_of_json_are_rows(tmp_path: Path) -> None:
    rows = "| Name | Age |\n| --- | --- |\n| Ann | 30 |\n| Bob | 31 |"
    (tmp_path / "a.json").write_text('{"people": [["Name", "Age"], ["Ann", 30], ["Bob", 31]]}')
    [document] = load(tmp_path / "a.json")
    assert isinstance(document, LoadedDocument)
    assert document.text == f"people\n\n{rows}"


def test_json_keeps_what_belongs_together_in_a_row_and_the_digits_of_numbers(tmp_path: Path) -> None:
    pumps = (
        '{"unit": "l", "pumps": [{"name": "A", "spec": {"kg": 5.50, "of": ["x", "y"]}}, {"name": "B"}], "sum": 1.10}'
    )
    assert of_text(tmp_path, "a.json", pumps).text == (
        "unit: l\n\npumps\n\n| name | spec.kg | spec.of |\n| --- | --- | --- |\n"
        "| A | 5.50 | x, y |\n| B |  |  |\n\nsum: 1.10"
    )
    assert of_text(tmp_path, "b.json", '{"text": "One."}\n').text == "text: One."
    (tmp_path / "c.json").write_text('{"id": 1, "text": "One."}\n{"id": 2, "text": "Two."}\n')
    assert [item.text for item in load(tmp_path / "c.json") if isinstance(item, LoadedDocument)] == ["One.", "Two."]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ('{\n// How long a shift is\n"hours": 8,\n}', "line 2"),
        ("{hours: 8, of: 'two'}", "line 1"),
        ('{"hours": 8}{"hours": 9}', "line 1"),
    ],
)
def test_what_programs_take_for_json_all_the_same_is_read_as_it_is_written(
    written: str, said: str, tmp_path: Path
) -> None:
    document = of_text(tmp_path, "a.json", written)
    assert document.text == written
    assert said in document.note


def test_lines_of_json_that_are_rows_or_texts_are_one_document(tmp_path: Path) -> None:
    rows = of_text(tmp_path, "a.jsonl", '["Pump", "Flow"]\n["A10", 40]\n\n["B20", 60.50]\n')
    assert rows.text == "| Pump | Flow |\n| --- | --- |\n| A10 | 40 |\n| B20 | 60.50 |"
    assert of_text(tmp_path, "b.jsonl", '"It is dry."\n"It is wet."\n').text == "It is dry.\n\nIt is wet."


def run(text: str) -> str:
    return f"<w:r><w:t>{text}</w:t></w:r>"


def test_a_docx_keeps_all_that_word_shows(tmp_path: Path) -> None:
    document = docx.Document()
    document.add_heading("Contract", 1)
    word = nsdecls("w")
    math = 'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'
    fraction = "<m:f><m:num><m:r><m:t>a</m:t></m:r></m:num><m:den><m:r><m:t>b+1</m:t></m:r></m:den></m:f>"
    for xml in (
        f"<w:sdt {word}><w:sdtContent><w:p><w:r><w:t>in a control</w:t></w:r></w:p></w:sdtContent></w:sdt>",
        f"<w:p {word}><w:del><w:r><w:delText>200</w:delText></w:r></w:del><w:ins>{run('300 EUR')}</w:ins></w:p>",
        f"<w:p {word}><w:r><w:pict><w:txbxContent><w:p>{run('in a box')}</w:p></w:txbxContent></w:pict></w:r></w:p>",
        f"<w:p {word} {math}><m:oMath>{fraction}</m:oMath></w:p>",
        f"<w:p {word}><w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r></w:p>",
    ):
        document.element.body.insert_element_before(parse_xml(xml), "w:sectPr")
    table = document.add_table(2, 2)
    for cell, text in zip([*table.rows[0].cells, *table.rows[1].cells], ("Part", "Kilos", "Valve", "5"), strict=True):
        cell.text = text
    table.rows[1].cells[0].add_table(1, 2).rows[0].cells[1].text = "nested"
    document.sections[0].header.paragraphs[0].text = "No. KX-4471"
    document.save(str(tmp_path / "a.docx"))
    text = only(tmp_path / "a.docx").text
    assert text.split("\n\n") == [
        "No. KX-4471",
        "Contract",
        "in a control",
        "300 EUR",
        "in a box",
        "a/(b+1)",
        "| Part | Kilos |\n| --- | --- |\n| Valve | 5 |",
        "|  | nested |",
    ]
    strict = tmp_path / "strict.docx"
    with zipfile.ZipFile(tmp_path / "a.docx") as source, zipfile.ZipFile(strict, "w") as target:
        for member in source.infolist():
            content = source.read(member).replace(
                b"http://schemas.openxmlformats.org/wordprocessingml/2006/main",
                b"http://purl.oclc.org/ooxml/wordprocessingml/main",
            )
            content = content.replace(
                b"http://schemas.openxmlformats.org/officeDocument/2006/relationships",
                b"http://purl.oclc.org/ooxml/officeDocument/relationships",
            )
            target.writestr(member, content)
    assert only(strict).text == text


def test_slides_have_titles_tables_notes_and_numbers(tmp_path: Path) -> None:
    deck = pptx.Presentation()
    for title in ("Start", "Costs"):
        deck.slides.add_slide(deck.slide_layouts[5]).shapes.title.text = title
    table = deck.slides[1].shapes.add_table(3, 3, 0, 0, 100, 100).table
    for number, row in enumerate(ROWS):
        for column, cell in enumerate(row):
            table.cell(number, column).text = cell
    deck.slides[1].notes_slide.notes_text_frame.text = "Say more."
    deck.save(str(tmp_path / "a.pptx"))
    document = only(tmp_path / "a.pptx")
    assert document.text == f"Start\n\nCosts\n\n{TABLE}\n\nNotes: Say more."
    assert [place.where for place in document.places] == [{"slide": 1}, {"slide": 2}]


def zipped(path: Path, members: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_a_book_is_read_chapter_by_chapter_in_its_own_order(tmp_path: Path) -> None:
    package = (
        "<package><metadata><title>Towers</title></metadata><manifest><item id='a' href='a.xhtml'/>"
        "<item id='b' href='b%20b.xhtml'/>"
        "</manifest><spine><itemref idref='b'/><itemref idref='a'/></spine></package>"
    )
    path = zipped(
        tmp_path / "a.epub",
        {
            "META-INF/container.xml": "<container><rootfiles><rootfile full-path='O/p.opf'/></rootfiles></container>",
            "O/p.opf": package,
            "O/a.xhtml": "<h1>Second</h1><p>Two.</p><aside>A note to it.</aside><footer>And its end.</footer>",
            "O/b b.xhtml": "<h1>First</h1><p>One.</p>",
        },
    )
    document = only(path)
    assert (document.title, document.text) == (
        "Towers",
        "First\n\nOne.\n\nSecond\n\nTwo.\n\nA note to it.\n\nAnd its end.",
    )
    assert [place.where["chapter"] for place in document.places] == [1, 2]


def test_open_documents_have_headings_lists_and_tables(tmp_path: Path) -> None:
    names = "xmlns:office='o' xmlns:text='t' xmlns:table='b'"
    body = (
        "<text:h text:outline-level='2'>Costs</text:h><text:list><text:list-item>"
        "<text:p>one<text:s text:c='2'/>x</text:p>"
        "</text:list-item></text:list><table:table><table:table-header-rows><table:table-row><table:table-cell><text:p>A</text:p>"
        "</table:table-cell><table:table-cell><text:p>B</text:p></table:table-cell></table:table-row></table:table-header-rows>"
        "<table:table-row><table:table-cell table:number-columns-repeated='2'><text:p>7</text:p></table:table-cell>"
        "</table:table-row></table:table>"
    )
    content = f"<office:document-content {names}><office:text>{body}</office:text></office:document-content>"
    document = only(zipped(tmp_path / "a.odt", {"content.xml": content, "META-INF/manifest.xml": "<m/>"}))
    assert document.text == "Costs\n\n- one  x\n\n| A | B |\n| --- | --- |\n| 7 | 7 |"
    assert document.outline[0].level == 2


def test_a_text_of_open_document_has_what_stands_around_its_pages_and_nothing_that_is_hidden(tmp_path: Path) -> None:
    names = "xmlns:office='o' xmlns:text='t' xmlns:style='s'"
    body = (
        "<text:section text:display='none'><text:p>hidden</text:p></text:section><text:p>The pump is dry.</text:p>"
        "<text:p><text:hidden-paragraph text:is-hidden='true'/>hidden, too</text:p>"
    )
    header = "<style:header><text:p>No. KX-4471</text:p></style:header>"
    footer = "<style:footer><text:p>Page <text:page-number>1</text:page-number></text:p></style:footer>"
    master = f"<style:master-page>{header}{footer}</style:master-page>"
    members = {
        "content.xml": f"<office:document-content {names}><office:text>{body}</office:text></office:document-content>",
        "styles.xml": f"<office:document-styles {names}>{master}{master}</office:document-styles>",
        "META-INF/manifest.xml": "<m/>",
    }
    assert only(zipped(tmp_path / "a.odt", members)).text == "No. KX-4471\n\nThe pump is dry."


def test_hidden_rows_of_an_open_document_are_told(tmp_path: Path) -> None:
    names = "xmlns:office='o' xmlns:text='t' xmlns:table='b'"
    cells = "".join(f"<table:table-cell><text:p>{said}</text:p></table:table-cell>" for said in ("Valve", "5"))
    row = f"<table:table-row table:visibility='collapse'>{cells}</table:table-row>"
    sheet = f"<office:spreadsheet><table:table table:name='Stock'>{row}</table:table></office:spreadsheet>"
    content = f"<office:document-content {names}>{sheet}</office:document-content>"
    document = only(zipped(tmp_path / "a.ods", {"content.xml": content, "META-INF/manifest.xml": "<m/>"}))
    assert (document.text, document.note) == (
        "Stock\n\n| Valve | 5 |",
        "rows or columns that are hidden were read, too: Stock",
    )


def test_mail_says_from_whom_it_is_and_what_was_attached(tmp_path: Path) -> None:
    message = email.message.EmailMessage()
    message["Subject"], message["From"], message["To"] = "Prüfung", "a@example.org", "b@example.org"
    message.set_content("The pump is dry.\n")
    message.add_attachment(b"x", maintype="application", subtype="pdf", filename="report.pdf")
    (tmp_path / "a.eml").write_bytes(bytes(message))
    document = only(tmp_path / "a.eml")
    assert document.title == "Prüfung"
    assert document.text == "From: a@example.org\nTo: b@example.org\nSubject: Prüfung\n\nThe pump is dry."
    assert "report.pdf" in document.note


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"Content-Type: text/plain; charset=x-odd\n\nGr\xc3\xb6\xc3\x9fe", "Größe"),
        (b"\nGr\xf6\xdfe", "Größe"),
        (
            b"Content-Type: text/html; charset=latin-1\nContent-Transfer-Encoding: quoted-printable\n\n<p>5=20kg=F6",
            "5 kgö",
        ),
        (
            (
                b"Content-Type: multipart/alternative; boundary=B\n\n"
                b"--B\n\n \n--B\nContent-Type: text/html\n\n<p>HTML\n--B--\n"
            ),
            "HTML",
        ),
        (
            (
                b"Content-Type: multipart/mixed; boundary=B\n\n--B\n\nOne.\n--B\nContent-Type: image/png\n\nx\n"
                b"--B\n\nTwo.\n--B\nContent-Type: message/rfc822\n\nSubject: Inner\n\nThree.\n--B--\n"
            ),
            "One.\n\nTwo.\n\nSubject: Inner\n\nThree.",
        ),
        (
            (
                b"Content-Type: multipart/mixed; boundary=B\n\n--B\nContent-Type: message/rfc822\n"
                b"Content-Disposition: attachment\n\nSubject: Inner\n\nThree.\n--B--\n"
            ),
            "Subject: Inner\n\nThree.",
        ),
        (
            b"Content-Type: text/plain; format=flowed\n\nIt moves \n40 litres.\n> It \n> said.\n From it.\n-- \nAnn",
            "It moves 40 litres.\n> It said.\nFrom it.\n-- \nAnn",
        ),
        (
            (
                b"Content-Type: multipart/alternative; boundary=B\n\n--B\n\n\n--B\nContent-Type: text/calendar\n\n"
                b"BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:Board\nLOCATION:Room 4\nEND:VEVENT\nEND:VCALENDAR\n--B--\n"
            ),
            "Board\n\nLocation: Room 4",
        ),
    ],
)
def test_mail_is_read_part_by_part_in_whatever_encoding(body: bytes, text: str, tmp_path: Path) -> None:
    (tmp_path / "a.eml").write_bytes(b"Subject: Pr\xfcfung\n" + body)
    document = only(tmp_path / "a.eml")
    assert (document.title, document.text) == ("Prüfung", f"Subject: Prüfung\n\n{text}")


def test_a_notebook_gives_its_cells_and_what_they_printed(tmp_path: Path) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Study\n", "Text."]},
        {"cell_type": "code", "source": "print(1)", "outputs": [{"output_type": "stream", "text": ["1"]}]},
    ]
    table = "<style>td {}</style><table><tr><th></th><th>flow</th></tr><tr><th>A10</th><td>40</td></tr></table>"
    shown = [
        {"data": {"text/html": [table], "text/plain": "     flow"}},
        {"data": {"text/markdown": "*So*", "text/plain": "<Markdown>"}},
        {"output_type": "error", "ename": "ValueError", "evalue": "no pump", "traceback": []},
    ]
    more = of_text(tmp_path, "b.ipynb", json.dumps({"cells": [{"cell_type": "code", "source": "", "outputs": shown}]}))
    assert more.text == "|  | flow |\n| --- | --- |\n| A10 | 40 |\n\n*So*\n\n```\nValueError: no pump\n```"
    document = of_text(tmp_path, "a.ipynb", json.dumps({"cells": cells}))
    assert (document.title, document.text) == ("Study", "# Study\nText.\n\n```\nprint(1)\n```\n\n```\n1\n```")


def test_a_page_is_its_main_part_without_what_stands_around_it_or_is_hidden(tmp_path: Path) -> None:
    page = """<body><header>Menu</header><nav>Home</nav><main><h1>Pumps</h1><p>They pump water all day long.</p>
      <p hidden>secret</p><p style="display:none">gone</p><div aria-hidden="true">icon</div></main>
      <footer>Imprint</footer>"""
    assert of_text(tmp_path, "a.html", page).text == "Pumps\n\nThey pump water all day long."


def test_a_pdf_is_read_column_by_column_and_its_tables_row_by_row_with_their_blanks(tmp_path: Path) -> None:
    left = ("The north basin was built in", "1931 and holds ninety million", "litres of water every day.")
    right = ("The south basin was built in", "1958 and holds forty million", "litres of water every week.")
    columns = "".join(
        words(50, 700 - 14 * n, one) + words(330, 700 - 14 * n, two)
        for n, (one, two) in enumerate(zip(left, right, strict=True))
    )
    grid = [["Model", "Flow", "Note"], ["A10", "", "old"], ["B20", "60", ""], ["C30", "70", "new"]]
    table = "".join(
        words(60 + 150 * c, 700 - 20 * r, cell) for r, row in enumerate(grid) for c, cell in enumerate(row) if cell
    )
    document = only(pdf(tmp_path / "a.pdf", columns, table, title="untitled"))
    assert "built in 1931 and holds ninety million litres" in document.text
    assert "| A10 |  | old |\n| B20 | 60 |  |" in document.text
    assert document.title == "a"
    assert [place.where for place in document.places] == [{"page": 1}, {"page": 2}]


def test_a_page_whose_words_are_broken_at_its_lines_ends_keeps_its_headings_and_whole_words(tmp_path: Path) -> None:
    lines = ["The council has agreed that a reorgani-", "zation of the whole admin-", "istration begins in May of this"]
    lines += ["year and that each depart-", "ment says by then what it needs."]
    page = "BT /F 18 Tf 50 740 Td (Plans of the town) Tj ET "
    page += "".join(words(50, 700 - 14 * at, line) for at, line in enumerate(lines))
    document = only(pdf(tmp_path / "a.pdf", page))
    assert document.text == (
        "Plans of the town\n\nThe council has agreed that a reorganization of the whole administration begins in May "
        "of this year and that each department says by then what it needs."
    )
    assert [heading.title for heading in document.outline] == ["Plans of the town"]


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
@pytest.mark.parametrize("direction", ["1 0 0 1 {x} {y}", "0 1 -1 0 {y} {x}", "-1 0 0 -1 {x} {y}", "0 -1 1 0 {y} {x}"])
def test_a_page_that_lies_on_its_side_or_its_head_is_read_as_one_would_hold_it(
    direction: str, rotate: int, tmp_path: Path
) -> None:
    is_back = direction.startswith(("-1", "0 -1"))
    down = -14 if direction.startswith(("1", "0 -1")) else 14
    columns = (("first half of it", "goes down here"), ("second half of it", "is read later"))
    page = ""
    for number, lines in enumerate(columns):
        along = 60 + 250 * number
        for at, line in enumerate(lines * 6):
            matrix = direction.format(x=540 - along if is_back else along, y=400 + down * at)
            page += f"BT /F 11 Tf {matrix} Tm ({line}) Tj ET "
    path = pdf(tmp_path / "a.pdf", page)
    path.write_text(path.read_text().replace("/MediaBox", f"/Rotate {rotate}/MediaBox"))
    text = " ".join(only(path).text.split())
    assert text == " ".join(" ".join(lines * 6) for lines in columns)


def test_what_is_left_of_a_pdf_that_was_cut_off_is_read_and_that_is_said(tmp_path: Path) -> None:
    path = pdf(tmp_path / "a.pdf", words(50, 700, "It moves water."), words(50, 700, "And it goes on."))
    whole = mended(path.read_bytes())
    path.write_bytes(whole[: whole.rindex(b"xref", 0, whole.rindex(b"startxref"))])
    document = only(path)
    assert document.text == "It moves water.\n\nAnd it goes on."
    assert "cut off" in document.note


def test_tables_of_alike_pages_keep_their_blanks_and_their_names_over_pages(tmp_path: Path) -> None:
    def table(rows: list[list[str]]) -> str:
        cells = ((60 + 150 * c, 700 - 20 * r, cell) for r, row in enumerate(rows) for c, cell in enumerate(row) if cell)
        return "".join(words(x, y, cell) for x, y, cell in cells)

    pages = [[[f"A{n}", "", "old"], *([f"{model}{n}", "60", "new"] for model in "BCDEF")] for n in range(1, 4)]
    pages[0].insert(0, ["Model", "Flow", "Note"])
    drawn = [
        words(50, 780, "Report of the firm") + table(rows) + words(300, 20, f"Page {n}")
        for n, rows in enumerate(pages, start=1)
    ]
    names = "| Model | Flow | Note |\n| --- | --- | --- |\n"
    rest = ["".join(f"\n| {model}{n} | 60 | new |" for model in "BCDEF") for n in range(1, 4)]
    tables = [f"{names}| A{n} |  | old |{rows}" for n, rows in enumerate(rest, start=1)]
    assert only(pdf(tmp_path / "a.pdf", *drawn)).text == "\n\n".join(["Report of the firm", *tables])


ESCAPED = str.maketrans({"(": r"\(", ")": r"\)"})


def test_lines_from_right_to_left_are_read_as_they_are_spoken(tmp_path: Path) -> None:
    spoken = ("המחיר הוא 45 שקלים (בלבד).", "האחריות של GRUNDFOS היא 24 חודשים.")
    drawn = (".(דבלב) םילקש 45 אוה ריחמה", ".םישדוח 24 איה GRUNDFOS לש תוירחאה")
    latin = dict(zip("אבגדהוזחטיךכלםמןנסעףפץצקרשת", "abcdefghijklmnopqrstuvwxyz!", strict=True))
    page = "".join(
        words(300, 700 - 14 * number, "".join(latin.get(letter, letter) for letter in line).translate(ESCAPED))
        for number, line in enumerate(drawn)
    )
    path = pdf(tmp_path / "a.pdf", page, letters={one: other for other, one in latin.items()})
    path.write_bytes(mended(path.read_bytes()))  # without a table of contents, PDFium does not find what letters mean
    document = only(path)
    assert document.text.split() == " ".join(spoken).split()


def test_a_scan_is_called_that_and_by_what_it_can_be_read(tmp_path: Path) -> None:
    writer = pypdf.PdfWriter()
    page = writer.add_blank_page(200, 200)
    picture = pypdf.generic.StreamObject()
    picture.set_data(bytes(100 * 100))
    for name, value in (("/Width", 100), ("/Height", 100), ("/BitsPerComponent", 8)):
        picture[pypdf.generic.NameObject(name)] = pypdf.generic.NumberObject(value)
    for name, kind in (("/Type", "/XObject"), ("/Subtype", "/Image"), ("/ColorSpace", "/DeviceGray")):
        picture[pypdf.generic.NameObject(name)] = pypdf.generic.NameObject(kind)
    drawn = pypdf.generic.DecodedStreamObject()
    drawn.set_data(b"200 0 0 200 0 0 cm /I Do")
    pictures = pypdf.generic.DictionaryObject({pypdf.generic.NameObject("/I"): writer._add_object(picture)})
    page[pypdf.generic.NameObject("/Resources")] = pypdf.generic.DictionaryObject(
        {pypdf.generic.NameObject("/XObject"): pictures}
    )
    page[pypdf.generic.NameObject("/Contents")] = writer._add_object(drawn)
    held = io.BytesIO()
    writer.write(held)
    (tmp_path / "a.pdf").write_bytes(held.getvalue())
    with pytest.raises(DocumentUnreadable, match=r"rag-graph\[ocr\]|no text"):
        only(tmp_path / "a.pdf")


def test_pictures_in_a_text_and_minified_lines_are_left_out_and_that_is_said(tmp_path: Path) -> None:
    document = of_text(tmp_path, "a.md", f"One ![x](data:image/png;base64,{'iVBORw0KGgo9' * 900}) two.\n")
    assert document.text == "One ![x]() two.\n"
    assert "1 embedded picture" in document.note
    code = of_text(tmp_path, "a.js", f"// kept\n{'a=b(c);' * 900}\n")
    assert code.text == "// kept\n\n"
    assert "1 minified line" in code.note


def test_a_long_table_is_cut_between_rows_and_each_part_has_its_header() -> None:
    rows = "".join(f"| M{number:03} | {number} kg | steel |\n" for number in range(200))
    text = f"# Pumps\n\nAll of them:\n\n| Model | Weight | Of |\n|---|---:|---|\n{rows}\nThe end.\n"
    found = list(chunk(text))
    parts = [(text[one.start : one.end], one.heading) for one in found]
    assert all(
        line.startswith("| M") and line.endswith("steel |") for part, _ in parts[1:-1] for line in part.splitlines()
    )
    assert parts[0][0].startswith("# Pumps")
    assert {heading for _, heading in parts[1:-1]} == {("| Model | Weight | Of |",)}
    assert parts[-1] == ("The end.", ())
    assert max(len(part) for part, _ in parts) <= PASSAGE_CHARS


def test_a_passage_knows_its_page_and_where_the_next_begins_or_its_row(tmp_path: Path) -> None:
    document = only(
        pdf(tmp_path / "a.pdf", words(50, 700, "The first page says this."), words(50, 700, "And the second that."))
    )
    (passage,) = chunk(document.text)
    assert where(document.places, document.text, passage) == {"page": 1, "page_breaks": str(document.text.index("And"))}
    apart = only(pdf(tmp_path / "b.pdf", words(50, 700, "The first page."), "", "", words(50, 700, "The fourth.")))
    (passage,) = chunk(apart.text)
    known = where(apart.places, apart.text, passage)
    assert known == {"page": 1, "page_breaks": " ".join([str(apart.text.index("The fourth"))] * 3)}
    rows = "\n".join(f"name {number},{number},some words about it" for number in range(2, 101))
    (tmp_path / "a.csv").write_text(f"name,count,words\n{rows}\n")
    document = only(tmp_path / "a.csv")
    for passage in chunk(document.text):
        if not passage.start:
            continue
        row = where(document.places, document.text, passage)["row"]
        assert document.text[passage.start :].startswith(f"| name {row} |")


def test_what_nobody_asks_about_is_left_out_and_told_why(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("build/\n*.log\n!kept.log\n")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / ".ragignore").write_text("drafts\n")
    for name in (
        "a.md",
        "x.log",
        "kept.log",
        "build/b.md",
        "node_modules/p/c.md",
        "env/pyvenv.cfg",
        "env/d.md",
        "uv.lock",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    for name in ("docs/e.md", "docs/drafts/f.md", "lib.min.js"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    found = list(find_files(tmp_path))
    assert sorted(item.path.name for item in found if isinstance(item, FoundFile)) == ["a.md", "e.md", "kept.log"]
    assert sorted(item.reason for item in found if isinstance(item, PassedOver)) == [
        "installed packages",
        "installed packages",
        "lock files",
        "minified code",
        "named in .gitignore",
        "named in .gitignore",
        "named in .ragignore",
    ]
    assert not any(isinstance(item, Failure) for item in found)


def test_a_loader_of_ones_own_reads_what_we_cannot(tmp_path: Path) -> None:
    (tmp_path / "a.weird").write_text("one\ntwo\n")
    found = [
        item
        for item in load(tmp_path / "a.weird", by=f"{LineLoader.__module__}:LineLoader")
        if isinstance(item, LoadedDocument)
    ]
    assert [(item.title, item.text, item.key, item.metadata) for item in found] == [
        ("Line 1", "one", "1", {"number": 1}),
        ("Line 2", "two", "2", {"number": 2}),
    ]
    with pytest.raises(DocumentUnreadable, match="no loader"):
        list(load(tmp_path / "a.weird", by="json:NoSuch"))


@pytest.mark.parametrize(
    ("loader", "reason"),
    [
        (
            LoaderThatNeedsMore,
            "needs more packages: package `pysrt` not found, please install it with `pip install pysrt`",
        ),
        (LoaderThatFails, r"failed on it \(KeyError\)"),
    ],
)
def test_a_loader_of_ones_own_is_blamed_for_its_failure(loader: type, reason: str, tmp_path: Path) -> None:
    (tmp_path / "a.weird").write_text("one\n")
    by = f"{loader.__module__}:{loader.__name__}"
    with pytest.raises(DocumentUnreadable, match=f"^the loader '{by}' {reason}"):
        list(load(tmp_path / "a.weird", by=by))


def test_a_loader_of_langchains_community_reads_an_export_that_we_cannot(tmp_path: Path) -> None:
    said = [{"text": "The release is on Friday.", "user": "ada", "ts": "1"}, {"text": "", "user": "bo", "ts": "2"}]
    with zipfile.ZipFile(tmp_path / "slack.zip", "w") as export:
        export.writestr("releases/2026-03-01.json", json.dumps(said))
    found = load(tmp_path / "slack.zip", by="langchain_community.document_loaders:SlackDirectoryLoader")
    [message] = [item for item in found if isinstance(item, LoadedDocument)]
    assert message.text == "The release is on Friday."
    assert message.metadata == {"channel": "releases", "user": "ada", "timestamp": "1"}


def test_each_kind_has_its_loader() -> None:
    for module in set(KINDS.values()):
        assert (Path(load.__code__.co_filename).parent / f"{module}.py").exists()
