import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_graph.text.acronyms import definitions


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("The Heat Shock Factor (HSF) binds.", [("HSF", "Heat Shock Factor")]),
        ("It was said by the WHO (World Health Organization).", [("WHO", "World Health Organization")]),
        ("We use retrieval-augmented generation (RAG).", [("RAG", "retrieval-augmented generation")]),
        (
            "the National Aeronautics and Space Administration (NASA, founded in 1958)",
            [("NASA", "National Aeronautics and Space Administration")],
        ),
        ("Application Programming Interfaces (APIs)", [("APIs", "Application Programming Interfaces")]),
        ("the Ministry of Transport (MoT)", [("MoT", "Ministry of Transport")]),
        ("things (e.g. this one) of the kind (USA)", []),
        ("He said (No) to it (see below) in Leeds (1961).", []),
        ("", []),
    ],
)
def test_short_forms_are_read_with_what_they_stand_for(text: str, pairs: list[tuple[str, str]]) -> None:
    assert list(definitions(text)) == pairs


@given(st.text(st.sampled_from("aB C()İß-,.\n"), max_size=200))
def test_any_text_can_be_read(text: str) -> None:
    for short, long in definitions(text):
        assert short in text
        assert long.split()
