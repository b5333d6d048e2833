"""What operators see at `/metrics`, read from real servers and from events alone."""

import json
import logging

import pytest
from prometheus_client.parser import text_string_to_metric_families

from rag_graph.events import (
    AnswerFinished,
    AnswerReset,
    AnswerStarted,
    ClaimFate,
    ClaimStated,
    Event,
    RunCancelled,
    Usage,
    Warned,
)
from rag_graph.telemetry.logs import JsonLines
from rag_graph.telemetry.metrics import MAX_MODELS, Metrics
from rag_graph.telemetry.observing import Telemetry
from tests.servers import QUESTION, Serve, Server, until
from tests.upstream import Upstream

SENTENCES: tuple[Event, ...] = (
    AnswerStarted(version=1),
    ClaimStated(version=1, claim="c1", start=0, end=30, state="supported"),
    ClaimStated(version=1, claim="c2", start=31, end=41, state="unsupported"),
    AnswerFinished(version=1),
    ClaimFate(version=2, claim="c1", fate="kept"),
    ClaimFate(version=2, claim="c2", fate="withdrawn"),
    ClaimFate(version=2, claim="c3", fate="added"),
    AnswerFinished(version=2),
)
WORDS = tuple(f"word{number} " for number in range(40))


def sample(server: Server, name: str, **labels: str) -> float:
    return total(server.http.get("/metrics").text, name, **labels)


def total(exposition: str, name: str, **labels: str) -> float:
    """The sum of all samples of this name that have these labels."""
    return sum(
        found.value
        for family in text_string_to_metric_families(exposition)
        for found in family.samples
        if found.name == name and labels.items() <= found.labels.items()
    )


def test_a_run_is_measured_from_its_first_status_to_its_end(serve: Serve) -> None:
    server = serve()
    server.ask()
    for what in ("status", "passages", "token", "citation"):
        assert sample(server, "rag_first_seconds_count", what=what, mode="fast") == 1
    assert sample(server, "rag_answer_seconds_count", version="draft") == 1
    assert sample(server, "rag_run_seconds_count", outcome="finished") == 1
    assert sample(server, "rag_runs_total", outcome="finished") == 1
    assert sample(server, "rag_decisions_total", decision="keep") == 1
    assert sample(server, "rag_tokens_total", model="scripted", kind="output") > 0
    assert sample(server, "rag_step_seconds_count", step="draft") == 1
    assert sample(server, "rag_runs_active") == 0


def test_gaps_are_measured_between_tokens(serve: Serve, upstream: Upstream) -> None:
    upstream.say(WORDS, pace_s=0.01)
    server = serve()
    server.ask()
    assert 20 <= sample(server, "rag_token_gap_seconds_count") <= 40
    assert sample(server, "rag_token_gap_seconds_sum") >= 0.2


def test_readers_and_runs_are_counted_while_they_last(serve: Serve, upstream: Upstream) -> None:
    held = upstream.say(WORDS, hold_after=5)
    server = serve()
    with server.asking() as response:
        until(held.reached.is_set)
        assert sample(server, "rag_runs_active") == 1
        assert sample(server, "rag_readers") == 1
        run_id = response.headers["x-run-id"]
        with server.http.stream("GET", f"/runs/{run_id}/events", params={"after": 2}):
            assert sample(server, "rag_readers") == 2
        assert sample(server, "rag_resumes_total") == 1
        server.http.post(f"/runs/{run_id}/cancel")
        response.read()
    until(lambda: sample(server, "rag_readers") == 0)
    assert sample(server, "rag_runs_total", outcome="cancelled", reason="client") == 1
    assert sample(server, "rag_runs_active") == 0


def test_tasks_are_counted_and_end_with_their_readers(serve: Serve, upstream: Upstream) -> None:
    held = upstream.say(WORDS, hold_after=5)
    server = serve()
    before = sample(server, "rag_tasks")
    with server.asking() as response:
        until(held.reached.is_set)
        assert sample(server, "rag_tasks") > before
        server.http.post(f"/runs/{response.headers['x-run-id']}/cancel")
        response.read()
    until(lambda: sample(server, "rag_tasks") <= before)


