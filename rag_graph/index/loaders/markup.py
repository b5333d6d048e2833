"""Plain text, and text that marks its headings: Markdown, MDX, reStructuredText, AsciiDoc, Org, LaTeX, notebooks, code.

The text is kept as it is written, but for its tables and for what no reader sees: what is quoted is what people find in
their file.
"""

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import yaml
from markdown_it import MarkdownIt

from rag_graph.documents import Heading, Metadata, Place
from rag_graph.errors import DocumentUnreadable
from rag_graph.index.encoding import decode
from rag_graph.index.loaders.base import Source, Writer, as_title, clean, notes, without_noise
from rag_graph.index.loaders.html import in_rows
from rag_graph.index.loaders.source_tables import with_rows
from rag_graph.index.loading import Loaded

_FRONT_MATTER: Final = re.compile(
    r"\A(?P<mark>---|\+\+\+)[ \t]*\r?\n(?P<held>.*?\r?\n)(?:(?P=mark)|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL
)
"""In YAML, or between plus signs in TOML."""
_LINE_END: Final = re.compile("\r\n|\r|\n")
_FIRST_LINE: Final = (Place(0, {"line": 1}),)
_COMMENT: Final = re.compile(r"(?<!\\)%[^\n]*")


def load(source: Source) -> Loaded:
    text, note = decode(source.content())
    suffix = source.name.suffix.lower()
    if suffix == ".ipynb":
        yield _notebook(source, text, note)
        return
    text, left_out = without_noise(clean(text))
    told = notes(note, left_out)
    if suffix not in _OUTLINES:
        title = "" if suffix in _PROSE else source.name.name
        yield source.document(text, title=title, places=_FIRST_LINE, note=told)
        return
    if suffix in _TEX:
        text = _COMMENT.sub("", text)
    text, places = with_rows(text, suffix)
    title, metadata, begins = _front_matter(text)
    outline = tuple(_OUTLINES[suffix](text, begins))
    if not title and suffix in _TITLES and (named := _TITLES[suffix].search(text)):
        title = named[1]
    if not title and outline and (outline[0].level == 1 or suffix in _RST or suffix in _ADOC):
        title = outline[0].title
    yield source.document(text, title=title, outline=outline, places=places, metadata=metadata, note=told)


def _front_matter(text: str) -> tuple[str, Metadata, int]:
    """The title that a text gives itself, the values by which one can filter, and where it begins."""
    found = _FRONT_MATTER.match(text)
    if found is None:
        return "", {}, 0
    try:
        is_yaml = found["mark"] == "---"
        held = yaml.safe_load(found["held"]) if is_yaml else tomllib.loads(found["held"].replace("\r\n", "\n"))
    except (yaml.YAMLError, RecursionError, ValueError):
        held = None
    if not isinstance(held, dict):
        return "", {}, found.end()
    known = {
        clean(str(name)): clean(value) if isinstance(value, str) else value
        for name, value in held.items()
        if name != "title"
        and isinstance(value, str | int | float | bool)
        and (isinstance(value, str) or abs(value) < 1 << 63)
    }
    title = held.get("title")
    return str(title) if isinstance(title, str | int | float) else "", known, found.end()


def _markdown_outline(text: str, begins: int) -> Iterator[Heading]:
    starts = [begins]
    starts += [match.end() for match in _LINE_END.finditer(text, begins)]
    tokens = MarkdownIt("commonmark").parse(text[begins:])
    for number, token in enumerate(tokens):
        if token.type == "heading_open" and token.map and tokens[number + 1].content:
            yield Heading(
                start=starts[token.map[0]], level=int(token.tag[1:]), title=as_title(tokens[number + 1].content)
            )


_RST_TITLE: Final = re.compile(
    r"^(?:(?P<over>([!-/:-@\[-`{-~])\2{2,})[ \t\r]*\n)?(?P<title>[^\s].*|[ \t]+\S.*)\n"
    r"(?P<under>([!-/:-@\[-`{-~])\5{2,})[ \t\r]*$",
    re.MULTILINE,
)


def _rst_outline(text: str, begins: int) -> Iterator[Heading]:
    """Lines that are underlined to their end; the first kind of line is the highest level, as the language has it."""
    kinds: list[tuple[bool, str]] = []
    for found in _RST_TITLE.finditer(text, begins):
        title = found["title"].strip()
        if (
            len(found["under"]) < len(title)
            or (found["title"][0].isspace() and not found["over"])
            or not re.search(r"\w", title)
        ):
            continue
        kind = (bool(found["over"]), found["under"][0])
        if kind not in kinds:
            kinds.append(kind)
        yield Heading(
            start=found.start(), level=min(kinds.index(kind) + 1, 9), title=as_title(re.sub("`+|\\*\\*?", "", title))
        )


_ADOC_LINE: Final = re.compile(
    r"^(?:(?P<fence>-{4,}|\.{4,}|={4,}|\+{4,}|/{4,}|\*{4,}|_{4,}|```+)[ \t]*|"
    r"(?P<level>={1,6}|#{1,6})[ \t]+(?P<title>\S.*?))$",
    re.MULTILINE,
)


def _adoc_outline(text: str, begins: int) -> Iterator[Heading]:
    fence = ""
    for found in _ADOC_LINE.finditer(text, begins):
        if found["fence"]:
            if not fence:
                fence = found["fence"]
            elif found["fence"] == fence:
                fence = ""
        elif not fence:
            yield Heading(start=found.start(), level=len(found["level"]), title=as_title(found["title"]))


