"""Whether a run can go on from the graph's last checkpoint."""

from collections.abc import Mapping
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.types import StateSnapshot

from rag_graph.graph.build import RagGraph
from rag_graph.transcript import Transcript


async def can_resume(graph: RagGraph, config: RunnableConfig, after: Transcript) -> bool:
    """Whether there is a checkpoint all of whose outcome was told: `after` is what was.

    The log and the checkpoints are written side by side, so either may be ahead when a server dies. A graph that
    remembers more than was told would leave a gap in the transcript; it forgets, and begins anew.
    """
    if not graph.checkpointer or isinstance(graph.checkpointer, bool):
        return False
    snapshot = await graph.aget_state(config)
    if snapshot.created_at is None:
        return False
    if snapshot.next and _was_told(_remembered(snapshot), after):
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


def _was_told(state: Mapping[str, Any], after: Transcript) -> bool:
    draft = after.answers[1]
    return (
        state.keys() >= {"began", "search"}
        and ("fast_passages" not in state or "fast" in after.passages)
        and ("documents" not in state or "deep" in after.passages or state["documents"] == state.get("fast_passages"))
        and ("draft" not in state or (draft.content == state["draft"] and not draft.open))
        and ("decision" not in state or after.decision == state["decision"])
    )