@pytest.mark.filterwarnings("ignore:Accessing the 'model_fields':DeprecationWarning")  # LangServe does
def test_a_run_of_langserve_is_measured_too(serve: Serve) -> None:
    server = serve()
    with server.http.stream("POST", "/rag/stream", json={"input": {"question": QUESTION}}) as response:
        response.read()
    assert sample(server, "rag_runs_total", outcome="finished") == 1


def test_what_goes_wrong_is_counted_by_its_cause() -> None:
    metrics = Metrics(fallback_model="other")
    watch = Telemetry(metrics).watch("run", mode="deep", attempt=2)
    for event in (
        AnswerStarted(version=1),
        AnswerReset(version=1, attempt=2, reason=""),
        AnswerReset(version=1, attempt=1, reason=""),
        Warned(step="draft", code="model_stalled", message=""),
        Usage(step="draft", model="other", input_tokens=3, output_tokens=4),
        RunCancelled(by="budget"),
    ):
        watch.on_event(event)
    watch.close()
    text = metrics.exposition().decode()
    assert total(text, "rag_takeovers_total") == 1
    assert total(text, "rag_resets_total", cause="takeover") == 1
    assert total(text, "rag_resets_total", cause="model") == 1
    assert total(text, "rag_warnings_total", code="model_stalled") == 1
    assert total(text, "rag_fallbacks_total") == 1
    assert total(text, "rag_runs_total", mode="deep", outcome="cancelled", reason="budget") == 1


def test_an_attempt_that_ends_without_saying_so_is_counted() -> None:
    metrics = Metrics()
    Telemetry(metrics).watch("run", mode="fast", attempt=1).close()
    assert total(metrics.exposition().decode(), "rag_runs_total", outcome="abandoned") == 1


def test_a_log_line_for_machines_names_the_run() -> None:
    record = logging.LogRecord("rag_graph.runs", logging.WARNING, "", 1, "it took %s s", (3,), None)
    record.run_id = "01ABC"
    line = json.loads(JsonLines().format(record))
    assert line["message"] == "it took 3 s"
    assert (line["level"], line["run_id"], line["logger"]) == ("warning", "01ABC", "rag_graph.runs")


def test_a_service_that_names_another_model_each_time_makes_no_more_labels() -> None:
    metrics = Metrics()
    assert [metrics.model_label(name) for name in ("a", "b", "x" * 201, "a")] == ["a", "b", "other", "a"]
    labels = {metrics.model_label(f"model-{number}") for number in range(1_000)}
    assert len(labels) == MAX_MODELS - 2 + 1
    assert metrics.model_label("a") == "a"


def test_paths_methods_and_models_from_outside_are_no_labels(serve: Serve) -> None:
    server = serve()
    for odd in ("odd-one", "odd-two"):
        server.http.request(odd.upper(), f"/{odd}")
        server.http.post("/v1/chat/completions", json={"model": odd, "messages": [{"role": "user", "content": odd}]})
        server.http.get("/config", headers={"host": f"{odd}.example"})
    assert "odd" not in server.http.get("/metrics").text.lower()


def test_what_survived_of_a_draft_and_how_long_the_rest_was_read_is_counted() -> None:
    metrics = Metrics()
    run = metrics.export("R", mode="fast", attempt=1)
    for at_s, event in enumerate(SENTENCES):
        run.noted(event, float(at_s))
    exposition = metrics.exposition().decode()
    assert total(exposition, "rag_claim_fates_total") == 3
    assert total(exposition, "rag_draft_survived_ratio_sum") == 0.75
    assert total(exposition, "rag_exposure_seconds_sum", fate="withdrawn") == 3.0
    assert total(exposition, "rag_exposure_seconds_count") == 1
