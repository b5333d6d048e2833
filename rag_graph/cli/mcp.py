"""`rag-graph mcp`: search and answers as tools, over stdin and stdout."""

import asyncio
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rag_graph.settings import Settings


def serve_mcp() -> None:
    """Offer `search` and `ask` to an MCP client, over stdin and stdout."""
    from rag_graph.errors import SettingsError
    from rag_graph.settings import Settings

    if find_spec("mcp") is None:
        raise SettingsError("Install what this needs first: pip install 'rag-graph[mcp]'.")
    asyncio.run(_serve(Settings.load()))


async def _serve(settings: "Settings") -> None:
    from rag_graph.http.mcp import routes as mcp
    from rag_graph.wiring import open_answerer

    async with open_answerer(settings) as answerer:
        tools = mcp.Tools(answerer, answerer.parts.deep, lambda query, *_: answerer.ask(query))
        await mcp.serve_stdio(mcp.create_server(tools, version=version("rag-graph")))
