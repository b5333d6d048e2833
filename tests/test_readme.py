"""The README says what is."""

import re
from pathlib import Path
from typing import get_args

import pytest

from rag_graph.events import Event
from rag_graph.server.app import create_app
from rag_graph.settings import Settings, setting_names

README = (Path(__file__).parent.parent / "README.md").read_text()


@pytest.mark.parametrize("name", setting_names())
def test_every_setting_is_listed(name: str) -> None:
    assert f"`{name}`" in README


def test_every_setting_that_is_named_exists() -> None:
    named = set(re.findall(r"\bRAG_[A-Z0-9_]+[A-Z0-9]\b", README))
    assert named <= set(setting_names())


def test_every_event_is_described() -> None:
    union = get_args(get_args(Event)[0])
    kinds = {kind.model_fields["type"].default for kind in union}
    described = set(re.findall(r"`([a-z_]+)`", README))
    assert kinds <= described


def test_every_documented_route_is_named() -> None:
    app = create_app(Settings(_env_file=None))
    paths = {path for path in app.openapi()["paths"] if not path.startswith(("/rag", "/chat"))}
    plain = {re.sub(r"\{[a-z_]+\}", "{id}", path) for path in paths} - {"/v1/models/{id}"}
    assert not {path for path in plain if path not in README}
