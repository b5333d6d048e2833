"""LangGraph's development server over our graph, as `rag-graph studio` starts it, and LangGraph's own clients of it."""

import hashlib
import json
import os
import subprocess
import sys
import sysconfig
import venv
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from langchain_core.messages import convert_to_messages
from langchain_core.runnables import RunnableConfig
from langgraph.pregel.remote import RemoteGraph
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient
from platformdirs import user_cache_path

import rag_graph
from tests.needed import missing
from tests.servers import ANSWER, QUESTION, free_port, until
from tests.terminals import run
from tests.upstream import WITHIN_S, Upstream

pytestmark = pytest.mark.anyio

PACKAGED = Path(rag_graph.__file__).parent / "deploy/langgraph.json"
REQUIREMENT = "langgraph-cli[inmem]==0.4.40"
INSTALL_TIMEOUT_S = 600


@pytest.fixture(scope="session")
def langgraph() -> Path:
    """The folder of LangGraph's command, in an environment of its own over this one: they differ in what they pin."""
    digest = hashlib.sha256(f"{sys.prefix} {REQUIREMENT}".encode()).hexdigest()[:16]
    folder = user_cache_path("rag-graph-tests") / f"langgraph-{digest}"
    installed = folder / "installed"
    if not installed.exists():
        if os.environ.get("CI") != "true":
            missing(f"needs {REQUIREMENT}, which only CI=true installs")
        install(folder)
        installed.touch()
    return folder / "bin"


