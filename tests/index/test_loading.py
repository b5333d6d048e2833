import json
import os
import zipfile
from contextlib import suppress
from pathlib import Path

import docx
import pypdf
import pytest

from rag_graph.errors import DocumentUnreadable, LibraryError
from rag_graph.index.loaders import load
from rag_graph.index.loading import Failure, FoundFile, LoadedDocument, PassedOver, find_files


def only(path: Path) -> LoadedDocument:
    (document,) = load(path)
    assert isinstance(document, LoadedDocument)
    return document


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def names(root: Path) -> list[str]:
    """Of files that are found their names, of kinds that are passed over `- `, of failures `! `."""
    told = []
    for item in find_files(root):
        match item:
            case FoundFile(path=path):
                told.append(path.name)
            case PassedOver(suffix=suffix):
                told.append(f"- {suffix}")
            case Failure(uri=uri):
                told.append(f"! {uri}")
    return told


def test_a_folder_gives_its_known_files_and_says_what_it_passes_over(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    for name in ("b.txt", "a.md", "c.zip", ".hidden.md", ".git/x.md"):
        write(tmp_path / name, "text")
    assert names(tmp_path) == ["a.md", "b.txt", "- .zip"]


def test_a_file_of_an_unknown_kind_is_reported_when_it_is_named(tmp_path: Path) -> None:
    (failure,) = find_files(write(tmp_path / "c.zip", "x"))
    assert isinstance(failure, Failure)
    assert ".zip" in failure.reason


def test_links_out_of_the_folder_and_loops_are_reported(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    write(folder / "a.md", "text")
    (folder / "again.md").symlink_to(folder / "a.md")
    (folder / "loop.md").symlink_to(folder / "loop.md")
    (folder / "out.md").symlink_to(write(tmp_path / "secret.md", "secret"))
    (folder / "up").symlink_to(folder)
    assert names(folder) == ["a.md", "! folder/loop.md", "! folder/out.md"]


def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    assert names(tmp_path) == []


def test_a_path_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="no file or folder"):
        list(find_files(tmp_path / "nowhere"))


def test_markdown_has_its_headings_but_not_those_in_code(tmp_path: Path) -> None:
    text = "---\na: b\n---\n# One\n\n```\n# not\n```\n\nTwo\n---\n### Three *x*\n"
    document = only(write(tmp_path / "a.md", text))
    assert document.text == text
    assert document.title == "One"
    assert [(text[h.start :].split("\n", maxsplit=1)[0], h.level) for h in document.outline] == [
        ("# One", 1),
        ("Two", 2),
        ("### Three *x*", 3),
    ]


def test_html_gives_what_people_read(tmp_path: Path) -> None:
    page = """<html><head><title>T &amp; U</title><style>b{}</style></head><body><script>evil()</script>
      <h1>Top</h1><p>One <b>bold</b> word,
      two.</p><ul><li>first<li>second</ul><h2>Low</h2>tail<!-- note --></body></html>"""
    document = only(write(tmp_path / "a.html", page))
    assert document.title == "T & U"
    assert document.text.split("\n\n") == ["Top", "One bold word, two.", "- first", "- second", "Low", "tail"]
    assert [(document.text[h.start :][: len(h.title)], h.level) for h in document.outline] == [("Top", 1), ("Low", 2)]


def test_html_nested_ever_deeper_is_read_or_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.html", "<div>" * 20_000 + "deep")
    with suppress(DocumentUnreadable):
        assert only(path).text == "deep"


def test_docx_has_its_headings_and_tables(tmp_path: Path) -> None:
    document = docx.Document()
    document.add_heading("Guide", level=1)
    document.add_paragraph("Hello there.")
    document.add_table(rows=1, cols=2).rows[0].cells[1].text = "cell"
    document.save(str(tmp_path / "a.docx"))
    loaded = only(tmp_path / "a.docx")
    assert loaded.text == "Guide\n\nHello there.\n\n|  | cell |"
    assert [(h.start, h.level, h.title) for h in loaded.outline] == [(0, 1, "Guide")]


def test_cells_of_a_docx_row_stay_apart_though_they_say_the_same_and_merged_ones_count_once(tmp_path: Path) -> None:
    document = docx.Document()
    table = document.add_table(2, 4)
    for row, texts in enumerate((("Support", "5", "5", "7"), ("Both", "", "9", ""))):
        for cell, text in zip(table.rows[row].cells, texts, strict=True):
            cell.text = text
    table.cell(1, 0).merge(table.cell(1, 1))
    document.save(str(tmp_path / "a.docx"))
    assert only(tmp_path / "a.docx").text.splitlines() == ["| Support | 5 | 5 | 7 |", "| Both |  | 9 |  |"]


def test_a_row_of_an_html_table_is_a_line(tmp_path: Path) -> None:
    table = "<table><tr><th>Model<th>Flow</tr><tr><td><p>B20</p><td>60\n l/min<td></tr><tr><td>alone</tr></table>"
    (tmp_path / "a.html").write_text(f"<h1>Pumps</h1>{table}<table><tr><td>x<td>{table}</table>")
    text = only(tmp_path / "a.html").text
    assert "| Model | Flow |  |\n| --- | --- | --- |\n| B20 | 60 l/min |  |" in text
    assert text.count("B20 | 60 l/min |") == 2
    assert "alone" in text


def test_a_docx_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.docx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", bytes(65 * 1024 * 1024))
    with pytest.raises(DocumentUnreadable, match="unpacks"):
        list(load(tmp_path / "a.docx"))


def test_an_encrypted_pdf_is_refused(tmp_path: Path) -> None:
    writer = pypdf.PdfWriter()
    writer.add_blank_page(100, 100)
    writer.encrypt("secret", algorithm="RC4-128")
    writer.write(tmp_path / "a.pdf")
    with pytest.raises(DocumentUnreadable, match="encrypted"):
        list(load(tmp_path / "a.pdf"))


def test_a_pdf_without_text_is_refused(tmp_path: Path) -> None:
    writer = pypdf.PdfWriter()
    writer.add_blank_page(100, 100)
    writer.write(tmp_path / "a.pdf")
    with pytest.raises(DocumentUnreadable, match="no text"):
        list(load(tmp_path / "a.pdf"))


@pytest.mark.parametrize("name", ["a.pdf", "a.docx", "a.txt"])
def test_bytes_that_are_not_what_the_suffix_says_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DocumentUnreadable):
        list(load(write(tmp_path / name, bytes(range(256)) * 40)))


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.html", "a.pdf", "a.docx", "a.jsonl"])
def test_an_empty_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DocumentUnreadable):
        list(load(write(tmp_path / name, b"")))


