import pytest

from rag_graph.retrieval.asked import asked_part


@pytest.mark.parametrize(
    ("question", "asked"),
    [
        ("How is the seal fitted? Answer in one sentence.", "How is the seal fitted?"),
        ("You are a plumber with much patience. How is the seal fitted?", "How is the seal fitted?"),
        ("Answer this as a plumber would: how is the seal fitted?", "how is the seal fitted?"),
        ("What does a seal cost? Round to two decimal places. Keep it short!", "What does a seal cost?"),
        ("Does the seal leak? If it never does, then say so and explain why.", "Does the seal leak?"),
        ("What is the seal made of? In simple terms, please explain that.", "What is the seal made of?"),
        ("Give a short answer. Which seals fit?", "Which seals fit?"),
        ("Wie sitzt die Dichtung? Antworte bitte auf Englisch.", "Wie sitzt die Dichtung?"),
        ("Où va le joint ? Réponds en une phrase.", "Où va le joint ?"),
    ],
)
def test_what_is_said_to_whoever_answers_is_not_searched(question: str, asked: str) -> None:
    assert asked_part(question) == asked


@pytest.mark.parametrize(
    "question",
    [
        "Answer in one sentence.",
        "The seal of v1.2.3 leaks. How do I mend it?",
        "Please explain how a seal works. What wears it down?",
        "Explain why seals leak. Is it the heat?",
        "You are given two seals. Which one goes first?",
        "Round brackets are refused. Why?",
        "Answer files are read at start. Where do they go?",
        "Is the reply to a ping signed? The keys are new.",
        "Where is http://example.org/answer:8080 named?",
        "seal",
        "",
        " ?! ",
    ],
)
def test_what_is_asked_stays_as_it_is(question: str) -> None:
    assert asked_part(question) == question
