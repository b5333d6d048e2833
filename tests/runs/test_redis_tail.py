import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_graph.errors import UnknownRun
from rag_graph.events import AnswerDelta
from rag_graph.runs.log import BATCH_ENTRIES, Entry
from rag_graph.runs.redis.tail import TAIL_ENTRIES, Tail

STORE = [Entry(seq, 0.0, AnswerDelta(version=1, delta=str(seq))) for seq in range(1, 4 * TAIL_ENTRIES)]
spans = st.tuples(st.integers(0, len(STORE) - 1), st.integers(1, 700))


@given(begin=st.none() | st.integers(0, 100), taken=st.lists(spans, max_size=12), cursor=st.integers(0, len(STORE)))
def test_whatever_it_was_given_it_tells_what_follows_or_that_it_cannot(
    begin: int | None, taken: list[tuple[int, int]], cursor: int
) -> None:
    tail = Tail()
    if begin is not None:
        tail.begin(begin)
    for start, length in taken:
        tail.take(STORE[start : start + length])

    told = tail.after(cursor)

    assert told is None or list(told) == STORE[cursor : cursor + len(told)]
    if told is not None and tail.last_seq is not None and tail.last_seq > cursor:
        assert len(told) == min(BATCH_ENTRIES, tail.last_seq - cursor)


def test_it_holds_a_bounded_number_of_entries() -> None:
    tail = Tail()
    tail.begin(0)
    for start in range(0, len(STORE), 100):
        tail.take(STORE[start : start + 100])
    assert tail.last_seq == len(STORE)
    assert tail.after(len(STORE) - TAIL_ENTRIES - 1) is None
    assert tail.after(len(STORE) - TAIL_ENTRIES // 4) is not None


@pytest.mark.anyio
async def test_a_failed_tail_lets_those_who_wait_and_those_who_come_go() -> None:
    tail = Tail()
    tail.begin(0)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(_expect_unknown, tail)
            await anyio.lowlevel.checkpoint()
            tail.fail(UnknownRun("gone"))
        await _expect_unknown(tail)


async def _expect_unknown(tail: Tail) -> None:
    with pytest.raises(UnknownRun):
        await tail.wait()
