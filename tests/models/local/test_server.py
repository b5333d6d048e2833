import asyncio
import json
import os
import select
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from anyio import fail_after, to_thread
from langchain_core.messages import HumanMessage

from rag_graph.errors import ModelUnavailable
from rag_graph.models.local.chat import local_chat_model
from rag_graph.models.local.server import LocalServer
from rag_graph.models.replies import Replier

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="waits for processes by Linux's pidfd"),
]

PARENT = """
import asyncio, pathlib, sys
from rag_graph.models.local.server import LocalServer
server = LocalServer(pathlib.Path(sys.argv[1]))
asyncio.run(server.url())
print(server.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
async def server(gguf: Path) -> AsyncIterator[LocalServer]:
    server = LocalServer(gguf)
    yield server
    await server.aclose()


def _models(url: str, key: str) -> object:
    request = urllib.request.Request(f"{url}/models", headers={"Authorization": f"Bearer {key}"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310 - our own server
        return json.load(response)


def _gone(pid: int) -> bool:
    """Wait until the process has ended, zombie threads included."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], 10)[0])
    finally:
        os.close(handle)


def _killed_parents_child(gguf: Path) -> int:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(gguf)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    return child


async def test_many_who_ask_at_once_share_one_child(server: LocalServer) -> None:
    assert server.pid is None
    urls = await asyncio.gather(*(server.url() for _ in range(8)))
    assert len(set(urls)) == 1
    assert server.pid is not None


async def test_a_child_that_dies_is_replaced_at_the_next_call(server: LocalServer) -> None:
    await server.url()
    first = server.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert await to_thread.run_sync(_gone, first)
    url = await server.url()
    assert server.pid not in (None, first)
    assert await to_thread.run_sync(_models, url, server.api_key)


async def test_only_those_with_the_key_are_served(server: LocalServer) -> None:
    url = await server.url()
    with pytest.raises(urllib.error.HTTPError) as refused:
        await to_thread.run_sync(_models, url, "guessed")
    refused.value.close()
    assert refused.value.code == 401


async def test_closing_ends_the_child_and_later_calls_say_so(server: LocalServer) -> None:
    await server.url()
    pid = server.pid
    assert pid is not None
    await server.aclose()
    assert await to_thread.run_sync(_gone, pid)
    with pytest.raises(ModelUnavailable, match="shut down"):
        await server.url()


async def test_the_child_goes_when_its_parent_is_killed(gguf: Path) -> None:
    child = await to_thread.run_sync(_killed_parents_child, gguf)
    assert await to_thread.run_sync(_gone, child)


async def test_a_file_that_is_no_model_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"not a model")
    with pytest.raises(ModelUnavailable, match=r"broken\.gguf"):
        await LocalServer(path).url()


async def test_a_start_that_failed_is_not_tried_again_at_once(tmp_path: Path) -> None:
    tried = tmp_path / "tried"
    refuse = f"import pathlib; pathlib.Path({str(tried)!r}).open('a').write('once '); print('no line of JSON')"
    server = LocalServer(tmp_path, command=(sys.executable, "-c", refuse))
    for _ in range(3):
        with pytest.raises(ModelUnavailable, match="did not start"):
            await server.url()
    assert tried.read_text() == "once "


async def test_closing_does_not_wait_for_a_start_and_others_can_work_meanwhile(gguf: Path, tmp_path: Path) -> None:
    begun, may_go_on = tmp_path / "begun", tmp_path / "may-go-on"
    os.mkfifo(begun)
    os.mkfifo(may_go_on)
    wait = f"open({str(begun)!r}, 'w').close(); open({str(may_go_on)!r}).read(); print('no line of JSON')"
    server = LocalServer(gguf, command=(sys.executable, "-c", wait), stop_timeout_s=0.1)
    with fail_after(60):
        asked = [asyncio.create_task(server.url()) for _ in range(50)]
        await to_thread.run_sync(begun.read_text)
        assert await asyncio.to_thread(lambda: "worked") == "worked"
        await server.aclose()
        await to_thread.run_sync(may_go_on.write_text, "")
        for answer in await asyncio.gather(*asked, return_exceptions=True):
            assert isinstance(answer, ModelUnavailable)
    assert server.pid is None


async def test_one_who_gives_up_waiting_does_not_spoil_it_for_the_others(server: LocalServer) -> None:
    impatient, patient = (asyncio.create_task(server.url()) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()
    with fail_after(60):
        assert (await patient).startswith("http://127.0.0.1:")


async def test_a_child_that_hangs_is_ended_while_somebody_waits_for_it(gguf: Path) -> None:
    server = LocalServer(gguf, hung_after_s=2)
    model = local_chat_model(server, max_tokens=8)
    await server.url()
    hung = server.pid
    assert hung is not None
    os.kill(hung, signal.SIGSTOP)
    with fail_after(90):
        assert await Replier(model).reply([HumanMessage("Say hello.")])
    assert server.pid not in (None, hung)
    assert await to_thread.run_sync(_gone, hung)
    await model.aclose()
    await server.aclose()
