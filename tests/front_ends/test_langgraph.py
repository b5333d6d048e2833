import hashlib
import os
import site
import subprocess
import sys
import venv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from langgraph.pregel.remote import RemoteGraph
from langgraph_sdk import get_client
from platformdirs import user_cache_path

import rag_graph
from tests.needed import missing
from tests.servers import ANSWER, QUESTION, free_port, until
from tests.upstream import WITHIN_S, Upstream

pytestmark = pytest.mark.anyio

CONFIGURATION = Path(rag_graph.__file__).parent / "deploy/langgraph.json"
REQUIREMENT = "langgraph-cli[inmem]==0.4.40"
INSTALL_TIMEOUT_S = 600


@pytest.fixture(scope="session")
def langgraph() -> Path:
    """LangGraph's command, in an environment of its own over this one: they differ in what they pin."""
    digest = hashlib.sha256(f"{sys.prefix} {REQUIREMENT}".encode()).hexdigest()[:16]
    folder = user_cache_path("rag-graph-tests") / f"langgraph-{digest}"
    installed = folder / "installed"
    if not installed.exists():
        if os.environ.get("CI") != "true":
            missing(f"needs {REQUIREMENT}, which only CI=true installs")
        install(folder)
        installed.touch()
    return folder / "bin/langgraph"


def install(folder: Path) -> None:
    venv.create(folder, with_pip=True, clear=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    for place in site.getsitepackages():
        (packages / "below.pth").write_text(f"import site; site.addsitedir({place!r})\n")
    command = [str(folder / "bin/pip"), "install", "-q", REQUIREMENT]
    done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False)
    if done.returncode:
        missing(done.stderr)


@pytest.fixture(scope="module")
def langgraph_dev(langgraph: Path, towers: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """LangGraph's development server over our graph and a scripted model."""
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
        options = ["--config", str(CONFIGURATION), "--port", str(port), "--no-browser", "--no-reload"]
        process = subprocess.Popen(
            [langgraph, "dev", *options],
            env=environment,
            cwd=tmp_path_factory.mktemp("langgraph"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        url = f"http://127.0.0.1:{port}"
        until(lambda: answers(f"{url}/ok"))
        yield url
        process.terminate()
        process.wait(WITHIN_S)


def answers(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.TransportError:
        return False


async def test_a_remote_graph_invokes_and_streams_our_graph(langgraph_dev: str) -> None:
    async with get_client(url=langgraph_dev) as client:
        graph = RemoteGraph("rag_graph", client=client)
        assert {"draft", "deep_retrieve", "decide", "refine"} <= (await graph.aget_graph()).nodes.keys()

        result = await graph.ainvoke({"question": QUESTION})
        assert isinstance(result, dict)
        assert result["answer"] == ANSWER
        assert result["citations"][0]["title"] == "Eiffel Tower"

        told = Counter([event["type"] async for event in graph.astream({"question": QUESTION}, stream_mode="custom")])
        assert told["answer_started"] == told["answer_finished"] == 1
        assert told["answer_delta"] > 1
        assert told["citation"] == 1
