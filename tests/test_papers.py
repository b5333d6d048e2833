"""The papers for the next person name only what is there."""

import ast
import re
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

from rag_graph.settings import setting_names
from tests.test_layers import LAYERS

ROOT = Path(__file__).parent.parent
PAPERS = sorted((ROOT / ".github").rglob("*.md"))
BASES = (ROOT, ROOT / "rag_graph", ROOT / ".github")
"""Where a path in a paper may start."""

FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
QUOTED = re.compile(r"`([^`\n]+)`")
NAMED = re.compile(r"(?P<path>[\w./-]+\.py):(?P<name>[A-Za-z_][\w.]*\w)")
PATH = re.compile(r"\.?\w[\w.-]*(/[\w.-]+)+/?|[\w.-]+\.(py|md|toml|yml|yaml|js|mjs|json|conf|txt)")
DOTTED = re.compile(r"rag_graph(\.\w+)+")


def name_of(paper: Path) -> str:
    return str(paper.relative_to(ROOT / ".github"))


@pytest.mark.parametrize("paper", PAPERS, ids=name_of)
def test_every_path_that_a_paper_names_is_there(paper: Path) -> None:
    quoted = set(QUOTED.findall(FENCED.sub("", paper.read_text())))
    paths = {word for word in quoted if PATH.fullmatch(word) and not DOTTED.fullmatch(word)}
    assert not {path for path in paths if found(path) is None}


@pytest.mark.parametrize("paper", PAPERS, ids=name_of)
def test_every_name_of_a_file_is_there(paper: Path) -> None:
    """In drawings too: `file.py:Class.method` is what that file defines."""
    named = {match.groups() for match in NAMED.finditer(paper.read_text())}
    assert not {f"{path}:{name}" for path, name in named if name not in names_in(found(path))}


@pytest.mark.parametrize("paper", PAPERS, ids=name_of)
def test_every_public_name_is_there(paper: Path) -> None:
    dotted = {word for word in QUOTED.findall(FENCED.sub("", paper.read_text())) if DOTTED.fullmatch(word)}
    assert not {name for name in dotted if not can_be_imported(name)}


@pytest.mark.parametrize("paper", PAPERS, ids=name_of)
def test_every_setting_is_one(paper: Path) -> None:
    assert set(re.findall(r"\bRAG_[A-Z0-9_]+[A-Z0-9]\b", paper.read_text())) <= set(setting_names())


def test_the_order_of_the_tree_is_drawn_as_it_is() -> None:
    assert "\n".join(["```", *LAYERS, "```"]) in (ROOT / ".github/ARCHITECTURE.md").read_text()


def found(path: str) -> Path | None:
    return next((base / path for base in BASES if (base / path).exists()), None)


@cache
def names_in(path: Path | None) -> frozenset[str]:
    """What a file defines or assigns, also inside its classes, as `name` or `Class.name`."""
    names: set[str] = set()

    def gather(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            match node:
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    names.add(prefix + node.name)
                case ast.ClassDef():
                    names.add(prefix + node.name)
                    gather(node.body, f"{prefix}{node.name}.")
                case ast.Assign(targets=[ast.Name(id=name), *_]) | ast.AnnAssign(target=ast.Name(id=name)):
                    names.add(prefix + name)

    if path is not None:
        gather(ast.parse(path.read_text()).body, "")
    return frozenset(names)


def can_be_imported(name: str) -> bool:
    module, _, attribute = name.rpartition(".")
    try:
        return hasattr(import_module(module), attribute) or import_module(name) is not None
    except ImportError:
        return False
