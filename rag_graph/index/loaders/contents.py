"""What a file is by its first bytes, where its suffix says otherwise.

Exports of web programs are often called `.xls` or `.doc` and are pages of HTML or separated values; Word's "save as web
page" is one too.
"""

import io
import zipfile
from typing import Final

from rag_graph.errors import DocumentUnreadable
from rag_graph.index.loaders.base import OLE, Source
from rag_graph.index.loaders.sheetml import NAMESPACE as SHEETML
from rag_graph.index.loading import kind_of

_HEAD_BYTES: Final = 1024
_ZIPPED: Final = (
    ("word/document.xml", ".docx"),
    ("xl/workbook.xml", ".xlsx"),
    ("xl/workbook.bin", ".xlsb"),
    ("ppt/presentation.xml", ".pptx"),
)
_MIME_TYPES: Final = {
    b"application/epub+zip": ".epub",
    b"application/vnd.oasis.opendocument.text": ".odt",
    b"application/vnd.oasis.opendocument.spreadsheet": ".ods",
    b"application/vnd.oasis.opendocument.presentation": ".odp",
    b"application/vnd.oasis.opendocument.graphics": ".odg",
}
_SAME: Final = {".docm": ".docx", ".xlsm": ".xlsx", ".pptm": ".pptx", ".ott": ".odt"}
"""What differs in macros alone, and templates."""
_BINARY: Final = frozenset(("ooxml", "odf", "sheets", "pdf"))
_SEPARATED: Final = frozenset((".csv", ".tsv", ".tab"))


def other_suffix(source: Source) -> str:
    """The suffix that a file should have; "" where its own is right, or what is wrong with it shows when it is read.

    Raises `DocumentUnreadable` for what is surely of a kind that cannot be read.
    """
    suffix, kind = source.name.suffix.lower(), kind_of(source.name)
    with source.path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if head.startswith(b"%PDF-"):
        found = ".pdf"
    elif head.startswith(b"PK\x03\x04"):
        found = _zipped(source)
    elif head.startswith(rb"{\rtf"):
        raise DocumentUnreadable("it is RTF, whatever its suffix says; save it as .docx", "unknown kind")
    elif head.startswith(OLE):  # `base.check_archive` tells of documents with a password
        return ""
    elif kind in _BINARY and suffix not in _SEPARATED and head.strip():
        found = _text(suffix, head)
    else:
        return ""
    return "" if found in {suffix, _SAME.get(suffix, "")} else found


def _zipped(source: Source) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(source.content())) as archive:
            names = set(archive.namelist())
            if "mimetype" in names and archive.getinfo("mimetype").file_size < _HEAD_BYTES:
                return _MIME_TYPES.get(archive.read("mimetype").strip().removesuffix(b"-template"), "")
            return next((suffix for name, suffix in _ZIPPED if name in names), "")
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError):
        return ""


def _text(suffix: str, head: bytes) -> str:
    """Of what should be binary and is none, whether it is a page, or a table if it should be one."""
    begins = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if begins.startswith((b"<!doctype html", b"<html", b"<table", b"<head", b"<body")):
        return ".html"
    if begins.startswith(b"mime-version:"):
        return ".mht"
    if suffix in {".xls", ".xlsx"} and SHEETML in head:
        return ""
    is_text = not any(byte < 9 for byte in head)  # noqa: PLR2004 - signs that no text has
    if is_text and suffix in {".xls", ".xlsx", ".ods"}:
        return ".tsv" if b"\t" in head.partition(b"\n")[0] else ".csv"
    return ""
