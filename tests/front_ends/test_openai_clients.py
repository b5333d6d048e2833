from collections.abc import Iterator
from typing import Any

import openai
import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_openai import ChatOpenAI
from openai import OpenAI
from pydantic import SecretStr

from tests.front_ends.conftest import REFINED, Node, Refining
from tests.servers import ANSWER, QUESTION, Server
from tests.upstream import Upstream


@pytest.fixture
def client(server: Server) -> Iterator[OpenAI]:
    with open_client(server.url) as opened:
        yield opened


def open_client(url: str) -> OpenAI:
    return OpenAI(base_url=f"{url}/v1", api_key="key", max_retries=0)


def asked(**changes: Any) -> dict[str, Any]:
    return {"model": "rag-fast", "messages": [{"role": "user", "content": QUESTION}], **changes}


def test_the_python_sdk_lists_the_models(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["rag-fast", "rag-deep"]
    assert client.models.retrieve("rag-deep").object == "model"


def replaced(content: str) -> bool:
    """Whether this is the draft, and under a heading what replaces it."""
    draft, _, rest = content.partition("\n\n---\n\n")
    return draft == ANSWER and rest.startswith("**This replaces the answer above") and rest.endswith(REFINED)


def test_the_python_sdk_streams_the_draft_from_its_first_word_and_then_what_replaces_it(refining: Refining) -> None:
    with open_client(refining.url) as client:
        chunks = list(client.chat.completions.create(**asked(stream=True)))
    pieces = [choice.delta.content for chunk in chunks for choice in chunk.choices if choice.delta.content]
    assert replaced("".join(pieces))
    assert len(pieces) > 5


def test_the_python_sdk_streams_the_refinement_alone_where_the_draft_is_thought(refining: Refining) -> None:
    thought = {"extra_headers": {"x-rag-draft": "reasoning"}}
    with open_client(refining.url) as client:
        stream = client.chat.completions.create(**asked(stream=True, stream_options={"include_usage": True}, **thought))
        chunks = list(stream)
    deltas = [choice.delta for chunk in chunks for choice in chunk.choices]
    assert "".join(delta.content or "" for delta in deltas) == REFINED
    reasoning = "".join((delta.model_extra or {}).get("reasoning_content", "") for delta in deltas)
    assert ANSWER in reasoning
    assert "Which tower is meant?" in reasoning
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason] == ["stop"]
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens > 0


def test_the_python_sdk_reads_a_whole_answer_with_its_annotations(client: OpenAI) -> None:
    completion = client.chat.completions.create(**asked(extra_body={"rag": {"sources": "markdown"}}))
    message = completion.choices[0].message
    assert message.content is not None
    assert message.content.startswith(f"{ANSWER}\n\n---\n\n- [1] [Eiffel Tower]")
    assert message.annotations is not None
    annotation = message.annotations[0].url_citation
    assert message.content[annotation.start_index : annotation.end_index] == ANSWER
    assert "built by Gustave Eiffel" in (annotation.model_extra or {})["content"]


@pytest.mark.parametrize(
    ("changes", "kind", "status", "param"),
    [
        ({"model": "gpt-4"}, openai.NotFoundError, 404, None),
        ({"n": 2}, openai.BadRequestError, 400, "n"),
        ({"messages": []}, openai.BadRequestError, 400, "messages"),
        ({"messages": [{"role": "user", "content": " "}]}, openai.BadRequestError, 400, "messages"),
        ({"extra_body": {"rag": {"draft": "loud"}}}, openai.BadRequestError, 400, "rag.draft"),
        ({"extra_headers": {"x-rag-draft": "loud"}}, openai.BadRequestError, 400, "x-rag-draft"),
    ],
)
def test_what_cannot_be_answered_is_an_error_of_the_sdk(
    client: OpenAI, changes: dict[str, Any], kind: type[openai.APIStatusError], status: int, param: str | None
) -> None:
    with pytest.raises(kind) as refused:
        client.chat.completions.create(**asked(**changes))
    assert (refused.value.status_code, refused.value.param) == (status, param)
    assert refused.value.type == "invalid_request_error"


@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1/chat/completion", "/v1/"])
def test_other_endpoints_are_refused_in_openais_shape(server: Server, path: str) -> None:
    refused = server.http.post(path, json={})
    assert refused.status_code == 404
    assert refused.json()["error"]["type"] == "invalid_request_error"


def test_models_are_found_by_head_and_behind_a_slash(server: Server) -> None:
    assert server.http.head("/v1/models").status_code == server.http.head("/v1/models/rag-fast").status_code == 200
    assert server.http.head("/v1/models/none").status_code == 404
    assert server.http.get("/v1/models/").json() == server.http.get("/v1/models").json()


