import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_graph.research.plan import LONGEST_ITEM_CHARS, SearchPlan, read_plan

QUESTION = "Where was the founder of the Fenwick company born?"
WHO, WHERE = "Who set up Fenwick Works?", "Where was she born?"


@pytest.mark.parametrize(
    "reply",
    [
        '{"plan": ["Who set up Fenwick Works?"], "found": [], "missing": ["Who set up Fenwick Works?"]}',
        'Of course!\n```json\n{"missing": ["Who set up Fenwick Works?"]}\n```\nI hope that helps [1].',
        '{"Missing": "Who set up Fenwick Works?"}',
        '{"sub-questions": [{"question": "Who set up Fenwick Works?", "why": "the name is missing"}]}',
        '["Who set up Fenwick Works?"]',
        '{"queries": ["Who set up Fenwick Works?", "Where was #1 born?"]}',
        "1. Who set up Fenwick Works?",
        "I would search for:\n- **Who set up Fenwick Works?**\n",
        "2) Search for: “Who set up Fenwick Works?”",
        "Q1: Who set up Fenwick Works?",
        "Who set up Fenwick Works?",
        "Sure, here is what is missing:\n\nWho set up Fenwick Works?\n",
        '{"missing": ["Who set up Fenwick Works?"\nWho set up Fenwick Works?',
    ],
)
def test_a_search_is_read_from_any_wrapping(reply: str) -> None:
    plan = read_plan(reply, QUESTION)
    assert plan is not None
    assert plan.missing == (WHO,)


def test_plan_and_findings_are_read_too() -> None:
    reply = '{"plan": ["Who set up Fenwick Works?", "Where was she born?"], "found": ["Ada did [2]"], "missing": []}'
    assert read_plan(reply, QUESTION) == SearchPlan(steps=(WHO, WHERE), found=("Ada did [2]",), missing=())


@pytest.mark.parametrize("reply", ['{"missing": []}', '{"missing": "none"}', "NONE", "Nothing is missing.", "nothing"])
def test_nothing_missing_is_told_apart_from_nonsense(reply: str) -> None:
    assert read_plan(reply, QUESTION) == SearchPlan()


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "I am sorry, but I cannot do that.",
        "{}",
        "[1, 2]",
        '{"answer": 42}',
        "```\n```",
        "}{][",
        '{"missing": ["Where was #1 born?", "What did [Person] write?"]}',
        "lorem ipsum dolor",
    ],
)
def test_garbage_is_no_plan(reply: str) -> None:
    assert read_plan(reply, QUESTION) is None


def test_words_of_the_question_make_a_plain_line_a_search() -> None:
    plan = read_plan("Fenwick company founder\nHow about that.", QUESTION)
    assert plan == SearchPlan(missing=("Fenwick company founder",))


def test_items_are_short_few_and_different() -> None:
    reply = "\n".join(f"- {'long ' * 200}{number % 20}" for number in range(100))
    plan = read_plan(reply + "\n- A search.\n- A search.", QUESTION)
    assert plan is not None
    assert len(set(plan.missing)) == len(plan.missing) <= 8
    assert all(len(item) <= LONGEST_ITEM_CHARS for item in plan.missing)


@given(st.text() | st.text(alphabet='{}[]",:-1. \nabc'))
def test_no_reply_breaks_the_reader(reply: str) -> None:
    plan = read_plan(reply, QUESTION)
    assert plan is None or all(item.strip() and "\n" not in item for item in plan.missing)


def test_deep_nesting_is_no_plan() -> None:
    assert read_plan("[" * 100_000, QUESTION) is None
