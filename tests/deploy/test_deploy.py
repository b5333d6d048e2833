"""The files to deploy with: tried where this machine can, and read against the settings where it cannot."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

import rag_graph
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
    extras = next(re.findall(r"\[([a-z,]+)\]", line)[0] for line in lines if "pip install" in line)
    project = (DEPLOY.parent.parent / "pyproject.toml").read_text()
    for extra in extras.split(","):
        assert re.search(rf"^{extra} = ", project, re.MULTILINE), extra


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


@contextmanager
def behind_nginx(server: Server, folder: Path) -> Iterator[httpx.Client]:
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
            until(lambda: is_up(http))
            yield http
    finally:
        process.terminate()
        process.wait(WITHIN_S)


def is_up(http: httpx.Client) -> bool:
    try:
        return http.get("/health").status_code == 200
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
            assert upstream.chats[0].tokens_sent == 5
            while ": keep-alive" not in seen:
                seen += next(pieces)
            held.release()
            seen += "".join(pieces)
        assert "event: run_finished" in seen
        assert http.get("/metrics").status_code == 404


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
