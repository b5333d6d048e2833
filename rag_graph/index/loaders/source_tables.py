"""Tables as people write them in reStructuredText, MyST, AsciiDoc, Org, LaTeX, and as HTML in Markdown, to rows.

Their rows become lines as in Markdown, as those of all other tables are. What names other files only (a table of
contents, an include, the imports of MDX) is left out: its words are in those files, or nowhere. So are remarks that
authors write to each other, which no reader sees.
"""

import csv
import io
import itertools
import re
import textwrap
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Final

from docutils.parsers.rst.tableparser import GridTableParser, SimpleTableParser, TableMarkupError, TableParser
from docutils.statemachine import StringList

from rag_graph.documents import Place
from rag_graph.index.loaders.base import whole_number
from rag_graph.index.loaders.html import in_rows
from rag_graph.index.loaders.tables import Cell, read_table
from rag_graph.text.markup import code_blocks

_MOST_ABOUT: Final = 3
"""Lines above a table that say how it is written, or what it is called."""
Edit = tuple[int, int, str]
"""`text[start:end]` and what stands in its place."""
_MARKDOWN: Final = frozenset((".md", ".markdown", ".mdx", ".qmd", ".rmd"))


def with_rows(text: str, suffix: str) -> tuple[str, tuple[Place, ...]]:
    """A text with its tables as rows, and where its lines have the numbers that they have in the file."""
    edits: list[Edit] = []
    for found in sorted(_edits(text, suffix), key=lambda edit: (edit[0], -edit[1])):
        if not edits or found[0] >= edits[-1][1]:
            edits.append(found)
    parts, places, at, length = [], [Place(0, {"line": 1})], 0, 0
    for start, end, written in edits:
        missing = text.count("\n", start, end) - written.count("\n")
        part = text[at:start] + written + "\n" * missing
        parts.append(part)
        at, length = end, length + len(part)
        if missing < 0:  # else the lines below it have their numbers
            places.append(Place(length, {"line": 1 + text.count("\n", 0, end)}))
    return "".join([*parts, text[at:]]), tuple(places)


def _edits(text: str, suffix: str) -> Iterator[Edit]:
    if suffix == ".rst":
        yield from _directives(text, _RST_DIRECTIVE)
        yield from _drawn(text)
        yield from _remarks(text)
    elif suffix in _MARKDOWN:
        directives = list(_directives(text, _MYST_DIRECTIVE))
        yield from directives
        code = [(block.outer, block.after) for block in code_blocks(text)]
        ends = [end for _, end in code]
        unread = [*_between(text, "<!--", "-->")]
        if suffix == ".mdx":
            unread += [*_between(text, "{/*", "*/}"), *_imports(text)]
        for found in (*_drawn(text), *_html(text), *unread):
            next_code = bisect_right(ends, found[0])
            if next_code == len(code) or code[next_code][0] >= found[1]:
                yield found
    elif suffix in {".adoc", ".asciidoc"}:
        yield from _asciidoc(text)
        yield from _asciidoc_unread(text)
    elif suffix == ".org":
        yield from ((*line.span(), line[0].replace("+", "|")) for line in _ORG_RULE.finditer(text))
    elif suffix == ".tex":
        yield from _latex(text)


def _between(text: str, begins: str, ends: str) -> Iterator[Edit]:
    """What authors write to each other; not where one is named in code."""
    at = text.find(begins)
    while at >= 0 and (end := text.find(ends, at + len(begins))) >= 0:
        if text[at - 1 : at] != "`":
            yield at, end + len(ends), ""
        at = text.find(begins, end + len(ends))


_IMPORTS: Final = re.compile(r"^(?:import|export)\b[^\n]*(?:\n[ \t]*\S[^\n]*)*", re.MULTILINE)


def _imports(text: str) -> Iterator[Edit]:
    """Of MDX, what names its parts and where they come from, up to the next blank line."""
    for found in _IMPORTS.finditer(text):
        above = text[text.rfind("\n", 0, max(0, found.start() - 1)) + 1 : found.start()].strip()
        if above in {"", "---"}:
            yield (*found.span(), "")


