"""The Model Context Protocol: the tools `search` and `ask`, over HTTP at `/mcp` or over stdin and stdout."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import Any, Final

from anyio import CancelScope
from mcp import types
from mcp.server import Server, ServerRequestContext
from mcp.server.stdio import stdio_server
from mcp.server.transport_security import TransportSecuritySettings
from pydantic import BaseModel, ValidationError
from starlette.types import ASGIApp

from rag_graph.errors import RagGraphError, RetrievalFailed
from rag_graph.events import Event
from rag_graph.http.answering import follow_events
from rag_graph.http.mcp.encoding import AskOutput, SearchOutput, failure, found, outcome, progress_of, result_of
from rag_graph.http.mcp.request import AskInput, SearchInput, caller_of
from rag_graph.http.mcp.sessions import HEADER, Sessions, chat_of
from rag_graph.http.mcp.tasks import Answers, Task, Tasks, declares_tasks
from rag_graph.query import Query
from rag_graph.retrieval import Retriever
from rag_graph.runs.runner import Runner
from rag_graph.transcript import Transcript

PATH = "/mcp"
INSTRUCTIONS = (
    "Answers from a library of documents. `ask` writes an answer whose every citation was checked against the "
    "documents; `search` only finds passages."
)

SEARCH_LIMIT_S: Final = 60.0
"""A search takes a tenth of a second, and as many as may run at a time a few; a hosted embedder may be slow."""

Context = ServerRequestContext[Any, Any]


Ask = Callable[[Query, str, str | None], AsyncGenerator[Event]]
"""Answers a caller's question, under a name by which it is found; closing the events ends the run, since nobody waits
for it any more."""
Admitted = Callable[[str], AbstractAsyncContextManager[None]]
"""Lets what a caller asks count as a run of theirs. Raises `TooManyRuns` and `Draining`."""


class Tools:
    """The tools, over what answers and what searches."""

    def __init__(
        self,
        answers: Answers,
        retriever: Retriever,
        ask: Ask,
        *,
        admitted: Admitted | None = None,
        search_limit_s: float = SEARCH_LIMIT_S,
    ) -> None:
        """`admitted` gives a slot to a search, which is no run; over stdin and stdout, with its one caller, all may."""
        self._answers = answers
        self._retriever = retriever
        self._ask = ask
        self._admitted = admitted or _anybody
        self._search_limit_s = search_limit_s

    async def search(self, given: SearchInput, *, caller: str) -> SearchOutput:
        """Find the passages that bear on a question. Raises `RetrievalFailed` when that takes too long."""
        async with self._admitted(caller):
            await self._answers.check_ready(given.filters)
            try:
                async with asyncio.timeout(self._search_limit_s):
                    hits = await self._retriever.retrieve(given.question, top_k=given.top_k, filters=given.filters)
            except TimeoutError:
                raise RetrievalFailed("The search took too long: try again in a moment.") from None
            return found(hits)

    async def answer(
        self, given: AskInput, tell: Callable[[str], Awaitable[None]], *, caller: str, chat: str | None = None
    ) -> AskOutput:
        """Answer a question, telling of the work; it ends when nobody waits for it, or when `chat` is stopped."""
        await self._answers.check_ready(given.filters)
        transcript = Transcript()
        async with aclosing(self._ask(given.query, caller, chat)) as events:
            async for event in events:
                transcript.add(event)
                if sentence := progress_of(event):
                    await tell(sentence)
        return outcome(transcript)


@asynccontextmanager
async def _anybody(_: str) -> AsyncIterator[None]:
    yield


def ask_runner(runner: Runner) -> Ask:
    """Ask as the server's other clients do: the run counts, and is kept."""

    async def ask(query: Query, caller: str, chat: str | None) -> AsyncGenerator[Event]:
        run_id, _ = await runner.start(query, caller=caller, chat=chat)
        try:
            async with aclosing(follow_events(runner, run_id, caller=caller)) as events:
                async for event in events:
                    yield event
        finally:
            # The SDK cancels a call by an anyio scope, in which nothing more could be awaited.
            with CancelScope(shield=True):
                await runner.cancel(run_id, "client", caller=caller)

    return ask


def create_server(tools: Tools, *, version: str, tasks: Tasks | None = None) -> Server[Any]:
    """A server of these tools, for any transport; with `tasks`, a deep answer is one for clients that take it."""

    async def list_tools(_: Context, __: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[_SEARCH, _ASK])

    async def call_tool(context: Context, called: types.CallToolRequestParams) -> types.CallToolResult | Task:
        try:
            match called.name:
                case "search":
                    sought = SearchInput.model_validate(called.arguments or {})
                    return result_of(await tools.search(sought, caller=caller_of(context)))
                case "ask":
                    asked = AskInput.model_validate(called.arguments or {})
                    if tasks is not None and asked.mode == "deep" and declares_tasks(context):
                        return await tasks.begin(asked.query, caller=caller_of(context))
                    session = context.request.headers.get(HEADER) if context.request else None
                    chat = chat_of(session, context.request_id)
                    said = await tools.answer(asked, _telling(context), caller=caller_of(context), chat=chat)
                    return result_of(said)
                case _:
                    return failure(f"There is no tool {called.name[:80]!r}: call search or ask.")
        except RagGraphError as exc:
            return failure(str(exc))
        except ValidationError as exc:
            first = exc.errors()[0]
            return failure(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}.")

    server = Server[Any]("rag_graph", version=version, instructions=INSTRUCTIONS, on_list_tools=list_tools)
    # Not by the constructor, whose type knows no result of an extension.
    server.add_request_handler("tools/call", types.CallToolRequestParams, call_tool)
    if tasks is not None:
        tasks.register(server)
    return server


@asynccontextmanager
async def open_http(server: Server[Any], runner: Runner, *, max_body_bytes: int) -> AsyncIterator[ASGIApp]:
    """Serve over streamable HTTP without sessions, so that any process can take any request."""
    app = server.streamable_http_app(
        streamable_http_path=PATH,
        stateless_http=True,
        max_request_body_size=max_body_bytes,
        # Its own rule knows the names of this machine alone. Ours stands before all routes and knows the settings.
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    async with server.session_manager.run():
        yield Sessions(app, runner)


async def serve_stdio(server: Server[Any]) -> None:
    """Serve one client over stdin and stdout, until it leaves."""
    async with stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())


def _telling(context: Context) -> Callable[[str], Awaitable[None]]:
    told = 0

    async def tell(sentence: str) -> None:
        nonlocal told
        # It has to grow with each notification, by the protocol.
        told += 1
        await context.session.report_progress(told, message=sentence)

    return tell


def _tool(name: str, description: str, given: type[BaseModel], output: type[BaseModel]) -> types.Tool:
    return types.Tool(
        name=name,
        description=description,
        input_schema=given.model_json_schema(),
        output_schema=output.model_json_schema(mode="serialization"),
        annotations=types.ToolAnnotations(read_only_hint=True, open_world_hint=False),
    )


_SEARCH = _tool("search", "Find passages of the documents, by words and by meaning.", SearchInput, SearchOutput)
_ASK = _tool("ask", "Answer a question from the documents, with checked citations.", AskInput, AskOutput)
