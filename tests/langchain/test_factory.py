"""The graph by one call, as a LangChain program uses it: without and with an event loop, with messages, on threads."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args, get_type_hints
from uuid import UUID

import pytest
from langchain_core.callbacks import (
    BaseCallbackHandler,
)
from langchain_core.documents import Document
from langchain_core.embeddings import FakeEmbeddings
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph.message import add_messages
from pydantic import Field

from rag_graph import EmbeddedIndex, Prompts, Settings, index_paths
from rag_graph.errors import InvalidRequest, ModelDeclined, ModelError, RetrievalFailed, SettingsError
from rag_graph.events import ClaimStated
from rag_graph.graph.state import REMEMBERED, State
from rag_graph.models.embeddings import LangChainEmbedder
from tests.langchain.conftest import (
    ANSWER,
    ASKED,
    CORRECTED,
    OPENED,
    QUESTION,
    REFINED,
    Found,
    document,
    graph_over,
    refining,
    saying,
    store,
)
from tests.models.providers.scripted import OwnError, ScriptedModel
from tests.upstream import Upstream


def test_it_answers_without_an_event_loop_and_in_the_middle_of_one() -> None:
    graph = graph_over(saying(), store())

    async def in_a_loop() -> Any:
        return graph.invoke({"question": QUESTION}), await graph.ainvoke({"question": QUESTION})

    for output in (graph.invoke({"question": QUESTION}), *asyncio.run(in_a_loop())):
        assert output["answer"] == ANSWER
        assert [citation.quote for citation in output["citations"]] == [OPENED]
        assert output["decision"].decision == "keep"


def test_many_threads_may_ask_at_once() -> None:
    graph = graph_over(saying(), store())
    outputs = graph.batch([{"question": QUESTION}] * 8)
    assert [output["answer"] for output in outputs] == [ANSWER] * 8


def test_messages_are_answered_with_content_blocks_and_citations() -> None:
    output = graph_over(saying(), store()).invoke(ASKED)
    asked, answer = output["messages"]
    assert (asked.text, answer.text) == (QUESTION, ANSWER)
    [block] = answer.content_blocks
    [citation] = block["annotations"]
    assert block["text"][citation["start_index"] : citation["end_index"]] == ANSWER
    assert citation["cited_text"] == OPENED
    assert {"url", "title"} <= citation.keys()
    [claim] = block["extras"]["claims"]
    assert (claim["claim"], claim["state"], claim["sources"]) == ("c1", "supported", [citation["extras"]["marker"]])
    assert block["text"][claim["start"] : claim["end"]] == ANSWER
    assert "fates" not in block["extras"]


def test_a_models_reasoning_is_a_block_before_the_text() -> None:
    thoughts = AIMessageChunk(content="", additional_kwargs={"reasoning_content": "The source says 1931."})
    model = ScriptedModel(replies=[[thoughts, ANSWER]])
    output = graph_over(model, store()).invoke(ASKED)
    blocks = output["messages"][-1].content_blocks
    assert [block["type"] for block in blocks] == ["reasoning", "text"]
    assert blocks[0]["reasoning"] == "The source says 1931."


def test_a_conversation_goes_on_on_its_thread() -> None:
    condensed = "How long is the bridge?"
    graph = graph_over(saying(ANSWER, condensed, "It is long [1]."), store(), checkpointer=InMemorySaver())
    thread = RunnableConfig(configurable={"thread_id": "one"})
    graph.invoke({"question": QUESTION}, thread)
    second = graph.invoke({"messages": [("human", "How long is it?")]}, thread)
    assert [message.text for message in second["messages"]] == [
        QUESTION, ANSWER, "How long is it?", "It is long [1]."
    ]  # fmt: skip
    assert graph.get_state(thread).values["search"] == condensed
    alone = graph.invoke({"question": QUESTION}, RunnableConfig(configurable={"thread_id": "two"}))
    assert len(alone["messages"]) == 2


def test_a_thread_that_was_interrupted_goes_on_from_all_that_it_had(caplog: pytest.LogCaptureFixture) -> None:
    graph = refining(checkpointer=InMemorySaver())
    thread = RunnableConfig(configurable={"thread_id": "one"})
    first = graph.invoke(ASKED, thread, interrupt_before=["decide"])
    assert (first["draft"], "answer" in first) == (ANSWER, False)
    state = graph.get_state(thread)
    assert state.next == ("decide",)
    assert {type(claim) for claim in state.values["draft_claims"]} == {ClaimStated}
    assert graph.invoke(None, thread)["answer"] == REFINED
    assert graph.invoke(None, thread)["answer"] == REFINED  # nothing is left to go on with
    assert "Blocked" not in caplog.text


def test_every_type_of_ours_in_a_state_is_read_back_from_a_checkpoint() -> None:
    def within(hint: Any) -> set[Any]:
        return {hint}.union(*map(within, get_args(hint)))

    ours = {one for hint in get_type_hints(State).values() for one in within(hint) if isinstance(one, type)}
    assert {one for one in ours if one.__module__.startswith("rag_graph")} == set(REMEMBERED)


def test_what_one_question_of_a_thread_sets_is_not_set_for_the_next() -> None:
    retriever = Found(documents=[document(OPENED, year=1931)])
    graph = graph_over(saying(), retriever, checkpointer=InMemorySaver())
    thread = RunnableConfig(configurable={"thread_id": "one"})
    graph.invoke({"question": QUESTION, "mode": "deep", "filters": {"year": 1900}}, thread)
    second = graph.invoke({"messages": [("human", QUESTION)]}, thread)
    query = graph.get_state(thread).values["query"]
    assert (query.mode, query.filters) == ("fast", {})
    assert [passage.content for passage in second["documents"]] == [OPENED]


@pytest.mark.parametrize("asked", [ASKED, {"question": QUESTION}], ids=["messages", "question"])
def test_only_the_answer_streams_and_as_one_message_that_adds_up(asked: Any) -> None:
    graph = graph_over(saying(), store())
    chunks = [chunk for chunk, _ in graph.stream(asked, stream_mode="messages")]
    assert len(chunks) > 2
    assert len({chunk.id for chunk in chunks}) == 1
    whole = sum(chunks[1:], chunks[0])
    assert whole.text == ANSWER
    [block] = whole.content_blocks
    assert [citation["cited_text"] for citation in block["annotations"]] == [OPENED]
    assert [claim["state"] for claim in block["extras"]["claims"]] == ["supported"]


def test_a_refinement_replaces_the_draft_by_its_id_and_doubles_no_text() -> None:
    chunks: list[AIMessageChunk] = []
    states: list[list[BaseMessage]] = []
    updates: list[BaseMessage] = []
    for mode, item in refining().stream(ASKED, stream_mode=["messages", "values", "updates"]):
        match mode:
            case "messages":
                chunks.append(item[0])
            case "values":
                states.append(item["messages"])
            case _:
                updates += [message for update in item.values() for message in (update or {}).get("messages", [])]
    assert "".join(chunk.text for chunk in chunks) == ANSWER  # what only appends
    assert [message.text for message in states[-1]] == [QUESTION, REFINED]
    assert ANSWER in [messages[-1].text for messages in states]
    block: Any = states[-1][-1].content_blocks[-1]
    known = block["extras"]
    assert [claim["claim"] for claim in known["claims"]] == [fate["claim"] for fate in known["fates"]]
    assert [(fate["fate"], fate["after"]) for fate in known["fates"]] == [("corrected", REFINED.replace(" [2]", ""))]
    # A front end that folds the updates by LangGraph's own reducer ends with one answer.
    folded: Any = [HumanMessage(QUESTION)]
    for update in updates:
        folded = add_messages(folded, update)
    assert [message.text for message in folded] == [QUESTION, REFINED]
    assert folded[-1].id == chunks[0].id


@pytest.mark.anyio
@pytest.mark.filterwarnings("ignore:The v3 streaming protocol")
async def test_version_3_streams_the_answer_as_one_message() -> None:
    run = await graph_over(saying(), store()).astream_events(ASKED, version="v3")
    told = [(message.message_id, [piece async for piece in message.text]) async for message in run.messages]
    [(message_id, pieces)] = told
    assert "".join(pieces) == ANSWER
    assert len(pieces) > 2
    output = await run.output()
    assert output["messages"][-1].id == message_id


def broken_off() -> Any:
    """A graph whose refinement breaks off after some words, so that its draft stands."""
    broken = [REFINED[:10], ValueError("broke")]
    model = ScriptedModel(replies=[[ANSWER], ["REFINE: another source names a later day"], broken, broken])
    found = [document(OPENED), document(CORRECTED)]
    return graph_over(model, Found(documents=found[:1]), deep_retriever=Found(documents=found))


def began_anew() -> Any:
    """A graph whose draft is void after some words, and written again whole."""
    model = ScriptedModel(replies=[["The bridge ", ValueError("broke")], [ANSWER], ["KEEP: it stands"]])
    return graph_over(model, store())


REPLACED: dict[str, tuple[Callable[[], Any], list[str]]] = {
    "refined": (refining, [ANSWER, REFINED]),
    "a refinement that broke off": (broken_off, [ANSWER, REFINED[:10], ANSWER]),
    "a draft that began anew": (began_anew, ["The bridge", ANSWER]),
}


@pytest.mark.anyio
@pytest.mark.filterwarnings("ignore:The v3 streaming protocol")
@pytest.mark.parametrize(("graph", "versions"), REPLACED.values(), ids=REPLACED)
async def test_version_3_begins_the_message_anew_where_its_text_is_replaced(
    graph: Callable[[], Any], versions: list[str]
) -> None:
    run = await graph().astream_events(ASKED, version="v3")
    told = [(message.message_id, "".join([piece async for piece in message.text])) async for message in run.messages]
    output = await run.output()
    assert [text.strip() for _, text in told if text] == versions
    assert {message_id for message_id, _ in told} == {output["messages"][-1].id}
    assert output["messages"][-1].text == versions[-1]


@pytest.mark.anyio
@pytest.mark.filterwarnings("ignore:The v3 streaming protocol")
async def test_version_3_gives_the_answer_the_citations_the_decision_and_the_passages() -> None:
    run = await refining().astream_events(ASKED, version="v3")
    seen: dict[str, list[Any]] = {"answer": [], "citations": [], "decision": [], "passages": []}

    async def read(name: str) -> None:
        async for item in getattr(run, name):
            seen[name].append(item)

    await asyncio.gather(*(read(name) for name in seen))
    text = ""
    for piece in seen["answer"]:
        text = piece.delta if piece.replaces else text + piece.delta
    assert text == REFINED
    assert [piece.replaces for piece in seen["answer"]].count(True) == 1
    assert {citation.version for citation in seen["citations"]} == {1, 2}
    assert [decision.decision for decision in seen["decision"]] == ["refine"]
    assert [found.stage for found in seen["passages"]] == ["fast", "deep"]


@dataclass(eq=False)  # LangChain puts handlers into sets
class Runs(BaseCallbackHandler):
    """Every run that a callback handler is told of, by its parent, and what retrievers found."""

    tree: set[tuple[str, str]] = field(default_factory=set)
    found: list[list[str]] = field(default_factory=list)
    _names: dict[UUID, str] = field(default_factory=dict)

    def _begin(self, name: str, run_id: UUID, parent_run_id: UUID | None) -> None:
        self._names[run_id] = name
        if parent_run_id in self._names:
            self.tree.add((name, self._names[parent_run_id]))

    def on_chain_start(self, *_: Any, run_id: UUID, parent_run_id: UUID | None = None, **more: Any) -> None:
        self._begin(more["name"], run_id, parent_run_id)

    def on_chat_model_start(self, *_: Any, run_id: UUID, parent_run_id: UUID | None = None, **__: Any) -> None:
        self._begin("model", run_id, parent_run_id)

    def on_retriever_start(self, *_: Any, run_id: UUID, parent_run_id: UUID | None = None, **more: Any) -> None:
        self._begin(more["name"], run_id, parent_run_id)

    def on_retriever_end(self, documents: Any, **_: Any) -> None:
        self.found.append([document.page_content for document in documents])


@pytest.mark.parametrize("is_store", [True, False], ids=["store", "retriever"])
def test_searches_and_model_calls_are_runs_below_their_nodes(*, is_store: bool) -> None:
    runs = Runs()
    graph = graph_over(saying(), store() if is_store else Found(documents=[document(OPENED)]))
    graph.invoke({"question": QUESTION}, {"callbacks": [runs]})
    own = "VectorStoreRetriever" if is_store else "Found"
    assert {(own, "fast_retrieve"), ("FusedRetriever", "deep_retrieve"), ("model", "draft")} <= runs.tree
    assert ("draft", "rag_graph") in runs.tree
    assert ((own, "FusedRetriever") in runs.tree) is not is_store  # a retriever of LangChain's tells its own run
    assert {tuple(found) for found in runs.found} == {(OPENED,)}


def test_a_draft_that_failed_leaves_the_message_to_the_refinement() -> None:
    model = ScriptedModel(replies=[[ValueError("broke")], [ValueError("broke")], [ANSWER]])
    chunks = [chunk for chunk, _ in graph_over(model, store()).stream(ASKED, stream_mode="messages")]
    assert "".join(chunk.text for chunk in chunks) == ANSWER


def test_the_system_prompt_the_style_and_k_are_arguments() -> None:
    class Listening(GenericFakeChatModel):
        heard: list[list[BaseMessage]] = Field(default_factory=list)

        def _generate(self, messages: list[BaseMessage], *rest: Any, **more: Any) -> Any:
            self.heard.append(messages)
            return super()._generate(messages, *rest, **more)

    model = Listening(messages=cycle([ANSWER]))
    documents = [document(f"{OPENED} Report {number}.") for number in range(12)]
    prompts = Prompts(system="You are the guide of the bridge.", style="Answer like a pirate.")
    graph_over(model, Found(documents=documents), prompts=prompts, k=5).invoke({"question": QUESTION})
    system, asked = model.heard[0]
    assert system.text.startswith("You are the guide of the bridge.\nUse only what the sources say.")
    assert system.text.endswith("Answer like a pirate.")
    assert asked.text.count("<source ") == 5


def test_a_single_vector_store_is_searched_more_widely_and_by_words() -> None:
    texts = [f"Something else, number {number}." for number in range(20)]
    graph = graph_over(saying(), store(*texts, OPENED))
    documents = graph.invoke({"question": QUESTION})["documents"]
    assert len(documents) > 3
    assert documents[0].content == OPENED


def test_documents_without_ids_with_odd_metadata_duplicates_and_emptiness_are_answered_from() -> None:
    metadata = {"score": "high", "nested": {"a": [1]}, "title": None, "start_index": -3}
    odd = [
        Document(page_content=OPENED, metadata=metadata),
        Document(page_content=OPENED, metadata=metadata),
        Document(page_content=""),
        Document(page_content="x" * 2_000_000),
    ]
    output = graph_over(saying(), Found(documents=odd)).invoke({"question": QUESTION})
    assert output["answer"] == ANSWER
    assert [passage.content for passage in output["documents"]].count(OPENED) == 1
    assert all(passage.content for passage in output["documents"])


def test_a_retriever_that_raises_is_named(caplog: pytest.LogCaptureFixture) -> None:
    graph = graph_over(saying(), Found(documents=[KeyError("secret")]))
    with pytest.raises(RetrievalFailed, match="The retriever Found failed") as caught:
        graph.invoke({"question": QUESTION})
    assert "secret" not in str(caught.value)
    assert "secret" in caplog.text  # for whoever runs it


RUNNABLES: dict[str, Callable[[BaseRetriever], Any]] = {
    "with a config": lambda found: found.with_config(tags=["mine"]),
    "with retries": lambda found: found.with_retry(),
    "with fallbacks": lambda found: Found(documents=[KeyError()]).with_fallbacks([found]),
    "a chain": lambda found: RunnableLambda(str.strip) | found,
    "a function": lambda found: RunnableLambda(found.invoke),
}


@pytest.mark.parametrize("make", RUNNABLES.values(), ids=RUNNABLES)
def test_what_runs_like_a_retriever_is_one_and_its_documents_are_in_the_trace(
    make: Callable[[BaseRetriever], Any],
) -> None:
    runs = Runs()
    graph = graph_over(saying(), make(Found(documents=[document(OPENED)])))
    output = graph.invoke({"question": QUESTION}, {"callbacks": [runs]})
    assert [citation.quote for citation in output["citations"]] == [OPENED]
    assert {tuple(found) for found in runs.found} == {(OPENED,)}


@pytest.mark.parametrize(
    ("found", "kind"), [(None, "NoneType"), ([document(OPENED), OPENED], "str"), (document(OPENED), ""), ({}, "dict")]
)
def test_a_retriever_that_gives_no_documents_is_told_so(found: Any, kind: str) -> None:
    graph = graph_over(saying(), RunnableLambda(lambda _: found))
    if not kind:  # a single one is a list of one
        assert graph.invoke({"question": QUESTION})["answer"] == ANSWER
        return
    with pytest.raises(RetrievalFailed, match=f"gave a {kind}: it is to give a list of LangChain's documents"):
        graph.invoke({"question": QUESTION})


def test_a_retriever_that_finds_nothing_is_said_so() -> None:
    output = graph_over(saying(), Found(documents=[])).invoke({"question": QUESTION})
    assert "no passage" in output["answer"]
    assert output["citations"] == []


WHOLE = AIMessage(content=[{"type": "text", "text": ANSWER}], tool_calls=[{"name": "f", "args": {}, "id": "1"}])


class Whole(BaseChatModel):
    """A model that does not stream, counts nothing, answers in blocks and calls a tool that nobody offered."""

    @property
    def _llm_type(self) -> str:
        return "whole"

    def _generate(self, *_: Any, **__: Any) -> Any:
        return ChatResult(generations=[ChatGeneration(message=WHOLE)])


def test_a_model_that_streams_nothing_and_calls_tools_is_read_as_far_as_it_answers() -> None:
    chunks = [chunk for chunk, _ in graph_over(Whole(), store()).stream(ASKED, stream_mode="messages")]
    assert "".join(chunk.text for chunk in chunks) == ANSWER
    assert not any(chunk.tool_call_chunks for chunk in chunks)


REFUSALS: dict[str, tuple[AIMessageChunk, str]] = {
    "a refusal beside the text": (
        AIMessageChunk(content="", additional_kwargs={"refusal": "I cannot."}), "The model declined"
    ),
    "a block that refuses": (
        AIMessageChunk(content=[{"type": "refusal", "refusal": "I cannot."}]), "The model declined"
    ),
    "OpenAI's filter": (
        AIMessageChunk(content="", response_metadata={"finish_reason": "content_filter"}), "The filter"
    ),
    "Anthropic's": (AIMessageChunk(content="", response_metadata={"stop_reason": "refusal"}), "The filter"),
    "Google's": (AIMessageChunk(content="", response_metadata={"finish_reason": "SAFETY"}), "The filter"),
    "Bedrock's": (AIMessageChunk(content="", response_metadata={"stopReason": "guardrail_intervened"}), "The filter"),
}  # fmt: skip


@pytest.mark.parametrize(("refusal", "problem"), REFUSALS.values(), ids=REFUSALS)
def test_a_model_that_refuses_is_asked_once_a_version_and_said_to(refusal: AIMessageChunk, problem: str) -> None:
    model = ScriptedModel(replies=[[refusal]] * 4)
    with pytest.raises(ModelDeclined, match=f"^{problem}") as caught:
        graph_over(model, store()).invoke(ASKED)
    assert "RAG_" not in str(caught.value)
    assert "whole" not in model.calls


def test_a_refusal_after_words_leaves_the_words_as_an_answer_that_was_cut() -> None:
    cut = AIMessageChunk(content="", response_metadata={"finish_reason": "content_filter"})
    output = graph_over(ScriptedModel(replies=[[ANSWER, cut]]), store()).invoke(ASKED)
    assert output["answer"] == ANSWER


def failing(status: int) -> OwnError:
    return OwnError("the key sk-secret was of no use", status_code=status)


FAILURES: dict[str, Any] = {
    "key": failing(401),
    "name": failing(404),
    "request": failing(400),
    "rate": OwnError(status_code=429, response=SimpleNamespace(headers={"retry-after": "60"})),
    "context": OwnError("maximum context length exceeded"),
    "service": failing(500),
    "connection": ConnectionRefusedError(),
    "timeout": TimeoutError(),
    "garbled": ValueError("no such field"),
    "broken off": AIMessageChunk(content="", response_metadata={"finish_reason": "error"}),
    "empty": AIMessageChunk(content=""),
    "tokens": AIMessageChunk(content="", response_metadata={"finish_reason": "length"}),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_what_a_model_of_ones_own_raises_is_blamed_on_it_and_on_no_setting(failure: Any) -> None:
    model = ScriptedModel(replies=[[failure]] * 8)
    with pytest.raises(ModelError, match="the model given to create_rag_graph") as caught:
        graph_over(model, store()).invoke(ASKED)
    told = str(caught.value)
    # These do hold for a model of one's own.
    assert set(re.findall(r"RAG_\w+", told)) <= {
        "RAG_CHAT_CONTEXT_TOKENS", "RAG_STALL_TIMEOUT_S", "RAG_FIRST_TOKEN_TIMEOUT_S"
    }  # fmt: skip
    assert "sk-secret" not in told


class Flat(FakeEmbeddings):
    size: int = 8
    is_broken: bool = False

    def embed_query(self, text: str) -> list[float]:
        if self.is_broken:
            raise failing(401)
        return super().embed_query(text)


def test_what_embeddings_of_ones_own_raise_is_blamed_on_them(tmp_path: Path) -> None:
    (tmp_path / "bridge.md").write_text(OPENED)
    index_paths(EmbeddedIndex(Settings.load().index_dir, LangChainEmbedder(Flat(), "Flat")), [tmp_path / "bridge.md"])
    graph = graph_over(saying(), embeddings=Flat(is_broken=True))
    with pytest.raises(ModelError, match="the embeddings given to create_rag_graph"):
        graph.invoke(ASKED)


HISTORIES: dict[str, Any] = {
    "turns": [{"role": "user", "content": "Which bridge?"}, {"role": "assistant", "content": "The long one."}],
    "messages": [HumanMessage("Which bridge?"), AIMessage("The long one.")],
    "pairs": [("human", "Which bridge?"), ("ai", "The long one.")],
    "a mixture": [("system", "Be brief."), HumanMessage("Which bridge?"), {"role": "ai", "content": "The long one."}],
}


@pytest.mark.parametrize("history", HISTORIES.values(), ids=HISTORIES)
def test_a_history_may_be_turns_or_messages(history: Any) -> None:
    graph = graph_over(saying("When was the long bridge opened?", ANSWER), store(), checkpointer=InMemorySaver())
    thread = RunnableConfig(configurable={"thread_id": "one"})
    graph.invoke({"question": QUESTION, "history": history}, thread)
    query = graph.get_state(thread).values["query"]
    assert [(turn.role, turn.content) for turn in query.history] == [
        ("user", "Which bridge?"), ("assistant", "The long one.")
    ]  # fmt: skip


BAD: dict[str, Any] = {
    "neither": {},
    "another name": {"input": "q"},
    "no history": {"question": "q", "history": [("human", "a"), 5]},
    "an unknown turn": {"question": "q", "history": [("nobody", "a")]},
    "no question": {"messages": []},
    "an answer at the end": {"messages": [("human", "q"), ("ai", "a")]},
    "a picture alone": {"messages": [{"role": "user", "content": [{"type": "image", "url": "https://x/y.png"}]}]},
    "an empty question": {"question": "  "},
    "too long a question": {"question": "x" * 5_000},
    "an unknown mode": {"question": "q", "mode": "slow"},
}


@pytest.mark.parametrize("asked", BAD.values(), ids=BAD)
def test_what_is_no_question_is_refused_in_one_sentence(asked: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"^(messages|question|mode|history): ") as caught:
        graph_over(saying(), store()).invoke(asked)
    assert "\n" not in str(caught.value)


def test_an_agent_that_hands_over_leaves_its_tool_calls_behind_the_question() -> None:
    handing = AIMessage(content="", tool_calls=[{"name": "ask_documents", "args": {}, "id": "1"}])
    asked = [HumanMessage(QUESTION), handing, {"role": "tool", "content": "Transferred.", "tool_call_id": "1"}]
    assert graph_over(saying(), store()).invoke({"messages": asked})["answer"] == ANSWER


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"model": "nobodys:model"}, "model='nobodys:model' cannot be used"),
        ({"model": 5}, "model: a int is no chat model"),
        ({"model": saying(), "reasoning_model": object()}, "reasoning_model: a object is no chat model"),
        ({"model": BaseChatModel}, "model: BaseChatModel is a class"),
        ({"model": saying(), "retriever": object()}, "A object is no retriever"),
        ({"model": saying(), "retriever": Found}, "Found is a class"),
        ({"model": saying(), "k": 0}, "k=0: a draft is written from 1 to 50 passages"),
    ],
)
def test_what_is_no_part_is_refused_when_the_graph_is_made(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        graph_over(**given)
    assert problem in str(caught.value)


def test_the_lines_of_the_readme_run_as_they_are_printed(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    blocks = re.findall(r"^```python\n(.*?)^```", (root / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    [lines] = [block for block in blocks if "create_rag_graph" in block]
    # Its tokenizer would be fetched from the network.
    lines = lines.replace("OpenAIEmbeddings()", "OpenAIEmbeddings(check_embedding_ctx_length=False)")
    with Upstream() as upstream:
        upstream.say(("FAISS was released ", "in 2017 [1]."))
        upstream.say("KEEP: nothing changes")
        given = {"OPENAI_API_KEY": "key", "OPENAI_BASE_URL": upstream.base_url, "PYTHONPATH": str(root)}
        done = subprocess.run(
            [sys.executable, "-c", lines],
            env={**os.environ, **given},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-2_000:]
    assert done.stdout.startswith("FAISS was released in 2017 [1].")
    assert "'cited_text': 'FAISS was released in 2017.'" in done.stdout
