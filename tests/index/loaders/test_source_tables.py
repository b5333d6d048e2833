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
    ],
)
def test_what_only_names_other_files_is_no_part_of_a_text(name: str, written: str, tmp_path: Path) -> None:
    document = read(tmp_path / name, f"Before it.\n\n{written}\nAfter it.\n")
    assert document.text.split() == ["Before", "it.", "After", "it."]
    assert document.text.count("\n") == f"Before it.\n\n{written}\nAfter it.\n".count("\n")