def test_a_file_over_the_limit_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "a.txt").open("wb") as file:
        file.truncate(200 * 1024 * 1024)
    with pytest.raises(DocumentUnreadable, match="64 MB"):
        list(load(tmp_path / "a.txt"))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("\ufeffcafé".encode(), "café"),
        ("café".encode("cp1252"), "café"),
        ("café".encode("utf-16"), "café"),
        (b"a\r\nb", "a\r\nb"),
    ],
)
def test_text_is_read_in_the_encoding_it_most_likely_has(tmp_path: Path, content: bytes, text: str) -> None:
    assert only(write(tmp_path / "a.txt", content)).text == text


def test_json_lines_give_one_document_each_with_what_one_can_filter_by(tmp_path: Path) -> None:
    lines = [
        {"_id": "x1", "title": "T", "text": "body", "year": 1999, "tags": ["no"], "metadata": {"lang": "en"}},
        {"content": "other"},
    ]
    path = write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, lines)))
    first, second = load(path)
    assert isinstance(first, LoadedDocument)
    assert isinstance(second, LoadedDocument)
    assert (first.key, first.title, first.text) == ("x1", "T", "body")
    assert first.metadata == {"id": "x1", "year": 1999, "lang": "en"}
    assert (second.key, second.title) == ("2", "2")