def test_a_wrong_method_is_refused_in_openais_shape(server: Server) -> None:
    refused = server.http.put("/v1/models")
    assert refused.status_code == 405
    assert refused.json()["error"]["code"] == "method_not_allowed"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff\xfe", b'{"model": 1}', b"[" * 100_000])
def test_no_body_is_a_fault_of_the_server(server: Server, body: bytes) -> None:
    refused = server.http.post("/v1/chat/completions", content=body, headers={"content-type": "application/json"})
    assert refused.status_code == 400
    assert refused.json()["error"]["message"]


def test_a_model_that_breaks_is_an_error_of_the_sdk_in_a_stream_and_without(serve: Any, upstream: Upstream) -> None:
    for _ in range(8):
        upstream.fail(status=401)
    with open_client(serve().url) as client:
        with pytest.raises(openai.InternalServerError) as whole:
            client.chat.completions.create(**asked())
        assert whole.value.code == "model_refused"
        with pytest.raises(openai.APIError) as streamed:
            list(client.chat.completions.create(**asked(stream=True)))
        assert streamed.value.code == "model_refused"


def test_the_same_key_attaches_to_the_same_run(client: OpenAI) -> None:
    keyed = asked(extra_headers={"idempotency-key": "front-end"})
    first, second = (client.chat.completions.create(**keyed) for _ in range(2))
    assert first.id == second.id


def test_a_run_that_was_asked_here_is_read_elsewhere(server: Server, client: OpenAI) -> None:
    run_id = client.chat.completions.create(**asked()).id.removeprefix("chatcmpl-")
    assert server.http.get(f"/runs/{run_id}").json()["status"] == "finished"


def test_open_webui_gets_a_title_without_a_run_and_sources_by_header(client: OpenAI) -> None:
    prompt = '### Task:\nOutput: { "title": "x" }\n<chat_history>\nUSER: Who built it?\n</chat_history>'
    titled = client.chat.completions.create(**asked(messages=[{"role": "user", "content": prompt}]))
    assert titled.choices[0].message.content == '{"title": "Who built it?"}'
    with client.chat.completions.with_streaming_response.create(
        **asked(stream=True, extra_headers={"x-rag-sources": "events"})
    ) as response:
        lines = [line for line in response.iter_lines() if '"event"' in line]
    assert any('"type":"source"' in line for line in lines[:-1])
    assert '"done":true' in lines[-1]


def test_chatopenai_of_langchain_reads_and_streams(refining: Refining) -> None:
    model = ChatOpenAI(
        base_url=f"{refining.url}/v1", api_key=SecretStr("key"), model="rag-fast", stream_usage=True, max_retries=0
    )
    streamed = AIMessageChunk(content="")
    for chunk in model.stream(QUESTION):
        streamed += chunk
    assert replaced(streamed.text)
    assert streamed.usage_metadata is not None
    refining.script()
    talk = [HumanMessage("Hello"), AIMessage("Hi."), HumanMessage(QUESTION)]
    assert isinstance(model.invoke(talk[-1:]).content, str)


def test_the_node_sdk_streams_and_refuses(node: Node, refining: Refining) -> None:
    told = node.run("openai_sdk.mjs", refining.url, QUESTION)
    assert replaced(told["content"])
    assert "Which tower is meant?" in told["reasoning"]
    assert told["annotations"][0]["type"] == "url_citation"
    assert told["reasons"] == ["stop"]
    assert told["usage"]["total_tokens"] > 0
    assert told["models"] == ["rag-fast", "rag-deep"]
    assert told["refusals"] == [
        ["NotFoundError", 404, "model_not_found", None],
        ["BadRequestError", 400, "invalid_request", "n"],
        ["BadRequestError", 400, "invalid_request", "messages"],
    ]


@pytest.mark.parametrize(
    ("ai", "provider"), [("ai-5", "openai-compatible-1"), ("ai", "@ai-sdk/openai-compatible")], ids=["5", "newest"]
)
def test_the_ai_sdks_openai_compatible_provider_streams(node: Node, refining: Refining, ai: str, provider: str) -> None:
    told = node.run("openai_compatible.mjs", refining.url, QUESTION, ai, provider)
    assert replaced(told["text"])
    assert "Which tower is meant?" in told["reasoning"]
    assert told["errors"] == []
    assert told["finishReason"] == "stop"
    assert told["usage"]["totalTokens"] > 0
