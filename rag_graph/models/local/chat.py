"""A language model out of a GGUF file as an ordinary LangChain chat model; its server starts when it is needed."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, cast

import openai
from langchain_core.language_models.chat_models import agenerate_from_stream
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import Field, SecretStr

from rag_graph.errors import SettingsError
from rag_graph.models.local.server import LocalServer
from rag_graph.models.providers.openai.chat import ChunkStream, ReasoningChatOpenAI
from rag_graph.models.providers.openai.client import LoopClient

NAME = "embedded"


def local_chat_model(server: LocalServer, *, max_tokens: int | None = None) -> "LocalChatModel":
    """Chat with the model behind `server`."""
    return LocalChatModel(
        server=server,
        model=NAME,
        # In place of the real one, which each call sets anew: a child that was started again has another port.
        base_url="http://127.0.0.1:0/v1",
        api_key=SecretStr(server.api_key),
        use_responses_api=False,
        temperature=0,
        max_tokens=max_tokens,
    )


class LocalChatModel(ReasoningChatOpenAI):
    """Asynchronous only. It streams even when the whole answer is asked for, since only streams can be stopped."""

    server: Any = Field(exclude=True)
    http_async_client: Any | None = Field(default_factory=lambda: LoopClient(trust_env=False), exclude=True)
    """No proxy stands before the own machine, whatever the environment says."""

    async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
        server = cast("LocalServer", self.server)
        self.root_async_client.base_url = await server.url()
        try:
            async with server.watched(), aclosing(cast("ChunkStream", super()._astream(*args, **kwargs))) as chunks:
                async for chunk in chunks:
                    server.heard()
                    yield chunk
        except openai.APIConnectionError:
            server.doubt()
            raise

    async def _agenerate(self, *args: Any, **kwargs: Any) -> ChatResult:
        kwargs.pop("stream", None)
        return await agenerate_from_stream(self._astream(*args, **kwargs))

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:  # noqa: ARG002 - the signature is LangChain's
        raise SettingsError("The embedded model answers asynchronous calls only: use ainvoke or astream.")

    def _stream(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ARG002 - the signature is LangChain's
        raise SettingsError("The embedded model answers asynchronous calls only: use ainvoke or astream.")
