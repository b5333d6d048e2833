"""The OpenAI SDK's client at a fraction of its cost: aiohttp carries the bytes, and a stream's chunks stay dicts.

This leans on hooks of two libraries; where one is missing, the plain client serves.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

import openai

from rag_graph.models.providers.openai.bounds import AS_IT_IS, STREAMED, bound, http
from rag_graph.models.providers.openai.stream import DictStream


def aiohttp_or(default: Any, offered: Any) -> Any:
    """The SDK's client over aiohttp; where its packages are missing, what it offers is an empty one that refuses."""
    return default if offered is None or http.AsyncClient in offered.__bases__ else offered


_AnyClient: Any = aiohttp_or(openai.DefaultAsyncHttpxClient, getattr(openai, "DefaultAioHttpClient", None))


class LoopClient(_AnyClient):  # type: ignore[misc]  # the SDK chooses its HTTP library at import
    """An HTTP client for each event loop that asks, as its sockets belong to one: `asyncio.run` may come twice.

    What its answers may have is bounded.
    """

    def __init__(self, **options: Any) -> None:
        options |= {"headers": AS_IT_IS, "event_hooks": {"response": [bound]}}
        super().__init__(**options)
        self._options = options
        self._by_loop: dict[asyncio.AbstractEventLoop, Any] = {}

    async def send(self, request: Any, **options: Any) -> Any:
        loop = asyncio.get_running_loop()
        if loop not in self._by_loop:
            await self._close(loop for loop in self._by_loop if loop.is_closed())
            self._by_loop[loop] = _AnyClient(**self._options)
        request.extensions[STREAMED] = options.get("stream", False)
        return await self._by_loop[loop].send(request, **options)

    async def aclose(self) -> None:
        await self._close(self._by_loop)
        await super().aclose()

    async def _close(self, loops: Iterable[asyncio.AbstractEventLoop]) -> None:
        for loop in list(loops):
            await self._by_loop.pop(loop).aclose()


class DictCompletions:
    """The SDK's chat completions, but that a stream gives dicts instead of its objects."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client.chat.completions, name)

    async def create(self, **body: Any) -> Any:
        if not body.get("stream"):
            return await self._client.chat.completions.create(**body)
        # The SDK's methods take these under other names than its `post`, to which they are handed past them.
        renamed = {
            "extra_headers": "headers",
            "extra_query": "params",
            "extra_body": "extra_json",
            "timeout": "timeout",
        }
        options = {option: body.pop(name) for name, option in renamed.items() if name in body}
        return await self._client.post(
            "/chat/completions", body=body, options=options, cast_to=object, stream=True, stream_cls=DictStream
        )
