"""Whatever a service was seen to send is used or passed by, and what is wrong with it is told as what it is."""

import asyncio
from collections.abc import Iterator

import pytest
from langchain_core.messages import HumanMessage

from rag_graph.errors import ModelError
from rag_graph.models.pieces import Content, CutShort, Restarted, Thinking
from rag_graph.models.providers.openai import open_chat_model
from rag_graph.models.replies import Replier
from rag_graph.models.thinking import ThinkingFilter
from tests.models.providers.openai.oddities import ODDITIES, Odd
from tests.upstream import Script, Upstream


@pytest.fixture(scope="module")
def service() -> Iterator[Upstream]:
    with Upstream() as upstream:
        yield upstream


@pytest.mark.anyio
@pytest.mark.parametrize("cut", [7, 100_000])
@pytest.mark.parametrize("odd", ODDITIES, ids=lambda odd: odd.name)
async def test_it_is_read_right_however_the_network_cuts_it(service: Upstream, odd: Odd, cut: int) -> None:
    asked_before = len(service.chats)
    body = [odd.body[start : start + cut] for start in range(0, len(odd.body), cut)]
    service.script(Script(body=body, status=odd.status, headers={"content-type": odd.kind}))
    service.otherwise = Script(status=500)
    model = open_chat_model(service.base_url, "key", "scripted")
    answer = thinking = cut_by = error = ""
    try:
        async for piece in Replier(model).stream([HumanMessage("How much?")]):
            match piece:
                case Content(delta):
                    answer += delta
                case Thinking(delta):
                    thinking += delta
                case CutShort(by):
                    cut_by = by
                case Restarted():
                    answer = ""
    except ModelError as exc:
        error = exc.code
    finally:
        await model.aclose()
    assert error == odd.error
    if not odd.error:
        assert (answer.rstrip(), thinking, cut_by) == (odd.answer, odd.thinking, odd.cut_by)
        assert len(service.chats) - asked_before == 1, "it was asked again"


SPOKEN_OF = (
    "Close it with `</s>`, or with </s> and a newline.",
    "The token <eos> ends it, <pad> fills it, and [EOS] is another's.",
    "Wrap it in <think> and </think>tags.",
    "The array a[1] and the link [here](http://x/) stay, [TOOL] too.",
    "`<tool_call>{}</tool_call>` is Qwen's, <tool_call> alone is a word.",
    "It is an analysis of 3 < 5.",
)


@pytest.mark.parametrize("said", SPOKEN_OF)
def test_an_answer_may_speak_of_such_marks(said: str) -> None:
    for pieces in ([said], list(said)):
        reading = ThinkingFilter()
        parts = [part for piece in pieces for part in reading.read_text(piece)] + list(reading.end())
        assert "".join(part.delta for part in parts if isinstance(part, Content)) == said


def test_whoever_has_said_all_may_leave_the_body_without_an_end(service: Upstream) -> None:
    async def ask() -> str:
        model = open_chat_model(service.base_url, "key", "scripted")
        try:
            return await Replier(model).reply([HumanMessage("How much?")])
        finally:
            await model.aclose()

    for sends_done in (True, False):
        service.drop(after=99, content="It gives 40 l.", sends_done=sends_done)
        service.otherwise = Script(status=500)
        assert asyncio.run(ask()) == "It gives 40 l."
