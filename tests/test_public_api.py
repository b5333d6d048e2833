"""What the package offers by name."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import rag_graph


@pytest.mark.parametrize("name", rag_graph.__all__)
def test_every_public_name_can_be_imported(name: str) -> None:
    assert getattr(rag_graph, name) is not None


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(rag_graph.__file__).read_text())
    [guarded] = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {alias.name for node in guarded.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen == set(rag_graph.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        rag_graph.nothing  # noqa: B018 - the access is what is tested


def test_importing_the_package_loads_no_framework() -> None:
    code = "import rag_graph, sys; print(sorted({'langchain_core', 'fastapi', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
