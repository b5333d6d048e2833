"""The graph as the work of an attempt: on a question, or from the checkpoint where an earlier attempt stopped."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.types import StateSnapshot

from rag_graph.events import AnswerReset, Emit
from rag_graph.graph.build import RagGraph
from rag_graph.graph.step import SINK
from rag_graph.query import Query
from rag_graph.transcript import Transcript


@dataclass(frozen=True)
class GraphWork:
    """Answers by running the graph; once a run has been answered, `forget` may remove what the graph keeps of it.

    Cancelling reaches the model's HTTP stream, if it is a task's: under a cancel scope of anyio, as web servers use
    it, LangGraph leaves a running node to its end.
    """

    graph: RagGraph
    config: RunnableConfig | None = None
    forget: Callable[[str], Awaitable[None]] | None = None

    async def __call__(self, query: Query, emit: Emit, *, run_id: str, attempt: int, after: Transcript | None) -> None:
        given = self.config or RunnableConfig()
        configurable = {"thread_id": run_id, **given.get("configurable", {}), SINK: emit}
        config = RunnableConfig(**{**given, "configurable": configurable})
        resumes = after is not None and await can_resume(self.graph, config, after)
        if after is not None and not resumes:
            # A graph that begins anew may keep its draft this time; a refinement of before must not stand over it.
            for version in [version for version, written in after.answers.items() if version > 1 and written.deltas]:
                await emit(AnswerReset(version=version, attempt=attempt, reason="Another server begins anew."))
        question: Any = None if resumes else query.model_dump()
        # The nodes emit to the sink, so LangGraph's own stream is the one that stays empty.
        await self.graph.ainvoke(question, config, stream_mode="custom")
        if self.forget is not None:
            await self.forget(run_id)


async def can_resume(graph: RagGraph, config: RunnableConfig, after: Transcript) -> bool:
    """Whether there is a checkpoint all of whose outcome was said: `after` is what was.

    The log and the checkpoints are written side by side, so either may be ahead when a server dies. A graph that
    remembers more than was said would leave a gap in the transcript; it forgets, and begins anew.
    """
    if not graph.checkpointer or isinstance(graph.checkpointer, bool):
        return False
    snapshot = await graph.aget_state(config)
    if snapshot.created_at is None:
        return False
    if snapshot.next and _was_said(_remembered(snapshot), after):
        return True
    await graph.checkpointer.adelete_thread(config["configurable"]["thread_id"])
    return False


def _remembered(snapshot: StateSnapshot) -> dict[str, Any]:
    """What finished nodes left, those of the unfinished superstep included."""
    state = dict(snapshot.values)
    for task in snapshot.tasks:
        if isinstance(task.result, dict):
            state |= task.result
    return state


def _was_said(state: Mapping[str, Any], after: Transcript) -> bool:
    draft = after.answers[1]
    return (
        state.keys() >= {"began", "search", "query"}
        and ("fast_passages" not in state or "fast" in after.passages)
        # A deep search that failed told no passages of its own: the first ones stand for it.
        and ("documents" not in state or "deep" in after.passages or state["documents"] == state.get("fast_passages"))
        and ("draft" not in state or (draft.content == state["draft"] and not draft.open))
        and ("decision" not in state or after.decision == state["decision"])
    )
