"""Names and numbers of a question in the other forms that a text may have."""

import pytest

from rag_graph.writing.naming import told_otherwise
from rag_graph.writing.reading import Asked
from tests.writing.test_quoting import passage


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("Who chairs the RGS?", "Ada Rowe chairs the Royal Garden Society."),
        ("Who chairs the Royal Garden Society?", "Ada Rowe chairs the R.G.S. since May."),
        ("Who leads the EU office?", "The office of the European Union is led by Bo Lind."),
        ("Who sank in world war 2?", "In World War II the Rowan sank."),
        ("Which pump has 3 valves?", "The pump with three valves is the Kestrel."),
        ("Which pump has three valves?", "The pump with 3 valves is the Kestrel."),
        ("How hot is it in degrees Celsius?", "It is 40 °C."),
        ("Who lived there in 1620-21?", "Bo Lind lived there in 1620–21."),
        ("Where did Apollo 1's crew live?", "The crew of Apollo 1 lived in Ried."),
        ("Who chaired it on 12 May 2025?", "2025-05-12: chaired by Ada Rowe"),
    ],
)
def test_a_name_or_number_in_another_form_is_no_other(question: str, text: str) -> None:
    assert not Asked.of(question).is_of_another(passage(1, "Notes", text))


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("Who chairs the RGS?", "Ada Rowe chairs the Royal Society."),
        ("Who leads the EU office?", "The office of the Electricians is led by Ed Unger Roth."),
        ("Which pump has 3 valves?", "The pump with four valves is the Kestrel."),
        ("Who sank in world war 2?", "In World War I the Rowan sank."),
        ("Who lived there in 1620-21?", "Bo Lind lived there in 1622–23."),
    ],
)
def test_another_name_or_number_is_another(question: str, text: str) -> None:
    assert Asked.of(question).is_of_another(passage(1, "Notes", text))


def test_only_what_stands_in_another_form_is_told() -> None:
    assert told_otherwise("Who chairs the RGS in Ried?", "The Royal Garden Society is in Linz.") == {"rgs"}
