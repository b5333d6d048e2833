import os
import signal
from collections.abc import AsyncIterator

import anyio
import pytest
from langchain_core.messages import HumanMessage

from rag_graph.errors import ContextTooLong, SettingsError
from rag_graph.models.local_chat import LocalChatModel, local_chat_model
from rag_graph.models.local_server import LocalServer
from rag_graph.models.replies import Content, Replier, TokensUsed

pytestmark = pytest.mark.anyio

PROMPT = """\
Sources: The Rhine flows past Basel, Strasbourg and Cologne. It reaches the North Sea in the Netherlands.
Question: Into which sea does the Rhine flow?
Answer: the North Sea

Sources: The tower was finished in 1889. It is 330 metres tall.
Question: When was the tower finished?
Answer:"""


@pytest.fixture
async def completing(embedded: LocalServer) -> AsyncIterator[LocalChatModel]:
    model = local_chat_model(embedded, raw=True, max_tokens=8, stop=["\n"])
    yield model
    await model.aclose()


@pytest.fixture
async def chatting(embedded: LocalServer) -> AsyncIterator[LocalChatModel]:
    model = local_chat_model(embedded, max_tokens=8)
    yield model
    await model.aclose()


async def test_a_raw_prompt_is_continued_token_by_token(completing: LocalChatModel) -> None:
    with anyio.fail_after(60):
        pieces = [piece async for piece in Replier(completing).stream([HumanMessage(PROMPT)])]
    said = [piece.delta for piece in pieces if isinstance(piece, Content)]
    assert "1889" in "".join(said)
    assert len(said) > 1
    assert isinstance(pieces[-1], TokensUsed)


async def test_the_same_server_chats(chatting: LocalChatModel) -> None:
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
