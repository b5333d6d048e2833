"""Files that take far more to read than they have bytes: what stops a parser, built where a test needs it."""

import zipfile
from pathlib import Path

import docx
from docx.oxml import OxmlElement
from docx.oxml.ns import qn

_MAIN = b'<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>'
_RELATIONS = b"<Relationships xmlns='http://schemas.openxmlformats.org/package/2006/relationships'>"


def unclosed_tags(path: Path) -> Path:
    """Each is inside all before it, and for each the parser looks through all that are open."""
    path.write_text("<div>" * 400_000)
    return path


def unclosed_comments(path: Path) -> Path:
    """For each, the parser looks for an end in all that follows."""
    path.write_text("<!--" * 50_000)
    return path


def wide_cell(path: Path) -> Path:
    """A cell that says it is as wide as a hundred million."""
    document = docx.Document()
    cell = document.add_table(rows=1, cols=2).rows[0].cells[0]
    span = OxmlElement("w:gridSpan")
    span.set(qn("w:val"), "100000000")
    cell._tc.get_or_add_tcPr().append(span)
    document.save(str(path))
    return path


def many_paragraphs(path: Path) -> Path:
    """57 MB of XML, of which each element takes a hundred times as much in memory."""
    return _with_member(path, "word/document.xml", _MAIN + b"<w:p/>" * 9_500_000 + b"</w:body></w:document>")


def large_relations(path: Path) -> Path:
    """140 MB in a member whose name says nothing of XML."""
    return _with_member(path, "word/_rels/document.xml.rels", _RELATIONS + b" " * 140_000_000 + b"</Relationships>")


def _with_member(path: Path, name: str, content: bytes) -> Path:
    plain = path.with_name("plain.part")
    docx.Document().save(str(plain))
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for member in source.infolist():
            archive.writestr(member, content if member.filename == name else source.read(member))
    plain.unlink()
    return path
