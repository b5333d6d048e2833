import os
import sys
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest
from anyio import fail_after, to_thread
from mcp import MCPError
from mcp.client import Client
from mcp.client.session import ClientSession
from mcp.client.stdio import StdioServerParameters

from tests.http.mcp.client import TasksExtension, ask
from tests.servers import ANSWER, QUESTION, Server
from tests.upstream import Upstream

COMMAND = "from rag_graph.cli import main; main()"

pytestmark = pytest.mark.anyio


@pytest.fixture
def stdio(upstream: Upstream, towers: Path) -> StdioServerParameters:
    """The command, as a desktop client would start it."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", ""),
        "RAG_DATA_DIR": str(towers),
        "RAG_CHAT_BASE_URL": upstream.base_url,
        "RAG_CHAT_API_KEY": "key",
        "RAG_CHAT_MODEL": "scripted",
    }
    return StdioServerParameters(command=sys.executable, args=["-c", COMMAND, "mcp"], env=environment)


async def use(client: Client) -> None:
    """Everything there is to call."""
    listed = await client.list_tools()
    assert [tool.name for tool in listed.tools] == ["search", "ask"]
    found = await client.call_tool("search", {"question": "Tokyo Tower", "top_k": 1})
    assert structured(found)["passages"][0]["title"] == "Tokyo Tower"

    sentences: list[str] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:  # noqa: ARG001 - the SDK's names
        sentences.append(message or "")

    answered = await client.call_tool("ask", {"question": QUESTION}, progress_callback=hear)
    assert structured(answered)["answer"] == ANSWER
    assert "built by Gustave Eiffel" in structured(answered)["citations"][0]["quote"]
    assert sentences[0] == "Searching the documents"
    assert answered.content[0].type == "text"
    assert answered.content[0].text.startswith(ANSWER)

    for name, arguments in (("ask", {"question": ""}), ("search", {"top_k": 3}), ("sing", {})):
        refused = await client.call_tool(name, arguments)
        assert refused.is_error


def structured(result: Any) -> dict[str, Any]:
    assert not result.is_error
    content: dict[str, Any] = result.structured_content
    return content


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_client_calls_the_tools_over_http(server: Server, mode: Literal["auto", "legacy"]) -> None:
    with fail_after(60):
        async with Client(f"{server.url}/mcp", mode=mode) as client:
            await use(client)


async def test_a_client_calls_the_tools_over_stdio(stdio: StdioServerParameters, upstream: Upstream) -> None:
    upstream.say(ANSWER)
    with fail_after(60):
        async with Client(stdio) as client:
            await use(client)


async def test_a_broken_model_is_an_error_of_the_tool(serve: Any, upstream: Upstream) -> None:
    for _ in range(4):
        upstream.fail(status=401)
    with fail_after(60):
        async with Client(f"{serve().url}/mcp") as client:
            failed = await client.call_tool("ask", {"question": QUESTION})
    assert failed.is_error


async def test_a_deep_answer_is_a_task_for_clients_of_the_extension(server: Server) -> None:
    tasks = TasksExtension()
    asked = {"question": QUESTION, "mode": "deep"}
    with fail_after(60):
        async with Client(f"{server.url}/mcp", extensions=[tasks]) as client:
            answered = structured(await client.call_tool("ask", asked))
            assert answered["answer"] == ANSWER
            last = tasks.seen[-1]
            assert (last["status"], last["taskId"]) == ("completed", answered["run_id"])
            assert last["statusMessage"].startswith("The draft")
            assert last["ttlMs"] > 0
            assert await ask(client.session, "tasks/update", last["taskId"]) == {}
            assert await ask(client.session, "tasks/cancel", last["taskId"]) == {}
            assert await ask(client.session, "tasks/get", last["taskId"]) == last
            with pytest.raises(MCPError, match="no such task"):
                await ask(client.session, "tasks/get", "01J00000000000000000000000")

            tasks.seen.clear()
            assert structured(await client.call_tool("ask", {"question": QUESTION}))["answer"] == ANSWER
            assert not tasks.seen
        async with Client(f"{server.url}/mcp") as plain:
            assert structured(await plain.call_tool("ask", asked))["answer"] == ANSWER
            with pytest.raises(MCPError, match="Missing required client capability"):
                await ask(plain.session, "tasks/get", last["taskId"])


async def test_a_task_goes_on_without_its_client_and_is_stopped_by_it(serve: Any, upstream: Upstream) -> None:
    held = upstream.say(ANSWER, hold_after=2)

    async def cancel(session: ClientSession, task_id: str) -> None:
        await to_thread.run_sync(held.reached.wait, 60)
        working = await ask(session, "tasks/get", task_id)
        assert working["status"] == "working"
        assert working["statusMessage"]
        assert await ask(session, "tasks/cancel", task_id) == {}

    tasks = TasksExtension(cancel)
    with fail_after(60):
        async with Client(f"{serve().url}/mcp", extensions=[tasks]) as client:
            stopped = await client.call_tool("ask", {"question": QUESTION, "mode": "deep"})
    assert stopped.is_error
    assert [seen["status"] for seen in tasks.seen] == ["cancelled"]
    assert upstream.chats[0].wait_closed()


async def test_a_task_whose_model_is_broken_ends_in_an_error_of_the_tool(serve: Any, upstream: Upstream) -> None:
    for _ in range(8):
        upstream.fail(status=401)
    tasks = TasksExtension()
    with fail_after(60):
        async with Client(f"{serve().url}/mcp", extensions=[tasks]) as client:
            failed = await client.call_tool("ask", {"question": QUESTION, "mode": "deep"})
    assert failed.is_error
    assert tasks.seen[-1]["status"] == "completed"


async def test_the_run_ends_when_the_client_stops_waiting(serve: Any, upstream: Upstream) -> None:
    held = upstream.say(ANSWER, hold_after=2)
    with fail_after(60):
        async with Client(f"{serve().url}/mcp") as client:
            with pytest.raises(Exception, match=r"timed out"):
                await client.call_tool("ask", {"question": QUESTION}, read_timeout_seconds=3)
    assert held.reached.is_set()
    assert upstream.chats[0].wait_closed()


def test_a_client_of_the_older_protocol_stops_a_run_by_a_notification(serve: Any, upstream: Upstream) -> None:
    """It keeps the call's own stream open, as the SDKs of that time may: only the notification can end the run."""
    held = upstream.say(ANSWER, hold_after=2)
    headers = {"accept": "application/json, text/event-stream", "mcp-protocol-version": "2025-06-18"}
    with httpx.Client(base_url=serve().url, headers=headers, timeout=60) as http:

        def post(message: dict[str, Any]) -> httpx.Response:
            return http.post("/mcp", json={"jsonrpc": "2.0", **message})

        about = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "old", "version": "1"}}
        begun = post({"id": 0, "method": "initialize", "params": about})
        http.headers["mcp-session-id"] = begun.headers["mcp-session-id"]
        assert post({"method": "notifications/initialized"}).status_code == 202
        called = {"name": "ask", "arguments": {"question": QUESTION}}
        call = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": called}
        with http.stream("POST", "/mcp", json=call) as open_still:
            assert held.reached.wait(60)
            for other in (8, "7"):
                post({"method": "notifications/cancelled", "params": {"requestId": other}})
            assert upstream.chats[0].connection.closed_at is None
            post({"method": "notifications/cancelled", "params": {"requestId": 7}})
            assert upstream.chats[0].wait_closed()
            assert "stopped before its end" in open_still.read().decode()
