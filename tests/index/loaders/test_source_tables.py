"""Tables as languages for documentation write them: each row a line under the names of its columns."""

from pathlib import Path
from textwrap import dedent

import pytest

from rag_graph.index.chunking import Chunk
from rag_graph.index.indexing import where
from rag_graph.index.loaders import load
from rag_graph.index.loading import LoadedDocument

ROWS = "| Port | Proto | Use |\n| --- | --- | --- |\n| 80 | tcp | web |\n| 443 | tcp | secure web |"

SIMPLE = """
    ====  =====  ==========
    Port  Proto  Use
    ====  =====  ==========
    80    tcp    web
    443   tcp    secure
                 web
    ====  =====  ==========
"""
GRID = """
    +------+-------+--------+
    | Port | Proto | Use    |
    +======+=======+========+
    | 80   | tcp   | web    |
    +------+       +--------+
    | 443  |       | secure |
    |      |       | web    |
    +------+-------+--------+
"""
LISTED = """
       :header-rows: 1

       * - Port
         - Proto
         - Use
       * - 80
         - tcp
         - web
       * - 443
         - tcp
         - secure
           web
"""
SEPARATED = """
       :header: "Port", "Proto", "Use"

       80, tcp, web
       443, tcp, "secure web"
"""
ASCIIDOC = """
    [cols="1,1,2", options="header"]
    |===
    |Port |Proto |Use

    |80
    .2+|tcp
    |web

    |443 |secure
    web
    |===
"""
LATEX = r"""
    \begin{tabular}{@{}rl p{3cm}@{}}
      \toprule
      \textbf{Port} & Proto & Use \\
      \midrule
      80 & \multirow{2}{*}{tcp} & web \\
      443 & & secure web \\ \bottomrule
    \end{tabular}
"""
ORG = """
    | Port | Proto | Use |
    |------+-------+-----|
    | 80 | tcp | web |
    | 443 | tcp | secure web |
"""
HTML = """
    <table><thead><tr><th>Port</th><th>Proto</th><th>Use</th></tr></thead>
    <tr><td>80<td rowspan="2">tcp<td>web</tr><tr><td>443</td><td>secure web</td></tr></table>
"""


def read(path: Path, text: str) -> LoadedDocument:
    path.write_text(text)
    (document,) = load(path)
    assert isinstance(document, LoadedDocument)
    return document


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("a.rst", SIMPLE),
        ("a.rst", GRID),
        ("a.rst", f".. list-table:: Ports{LISTED}"),
        ("a.rst", f".. csv-table:: Ports{SEPARATED}"),
        ("a.md", f"```{{list-table}} Ports{LISTED}```"),
        ("a.md", f":::{{csv-table}} Ports{SEPARATED}:::"),
        ("a.md", GRID),
        ("a.md", HTML),
        ("a.adoc", ASCIIDOC),
        ("a.tex", LATEX),
        ("a.org", ORG),
    ],
)
def test_a_table_has_a_line_for_each_row_and_what_follows_stands_in_its_line(
    name: str, written: str, tmp_path: Path
) -> None:
    text = f"Before it.\n\n{dedent(written)}\n\nAfter it.\n"
    document = read(tmp_path / name, text)
    assert ROWS in document.text.replace("|------|-------|-----|", "| --- | --- | --- |")
    assert document.text.startswith("Before it.\n")
    after = Chunk(document.text.index("After it."), len(document.text))
    assert where(document.places, document.text, after) == {"line": text.splitlines().index("After it.") + 1}


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("a.adoc", "|===\n|===\n"),
        ("a.adoc", '[cols="x*,1"]\n|===\nno cell\n|===\n'),
        ("a.rst", "== ==\nab cd\n"),
        ("a.rst", "+--+\n| a\n"),
    ],
)
def test_a_table_that_is_none_costs_no_other(name: str, written: str, tmp_path: Path) -> None:
    table = dedent(ASCIIDOC if name == "a.adoc" else GRID)
    text = read(tmp_path / name, f"{written}\nAfter it.\n\n{table}\n").text
    assert "After it." in text
    assert ROWS in text


@pytest.mark.parametrize(
    "table",
    [
        '[cols="3*",options="header"]\n|===\n|Port|Proto|Use\n|80|tcp|web\n|443|tcp|secure web\n|===',
        '[%header,format=csv]\n|===\nPort,Proto,Use\n80,tcp,web\n443,tcp,"secure web"\n|===',
        ",===\nPort,Proto,Use\n\n80,tcp,web\n443,tcp,secure web\n,===",
        "[%header,format=dsv]\n|===\nPort:Proto:Use\n80:tcp:web\n443:tcp:secure web\n|===",
    ],
)
def test_a_table_of_asciidoc_may_be_written_in_several_ways(table: str, tmp_path: Path) -> None:
    assert ROWS in read(tmp_path / "a.adoc", f".Ports in use\n{table}\n").text
    unclosed = f"|====\n\n{table}\n"
    assert ROWS in read(tmp_path / "b.adoc", unclosed).text


def test_a_table_that_is_shown_as_code_stays_as_it_is_written(tmp_path: Path) -> None:
    text = f"So it is written:\n\n```\n{dedent(GRID).strip()}\n<table><tr><td>x</td></tr></table>\n```\n"
    assert read(tmp_path / "a.md", text).text == text


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("a.rst", ".. toctree::\n   :maxdepth: 2\n\n   install\n   usage/first\n"),
        ("a.rst", ".. include:: other.rst\n"),
        ("a.md", "```{toctree}\n:maxdepth: 2\n\ninstall\nusage/first\n```\n"),
        ("a.md", "```{include} other.md\n:start-line: 2\n```\n"),
        ("a.md", ":::{toctree}\ninstall\n:::\n"),
        ("a.adoc", "include::other.adoc[leveloffset=1]\n"),
        ("a.adoc", "// It is said so\n\n////\nAsk her\nfirst\n////\n"),
        ("a.md", "<!-- It is\nsaid so -->\n"),
        ("a.mdx", "import X from 'x'\nimport Y from 'y'\n\n{/* It is\nsaid so */}\n"),
        ("a.rst", ".. It is said so\n   by her\n"),
        ("a.rst", "..\n   It is said so\n"),
    ],
)
def test_what_only_names_other_files_or_is_a_remark_is_no_part_of_a_text(
    name: str, written: str, tmp_path: Path
) -> None:
    document = read(tmp_path / name, f"Before it.\n\n{written}\nAfter it.\n")
    assert document.text.split() == ["Before", "it.", "After", "it."]
    assert document.text.count("\n") == f"Before it.\n\n{written}\nAfter it.\n".count("\n")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.md", "So a remark is written:\n\n```html\n<!-- It is said so -->\n```\n\nIn a line: `<!-- so -->`.\n"),
        ("a.adoc", "So a file is named:\n\n----\ninclude::other.adoc[]\n// so\n----\n"),
        ("a.rst", "Example::\n\n   .. It is said so\n\n.. _name:\n\n.. note:: Mind it.\n\n.. [1] A note.\n"),
        ("a.mdx", "Text that says\nimport duties are due.\n"),
    ],
)
def test_a_remark_that_is_shown_as_an_example_stays(name: str, text: str, tmp_path: Path) -> None:
    assert read(tmp_path / name, text).text == text
