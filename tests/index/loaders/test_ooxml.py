"""DOCX and PPTX: what Word and PowerPoint show and do not write as text, such as numbers of clauses, charts, notes."""

import io
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path

import docx
import pptx
import pytest
from docx.enum.style import WD_STYLE_TYPE
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE

from rag_graph.index.chunking import chunk
from rag_graph.index.loaders import load
from rag_graph.index.loading import LoadedDocument

WORD = nsdecls("w")


def only(path: Path) -> LoadedDocument:
    [document] = load(path)
    assert isinstance(document, LoadedDocument)
    return document


def written(path: Path, paragraphs: Sequence[str], *, numbering: str = "", footnotes: str = "") -> LoadedDocument:
    """Read a document with these paragraphs, as they are written, in it."""
    document = docx.Document()
    for paragraph in paragraphs:
        xml = paragraph if paragraph.startswith("<w:p>") else f"<w:p><w:r><w:t>{paragraph}</w:t></w:r></w:p>"
        document.element.body.insert_element_before(parse_xml(xml.replace("<w:p>", f"<w:p {WORD}>", 1)), "w:sectPr")
    held = io.BytesIO()
    document.save(held)
    with zipfile.ZipFile(held) as source, zipfile.ZipFile(path, "w") as target:
        for member in source.infolist():
            content = source.read(member)
            if member.filename == "word/numbering.xml":
                content = content.replace(b"<w:num ", f"{numbering}<w:num ".encode(), 1)
            elif member.filename == "word/_rels/document.xml.rels":
                related = b"<Relationship Id='f' Type='x/footnotes' Target='footnotes.xml'/></Relationships>"
                content = content.replace(b"</Relationships>", related)
            target.writestr(member, content)
        target.writestr("word/footnotes.xml", f"<w:footnotes {WORD}>{footnotes}</w:footnotes>")
    return only(path)


def in_list(text: str, level: int, style: str = "") -> str:
    of_style = f"<w:pStyle w:val='{style}'/>" if style else ""
    number = f"<w:numPr><w:ilvl w:val='{level}'/><w:numId w:val='77'/></w:numPr>"
    return f"<w:p><w:pPr>{of_style}{number}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"


def test_clauses_have_the_numbers_that_word_counts(tmp_path: Path) -> None:
    levels = "".join(
        f"<w:lvl w:ilvl='{level}'><w:start w:val='1'/><w:numFmt w:val='{letters}'/><w:lvlText w:val='{text}'/></w:lvl>"
        for level, (letters, text) in enumerate([("decimal", "§ %1"), ("decimal", "%1.%2"), ("lowerRoman", "(%3)")])
    )
    numbering = f"<w:abstractNum w:abstractNumId='55'>{levels}</w:abstractNum>"
    numbering += "<w:num w:numId='77'><w:abstractNumId w:val='55'/></w:num>"
    clauses = [("Term", 0), ("Start", 1), ("End", 1), ("early", 2), ("late", 2), ("Price", 0), ("Net", 1)]
    document = written(tmp_path / "a.docx", [in_list(*clause) for clause in clauses], numbering=numbering)
    assert document.text.split("\n\n") == [
        *("§ 1 Term", "1.1 Start", "1.2 End", "(i) early", "(ii) late", "§ 2 Price", "2.1 Net"),
    ]
    heading = written(tmp_path / "b.docx", [in_list("Scope", 0, "Heading1")], numbering=numbering).outline[0]
    assert (heading.level, heading.title) == (1, "§ 1 Scope")


OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def packed(path: Path, body: str, parts: dict[str, tuple[str, str]]) -> LoadedDocument:
    """Read a document with this body; `parts` are by id their kind and what is in them, in files `ID.EXTENSION`."""
    related = "".join(
        f"<Relationship Id='{name.partition('.')[0]}' Type='{OFFICE}/{kind}' Target='{name}'/>"
        for name, (kind, _) in parts.items()
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "_rels/.rels",
            f"<Relationships><Relationship Id='a' Type='{OFFICE}/officeDocument' Target='w/d.xml'/></Relationships>",
        )
        archive.writestr("w/_rels/d.xml.rels", f"<Relationships>{related}</Relationships>")
        spaces = f"xmlns:r='{OFFICE}' xmlns:mc='m' xmlns:v='v' xmlns:d='d' {WORD}"
        archive.writestr("w/d.xml", f"<w:document {spaces}><w:body>{body}</w:body></w:document>")
        for name, (_, content) in parts.items():
            archive.writestr(f"w/{name}", content.replace("WORD", spaces))
    return only(path)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            (
                "<w:p><w:r><mc:AlternateContent><mc:Choice><w:t>said</w:t></mc:Choice>"
                "<mc:Fallback><w:t>said again</w:t></mc:Fallback></mc:AlternateContent></w:r></w:p>"
            ),
            "said",
        ),
        (
            (
                "<w:p><w:r><mc:AlternateContent><mc:Choice/><mc:Fallback><w:pict><w:txbxContent><w:p><w:r><w:t>in a box"
                "</w:t></w:r></w:p></w:txbxContent></w:pict></mc:Fallback></mc:AlternateContent></w:r></w:p>"
            ),
            "in a box",
        ),
        ("<w:p><w:r><w:pict><v:shape><v:textpath string='DRAFT'/></v:shape></w:pict></w:r></w:p>", "DRAFT"),
        (
            (
                "<w:p><w:r><w:t xml:space='preserve'>Colour: </w:t></w:r><w:r><w:fldChar><w:ffData><w:ddList>"
                "<w:result w:val='1'/><w:listEntry w:val='red'/><w:listEntry w:val='blue'/></w:ddList></w:ffData>"
                "</w:fldChar></w:r></w:p>"
            ),
            "Colour: blue",
        ),
        (
            "<w:p><w:r><w:drawing><d:relIds r:dm='steps'/></w:drawing></w:r></w:p><w:altChunk r:id='page'/>",
            "Mix\n\nWait\n\nA page of a program",
        ),
    ],
)
def test_what_word_draws_or_takes_from_other_files_is_read(body: str, text: str, tmp_path: Path) -> None:
    points = "".join(f"<d:pt><a:p><a:r><a:t>{said}</a:t></a:r></a:p></d:pt>" for said in ("Mix", "Wait"))
    parts = {
        "steps.xml": ("diagramData", f"<d:dataModel xmlns:d='d' xmlns:a='a'>{points}</d:dataModel>"),
        "page.html": ("aFChunk", "<p>A page of a program</p>"),
    }
    assert packed(tmp_path / "a.docx", body, parts).text == text


def test_a_document_in_another_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    body = "<w:p><w:r><w:t>Body</w:t></w:r></w:p><w:altChunk r:id='b'/>"
    document = packed(tmp_path / "a.docx", body, {"b.rtf": ("aFChunk", "{}")})
    assert (document.text, document.note) == ("Body", "1 document in it could not be read")


def test_the_number_of_a_document_stands_above_its_pages_and_that_of_a_page_does_not(tmp_path: Path) -> None:
    def part(name: str, said: str) -> str:
        return f"<w:{name} WORD><w:p><w:r><w:t>{said}</w:t></w:r></w:p></w:{name}>"

    parts = {"a.xml": ("header", part("hdr", "4471-2026")), "b.xml": ("footer", part("ftr", "Page 1 of 3"))}
    assert packed(tmp_path / "a.docx", "<w:p><w:r><w:t>Body</w:t></w:r></w:p>", parts).text == "4471-2026\n\nBody"


def test_a_note_stands_behind_what_it_is_a_note_to(tmp_path: Path) -> None:
    noted = "<w:p><w:r><w:t>Paid in 30 days</w:t></w:r><w:r><w:footnoteReference w:id='2'/></w:r></w:p>"
    footnotes = (
        "<w:footnote w:type='separator' w:id='0'><w:p><w:r><w:t>line</w:t></w:r></w:p></w:footnote>"
        "<w:footnote w:id='2'><w:p><w:r><w:t>Net of taxes.</w:t></w:r></w:p></w:footnote>"
    )
    document = written(tmp_path / "a.docx", [noted, "After."], footnotes=footnotes)
    assert document.text == "Paid in 30 days\n\nNote 1: Net of taxes.\n\nAfter."


@pytest.mark.parametrize(
    ("runs", "text"),
    [
        ("<w:t>10</w:t></w:r><w:r><w:rPr><w:vertAlign w:val='superscript'/></w:rPr><w:t>6</w:t>", "10^6"),
        ("<w:t>m</w:t></w:r><w:r><w:rPr><w:vertAlign w:val='superscript'/></w:rPr><w:t>2</w:t>", "m2"),
        ("<w:t>5 </w:t><w:sym w:font='Symbol' w:char='F06D'/><w:t>m</w:t>", "5 μm"),
        ("<w:sym w:font='Wingdings' w:char='F0FE'/><w:t>yes</w:t>", "☒yes"),
        ("<w:fldChar><w:ffData><w:checkBox><w:default w:val='1'/></w:checkBox></w:ffData></w:fldChar>", "☒"),
    ],
)
def test_signs_that_word_does_not_write_as_letters_are_kept(runs: str, text: str, tmp_path: Path) -> None:
    assert written(tmp_path / "a.docx", [f"<w:p><w:r>{runs.replace('<w:t>', SPACED)}</w:r></w:p>"]).text == text


SPACED = "<w:t xml:space='preserve'>"


MATH = "xmlns:m='http://schemas.openxmlformats.org/officeDocument/2006/math'"