def test_bad_lines_are_reported_and_the_others_read(tmp_path: Path) -> None:
    content = b'{"text": "a"}\n{broken\n[1]\n{"text": ""}\n\n{"text": "\\ud800\\u0000", "n": NaN}\n\xff\n'
    found = list(load(write(tmp_path / "a.jsonl", content)))
    assert [item.text if isinstance(item, LoadedDocument) else item.uri for item in found] == [
        "a",
        "line 2",
        "line 3",
        "line 4",
        "\ufffd\ufffd",
        "line 7",
    ]


SENTENCES = {
    "gb18030": "水泵的保修期为二十四个月，从购买之日起计算。",
    "big5": "水泵的保固期為二十四個月，自購買之日起計算。",
    "shift_jis": "ポンプの保証期間は購入日から二十四か月です。",
    "euc_jp": "ポンプの保証期間は購入日から二十四か月です。",
    "iso2022_jp": "ポンプの保証期間は購入日から二十四か月です。",
    "euc_kr": "펌프의 보증 기간은 구입일로부터 이십사 개월입니다.",
    "cp1251": "Гарантия на насос составляет двадцать четыре месяца.",
    "koi8-r": "Гарантия на насос составляет двадцать четыре месяца.",
    "iso8859-5": "Гарантия на насос составляет двадцать четыре месяца.",
    "cp866": "Гарантия на насос составляет двадцать четыре месяца.",
    "cp1253": "Η εγγύηση της αντλίας διαρκεί είκοσι τέσσερις μήνες.",
    "cp1255": "האחריות על המשאבה היא עשרים וארבעה חודשים מיום הרכישה.",
    "cp1256": "ضمان المضخة أربعة وعشرون شهرا من تاريخ الشراء.",
    "cp1250": "Gwarancja na pompę wynosi dwadzieścia cztery miesiące, a sąd już wie.",
    "cp1252": "Die Größe beträgt „zwölf“ Meter – für die Prüfung.",
}


@pytest.mark.parametrize("encoding", SENTENCES)
@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.html", "a.jsonl"])
def test_older_encodings_are_recognised_and_that_is_said(tmp_path: Path, encoding: str, name: str) -> None:
    sentence = SENTENCES[encoding]
    written = json.dumps({"text": sentence}, ensure_ascii=False) if name == "a.jsonl" else sentence
    document = only(write(tmp_path / name, written.encode(encoding)))
    assert document.text == sentence
    assert "its encoding was taken for" in document.note


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.html", "a.jsonl"])
@pytest.mark.parametrize("bad", [b"\xff", b"\x92", b"\xe2\x80"])
def test_one_bad_byte_spoils_its_place_and_not_the_file(tmp_path: Path, name: str, bad: bytes) -> None:
    begin, end = "Größe: naïve façade ".encode(), " “quoted” text".encode()
    content = begin + bad + end
    if name == "a.jsonl":
        content = b'{"text": "' + content + b'"}'
    document = only(write(tmp_path / name, content))
    assert document.text == "Größe: naïve façade \ufffd “quoted” text"
    assert "not UTF-8" in document.note


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.html", "a.csv"])
@pytest.mark.parametrize("said", ["Größe: naïve façade.", "A pump without any accent."])
def test_a_byte_of_nothing_in_a_text_makes_it_no_binary_file(tmp_path: Path, name: str, said: str) -> None:
    document = only(write(tmp_path / name, f"{said}\n".encode() + b"It\0 ends here."))
    assert said in document.text
    assert "\ufffd ends here." in document.text
    assert "1 place" in document.note


def test_a_line_of_another_encoding_is_read_in_a_text_that_is_mostly_utf8(tmp_path: Path) -> None:
    newer, older = "Größe: 45 € für später.\n" * 20, "Prüfung der Öfen über Mittag\n"
    document = only(write(tmp_path / "a.txt", newer.encode() + older.encode("cp1252") + b"cut off \xc3\n"))
    assert document.text.startswith(newer + older)
    assert "2 of its 22 lines are not UTF-8" in document.note