def install(folder: Path) -> None:
    venv.create(folder, with_pip=True, clear=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    # Not `site.getsitepackages()`: Debian's names folders of the system, in which an environment has nothing.
    (packages / "below.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    command = [str(folder / "bin/pip"), "install", "-q", REQUIREMENT]
    done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False)
    if done.returncode:
        missing(done.stderr)


STUDIO = "import sys; from rag_graph.cli import main; main('studio', *sys.argv[1:])"
"""The command of the environment below has an interpreter that knows nothing of the one above."""


@dataclass(frozen=True)
class Development:
    """A development server that runs, and the model behind it."""

    url: str
    upstream: Upstream


@pytest.fixture(scope="module")
def development(langgraph: Path, towers: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Development]:
    """One server for all tests, in a folder without a `langgraph.json`, away from the checkout."""
    port = free_port()
    with Upstream(otherwise=ANSWER) as upstream:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("RAG_", "OPENAI_"))},
            "RAG_DATA_DIR": str(towers),
            "RAG_CHAT_BASE_URL": upstream.base_url,
            "RAG_CHAT_API_KEY": "key",
            "RAG_CHAT_MODEL": "scripted",
            "LANGGRAPH_CLI_NO_ANALYTICS": "1",
            "LANGSMITH_TRACING": "false",
        }
        process = subprocess.Popen(
            [langgraph / "python", "-c", STUDIO, "--port", str(port), "--no-browser"],
            env=environment,
            cwd=tmp_path_factory.mktemp("langgraph"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        url = f"http://127.0.0.1:{port}"
        try:
            until(lambda: answers(f"{url}/ok") or process.poll() is not None)
            assert process.returncode is None, "it ended while it started"
            yield Development(url, upstream)
        finally:
            process.terminate()
            process.wait(WITHIN_S)


def answers(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.TransportError:
        return False


@pytest.fixture
async def client(development: Development) -> AsyncIterator[LangGraphClient]:
    async with get_client(url=development.url) as client:
        yield client


@pytest.fixture
def graph(client: LangGraphClient) -> RemoteGraph:
    return RemoteGraph("rag_graph", client=client)


ASKED = {"messages": [{"role": "user", "content": QUESTION}]}


async def new_thread(client: LangGraphClient) -> RunnableConfig:
    return RunnableConfig(configurable={"thread_id": (await client.threads.create())["thread_id"]})


def said(state: Any) -> list[tuple[str, str]]:
    return [(message.type, message.text) for message in convert_to_messages(state["messages"])]


async def test_a_remote_graph_invokes_and_streams_our_graph(graph: RemoteGraph) -> None:
    assert {"draft", "deep_retrieve", "decide", "refine"} <= (await graph.aget_graph()).nodes.keys()

    result = await graph.ainvoke({"question": QUESTION})
    assert isinstance(result, dict)
    assert result["answer"] == ANSWER
    assert result["citations"][0]["title"] == "Eiffel Tower"

    told = Counter([event["type"] async for event in graph.astream({"question": QUESTION}, stream_mode="custom")])
    assert told["answer_started"] == told["answer_finished"] == 1
    assert told["answer_delta"] > 1
    assert told["citation"] == 1


async def test_a_remote_graph_that_is_given_messages_answers_in_content_blocks(graph: RemoteGraph) -> None:
    result = await graph.ainvoke(ASKED)
    assert said(result) == [("human", QUESTION), ("ai", ANSWER)]
    [block] = convert_to_messages(result["messages"])[-1].content_blocks
    assert block["type"] == "text"
    [citation] = block["annotations"]
    assert citation["type"] == "citation"
    assert citation["title"] == "Eiffel Tower"
    assert ANSWER[citation["start_index"] : citation["end_index"]] == ANSWER


async def test_a_remote_graph_streams_the_answer_alone_as_one_message(graph: RemoteGraph) -> None:
    stream: AsyncIterator[Any] = graph.astream(ASKED, stream_mode="messages")
    chunks = [chunk async for chunk, _ in stream]
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert "".join(block["text"] for chunk in chunks for block in chunk["content"]) == ANSWER


async def test_a_thread_keeps_its_conversation_whichever_way_it_is_asked(
    development: Development, client: LangGraphClient, graph: RemoteGraph
) -> None:
    thread = await new_thread(client)
    await graph.ainvoke({"question": QUESTION}, thread)
    condensed = "When was the Eiffel Tower opened?"
    development.upstream.say(condensed)
    second = await graph.ainvoke({"messages": [{"role": "user", "content": "And when was it opened?"}]}, thread)
    asked = [("human", QUESTION), ("ai", ANSWER), ("human", "And when was it opened?"), ("ai", ANSWER)]
    assert said(second) == asked
    kept = (await graph.aget_state(thread)).values
    assert said(kept) == asked
    assert kept["search"] == condensed
    assert len(said(await graph.ainvoke(ASKED, await new_thread(client)))) == 2


async def test_an_interrupted_run_goes_on_and_one_that_ended_has_nothing_to_go_on_with(
    client: LangGraphClient, graph: RemoteGraph
) -> None:
    thread = await new_thread(client)
    stopped = await graph.ainvoke(ASKED, thread, interrupt_before=["decide"])
    assert isinstance(stopped, dict)
    assert (stopped["draft"], "answer" in stopped) == (ANSWER, False)
    assert said(stopped) == [("human", QUESTION), ("ai", ANSWER)]
    identity = thread["configurable"]["thread_id"]
    assert (await client.threads.get(identity))["status"] == "interrupted"
    for _ in range(2):
        ended = await graph.ainvoke(None, thread)
        assert isinstance(ended, dict)
        assert (ended["answer"], ended["decision"]["decision"]) == (ANSWER, "keep")
        assert said(ended) == [("human", QUESTION), ("ai", ANSWER)]
        assert (await client.threads.get(identity))["status"] == "idle"


def test_langgraphs_command_takes_what_is_packaged_and_what_studio_writes(langgraph: Path, tmp_path: Path) -> None:
    assert run("studio", "--write", str(tmp_path), settings={}).returncode == 0
    written = tmp_path / "langgraph.json"
    for path in (PACKAGED, written):
        command = [str(langgraph / "langgraph"), "validate", "--config", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=INSTALL_TIMEOUT_S)
        assert (done.returncode, "1 graph found" in done.stdout + done.stderr) == (0, True), done.stderr
    assert json.loads(written.read_text())["graphs"] == json.loads(PACKAGED.read_text())["graphs"]
