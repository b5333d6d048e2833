"""Deep answers as tasks, by the extension that the protocol of 2026-07-28 has for them (SEP-2663). A task is a run.

So it outlives the request that began it, is found from every process, and is known to its caller alone.
"""

from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from mcp import MCPError, types
from mcp.server import Server, ServerRequestContext
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from rag_graph.errors import RagGraphError, RunExpired, UnknownRun
from rag_graph.events import RunCancelled
from rag_graph.http.mcp.encoding import failure, outcome, progress_of, result_of
from rag_graph.http.mcp.request import caller_of
from rag_graph.query import Filters, Query
from rag_graph.runs.log import Gap, Run
from rag_graph.runs.runner import Runner
from rag_graph.transcript import Transcript

EXTENSION: Final = "io.modelcontextprotocol/tasks"
POLL_INTERVAL_MS: Final = 2_000
"""A deep answer takes ten seconds to minutes, and each look reads what its run has said so far."""

Context = ServerRequestContext[Any, Any]
Task = dict[str, Any]


class TaskParams(types.RequestParams):
    """What every method of a task takes; `tasks/update` brings more, which no task of ours has asked for."""

    task_id: str


class Answers(Protocol):
    """What is asked whether it can answer at all."""

    async def check_ready(self, filters: Filters | None = None) -> None: ...


class Tasks:
    """The tasks of a server's callers, over its runs."""

    def __init__(self, answers: Answers, runner: Runner) -> None:
        self._answers = answers
        self._runner = runner

    def register(self, server: Server[Any]) -> None:
        """Serve the methods of tasks, and say so to clients."""
        server.extensions[EXTENSION] = {}
        server.add_request_handler("tasks/get", TaskParams, self.get)
        server.add_request_handler("tasks/cancel", TaskParams, self.cancel)
        server.add_request_handler("tasks/update", TaskParams, self.update)

    async def begin(self, query: Query, *, caller: str) -> Task:
        """Start a run that goes on without readers; it can be asked for from here on."""
        await self._answers.check_ready(query.filters)
        run_id, _ = await self._runner.start(query, caller=caller, unattended=True)
        run = await self._runner.state(run_id, caller=caller)
        return {**await self._told(run, caller), "resultType": "task"}

    async def get(self, context: Context, params: TaskParams) -> Task:
        """How the task stands, with its result once there is one."""
        caller = caller_of(context)
        return await self._told(await self._run(context, params), caller)

    async def cancel(self, context: Context, params: TaskParams) -> Task:
        """Stop the task. The answer to this is empty, whatever was still to stop."""
        run = await self._run(context, params)
        await self._runner.cancel(run.run_id, "client", caller=caller_of(context))
        return {}

    async def update(self, context: Context, params: TaskParams) -> Task:
        """Take no input: answers to what was never asked are passed over, as the extension wants it."""
        await self._run(context, params)
        return {}

    async def _run(self, context: Context, params: TaskParams) -> Run:
        if not declares_tasks(context):
            # Revisions before 2026-07-28 had methods of these names, of another shape, which are not served.
            required: dict[str, Any] = {"requiredCapabilities": {"extensions": {EXTENSION: {}}}}
            raise MCPError(types.MISSING_REQUIRED_CLIENT_CAPABILITY, "Missing required client capability", required)
        try:
            return await self._runner.state(params.task_id, caller=caller_of(context))
        except (UnknownRun, RunExpired) as exc:
            raise MCPError(types.INVALID_PARAMS, f"There is no such task: {exc}") from None

    async def _told(self, run: Run, caller: str) -> Task:
        """The task by what its run has said up to now; only what is no result of a call would be `failed`."""
        transcript, message, at = Transcript(run_id=run.run_id), "", run.created_at
        if run.last_seq:
            async with aclosing(self._runner.follow(run.run_id, caller=caller)) as items:
                async for item in items:
                    if isinstance(item, Gap):
                        continue
                    transcript.add(item.event)
                    message, at = progress_of(item.event) or message, item.at
                    if item.seq >= run.last_seq:
                        break
        task: Task = {
            "taskId": run.run_id,
            "status": "working",
            "createdAt": _iso(run.created_at),
            "lastUpdatedAt": _iso(at),
            "ttlMs": int((self._runner.kept_until(run) - run.created_at) * 1000),
            "pollIntervalMs": POLL_INTERVAL_MS,
            **({"statusMessage": message} if message else {}),
        }
        match transcript.terminal:
            case None:
                return task
            case RunCancelled(by="client"):
                return {**task, "status": "cancelled", "statusMessage": "The run was stopped before its end."}
        try:
            result = result_of(outcome(transcript))
        except RagGraphError as exc:
            result = failure(str(exc))
        return {**task, "status": "completed", "result": result.model_dump(mode="json", by_alias=True)}


def declares_tasks(context: Context) -> bool:
    """Whether this request's client takes a task in place of a result, which no revision before 2026-07-28 can say."""
    capabilities = context.session.client_capabilities
    is_declared = bool(capabilities and EXTENSION in (capabilities.extensions or {}))
    return is_declared and context.protocol_version in MODERN_PROTOCOL_VERSIONS


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
