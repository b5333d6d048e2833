"""The words in which strict chat templates refuse, and the turns that they then get."""

import pytest

from rag_graph.models.providers.openai.turns import Template

NO_SYSTEM = (
    "System role not supported",  # Gemma's template
    "Developer instruction is not enabled for models/gemma-3-27b-it",  # Google's OpenAI endpoint
    "Only user and assistant roles are supported!",  # Mistral's first templates
    "Invalid role: system",
    "Unexpected role 'system' in messages",
    "messages.0.role: Input should be 'user' or 'assistant'",  # servers that check by pydantic
    "messages[0].role must be one of ['user', 'assistant']",
    "role参数非法",  # services in Chinese
    'messages: Unexpected role "system". The Messages API accepts a top-level `system` parameter',
)
ALTERNATE = (
    "Conversation roles must alternate user/assistant/user/assistant/...",
    "After the optional system message, conversation roles must alternate user/assistant/user/assistant/...",
    "The first message must be from the user",
    "the length of messages must be an odd number",  # ERNIE's API
    "Two consecutive user messages are not allowed",
    "Message 2 has the same role as the one before",
    'roles must alternate between "user" and "assistant", but found multiple "user" roles in a row',
)
OTHER = ("The model `x` does not exist", "max_tokens is too large", "Invalid value for 'temperature'", "")
TURNS = [("system", "Be brief."), ("assistant", "Hello."), ("user", "A?"), ("user", "B?")]


def fitted(template: Template) -> list[tuple[str, str]]:
    messages = [{"role": role, "content": content} for role, content in TURNS]
    return [(message["role"], message["content"]) for message in template.fit(messages)]


@pytest.mark.parametrize("refusal", NO_SYSTEM)
def test_a_template_without_a_system_role_gets_the_instructions_from_the_user(refusal: str) -> None:
    learnt = Template().learn(refusal)
    assert fitted(learnt) == [("user", "Be brief."), ("assistant", "Hello."), ("user", "A?\n\nB?")]
    assert learnt.learn(refusal) == learnt


@pytest.mark.parametrize("refusal", ALTERNATE)
def test_a_template_that_wants_turns_to_alternate_gets_them_joined(refusal: str) -> None:
    learnt = Template().learn(refusal)
    assert fitted(learnt) == [("system", "Be brief."), ("user", "Hello.\n\nA?\n\nB?")]
    assert learnt.learn(refusal) == learnt


@pytest.mark.parametrize("refusal", OTHER)
def test_other_refusals_say_nothing_of_the_template(refusal: str) -> None:
    assert Template().learn(refusal) == Template()
    assert fitted(Template()) == TURNS