def test_letters_that_were_cut_off_stay_places_that_are_none(tmp_path: Path) -> None:
    content = "Größe: 45 € für später.\n".encode() + b"cut off \xc3\n" * 4
    assert "cut off \ufffd" in only(write(tmp_path / "a.txt", content)).text


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32"])
def test_json_lines_in_letters_of_two_or_four_bytes_are_lines_too(tmp_path: Path, encoding: str) -> None:
    lines = json.dumps({"text": "Größe 45"}, ensure_ascii=False) + "\n" + json.dumps({"text": "Two."}) + "\n"
    found = list(load(write(tmp_path / "a.jsonl", lines.encode(encoding))))
    assert [item.text for item in found if isinstance(item, LoadedDocument)] == ["Größe 45", "Two."]


def test_a_page_is_read_in_the_encoding_that_it_declares(tmp_path: Path) -> None:
    page = '<meta charset="windows-1257"><p>Žąsų kojos</p>'
    document = only(write(tmp_path / "a.html", page.encode("cp1257")))
    assert document.text == "Žąsų kojos"


def test_unicode_without_a_mark_is_recognised(tmp_path: Path) -> None:
    for encoding in ("utf-16-le", "utf-16-be", "utf-32-le"):
        assert only(write(tmp_path / "a.txt", "Hello world, this is text.".encode(encoding))).text.startswith("Hello")


@pytest.mark.parametrize("order", ["le", "be"])
@pytest.mark.parametrize(
    "text", ["価格は45円です。東京の天気。", "价格为45元。北京天气很好。", "水泵很好。", "Цена 45 рублей."]
)
def test_the_order_of_bytes_is_the_one_in_which_they_are_text(tmp_path: Path, text: str, order: str) -> None:
    assert only(write(tmp_path / "a.txt", text.encode(f"utf-16-{order}"))).text == text


@pytest.mark.parametrize(
    ("older", "encoding"), [("Größe, Öl und Übung.\n" * 20, "cp1252"), ("Цена насоса растёт.\n" * 3, "cp1251")]
)
def test_lines_of_two_encodings_are_each_read_in_their_own(tmp_path: Path, older: str, encoding: str) -> None:
    newer = "Größe 45 €\n"
    document = only(write(tmp_path / "a.txt", newer.encode() + older.encode(encoding)))
    assert document.text == newer + older
    assert f"their encoding was taken for {encoding}" in document.note


def test_a_single_letter_beyond_ascii_is_windows_own(tmp_path: Path) -> None:
    assert only(write(tmp_path / "a.txt", "naïve".encode("cp1252"))).text == "naïve"


def test_text_and_titles_hold_nothing_that_reorders_them(tmp_path: Path) -> None:
    text = "# Plan \u202egpj.exe\n\nPay \u2067100\u2069 to \u202dmallory\u202c.\n"
    document = only(write(tmp_path / "a.md", text))
    assert document.title == "Plan gpj.exe"
    assert document.text == "# Plan gpj.exe\n\nPay 100 to mallory.\n"
    assert document.outline[0].title == "Plan gpj.exe"


def test_a_title_is_one_short_line(tmp_path: Path) -> None:
    lines = json.dumps({"title": "a\nb\x1b[2J" + "c" * 10_000, "text": "x"})
    assert only(write(tmp_path / "a.jsonl", lines)).title.startswith("a b\ufffd[2Jccc")
    assert len(only(write(tmp_path / "a.jsonl", lines)).title) == 300
    long = only(write(tmp_path / "b.md", f"# {'h' * 10_000}\n\ntext"))
    assert len(long.outline[0].title) == 300


def test_any_member_counts_for_what_an_archive_unpacks_to(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.docx", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(3):
            archive.writestr(f"word/media/{number}.bin", bytes(50 * 1024 * 1024))
    with pytest.raises(DocumentUnreadable, match="unpacks"):
        list(load(tmp_path / "a.docx"))
    with zipfile.ZipFile(tmp_path / "b.docx", "w") as archive:
        for number in range(10_001):
            archive.writestr(str(number), b"")
    with pytest.raises(DocumentUnreadable, match="unpacks"):
        list(load(tmp_path / "b.docx"))


def test_an_office_file_with_a_password_is_told_as_that(tmp_path: Path) -> None:
    with pytest.raises(DocumentUnreadable, match="encrypted"):
        list(load(write(tmp_path / "a.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500))))