_ORG_LINE: Final = re.compile(
    r"^(?:(?P<stars>\*{1,9})[ \t]+(?:(?:TODO|DONE|NEXT|WAITING)[ \t]+)?(?:\[#[A-Z]\][ \t]+)?(?P<title>\S.*?)"
    r"(?:[ \t]+:[\w@:]+:)?|[ \t]*#\+(?P<mark>begin|end)_(?:src|example|quote|verse)\b.*)[ \t\r]*$",
    re.MULTILINE | re.IGNORECASE,
)


def _org_outline(text: str, begins: int) -> Iterator[Heading]:
    is_code = False
    for found in _ORG_LINE.finditer(text, begins):
        if found["mark"]:
            is_code = found["mark"].lower() == "begin"
        elif not is_code:
            yield Heading(start=found.start(), level=len(found["stars"]), title=as_title(found["title"]))


_TEX_LEVELS: Final = ("part", "chapter", "section", "subsection", "subsubsection", "paragraph")
_TEX_HEADING: Final = re.compile(
    rf"\\(?P<level>{'|'.join(_TEX_LEVELS)})\*?(?:\[[^\]\n]*\])?\{{(?P<title>(?:[^{{}}]|\{{[^{{}}]*\}})+)\}}"
)
_TEX_COMMAND: Final = re.compile(r"\\[a-zA-Z]+\*?|[{}]")


def _tex_outline(text: str, begins: int) -> Iterator[Heading]:
    for found in _TEX_HEADING.finditer(text, begins):
        level = _TEX_LEVELS.index(found["level"]) + 1
        yield Heading(start=found.start(), level=level, title=as_title(_TEX_COMMAND.sub("", found["title"])))


_MARKDOWN: Final = frozenset((".md", ".markdown", ".mdx", ".qmd", ".rmd"))
_RST: Final = frozenset((".rst",))
_ADOC: Final = frozenset((".adoc", ".asciidoc"))
_ORG: Final = frozenset((".org",))
_TEX: Final = frozenset((".tex",))
_PROSE: Final = frozenset((".txt", ".text", ".log", ".textile", ".wiki", ""))
_TITLES: Final = {
    ".org": re.compile(r"^#\+title:[ \t]*(\S.*?)[ \t\r]*$", re.MULTILINE | re.IGNORECASE),
    ".tex": re.compile(r"\\title(?:\[[^\]\n]*\])?\{([^{}]+)\}"),
}
"""What a text says its title is, where that is no heading."""
_OUTLINES: Final[dict[str, Callable[[str, int], Iterator[Heading]]]] = {
    **dict.fromkeys(_MARKDOWN, _markdown_outline),
    **dict.fromkeys(_RST, _rst_outline),
    **dict.fromkeys(_ADOC, _adoc_outline),
    **dict.fromkeys(_ORG, _org_outline),
    **dict.fromkeys(_TEX, _tex_outline),
}


_PICTURE: Final = re.compile(r"<(?:Figure|[\w.]*Image|AxesSubplot|[\w.]*Axes)\b[^\n]*>")
"""What stands for a picture where none can be shown."""
_COLOURS: Final = re.compile(r"\x1b\[[\d;]*m")


def _notebook(source: Source, text: str, note: str) -> Any:
    try:
        held = json.loads(text)
        cells = held["cells"] if "cells" in held else [cell for sheet in held["worksheets"] for cell in sheet["cells"]]
    except (ValueError, KeyError, TypeError, RecursionError) as exc:
        raise DocumentUnreadable("it is damaged: no notebook's JSON") from exc
    writer = Writer()
    for cell in cells:
        written = _joined(cell.get("source", cell.get("input", "")))
        if cell.get("cell_type") == "code":
            fence = "```" if "```" not in written else "~~~~"
            writer.block(f"{fence}\n{written}\n{fence}" if written.strip() else "")
            for output in cell.get("outputs") or ():
                _write_output(writer, output)
        else:
            writer.block(written)
    whole, left_out = without_noise(writer.text)
    outline = tuple(_markdown_outline(whole, 0))
    title = outline[0].title if outline and outline[0].level == 1 else ""
    return source.document(whole, title=title, outline=outline, note=notes(note, left_out))


def _write_output(writer: Writer, output: Mapping[str, Any]) -> None:
    """What a cell has shown: of several ways, a table with its rows, what is marked up, and else plain text."""
    data = {kind: _joined(lines) for kind, lines in (output.get("data") or {}).items() if kind.startswith("text/")}
    page = data.get("text/html", "")
    if "<table" in page or (page and not data.keys() & {"text/markdown", "text/plain"}):
        writer.block(in_rows(page))
        return
    if "text/markdown" in data:
        writer.block(data["text/markdown"])
        return
    shown = _joined(output.get("text") or data.get("text/plain") or "")
    if output.get("output_type") == "error":
        shown = f"{output.get('ename', '')}: {output.get('evalue', '')}"
    shown = "" if _PICTURE.fullmatch(shown.strip()) else _COLOURS.sub("", shown)
    writer.block(f"```\n{shown}\n```" if shown.strip() else "")


def _joined(lines: Any) -> str:
    return "".join(map(str, lines)) if isinstance(lines, list) else str(lines)