_REMARK: Final = re.compile(
    r"^\.\.(?:[ ]+(?![\w:.+-]+(?:[ ]\w+)?::|_|\[|\|)(?P<said>\S[^\n]*)|[ \t]*(?=\n[ \t]+\S))"
    r"(?:\n(?:[ \t]*(?=\n|\Z)|[ \t]+\S[^\n]*))*",
    re.MULTILINE,
)


def _remarks(text: str) -> Iterator[Edit]:
    """Comments of reStructuredText; those that are indented may be shown as an example."""
    yield from ((*found.span(), "") for found in _REMARK.finditer(text))


def _lines(rows: Sequence[Sequence[Cell | str]], headers: int | None, caption: str = "") -> str:
    table = read_table(rows, headers)
    titles = [title for title in (caption.strip(), *table.titles) if title]
    return "\n\n".join([*titles, "\n".join(table.lines())])


_RULE: Final = re.compile(r"^(?P<indent>[ \t]*)(?:\+(?:[-=]+\+)+|={2,}(?:[ ]+={2,})+)[ \t]*$", re.MULTILINE)
_SIMPLE_RULE: Final = re.compile(r"[ \t]*=+(?:[ ]+=+)*[ \t]*")


def _drawn(text: str) -> Iterator[Edit]:
    """Tables that are drawn by signs, as docutils and Pandoc read them."""
    at = 0
    closes = True
    while rule := _RULE.search(text, at):
        at = rule.end()
        parser: TableParser
        if rule[0].lstrip().startswith("+"):
            parser, lines = GridTableParser(), _grid(text, rule)
        elif closes:
            parser, lines = SimpleTableParser(), _simple(text, rule)
            closes = bool(lines)  # where nothing ends this one, nothing ends one that begins later
        else:
            continue
        if not lines:
            continue
        # Also past what is no table: its lines would be read again from each rule in them.
        at = rule.start() + len("\n".join(lines))
        drawn = textwrap.dedent("\n".join(line.rstrip() for line in lines)).splitlines()
        try:
            _, head, body = parser.parse(StringList(drawn, ""))
        except (TableMarkupError, IndexError, ValueError):  # no table, or one that docutils would not show either
            continue
        rows = [[_drawn_cell(cell) for cell in row if cell is not None] for row in (*head, *body)]
        yield rule.start(), at, _lines(rows, len(head) or None)


def _drawn_cell(cell: tuple[int, int, int, list[str]]) -> Cell:
    rows, columns, _, lines = cell
    return Cell(" ".join(" ".join(lines).split()), columns + 1, rows + 1)


def _lines_from(text: str, at: int) -> Iterator[str]:
    """One after the other: split at once, the whole text below would be read again for each table."""
    while at <= len(text):
        end = text.find("\n", at)
        yield text[at : end if end >= 0 else len(text)]
        at = end + 1 if end >= 0 else len(text) + 1


def _grid(text: str, rule: re.Match[str]) -> list[str]:
    lines = _lines_from(text, rule.start())
    return list(itertools.takewhile(lambda line: line.strip().startswith(("+", "|")), lines))


def _simple(text: str, rule: re.Match[str]) -> list[str]:
    """Down to the rule that a blank line or nothing follows, or to where the indentation ends; else nothing."""
    indent = len(rule["indent"])
    lines: list[str] = []
    for line in _lines_from(text, rule.start()):
        if len(lines) > 1 and not line.strip() and _SIMPLE_RULE.fullmatch(lines[-1]):
            return lines
        if lines and line.strip() and not line[:indent].isspace() and indent:
            return lines
        lines.append(line)
    return lines if len(lines) > 1 and _SIMPLE_RULE.fullmatch(lines[-1]) else []


_RST_DIRECTIVE: Final = re.compile(
    r"^(?P<indent>[ \t]*)\.\.[ ](?P<name>list-table|csv-table|toctree|contents|include|literalinclude|tableofcontents)"
    r"::[ \t]*(?P<said>[^\n]*)(?P<body>(?:\n(?:[ \t]*(?=\n|\Z)|(?P=indent)[ \t]+\S[^\n]*))*)",
    re.MULTILINE,
)
_MYST_DIRECTIVE: Final = re.compile(
    r"^(?P<indent>[ \t]*)(?P<fence>`{3,}|:{3,}|~{3,})\{(?P<name>list-table|csv-table|toctree|contents|tableofcontents"
    r"|include|literalinclude)\}[ \t]*(?P<said>[^\n]*)(?P<body>(?:\n(?![ \t]*(?P=fence)[ \t]*$)[^\n]*)*)"
    r"(?:\n[ \t]*(?P=fence)[ \t]*$)?",
    re.MULTILINE,
)
_OPTION: Final = re.compile(r"[ \t]*:(?P<name>[\w-]+):[ \t]*(?P<value>.*)")


