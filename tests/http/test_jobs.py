"""Uploads that go on by themselves, at real servers."""

import json
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from rag_graph.index import EmbeddedIndex
from rag_graph.models.local.embedder import LocalEmbedder
from tests.index import hostile
from tests.servers import Serve, Server, copied, refused, until

pytestmark = [
    pytest.mark.filterwarnings("ignore:Accessing the 'model_fields':DeprecationWarning"),  # LangServe does
]
LIGHTHOUSE = "# Ras Nungwi Light\n\nThe Ras Nungwi lighthouse was first lit in 1886 and is built of coral stone.\n"
EVENTS = {"accept": "text/event-stream"}
ALONE = {"prefer": "respond-async"}


@pytest.fixture
def own(towers: Path, tmp_path: Path) -> Path:
    return copied(towers, tmp_path / "data")


@pytest.fixture
def open_server(serve: Serve, own: Path) -> Server:
    return serve(data_dir=own, uploads=True)


def send(server: Server, headers: dict[str, str], *files: tuple[str, str | bytes]) -> httpx.Response:
    return server.http.post("/documents", files=[("files", file) for file in files], headers=headers)


def events(body: str) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Name, data and id of each event of a stream that has ended."""
    for frame in body.removesuffix("\n\n").split("\n\n"):
        lines = dict(line.split(": ", 1) for line in frame.splitlines() if not line.startswith((":", "retry")))
        if lines:
            yield lines["event"], json.loads(lines["data"]), lines["id"]


def follow(server: Server, job: str, after: str = "") -> list[tuple[str, dict[str, Any], str]]:
    headers = {"last-event-id": after} if after else {}
    answer = server.http.get(f"/documents/jobs/{job}/events", headers=headers)
    assert answer.status_code == 200, answer.text
    return list(events(answer.text))


def held(own: Path) -> list[str]:
    return [path.name for path in (own / "uploads" / ".incoming").iterdir()]


def test_an_upload_tells_each_files_fate_as_it_comes_and_can_be_followed_from_any_event(open_server: Server) -> None:
    picture = "![](data:image/png;base64," + "iVBORw0KGgo" * 200 + ")\n"
    sent = (("light.md", LIGHTHOUSE + picture), ("broken.pdf", b"%PDF-1.7 no more"), ("data.zip", "a,b"))
    answer = send(open_server, EVENTS, *sent)
    assert answer.status_code == 200
    told = list(events(answer.text))
    kinds = [kind for kind, _, _ in told]
    assert (kinds[0], kinds[-1]) == ("upload_queued", "upload_finished")
    fates = {data["fate"]["name"]: data["fate"] for kind, data, _ in told if kind == "file_finished"}
    assert {name: fate["outcome"] for name, fate in fates.items()} == {
        "light.md": "added",
        "broken.pdf": "skipped",
        "data.zip": "skipped",
    }
    assert fates["light.md"]["left_out"] == "1 embedded picture or other base64 data"
    assert told[-1][1]["added"]["files"] == [fates[name] for name, _ in sent]
    progress = [data for kind, data, _ in told if kind == "upload_progress"]
    assert progress[-1]["passages_total"] == 1
    assert [data["files_done"] for data in progress] == sorted(data["files_done"] for data in progress)
    job = answer.headers["location"].rpartition("/")[2]
    for at, (_, _, seen) in enumerate(told[:-1], start=1):
        assert follow(open_server, job, after=seen) == told[at:]
    ended = open_server.http.get(f"/documents/jobs/{job}/events", headers={"last-event-id": told[-1][2]})
    assert ended.status_code == 204
    state = open_server.http.get(f"/documents/jobs/{job}").json()
    assert (state["status"], state["added"]) == ("finished", told[-1][1]["added"])


def test_an_upload_goes_on_when_who_sent_it_has_left_and_many_queue(open_server: Server, own: Path) -> None:
    texts = {f"{number}.txt": f"The tower number {number} is {number} metres high." for number in range(12)}
    with closing(EmbeddedIndex(own / "index", LocalEmbedder())) as index, ThreadPoolExecutor(len(texts)) as pool:
        with index.writer():  # nothing can be written while they are sent
            answers = list(pool.map(lambda file: send(open_server, ALONE, file), texts.items()))
            assert {answer.status_code for answer in answers} == {202}
            assert {answer.json()["status"] for answer in answers} == {"running"}
        told = [follow(open_server, answer.json()["id"])[-1] for answer in answers]
    assert [data["added"]["files"][0]["outcome"] for _, data, _ in told] == ["added"] * len(texts)
    assert open_server.http.get("/documents", params={"matching": "uploads/"}).json()["total"] == 2 + len(texts)
    until(lambda: not held(own))


def test_what_nobody_can_read_is_refused_at_once_and_a_job_of_another_is_unknown(open_server: Server) -> None:
    refused(send(open_server, ALONE, ("x.exe", b"MZ")), 422, "invalid_request")
    job = send(open_server, ALONE | {"x-caller": "ann"}, ("light.md", LIGHTHOUSE)).json()["id"]
    for path in (f"/documents/jobs/{job}", f"/documents/jobs/{job}/events"):
        refused(open_server.http.get(path, headers={"x-caller": "bob"}), 404, "document_not_found")
        assert open_server.http.get(path, headers={"x-caller": "ann"}).status_code == 200
    refused(open_server.http.get("/documents/jobs/..%2F..%2Findex"), 404, "not_found")
    refused(open_server.http.get("/documents/jobs/01ARZ3NDEKTSV4RRFFQ69G5FAV"), 404, "document_not_found")
    beyond = open_server.http.get(f"/documents/jobs/{job}/events", params={"after": 999}, headers={"x-caller": "ann"})
    refused(beyond, 422, "bad_cursor")


def test_a_hostile_file_ends_as_skipped_and_the_rest_is_added(serve: Serve, own: Path, tmp_path: Path) -> None:
    server = serve(data_dir=own, uploads=True, load_max_s=2)
    bad = hostile.unclosed_tags(tmp_path / "bad.html").read_bytes()
    *_, (kind, last, _) = events(send(server, EVENTS, ("bad.html", bad), ("light.md", LIGHTHOUSE)).text)
    assert kind == "upload_finished"
    assert [(fate["name"], fate["outcome"]) for fate in last["added"]["files"]] == [
        ("bad.html", "skipped"),
        ("light.md", "added"),
    ]
    assert "time limit" in last["added"]["files"][0]["reason"]


@pytest.mark.parametrize("ended_by", [signal.SIGKILL, signal.SIGTERM])
def test_an_upload_whose_server_has_ended_is_gone_on_with_by_the_next(
    spawn: Serve, own: Path, ended_by: signal.Signals
) -> None:
    given = {"RAG_DATA_DIR": str(own), "RAG_UPLOADS": "true", "RAG_DRAIN_S": "0"}
    first = spawn(**given)
    with closing(EmbeddedIndex(own / "index", LocalEmbedder())) as index, index.writer():
        sent = send(first, ALONE, ("light.md", LIGHTHOUSE), ("broken.pdf", b"%PDF-1.7 no more")).json()
        until(lambda: bool(first.http.get(f"/documents/jobs/{sent['id']}").json()["progress"]))
        assert first.process is not None
        first.process.send_signal(ended_by)
        first.process.wait()
        assert len(held(own)) == 2
    told = follow(spawn(**given), sent["id"])
    assert [data["fate"]["outcome"] for kind, data, _ in told if kind == "file_finished"] == ["skipped", "added"]
    assert told[-1][0] == "upload_finished"
    assert (own / "uploads" / "light.md").read_text() == LIGHTHOUSE
    until(lambda: not held(own))
