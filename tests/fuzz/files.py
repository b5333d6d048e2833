"""Spoilt documents of every kind: each is read or refused, within its limits, and costs nobody else anything."""

import io
import zipfile
from pathlib import Path

import docx
from hypothesis import strategies as st

from rag_graph.errors import DocumentUnreadable
from rag_graph.index.loader import Loader
from rag_graph.index.loading import Failure, LoadedDocument
from tests.fuzz.mutation import spoilt_bytes

HTML = b"<!doctype html><title>Towers</title><h1>Eiffel</h1><p>It opened in 1889.<table><tr><td>a</table><!-- x -->"
PDF = b"""%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>endobj
4 0 obj<</Length 52>>stream
BT /F 12 Tf 20 100 Td (The tower opened in 1889.) Tj ET
endstream endobj
5 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj
trailer<</Size 6/Root 1 0 R>>
startxref
0
%%EOF"""


def _docx() -> bytes:
    document, written = docx.Document(), io.BytesIO()
    document.add_heading("Eiffel", 1)
    document.add_paragraph("It opened in 1889.")
    document.add_table(2, 2).cell(0, 0).text = "height"
    document.save(written)
    return written.getvalue()


def _zipped(members: dict[str, str]) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return written.getvalue()


def _rezipped(archive: bytes, name: str, content: bytes) -> bytes:
    """The archive with another content for one of its members, so that what is spoilt lies behind the packing."""
    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as source, zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as target:
        for member in source.infolist():
            target.writestr(member.filename, content if member.filename == name else source.read(member))
    return written.getvalue()


DOCX = _docx()
BODY = "word/document.xml"
with zipfile.ZipFile(io.BytesIO(DOCX)) as _archive:
    XML = _archive.read(BODY)
SEEDS = {
    ".md": (
        b"---\ntitle: T\n---\n# Eiffel\n\n- It opened in **1889**.\n\n```\nx\n```\n| a | b |\n|---|---|\n| 1 | 2 |\n",
    ),
    ".txt": ("Höhe: 330 m.\nGeöffnet 1889.\n".encode("latin-1"), "高さ330メートル。".encode("shift-jis")),
    ".html": (HTML,),
    ".jsonl": (b'{"title": "T", "text": "It opened in 1889.", "year": 1889}\n{"text": "b"}\n',),
    ".json": (b'[{"title": "T", "text": "It opened in 1889."}]',),
    ".csv": (b"name,year\nEiffel,1889\n'a b',\"x\ny\"\n",),
    ".rst": (b"Eiffel\n======\n\nIt opened in 1889.\n\nHeight\n------\n\n330 m.\n",),
    ".adoc": (b"= Eiffel\n\n----\n= x\n----\n\n== Height\n\n330 m.\n",),
    ".eml": (b"From: a@b\nSubject: Eiffel\nContent-Type: text/html\n\n<p>It opened in 1889.</p>\n",),
    ".ipynb": (b'{"cells": [{"cell_type": "code", "source": ["x = 1889"], "outputs": [{"text": ["1889"]}]}]}',),
    ".xlsx": (_zipped({"[Content_Types].xml": "<Types/>", "xl/workbook.xml": "<workbook/>"}),),
    ".epub": (_zipped({"META-INF/container.xml": "<c><rootfile full-path='p'/></c>", "p": "<p><title>E</title></p>"}),),
    ".odt": (_zipped({"META-INF/manifest.xml": "<m/>", "content.xml": "<c><p>It opened in 1889.</p></c>"}),),
    ".pptx": (_zipped({"_rels/.rels": "<R/>", "ppt/presentation.xml": "<p/>"}),),
    ".msg": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(1024),),
    ".pdf": (PDF,),
    ".docx": (DOCX,),
}

File = tuple[str, bytes]


def files() -> st.SearchStrategy[File]:
    whole = [st.tuples(st.just(suffix), spoilt_bytes(seeds)) for suffix, seeds in SEEDS.items()]
    inside = spoilt_bytes((XML,)).map(lambda xml: (".docx", _rezipped(DOCX, BODY, xml)))
    return st.one_of(*whole, inside)


def read(loader: Loader, folder: Path, file: File) -> None:
    """Read it; whatever it is, it ends as documents, failures or one error of ours that shows no path."""
    suffix, content = file
    path = folder / f"spoilt{suffix}"
    path.write_bytes(content)
    refusal = ""
    try:
        for found in loader.load(path):
            assert isinstance(found, LoadedDocument | Failure)
            (found.text if isinstance(found, LoadedDocument) else found.reason).encode()
    except DocumentUnreadable as exc:
        refusal = str(exc)
    assert str(folder) not in refusal