def _directives(text: str, pattern: re.Pattern[str]) -> Iterator[Edit]:
    for found in pattern.finditer(text):
        options, body = _options(found["body"])
        rows: list[list[str]] = []
        if found["name"] == "list-table":
            rows = _listed(body)
        elif found["name"] == "csv-table":
            if "file" in options or "url" in options:
                continue
            rows = _separated(body, options)
        elif not found["name"].endswith("table"):
            yield (*found.span(), "")
            continue
        if rows:
            said = options.get("header-rows", "")
            headers = whole_number(said) + ("header" in options)
            yield (*found.span(), _lines(rows, headers or None, found["said"]))


def _options(body: str) -> tuple[dict[str, str], str]:
    options: dict[str, str] = {}
    lines = body.strip("\n").split("\n")
    if lines[0].strip() == "---":  # MyST's other way, in YAML
        end = next((at for at, line in enumerate(lines[1:], start=1) if line.strip() == "---"), 0)
        pairs = (line.partition(":") for line in lines[1:end])
        return {name.strip(): value.strip() for name, _, value in pairs}, "\n".join(lines[end + 1 :])
    while lines and (found := _OPTION.fullmatch(lines[0])):
        options[found["name"]] = found["value"].strip()
        lines.pop(0)
    return options, "\n".join(lines)


_ITEM: Final = re.compile(r"(?P<row>[ \t]*[*+-][ ]+)?(?P<indent>[ \t]*)[*+-](?:[ ]+(?P<text>.*)|[ \t]*)")


def _listed(body: str) -> list[list[str]]:
    """Of a list of lists; what is deeper belongs to its cell."""
    rows: list[list[str]] = []
    column = -1
    for line in textwrap.dedent(body).split("\n"):
        found = _ITEM.fullmatch(line)
        if found and found["row"] and not found["row"][0].isspace():
            rows.append([found["text"] or ""])
            column = len(found["row"]) + len(found["indent"])
        elif found and rows and not found["row"] and len(found["indent"]) == column:
            rows[-1].append(found["text"] or "")
        elif rows:
            rows[-1][-1] += f" {line.strip()}"
    return [[" ".join(cell.split()) for cell in row] for row in rows]


def _separated(body: str, options: dict[str, str]) -> list[list[str]]:
    mark = {"tab": "\t", "space": " "}.get(options.get("delim", ""), options.get("delim", ",")[:1] or ",")
    lines = [options["header"]] if "header" in options else []
    lines += [line.strip() for line in body.split("\n") if line.strip()]
    return list(csv.reader(io.StringIO("\n".join(lines)), delimiter=mark, skipinitialspace=True))


_TABLE_TAG: Final = re.compile(r"<(?P<end>/?)table\b[^<>]*>", re.IGNORECASE)


def _html(text: str) -> Iterator[Edit]:
    depth = start = 0
    for tag in _TABLE_TAG.finditer(text):
        if not tag["end"]:
            start = start if depth else tag.start()
            depth += 1
        elif depth:
            depth -= 1
            if not depth:
                written = in_rows(text[start : tag.end()])
                yield start, tag.end(), f"\n{written}\n" if written else ""


