"""The files to deploy with: tried where this machine can, and read against the settings where it cannot."""

import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

import httpx
import kubernetes_validate  # type: ignore[import-untyped]  # it ships no types
import pytest
import yaml
from compose_spec import PyCompose
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pydantic import SecretStr
from uvicorn import Config

import rag_graph
from rag_graph.server.connections import MAX_HEAD_BYTES, MAX_TARGET_BYTES
from rag_graph.server.process import FAREWELL_S
from rag_graph.settings import Settings, setting_names
from tests.needed import program
from tests.servers import QUESTION, Serve, Server, free_port, until
from tests.upstream import WITHIN_S, Upstream

DEPLOY = Path(rag_graph.__file__).parent / "deploy"
WORDS = tuple(f"word{number} " for number in range(30))
NAME = re.compile(r"\bRAG_[A-Z_]+\b")
METRIC = re.compile(r"\b(?:rag|process)_[a-z_]+")


def documents(name: str) -> list[Any]:
    return list(yaml.safe_load_all((DEPLOY / name).read_text()))


def kubernetes(kind: str) -> Any:
    return next(found for found in documents("kubernetes.yaml") if found["kind"] == kind)["spec"]


def test_the_container_installs_what_the_lock_names_and_the_lock_fits_the_project() -> None:
    project = tomllib.loads((DEPLOY.parent.parent / "pyproject.toml").read_text())["project"]
    extras = [project["optional-dependencies"][name] for name in ("local", "mcp", "otel", "postgres", "redis")]
    locked = dict(re.findall(r"^([\w.-]+)==([^\s;]+)", (DEPLOY / "requirements.lock").read_text(), re.MULTILINE))
    for wanted in map(Requirement, chain(project["dependencies"], *extras)):
        if wanted.marker is None or wanted.marker.evaluate():
            assert wanted.specifier.contains(locked[canonicalize_name(wanted.name)]), wanted
    assert "--require-hashes -r requirements.lock" in (DEPLOY / "Dockerfile").read_text()


@pytest.mark.parametrize("name", ["Dockerfile", "compose.yaml", "nginx.conf", "rag-graph.service", "kubernetes.yaml"])
def test_every_setting_that_is_named_exists(name: str) -> None:
    assert set(NAME.findall((DEPLOY / name).read_text())) <= set(setting_names())


def test_every_panel_of_the_dashboard_shows_metrics_that_are_there(server: Server) -> None:
    server.ask()
    exposition = server.http.get("/metrics").text
    told = set(re.findall(r"^# TYPE (\w+)", exposition, re.MULTILINE))
    known = told | {f"{name}_bucket" for name in told}
    panels = json.loads((DEPLOY / "dashboard.json").read_text())["panels"]
    for panel in panels:
        for target in panel["targets"]:
            named = set(METRIC.findall(target["expr"]))
            assert named, panel["title"]
            assert named <= known, panel["title"]
            for labels in re.findall(r"by \(([^)]*)\)", target["expr"]):
                for label in set(labels.split(", ")) - {"le"}:
                    assert f'{label}="' in exposition or has_no_sample(exposition, named), (panel["title"], label)


def has_no_sample(exposition: str, names: set[str]) -> bool:
    return not any(re.search(rf"^{name}[{{ ]", exposition, re.MULTILINE) for name in names)


def test_compose_waits_for_what_it_needs_and_gives_runs_time_to_end() -> None:
    compose = documents("compose.yaml")[0]
    services = compose["services"]
    assert {"server", "nginx", "redis", "postgres"} == set(services)
    server = services["server"]
    for needed_one in server["depends_on"]:
        assert "healthcheck" in services[needed_one]
    grace_s = int(server["stop_grace_period"].removesuffix("s"))
    assert grace_s > int(server["environment"]["RAG_DRAIN_S"]) + FAREWELL_S
    assert (DEPLOY / server["build"]["context"] / server["build"]["dockerfile"]).resolve() == DEPLOY / "Dockerfile"
    named = {volume.split(":")[0] for service in services.values() for volume in service.get("volumes", ())}
    assert {name for name in named if not name.startswith(".")} == set(compose["volumes"])


def test_kubernetes_gives_runs_time_to_end_and_scales_by_a_metric_that_is_there(server: Server) -> None:
    pod = kubernetes("Deployment")["template"]["spec"]
    container = pod["containers"][0]
    drain_s = next(int(one["value"]) for one in container["env"] if one["name"] == "RAG_DRAIN_S")
    pause_s = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > drain_s + pause_s + FAREWELL_S
    for probe in ("readinessProbe", "livenessProbe"):
        assert server.http.get(container[probe]["httpGet"]["path"]).status_code == 200
    metric = kubernetes("HorizontalPodAutoscaler")["metrics"][0]["pods"]["metric"]["name"]
    assert f"# TYPE {metric} gauge" in server.http.get("/metrics").text
    assert pod["securityContext"]["runAsNonRoot"]
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    assert f"--uid {pod['securityContext']['runAsUser']} " in dockerfile


