import json

import pytest

from rag_graph.http.openai.open_webui import INSTRUCTION_CHARS, TITLE_CHARS, task_reply


def task(output: str, talk: str = "USER: Who built the tower?\nASSISTANT: Eiffel.") -> str:
    """A request as Open WebUI words it."""
    return (
        f"### Task:\nGenerate something.\n### Output:\nJSON format: {output}\n"
        f"### Chat History:\n<chat_history>\n{talk}\n</chat_history>"
    )


def test_a_title_is_the_question() -> None:
    reply = task_reply(task('{ "title": "your concise title here" }'))
    assert json.loads(reply or "") == {"title": "Who built the tower?"}


def test_a_long_question_is_cut_between_words() -> None:
    reply = task_reply(task('{ "title": "x" }', "USER: " + "many words " * 20))
    title = json.loads(reply or "")["title"]
    assert len(title) <= TITLE_CHARS
    assert title.endswith("words…")


@pytest.mark.parametrize(
    ("output", "key"),
    [
        ('{ "tags": ["tag1", "tag2"] }', "tags"),
        ('{ "follow_ups": ["Question 1?"] }', "follow_ups"),
        ('{\n  "queries": ["query1"]\n}', "queries"),
    ],
)
def test_other_tasks_get_an_empty_list(output: str, key: str) -> None:
    assert json.loads(task_reply(task(output)) or "") == {key: []}


@pytest.mark.parametrize(
    "prompt",
    [
        "Who built the tower?",
        '### Task:\nRespond to the user query using the provided context.\n<context>{"title": 1}</context>',
        'What does { "title": "x" } mean in <chat_history>?',
    ],
)
def test_questions_are_no_tasks(prompt: str) -> None:
    assert task_reply(prompt) is None


def test_a_task_is_told_from_a_question_by_its_beginning_alone() -> None:
    assert task_reply("x" * INSTRUCTION_CHARS + task('{ "title": "x" }')) is None
    assert task_reply(task('{ "title": "x" }', "USER: Who?\n" + "ASSISTANT: He.\n" * 100_000)) == '{"title": "Who?"}'


@pytest.mark.parametrize(
    "piece",
    ["<chat_history>", "</chat_history>", "\n", "USER:", "USER: \n", "{ ", "{", " ", "### Task:", '{"title"', "\\"],
)
def test_hostile_prompts_of_the_largest_size_are_answered(piece: str) -> None:
    """With the patterns that were here, a fiftieth of this was a quarter of a minute; all of it would be days."""
    whole = piece * (4_000_000 // len(piece))
    for prompt in (whole, f"### Task:{whole}", task('{ "title": "x" }', whole), task("{" + whole, "USER: Who?")):
        task_reply(prompt)
