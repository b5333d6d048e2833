"""The order of the tree: a module imports only what stands below it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import rag_graph

PACKAGE = Path(rag_graph.__file__).parent
LAYERS = (
    "errors documents query tasks clock interrupts",
    "events settings text database",
    "transcript",
    "runs claims models",
    "result index",
    "retrieval conversations",
    "writing",
    "research",
    "graph",
    "http telemetry",
    "client",
    "contracts wiring",
    "langchain",
    "deploy display evaluation server",
    "cli",
    "__main__",
)
HEIGHT = {name: height for height, names in enumerate(LAYERS) for name in names.split()}


def modules() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_one_way(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    assert own in HEIGHT, f"{own} has no place in the order of the tree"
    for name in imported(path):
        assert name == own or HEIGHT[name] < HEIGHT[own], f"{own} must not import {name}"


def test_only_one_file_knows_langserve() -> None:
    assert [path for path in modules() if "langserve" in raw_imports(path)] == [PACKAGE / "http/langserve/routes.py"]


def imported(path: Path) -> set[str]:
    return {name.split(".")[1] for name in raw_names(path) if name.startswith("rag_graph.")}


def raw_imports(path: Path) -> set[str]:
    return {name.split(".")[0] for name in raw_names(path)}


def raw_names(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            if node.module == "rag_graph":
                yield from (f"rag_graph.{alias.name}" for alias in node.names)
            else:
                yield node.module
