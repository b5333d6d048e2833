"""What a command loads while it imports the rest."""

import pytest

from rag_graph.cli.loading import loading
from rag_graph.settings import ChatSettings, ModelSettings, Settings

HOSTED = "http://localhost:1/v1"


@pytest.mark.parametrize(
    ("given", "loaded"),
    [
        ({}, (True, True)),
        ({"chat": ChatSettings(base_url=HOSTED)}, (True, False)),
        ({"embedding": ModelSettings(base_url=HOSTED)}, (False, False)),
        ({"OPENAI_API_KEY": "key"}, (False, False)),
    ],
    ids=["nothing set", "a chat model", "an embedding model", "a key of OpenAI"],
)
def test_the_embedded_models_are_loaded_where_the_settings_choose_them(
    given: dict[str, object], loaded: tuple[bool, bool]
) -> None:
    with loading(Settings.load(**given)) as local:
        assert (local.embedder is not None, local.reader is not None) == loaded


def test_what_is_not_on_a_terminal_is_not_told_of_loading(capsys: pytest.CaptureFixture[str]) -> None:
    with loading(Settings.load(embedding=ModelSettings(base_url=HOSTED))):
        pass
    assert capsys.readouterr() == ("", "")