_ADOC_FENCE: Final = re.compile(r"^[|,:]={3,}(?=[ \t\r]*$)", re.MULTILINE)
_ADOC_CELL: Final = re.compile(
    r"(?:(?<!\S)(?:(?P<times>\d{1,3})\*)?(?:(?P<columns>\d{1,3})?(?:\.(?P<rows>\d{1,3}))?\+)?[<^>]?(?:\.[<^>])?"
    r"[adehlmsv]?)?(?<!\\)\|"
)
_ADOC_SEPARATED: Final = re.compile(r"format\s*=\s*\"?(csv|tsv|dsv)")
_ADOC_SEPARATORS: Final = {"csv": ",", "tsv": "\t", "dsv": ":", ",": ",", ":": ":"}
"""By the name of a format or the sign that a table of it begins with."""
_ADOC_UNREAD: Final = re.compile(
    r"^(?:(?P<fence>-{4,}|\.{4,}|\+{4,}|```+)[^\n]*|(?P<comment>/{4,})[ \t\r]*"
    r"|(?P<line>//(?!/)[^\n]*|include::[^\n\[]*\[[^\n]*\])[ \t\r]*)$",
    re.MULTILINE,
)
_ADOC_TIMES: Final = re.compile(r"\s*(\d{1,3})\*")
_ADOC_COLUMNS: Final = re.compile(r"""cols\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s,\]]+))""")


def _asciidoc(text: str) -> Iterator[Edit]:
    for begins, end, about, caption, fence, body in _adoc_tables(text):
        first, _, rest = body.partition("\n")
        is_named = "header" in about or (rest.startswith("\n") and "noheader" not in about)
        named = _ADOC_SEPARATED.search(about)
        mark = _ADOC_SEPARATORS.get(named[1] if named else fence[0])
        if mark:
            lines = io.StringIO("\n".join(line for line in body.split("\n") if line.strip()))
            rows = list(csv.reader(lines, delimiter=mark, skipinitialspace=True))
            if rows:
                yield begins, end, _lines(rows, 1 if is_named else None, caption)
            continue
        cells = list(_adoc_cells(body))
        said = _ADOC_COLUMNS.search(about)
        columns = next(filter(None, said.groups()), "") if said else ""
        times = (_ADOC_TIMES.match(one) for one in columns.split(",")) if columns else ()
        width = sum(int(found[1]) if found else 1 for found in times) or sum(
            cell.columns for cell in _adoc_cells(first)
        )
        if width and cells:
            yield begins, end, _lines(_adoc_rows(cells, width), 1 if is_named else None, caption)


def _adoc_tables(text: str) -> Iterator[tuple[int, int, str, str, str, str]]:
    """Where each one begins and ends, what is said of it, its caption, the line that opens it, and what is in it."""
    fences = list(_ADOC_FENCE.finditer(text))
    closing: list[int | None] = [None] * len(fences)
    known: dict[str, int] = {}
    for at in range(len(fences) - 1, -1, -1):
        closing[at] = known.get(fences[at][0])
        known[fences[at][0]] = at
    at = 0
    while at < len(fences):
        opens, closes = fences[at], closing[at]
        at += 1
        if closes is None:
            continue
        begins, about, caption = opens.start(), "", ""
        for _ in range(_MOST_ABOUT):
            above = text.rfind("\n", 0, max(0, begins - 1)) + 1
            line = text[above:begins].strip()
            if line.startswith("[") and line.endswith("]"):
                about += f",{line[1:-1]}"
            elif line[:1] == "." and line[1:2].strip(". "):
                caption = line[1:]
            else:
                break
            begins = above
        body = text[opens.end() : fences[closes].start()].replace("\r\n", "\n").strip("\n").lstrip(" \t\n")
        yield begins, fences[closes].end(), about, caption, opens[0], body
        at = closes + 1


def _asciidoc_unread(text: str) -> Iterator[Edit]:
    """What names other files, and what authors write to each other."""
    fence, begins = "", 0
    for found in _ADOC_UNREAD.finditer(text):
        opens = found["fence"] or found["comment"] or ""
        if fence:
            if opens == fence:
                if fence.startswith("/"):
                    yield begins, found.end(), ""
                fence = ""
        elif opens:
            fence, begins = opens, found.start()
        else:
            yield (*found.span(), "")


def _adoc_cells(body: str) -> Iterator[Cell]:
    marks = list(_ADOC_CELL.finditer(body))
    ends = [*(mark.start() for mark in marks), len(body)][1:]
    for mark, end in zip(marks, ends, strict=True):
        written = " ".join(body[mark.end() : end].replace("\\|", "|").split())
        for _ in range(min(int(mark["times"] or 1), 64)):
            yield Cell(written, int(mark["columns"] or 1), int(mark["rows"] or 1))


