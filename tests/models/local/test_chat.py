import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing

import anyio
import pytest
from langchain_core.messages import HumanMessage

from rag_graph.errors import ContextTooLong, SettingsError
from rag_graph.models.local.chat import LocalChatModel, local_chat_model
from rag_graph.models.local.server import LocalServer
from rag_graph.models.replies import Content, Replier, TokensUsed
from tests.upstream import refused_url

pytestmark = pytest.mark.anyio


@pytest.fixture
async def chatting(embedded: LocalServer) -> AsyncIterator[LocalChatModel]:
    model = local_chat_model(embedded, max_tokens=8)
    yield model
    await model.aclose()


async def test_it_is_told_token_by_token(chatting: LocalChatModel) -> None:
    with anyio.fail_after(60):
        pieces = [piece async for piece in Replier(chatting).stream([HumanMessage("Count from one to ten.")])]
    said = [piece.delta for piece in pieces if isinstance(piece, Content)]
    assert len(said) > 1
    assert isinstance(pieces[-1], TokensUsed)


async def test_it_chats_in_the_form_that_its_file_says(chatting: LocalChatModel) -> None:
    with anyio.fail_after(60):
        message = await chatting.ainvoke("Say hello.")
    assert isinstance(message.content, str)
    assert message.content
    assert message.usage_metadata
    assert message.usage_metadata["output_tokens"] <= 8


async def test_a_server_that_dies_while_it_speaks_is_replaced(embedded: LocalServer) -> None:
    model = local_chat_model(embedded, max_tokens=200)
    killed = False
    with anyio.fail_after(60):
        async for _ in Replier(model).stream([HumanMessage("Count from one to a hundred, in words.")]):
            if not killed and embedded.pid:
                os.kill(embedded.pid, signal.SIGKILL)
                killed = True
    await model.aclose()
    assert killed
    assert embedded.pid


async def test_a_prompt_that_is_too_long_is_told_apart(chatting: LocalChatModel) -> None:
    with anyio.fail_after(60), pytest.raises(ContextTooLong):
        await Replier(chatting).reply([HumanMessage("word " * 10_000)])


async def test_synchronous_calls_say_what_to_use(embedded: LocalServer) -> None:
    with pytest.raises(SettingsError, match="astream"):
        local_chat_model(embedded).invoke("Say hello.")


async def test_no_proxy_stands_before_the_own_machine(embedded: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "OPENAI_PROXY"):
        monkeypatch.setenv(name, refused_url())
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    model = local_chat_model(embedded, max_tokens=2)
    with anyio.fail_after(60):
        assert (await model.ainvoke("Say hello.")).content
    await model.aclose()


async def test_a_reader_that_leaves_frees_the_model(embedded: LocalServer) -> None:
    model = local_chat_model(embedded, max_tokens=4000)
    quick = local_chat_model(embedded, max_tokens=2)
    with anyio.fail_after(60):
        for _ in range(6):
            async with aclosing(Replier(model).stream([HumanMessage("Count up from one in words.")])) as pieces:
                await anext(pieces)
        began = anyio.current_time()
        await quick.ainvoke("Say hello.")
        took = anyio.current_time() - began
    await model.aclose()
    await quick.aclose()
    assert took < 10


async def test_more_questions_than_slots_are_all_answered(embedded: LocalServer) -> None:
    model = local_chat_model(embedded, max_tokens=2)
    await embedded.url()
    pid = embedded.pid
    with anyio.fail_after(100):
        answers = await asyncio.gather(*(model.ainvoke(f"Name number {number}.") for number in range(24)))
    await model.aclose()
    assert all(answer.content for answer in answers)
    assert embedded.pid == pid