def test_the_image_runs_as_nobody_special_and_is_asked_for_its_health() -> None:
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    assert "USER rag" in lines
    check = lines.index(next(line for line in lines if line.startswith("HEALTHCHECK")))
    assert "/health/ready'" in lines[check + 1]


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    verify = shutil.which("systemd-analyze") or pytest.skip("systemd is not here, and CI cannot give a container one")
    unit = tmp_path / "rag-graph.service"
    program = shutil.which("true") or "/bin/true"
    unit.write_text((DEPLOY / unit.name).read_text().replace("/opt/rag-graph/bin/rag-graph", program))
    result = subprocess.run([verify, "verify", unit], capture_output=True, text=True, check=False, timeout=WITHIN_S)
    assert unit.name not in result.stderr, result.stderr
    grace_s = int(re.findall(r"TimeoutStopSec=(\d+)", unit.read_text())[0])
    assert grace_s > Settings.model_fields["drain_s"].default + FAREWELL_S


def test_nginx_waits_for_the_longest_answer_that_has_no_heartbeat() -> None:
    config = (DEPLOY / "nginx.conf").read_text()
    wait_s = int(re.findall(r"proxy_read_timeout (\d+)s;", config)[0])
    assert wait_s > Settings.model_fields["max_run_s"].default + FAREWELL_S


COMPOSED = {"RAG_API_KEYS": "a-key", "POSTGRES_PASSWORD": "a-password"}


def test_compose_takes_its_file() -> None:
    text = re.sub(r"\$\{(\w+):\?[^}]*\}", lambda found: COMPOSED[found[1]], (DEPLOY / "compose.yaml").read_text())
    read = PyCompose.from_yaml(re.sub(r"\$\{\w+:-\}", "", text))
    assert read.service_names() == ["server", "nginx", "redis", "postgres"]


@pytest.mark.parametrize("kind", ["Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget"])
def test_kubernetes_takes_each_document(kind: str) -> None:
    [document] = [found for found in documents("kubernetes.yaml") if found["kind"] == kind]
    kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)


def test_every_image_has_a_whole_version() -> None:
    compose, containers = documents("compose.yaml")[0], kubernetes("Deployment")["template"]["spec"]["containers"]
    images = [service["image"] for service in compose["services"].values() if "image" in service]
    images += [container["image"] for container in containers]
    images += re.findall(r"^FROM (\S+)", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    assert len(images) == 6
    for image in images:
        assert re.search(r":\d+\.\d+\.\d+(-[\w.-]+)?$", image), image
    assert f"rag-graph:{version('rag-graph')}" in images


def test_a_pod_is_told_nothing_that_looks_like_its_settings_and_asked_over_http() -> None:
    pod = kubernetes("Deployment")["template"]["spec"]
    assert pod["enableServiceLinks"] is False
    probes = {
        name: pod["containers"][0][f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "readiness", "liveness")
    }
    assert probes == {"startup": "/health/live", "readiness": "/health/ready", "liveness": "/health/live"}


def test_nginx_bounds_what_the_server_bounds() -> None:
    config = (DEPLOY / "nginx.conf").read_text()
    default = {name: field.default for name, field in Settings.model_fields.items()}
    sizes = [int(size) for size in re.findall(r"client_max_body_size (\d+);", config)]
    assert sizes == [default["max_body_bytes"], default["max_upload_bytes"]]
    count, size = re.findall(r"large_client_header_buffers (\d+) (\d+)k;", config)[0]
    assert (int(count) * int(size) * 1024, int(size) * 1024) == (MAX_HEAD_BYTES, MAX_TARGET_BYTES)
    for name in ("client_header_timeout", "client_body_timeout"):
        assert re.findall(rf"{name} (\d+)s;", config) == [str(default["read_timeout_s"])]
    assert re.findall(r"send_timeout (\d+)s;", config)[0] == str(default["write_timeout_s"])
    assert int(re.findall(r"keepalive_timeout (\d+)s;", config)[0]) < Config("").timeout_keep_alive


@contextmanager
def behind_nginx(server: Server, folder: Path, *, is_ready: bool = True) -> Iterator[httpx.Client]:
    """The server as nginx shows it, by the file that is deployed, with only its addresses changed."""
    nginx = program("nginx")
    port = free_port()
    address = f"{server.http.base_url.host}:{server.http.base_url.port}"
    config = (DEPLOY / "nginx.conf").read_text()
    changes = {
        "server server:8000": f"server {address}",
        "listen 8080": f"listen 127.0.0.1:{port}",
        "/tmp/": f"{folder}/",  # noqa: S108 - what nginx.conf has
    }
    for old, new in changes.items():
        assert old in config
        config = config.replace(old, new)
    path = folder / "nginx.conf"
    path.write_text(config)
    subprocess.run([nginx, "-t", "-q", "-c", path, "-p", folder], check=True, timeout=WITHIN_S)
    process = subprocess.Popen([nginx, "-c", path, "-p", folder, "-g", "daemon off;"])
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=WITHIN_S) as http:
            until(lambda: is_up(http, "/health" if is_ready else "/health/live"))
            yield http
    finally:
        process.terminate()
        process.wait(WITHIN_S)