@pytest.mark.parametrize(
    ("equation", "text"),
    [
        (
            "<m:nary><m:naryPr><m:chr m:val='∑'/></m:naryPr><m:sub>1</m:sub><m:sup>n</m:sup><m:e>x</m:e></m:nary>",
            "∑_1^nx",
        ),
        ("<m:nary><m:sub/><m:sup/><m:e>x</m:e></m:nary>", "∫x"),
        (
            "<m:d><m:e>a</m:e></m:d><m:d><m:dPr><m:begChr m:val='['/><m:endChr m:val=']'/></m:dPr><m:e>b</m:e></m:d>",
            "(a)[b]",
        ),
        ("<m:m><m:mr><m:e>1</m:e><m:e>0</m:e></m:mr><m:mr><m:e>0</m:e><m:e>2</m:e></m:mr></m:m>", "[1, 0; 0, 2]"),
    ],
)
def test_an_equation_keeps_its_signs_and_brackets(equation: str, text: str, tmp_path: Path) -> None:
    runs = re.sub(r">([^<>]+)<", r"><m:r><m:t>\1</m:t></m:r><", equation)
    assert written(tmp_path / "a.docx", [f"<w:p><m:oMath {MATH}>{runs}</m:oMath></w:p>"]).text == text


def test_what_is_struck_or_only_asked_for_is_no_fact(tmp_path: Path) -> None:
    struck = "<w:r><w:rPr><w:strike/></w:rPr><w:t>{}</w:t></w:r>"
    here = "<w:sdtContent><w:r><w:t>Click here</w:t></w:r></w:sdtContent>"
    asked = f"<w:sdt><w:sdtPr><w:showingPlcHdr/></w:sdtPr>{here}</w:sdt>"
    paragraph = f"<w:p>{struck.format('1')}{struck.format('00')}<w:r><w:t> 90</w:t></w:r>{asked}</w:p>"
    assert written(tmp_path / "a.docx", [paragraph]).text == "~~100~~ 90"


def test_comments_and_hidden_slides_are_told(tmp_path: Path) -> None:
    document = docx.Document()
    document.add_comment(document.add_paragraph("It costs 90.").runs, text="Really?", author="Ann")
    document.save(str(tmp_path / "a.docx"))
    assert only(tmp_path / "a.docx").note == "1 comment was left out"
    slides = pptx.Presentation()
    for title in ("Sales", "Costs"):
        slide = slides.slides.add_slide(slides.slide_layouts[5])
        slide.shapes.title.text = title
    slide._element.set("show", "0")
    slides.save(str(tmp_path / "a.pptx"))
    assert only(tmp_path / "a.pptx").note == "slides that are hidden were read, too: 2"


def test_a_list_of_contents_and_what_stands_under_a_page_belong_to_no_heading(tmp_path: Path) -> None:
    document = docx.Document()
    document.styles.add_style("toc 1", WD_STYLE_TYPE.PARAGRAPH)
    document.add_paragraph("Annex\t7", style="toc 1")
    document.add_heading("Annex", 1)
    document.add_paragraph("Text of the annex.")
    document.sections[0].footer.paragraphs[0].text = "Imprint of the firm"
    document.save(str(tmp_path / "a.docx"))
    read = only(tmp_path / "a.docx")
    assert [(read.text[one.start : one.end], one.heading) for one in chunk(read.text, read.outline)] == [
        ("Annex\n\nText of the annex.", ("Annex",)),
        ("Imprint of the firm", ()),
    ]
    document.sections[0].footer.paragraphs[0].text = "7"
    document.save(str(tmp_path / "a.docx"))
    read = only(tmp_path / "a.docx")
    assert [(one.start, one.end) for one in chunk(read.text, read.outline)] == [(0, len(read.text))]


def test_slides_keep_their_charts_groups_and_their_own_titles(tmp_path: Path) -> None:
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[5])
    data = CategoryChartData()  # type: ignore[no-untyped-call]
    data.categories = ["Q1", "Q2"]
    for name, values in (("North", (1.5, 2)), ("South", (3, None))):
        data.add_series(name, values)  # type: ignore[no-untyped-call]
    slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, 0, 0, 9, 9, data)
    slide.shapes.title.text = "Sales"
    slide.shapes._spTree.append(slide.shapes.title._element)  # as when it was drawn last
    group = deck.slides.add_slide(deck.slide_layouts[6]).shapes.add_group_shape()
    group.shapes.add_textbox(0, 0, 9, 9).text_frame.text = "Of another slide"
    deck.save(str(tmp_path / "a.pptx"))
    read = only(tmp_path / "a.pptx")
    assert [(read.text[one.start : one.end], one.heading) for one in chunk(read.text, read.outline)] == [
        ("Sales\n\n|  | North | South |\n| --- | --- | --- |\n| Q1 | 1.5 | 3 |\n| Q2 | 2 |  |", ("Sales",)),
        ("Of another slide", ()),
    ]
