"""The README and the manual say what is."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import rag_graph
from rag_graph import contracts
from rag_graph.events import KNOWN_TYPES
from rag_graph.server.app import create_app
from rag_graph.settings import ModelSettings, Settings, setting_names
from tests.test_layers import HEIGHT

PACKAGE = Path(rag_graph.__file__).parent
ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
MANUAL = {path.name: path.read_text() for path in sorted((PACKAGE / "sample").glob("*.md"))}
PAPERS = [README, *(PACKAGE / "sample" / name for name in MANUAL)]
MOST_LINES = 170
PARAMETER = re.compile(r"\{[a-z_]+\}")
MISSPELT = "RAG_PROT"
LANGCHAINS = {"BaseChatModel", "BaseRetriever", "VectorStore"}

each_paper = pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.name)


def test_the_readme_is_short() -> None:
    assert len(README.read_text().splitlines()) <= MOST_LINES


def test_the_tree_is_the_packages() -> None:
    entries = {path.name + "/" * path.is_dir() for path in PACKAGE.iterdir() if path.name != "__pycache__"}
    assert sorted(tree()["rag_graph/"]) == sorted(entries)
    assert [path for path in tree() if not (ROOT / path).exists()] == []


def test_the_tree_is_in_the_order_of_imports() -> None:
    names = [name.removesuffix("/").removesuffix(".py") for name in tree()["rag_graph/"]]
    heights = [HEIGHT[name] for name in names if name in HEIGHT]
    assert heights == sorted(heights)


def test_every_setting_is_listed_with_its_default() -> None:
    listed = re.findall(r"^- `(RAG_[A-Z0-9_]+)`(?: \(`([^`]*)`\))?", MANUAL["settings.md"], re.MULTILINE)
    assert sorted(name for name, _ in listed) == sorted(setting_names())
    assert {name: default for name, default in listed if default} == {
        name: str(default).lower()
        for name, default in defaults()
        if isinstance(default, str | int | float) and default != ""
    }


@each_paper
def test_every_setting_that_is_named_exists(paper: Path) -> None:
    named = set(re.findall(r"\bRAG_[A-Z0-9_]+[A-Z0-9]\b", paper.read_text()))
    assert named - {MISSPELT} <= set(setting_names())


def test_every_event_is_described() -> None:
    before_the_colon = "".join(re.findall(r"^- (.*?):", MANUAL["events.md"], re.MULTILINE))
    assert set(re.findall(r"`([a-z_]+)`", before_the_colon)) == KNOWN_TYPES


def test_every_documented_route_is_named() -> None:
    paths = create_app(Settings(_env_file=None)).openapi()["paths"]
    plain = {PARAMETER.sub("{id}", path) for path in paths}
    own = {path for path in plain if not path.startswith(("/rag/", "/chat/"))} - {"/v1/models/{id}"}
    named = {PARAMETER.sub("{id}", path) for path in re.findall(r"(?:`|`[A-Z]+ )(/[^` ]*)`", MANUAL["endpoints.md"])}
    assert own <= named


def test_every_contract_that_is_named_is_public() -> None:
    named = set(re.findall(r"`([A-Z][a-z]+[A-Za-z]*)`", MANUAL["parts.md"]))
    assert named - LANGCHAINS <= {*contracts.__all__, *rag_graph.__all__}


@each_paper
def test_every_link_leads_somewhere(paper: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", paper.read_text())
    assert [target for target in targets if not (paper.parent / target).exists()] == []


@each_paper
def test_every_example_compiles_and_imports(paper: Path) -> None:
    for block in re.findall(r"^```python\n(.*?)^```", paper.read_text(), re.MULTILINE | re.DOTALL):
        found = ast.parse(block)
        imports = ast.Module([node for node in found.body if isinstance(node, ast.Import | ast.ImportFrom)], [])
        exec(compile(imports, paper.name, "exec"), {})  # noqa: S102 - these are our own


def tree() -> dict[str, list[str]]:
    """What the README lists at the root, and below each of those."""
    [block] = re.findall(r"^```\n(server\.py.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
    listed: dict[str, list[str]] = {}
    for line in block.splitlines():
        name = line.split()[0]
        if line.startswith(" "):
            list(listed.values())[-1].append(name)
        else:
            listed[name] = []
    return listed


def defaults() -> Iterator[tuple[str, Any]]:
    for name, field in Settings.model_fields.items():
        if isinstance(field.default, ModelSettings):
            for part, inner in type(field.default).model_fields.items():
                yield f"RAG_{name}_{part}".upper(), inner.default
        elif not field.validation_alias:
            yield f"RAG_{name}".upper(), field.default
