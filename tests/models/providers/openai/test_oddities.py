"""Whatever a service was seen to send is used or passed by, and what is wrong with it is told as what it is."""

from collections.abc import Iterator

import pytest
from langchain_core.messages import HumanMessage

from rag_graph.errors import ModelError
from rag_graph.models.pieces import Content, CutShort, Restarted, Thinking
from rag_graph.models.providers.openai import open_chat_model
from rag_graph.models.replies import Replier
from tests.models.providers.openai.oddities import ODDITIES, Odd
from tests.upstream import Script, Upstream

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def service() -> Iterator[Upstream]:
    with Upstream() as upstream:
        yield upstream


@pytest.mark.parametrize("cut", [1, 11, 100_000])
@pytest.mark.parametrize("odd", ODDITIES, ids=lambda odd: odd.name)
async def test_it_is_read_right_however_the_network_cuts_it(service: Upstream, odd: Odd, cut: int) -> None:
    asked_before = len(service.chats)
    service.script(Script(body=[odd.body[start : start + cut] for start in range(0, len(odd.body), cut)]))
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
