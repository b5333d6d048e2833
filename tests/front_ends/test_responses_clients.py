"""The Responses API by the clients that people have: OpenAI's SDKs, LangChain, the AI SDK, and plain HTTP."""

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from langchain_core.messages import AIMessageChunk
from langchain_openai import ChatOpenAI
from openai import OpenAI
from openai.types.responses import ResponseTextDeltaEvent
from pydantic import SecretStr

from rag_graph.runs.ids import new_run_id
from tests.front_ends.conftest import REFINED, Node, Refining
from tests.front_ends.test_openai_clients import open_client
from tests.http.responses.test_request import CODEX
from tests.servers import ANSWER, QUESTION, Server
from tests.upstream import Upstream


@pytest.fixture
def client(server: Server) -> Iterator[OpenAI]:
    with open_client(server.url) as opened:
        yield opened


def test_the_python_sdks_helper_streams_the_draft_and_ends_with_what_replaced_it(refining: Refining) -> None:
    texts: dict[str, str] = {}
    with (
        open_client(refining.url) as client,
        client.responses.stream(model="rag-fast", input=QUESTION) as stream,
    ):
        for event in stream:
            if isinstance(event, ResponseTextDeltaEvent):
                texts[event.item_id] = texts.get(event.item_id, "") + event.delta
        final = stream.get_final_response()
    assert list(texts.values()) == [ANSWER, REFINED]
    assert final.output_text == REFINED
    assert final.usage is not None
    assert final.usage.total_tokens > 0
    annotation = final.output[-1].content[0].annotations[0]  # type: ignore[union-attr, index]
    assert annotation.type == "url_citation"
    assert "built by Gustave Eiffel" in (annotation.model_extra or {})["quote"]


def test_who_was_cut_off_goes_on_after_the_last_number(refining: Refining) -> None:
    with open_client(refining.url) as client:
        stream = client.responses.create(model="rag-fast", input=QUESTION, stream=True, background=True)
        seen = []
        for event in stream:
            seen.append(event)
            if event.type == "response.output_text.delta":
                break
        stream.close()
        response_id = seen[0].response.id  # type: ignore[union-attr]
        rest = list(client.responses.retrieve(response_id, stream=True, starting_after=seen[-1].sequence_number))
        whole = list(client.responses.retrieve(response_id, stream=True))
    assert [*seen, *rest] == whole
    assert whole[-1].type == "response.completed"


def test_a_response_in_the_background_is_asked_for_later(client: OpenAI) -> None:
    begun = client.responses.create(model="rag-deep", input=QUESTION, background=True)
    assert begun.status in ("queued", "in_progress")
    assert begun.background
    *_, last = client.responses.retrieve(begun.id, stream=True)
    ended = client.responses.retrieve(begun.id, include=["file_search_call.results"])
    assert (ended.status, ended.output_text, ended.model) == ("completed", ANSWER, "rag-deep")
    assert last.response == client.responses.retrieve(begun.id)  # type: ignore[union-attr]
    searches = [item for item in ended.output if item.type == "file_search_call"]
    assert any("Eiffel" in (result.text or "") for search in searches for result in search.results or ())
    assert [item.type for item in client.responses.input_items.list(begun.id)] == ["message"]


def test_a_response_follows_another_or_its_conversation(serve: Any, upstream: Upstream) -> None:
    with open_client(serve().url) as client:
        first = client.responses.create(model="rag-fast", input=QUESTION)
        second = client.responses.create(model="rag-fast", input="And when?", previous_response_id=first.id)
        assert second.previous_response_id == first.id
        assert any(QUESTION in str(chat.body) and ANSWER in str(chat.body) for chat in upstream.chats[-3:])
        conversation = client.conversations.create()
        client.responses.create(model="rag-fast", input="Who built the CN Tower?", conversation=conversation.id)
        client.responses.create(model="rag-fast", input="And when was it?", conversation=conversation.id)
        assert any("Who built the CN Tower?" in str(chat.body) for chat in upstream.chats[-3:])


def test_a_conversation_begins_with_its_metadata_and_refuses_what_it_would_not_keep(client: OpenAI) -> None:
    assert client.conversations.create(metadata={"topic": "towers"}).metadata == {"topic": "towers"}
    said: Any = [{"type": "message", "role": "user", "content": QUESTION}]
    with pytest.raises(openai.APIStatusError, match="begins empty"):
        client.conversations.create(items=said)


def test_a_response_is_stopped_and_forgotten(serve: Any, upstream: Upstream) -> None:
    upstream.say("word " * 2_000, pace_s=0.05)
    with open_client(serve().url) as client:
        begun = client.responses.create(model="rag-fast", input=QUESTION, background=True)
        stopped = client.responses.cancel(begun.id)
        assert stopped.status == "cancelled"
        client.responses.delete(begun.id)
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(begun.id)


def test_what_follows_nothing_that_is_known_is_refused(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(model="rag-fast", input=QUESTION, previous_response_id=f"resp_{new_run_id(2e9)}")
    assert (refused.value.code, refused.value.param) == ("previous_response_not_found", "previous_response_id")


def test_a_model_that_breaks_is_a_failed_response(serve: Any, upstream: Upstream) -> None:
    for _ in range(8):
        upstream.fail(status=401)
    with open_client(serve().url) as client:
        whole = client.responses.create(model="rag-fast", input=QUESTION)
        assert whole.status == "failed"
        assert whole.error is not None
        assert (whole.error.model_extra or {})["reason"] == "model_refused"
        *_, last = client.responses.create(model="rag-fast", input=QUESTION, stream=True)
        assert last.type == "response.failed"


def test_a_coding_agents_request_is_answered_to_its_end(server: Server) -> None:
    streamed = server.http.post("/v1/responses", json=CODEX)
    names = [line.removeprefix("event: ") for line in streamed.text.splitlines() if line.startswith("event: ")]
    assert names[0] == "response.created"
    assert names[-1] == "response.completed"


def test_chatopenai_of_langchain_reads_responses(refining: Refining) -> None:
    model = ChatOpenAI(
        base_url=f"{refining.url}/v1",
        api_key=SecretStr("key"),
        model="rag-fast",
        use_responses_api=True,
        max_retries=0,
    )
    streamed = AIMessageChunk(content="")
    for chunk in model.stream(QUESTION):
        streamed += chunk
    texts = [block for block in streamed.content_blocks if block["type"] == "text" and block["text"]]
    assert [block["text"] for block in texts] == [ANSWER, REFINED]
    assert texts[-1]["annotations"][0]["type"] == "citation"
    refining.script()
    assert model.invoke(QUESTION).text == REFINED


def test_the_node_sdks_helper_streams_the_draft_and_ends_with_what_replaced_it(node: Node, refining: Refining) -> None:
    told = node.run("responses_sdk.mjs", refining.url, QUESTION)
    assert told["texts"] == [ANSWER, REFINED]
    assert told["final"] == told["again"] == REFINED
    assert told["annotations"][0]["type"] == "url_citation"
    assert told["numbers"] == sorted(set(told["numbers"]))


def test_the_ai_sdks_openai_provider_streams_by_default(node: Node, refining: Refining) -> None:
    told = node.run("responses_ai_sdk.mjs", refining.url, QUESTION)
    assert told["errors"] == []
    assert told["texts"] == [ANSWER, REFINED]
    assert told["sources"]
    assert told["finishReason"] == "stop"
    assert told["usage"]["totalTokens"] > 0
