"""What a service may send: whatever it is, it ends soon, in an error that names the service, and fills no memory."""

import itertools
import json
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Iterable, Iterator

import pytest
from anyio import to_thread
from langchain_core.messages import HumanMessage
from pydantic import SecretStr

from rag_graph.errors import ModelError, ModelGarbled, ModelStalled
from rag_graph.models.providers.openai import open_chat_model
from rag_graph.models.providers.openai.bounds import MAX_ANSWER_BYTES, MAX_EVENT_BYTES, BoundedClient
from rag_graph.models.providers.openai.stream import EventReader
from rag_graph.models.replies import Replier
from rag_graph.models.roles import open_embedder
from rag_graph.settings import ModelSettings, Settings
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio
ASKED = [HumanMessage("Who?")]
READ = 65_536
MOST_MEMORY = 6 * MAX_ANSWER_BYTES
"""An answer as bytes, as text, and as what is parsed of it, with room to spare: a twentieth of what is poured."""


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as upstream:
        yield upstream


def endless(data: bytes, opening: bytes = b"") -> Iterator[bytes]:
    return itertools.chain([opening] if opening else [], itertools.repeat(data))


def packed(size: int) -> bytes:
    """So many blanks, a thousandth of that on the wire."""
    packing = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    return b"".join([*(packing.compress(b" " * 1_000_000) for _ in range(size // 1_000_000)), packing.flush()])


FLOODS: dict[str, tuple[Iterable[bytes], str, dict[str, str]]] = {
    "a line without an end": (endless(b"x" * READ, b"data: "), "text/event-stream", {}),
    "an event without an end": (endless(b"data: x\n" * 8_192), "text/event-stream", {}),
    "one large event": ([b'data: {"x": "', *itertools.repeat(b"x" * READ, 800), b'"}\n\n'], "text/event-stream", {}),
    "a packed stream": ([packed(400_000_000)], "text/event-stream", {"content_encoding": "gzip"}),
    "a packed answer": ([packed(400_000_000)], "application/json", {"content_encoding": "gzip"}),
    "an answer without an end": (endless(b" " * READ), "application/json", {}),
    "a text without an end": (endless(b" " * READ), "text/plain", {}),
}


async def fails_within_bounds(up: Upstream) -> ModelError:
    replier = Replier(open_chat_model(up.base_url, "key", "scripted"))
    tracemalloc.start()
    try:
        with pytest.raises(ModelError) as failed:
            await replier.reply(ASKED)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        await replier.model.aclose()  # type: ignore[attr-defined]
    assert peak < MOST_MEMORY
    return failed.value


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
async def test_a_flood_is_an_error_of_the_service(
    up: Upstream, flood: tuple[Iterable[bytes], str, dict[str, str]]
) -> None:
    body, kind, headers = flood
    up.pour(body, kind=kind, **headers)
    error = await fails_within_bounds(up)
    assert isinstance(error, ModelGarbled)
    assert "The model's service sent more than" in str(error)
    assert "RAG_CHAT_BASE_URL" in str(error)


async def test_an_answer_packed_in_a_way_that_was_not_asked_for_is_one_too(up: Upstream) -> None:
    up.pour([b"x"], content_encoding="br")
    assert isinstance(await fails_within_bounds(up), ModelGarbled)
    assert {request.headers["accept-encoding"] for request in up.chats} == {"identity"}


async def test_an_honest_packed_answer_is_read(up: Upstream) -> None:
    chunk = {"choices": [{"index": 0, "delta": {"content": "Yes."}, "finish_reason": "stop"}]}
    wire = f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n".encode()
    packing = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    up.pour([packing.compress(wire) + packing.flush()], content_encoding="gzip")
    model = open_chat_model(up.base_url, "key", "scripted")
    assert await Replier(model).reply(ASKED) == "Yes."
    await model.aclose()


@pytest.mark.parametrize(
    "sign",
    [b": still here\n\n", b'data: {"choices": []}\n\n', b'data: {"choices": [{"index": 0, "delta": {}}]}\n\n'],
)
async def test_a_service_that_sends_and_says_nothing_is_silent(up: Upstream, sign: bytes) -> None:
    up.pour(endless(sign))
    model = open_chat_model(up.base_url, "key", "scripted")
    with pytest.raises(ModelStalled, match="fell silent"):
        await Replier(model, stall_timeout_s=0.2, first_token_timeout_s=0.2).reply(ASKED)
    await model.aclose()


async def test_a_list_of_models_without_an_end_is_the_services_fault(up: Upstream) -> None:
    up.pour(endless(b" " * READ), kind="application/json")
    model = open_chat_model(up.base_url, "key", "")
    with pytest.raises(ModelGarbled, match="The model's service sent more than"):
        await Replier(model).reply(ASKED)
    await model.aclose()


async def test_vectors_without_an_end_are_the_services_fault(up: Upstream) -> None:
    up.pour(endless(b" " * READ), kind="application/json")
    given = ModelSettings(base_url=up.base_url, api_key=SecretStr("key"), model="scripted")
    embedder = open_embedder(Settings(_env_file=None, embedding=given))
    with pytest.raises(ModelGarbled, match="RAG_EMBEDDING_BASE_URL"):
        await to_thread.run_sync(embedder.embed_query, "Who?")


async def test_a_blocking_answer_that_does_not_come_whole_in_time_is_left(up: Upstream) -> None:
    up.pour(endless(b" "), kind="application/json")
    with pytest.raises(Exception, match="in time"):
        await to_thread.run_sync(lambda: BoundedClient(within_s=0.1).get(f"{up.base_url}/models"))


def test_an_event_of_the_allowed_size_is_read_however_it_is_cut() -> None:
    content = "x" * (MAX_EVENT_BYTES - 100)
    wire = b'data: {"x": "' + content.encode() + b'"}\r\n\r\n'
    sse = EventReader()
    read = [event for at in range(0, len(wire), 997) for event in sse.feed(wire[at : at + 997])]
    assert read == [("", b'{"x": "' + content.encode() + b'"}')]