def is_up(http: httpx.Client, path: str) -> bool:
    try:
        return http.get(path).status_code == 200
    except httpx.TransportError:
        return False


def test_tokens_pass_nginx_one_by_one(serve: Serve, upstream: Upstream, tmp_path: Path) -> None:
    held = upstream.say(WORDS, hold_after=5)
    server = serve(heartbeat_s=0.2)
    with behind_nginx(server, tmp_path) as http:
        with http.stream("POST", "/query", json={"question": QUESTION}) as response:
            seen = ""
            pieces = response.iter_text()
            while "word4" not in seen:
                seen += next(pieces)
            assert held.reached.wait(WITHIN_S)
            assert upstream.chats[0].tokens_sent == 5
            while ": keep-alive" not in seen:
                seen += next(pieces)
            held.release()
            seen += "".join(pieces)
        assert "event: run_finished" in seen
        assert http.get("/metrics").status_code == 404


TOOLS = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
MCP = {"accept": "application/json, text/event-stream", "mcp-protocol-version": "2025-06-18"}


def test_every_route_answers_behind_nginx_under_the_names_that_are_listed(serve: Serve, tmp_path: Path) -> None:
    server = serve(allowed_hosts="rag.example")
    with behind_nginx(server, tmp_path) as http:
        for host in ("rag.example", "rag.example:8443", "127.0.0.1"):
            listed = http.post("/mcp", json=TOOLS, headers={**MCP, "host": host})
            assert (listed.status_code, '"search"' in listed.text) == (200, True), listed.text
            for path in ("/", "/docs", "/config", "/v1/models", "/rag/playground/", "/health/ready"):
                assert http.get(path, headers={"host": host}).status_code == 200
            page = {"host": host, "origin": f"https://{host}", "sec-fetch-site": "same-origin"}
            assert http.post("/query", json={"question": QUESTION}, headers=page).status_code == 200
        for headers in ({"host": "rebound.example"}, {"host": "rag.example", "origin": "https://elsewhere.example"}):
            assert http.post("/mcp", json=TOOLS, headers={**MCP, **headers}).status_code in {403, 421}


def test_a_server_with_keys_answers_behind_nginx_under_any_name(serve: Serve, tmp_path: Path) -> None:
    """As compose starts it."""
    server = serve(host="0.0.0.0", api_keys=SecretStr("a-key"))
    with behind_nginx(server, tmp_path) as http:
        headers = {**MCP, "host": "rag.example", "authorization": "Bearer a-key"}
        assert http.post("/mcp", json=TOOLS, headers=headers).status_code == 200
        assert http.post("/mcp", json=TOOLS, headers={**headers, "authorization": ""}).status_code == 401


def test_nginx_lets_through_what_the_server_takes_and_no_more(serve: Serve, tmp_path: Path) -> None:
    server = serve(uploads=True, data_dir=tmp_path / "library", is_ready=False)
    with behind_nginx(server, tmp_path, is_ready=False) as http:
        large = {"files": ("a.md", b"# A\n\n" + b"words " * 1_000_000, "text/markdown")}
        assert http.post("/query", files=large).status_code == 413
        upload = http.post("/documents", files={"files": ("a.md", b"# A\n\nWords.", "text/markdown")})
        assert upload.status_code == 200, upload.text
        assert http.post("/query", json={"question": "x" * 10_000}).status_code == 422
        assert http.get("/health/live", headers={"x-long": "y" * 8_000}).status_code == 200
        assert http.get("/health/live", headers={"x-long": "y" * 9_000}).status_code == 400


def test_leaving_nginx_is_leaving_the_server(serve: Serve, upstream: Upstream, tmp_path: Path) -> None:
    held = upstream.say(WORDS, hold_after=5)
    server = serve(run_grace_s=0)
    with behind_nginx(server, tmp_path) as http:
        with http.stream("POST", "/query", json={"question": QUESTION}) as response:
            run_id = response.headers["x-run-id"]
            pieces = response.iter_bytes()
            next(pieces)
            until(held.reached.is_set)
        until(lambda: server.status(run_id) == "cancelled")