def _adoc_rows(cells: Sequence[Cell], width: int) -> list[list[Cell]]:
    """A row is full by its cells and those that reach down into it."""
    rows: list[list[Cell]] = [[]]
    taken: dict[int, int] = {}  # by row: columns that are taken from above
    for cell in cells:
        while sum(one.columns for one in rows[-1]) + taken.get(len(rows) - 1, 0) >= width:
            rows.append([])
        for below in range(len(rows), len(rows) + cell.rows - 1):
            taken[below] = taken.get(below, 0) + cell.columns
        rows[-1].append(cell)
    return rows


_ORG_RULE: Final = re.compile(r"^[ \t]*\|-[-+]*\|?[ \t]*$", re.MULTILINE)

_TABULAR: Final = re.compile(
    r"\\begin\{(?P<name>tabular\*?|tabularx|tabulary|longtable|tblr)\}"
    r"(?:\[[^\]\n]{0,80}\]|\{(?:[^{}]|\{[^{}]*\})*\})*"
)
# What they hold is bounded: many that are never closed would each be read to the end.
_TEX_RULE: Final = re.compile(
    r"\\(?:hline|toprule|midrule|bottomrule|endhead|endfirsthead|endfoot|endlastfoot"
    r"|(?:cmidrule|cline)(?:\([^)]{0,80}\))?\{[^}]{0,80}\})(?:\[[^\]]{0,80}\])?"
)
_TEX_LINE_END: Final = re.compile(r"\\\\(?:\[[^\]]{0,80}\])?")
_TEX_WIDE: Final = re.compile(r"\\multicolumn\{(\d{1,3})\}\{[^{}]*\}\{(.*)\}", re.DOTALL)
_TEX_TALL: Final = re.compile(r"\\multirow\{(\d{1,3})\}(?:\[[^\]]*\])?\{[^{}]*\}\{(.*)\}", re.DOTALL)
_TEX_FORMAT: Final = re.compile(r"\\(?:text(?:bf|it|tt|sf|rm|sc)|emph|underline|mathrm|mathbf)\{([^{}]*)\}")


def _latex(text: str) -> Iterator[Edit]:
    at = 0
    unended: set[str] = set()
    while found := _TABULAR.search(text, at):
        at = found.end()
        end = f"\\end{{{found['name']}}}"
        closes = -1 if end in unended else text.find(end, at)
        if closes < 0:
            unended.add(end)
            continue
        body, at = text[at:closes], closes + len(end)
        rows = [
            [_tex_cell(cell) for cell in re.split(r"(?<!\\)&", row)]
            for row in _TEX_LINE_END.split(_TEX_RULE.sub("", body))
            if row.strip()
        ]
        parts = re.split(r"\\(?:midrule|hline)\b", re.sub(r"\A\s*(?:\\(?:hline|toprule)\s*)+", "", body))
        names = len(re.findall(r"\\\\", parts[0])) if len(parts) > 1 and parts[1].strip() else 0
        if len(rows) > 1 or (rows and len(rows[0]) > 1):
            _uncover(rows)
            yield found.start(), at, _lines(rows, 1 if names == 1 and len(rows) > 1 else None)


def _uncover(rows: Sequence[list[Cell]]) -> None:
    """Drop the empty cells that LaTeX wants written where one from above reaches down."""
    reaching: dict[int, int] = {}
    for row in rows:
        at = 0
        for cell in list(row):
            if reaching.get(at, 0) and not cell.text:
                row[:] = [one for one in row if one is not cell]
            elif cell.rows > 1:
                reaching[at] = cell.rows
            at += cell.columns
        reaching = {column: left - 1 for column, left in reaching.items() if left > 1}


def _tex_cell(cell: str) -> Cell:
    columns = rows = 1
    written = " ".join(cell.split())
    if wide := _TEX_WIDE.fullmatch(written):
        columns, written = int(wide[1]), wide[2].strip()
    if tall := _TEX_TALL.fullmatch(written):
        rows, written = int(tall[1]), tall[2].strip()
    return Cell(re.sub(r"\\([%&$#_{}])", r"\1", _TEX_FORMAT.sub(r"\1", written)), columns, rows)
