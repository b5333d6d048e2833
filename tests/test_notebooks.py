"""The notebooks run from top to bottom, and what is committed of them is what they print."""

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))
CELL_TIMEOUT_S = 600
ANYBODYS = re.compile(r"/(?:home|root|Users|tmp|var|work|opt)/\w")
"""Where a path begins that is of one machine."""
PUBLIC = {
    "rag_graph",
    "rag_graph.client",
    "rag_graph.contracts",
    "rag_graph.display.notebook",
    "rag_graph.events",
}

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def test_there_are_five() -> None:
    assert [path.stem[0] for path in NOTEBOOKS] == ["1", "2", "3", "4", "5"]


@each_notebook
def test_a_notebook_runs_from_top_to_bottom(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("RAG_", "OPENAI_"))]:
        monkeypatch.delenv(name)
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    here = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=CELL_TIMEOUT_S, kernel_name="python3", resources=here).execute()
    assert [output for output in outputs(notebook) if output.output_type == "error"] == []


@each_notebook
def test_the_outputs_of_a_notebook_are_committed(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    nbformat.validate(notebook)
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    found = list(outputs(notebook))
    assert found
    assert not [output for output in found if output.output_type == "error" or output.get("name") == "stderr"]
    assert not [words for words in map(str, found) if ANYBODYS.search(words)]


@each_notebook
def test_a_notebook_is_written_in_public_names(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    used = set[str]()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            tree = compile(cell.source, cell.id, "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            for node in ast.walk(tree):
                if isinstance(node, ast.ImportFrom):
                    used.add(node.module or "")
                elif isinstance(node, ast.Import):
                    used.update(alias.name for alias in node.names)
    ours = {name for name in used if name.split(".")[0] == "rag_graph"}
    assert ours
    assert ours <= PUBLIC


@each_notebook
def test_a_notebook_has_one_title_and_headings_below_it(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    prose = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    assert re.match(r"# \w", prose[0])
    assert [cell for cell in prose[1:] if re.match(r"#(?!#)| ", cell)] == []


def outputs(notebook: Any) -> Iterator[Any]:
    for cell in notebook.cells:
        yield from cell.get("outputs", [])
