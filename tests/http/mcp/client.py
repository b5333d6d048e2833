"""A client of the extension for tasks, which the SDK leaves to whoever writes an extension."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

from mcp import types
from mcp.client.extension import ClaimContext, ClientExtension, ResultClaim
from mcp.client.session import ClientSession


class Told(types.Result, extra="allow"):
    """Whatever a method of tasks gives."""


class Task(types.Result):
    """What `tools/call` gives in place of a result, by the extension's schema of 2026-07-28."""

    result_type: Literal["task"] = "task"
    task_id: str
    status: Literal["working"]
    created_at: str
    last_updated_at: str
    ttl_ms: int | None
    poll_interval_ms: int | None = None


class TaskOf(types.RequestParams):
    task_id: str


class TaskRequest(types.Request[TaskOf, str]):
    name_param = "taskId"


async def ask(session: ClientSession, method: str, task_id: str) -> dict[str, Any]:
    request = TaskRequest(method=method, params=TaskOf(task_id=task_id))
    result = await session.send_request(request, Told)
    told = result.model_dump(mode="json", by_alias=True, exclude={"meta"})
    assert told.pop("resultType") == "complete"
    return told


class TasksExtension(ClientExtension):
    """Looks at a task until it has ended; `meanwhile` is what its user does."""

    identifier = "io.modelcontextprotocol/tasks"

    def __init__(self, meanwhile: Callable[[ClientSession, str], Awaitable[None]] | None = None) -> None:
        self.seen: list[dict[str, Any]] = []
        self._meanwhile = meanwhile

    def claims(self) -> Sequence[ResultClaim[Any]]:
        return [ResultClaim(result_type="task", model=Task, resolve=self._resolve)]

    async def _resolve(self, task: Task, context: ClaimContext) -> types.CallToolResult:
        if self._meanwhile is not None:
            await self._meanwhile(context.session, task.task_id)
        while not self.seen or self.seen[-1]["status"] == "working":
            self.seen.append(await ask(context.session, "tasks/get", task.task_id))
        return types.CallToolResult.model_validate(self.seen[-1].get("result") or {"content": [], "isError": True})
