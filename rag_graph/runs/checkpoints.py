"""What LangGraph remembers of runs that go on, in PostgreSQL, so that another server goes on where one stopped."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from psycopg import AsyncConnection, Error
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from rag_graph.errors import SettingsError
from rag_graph.runs.ids import made_at
from rag_graph.tasks import stop

SCHEMA: Final = "rag_graph_runs"
# Each run's are forgotten at its end; what is swept was left by a process that died, or by a database that was away.
SWEEP_EVERY_S: Final = 3_600.0
CONNECTIONS: Final = 10
CONNECT_S: Final = 5
"""A database that is lost in the network is given up after this, so that the start says so soon."""
_SETUP_S = 30.0
"""Another server may be making the tables."""

Connection = AsyncConnection[DictRow]


@asynccontextmanager
async def open_checkpoints(url: str, *, kept_s: float, types: Sequence[type]) -> AsyncIterator[AsyncPostgresSaver]:
    """A checkpointer for runs, whose states hold these types of ours; what is older than `kept_s` is forgotten."""
    # As LangGraph's saver opens its own connections: its tables need
    # indexes made CONCURRENTLY, which PostgreSQL does in no transaction.
    options: dict[str, Any] = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
    # libpq takes whole seconds.
    options["connect_timeout"] = CONNECT_S
    pool = AsyncConnectionPool[Connection](
        url, min_size=1, max_size=CONNECTIONS, kwargs=options, configure=_point, open=False
    )
    try:
        async with asyncio.timeout(_SETUP_S), await AsyncConnection.connect(url, **options) as connection:
            await _set_up(connection)
    except (Error, TimeoutError) as exc:
        raise SettingsError("RAG_POSTGRES_URL: the database does not answer, or may not be written.") from exc
    async with pool:
        checkpoints = AsyncPostgresSaver(pool, serde=JsonPlusSerializer(allowed_msgpack_modules=types))
        sweeping = asyncio.create_task(_sweep(checkpoints, pool, kept_s))
        try:
            yield checkpoints
        finally:
            await stop(sweeping)


async def forget(checkpoints: AsyncPostgresSaver, run_id: str) -> None:
    """Remove what is remembered of a run; if that fails, the next sweep does."""
    with suppress(Error, PoolTimeout):
        await checkpoints.adelete_thread(run_id)


async def _point(connection: Connection) -> None:
    # The saver's SQL names its tables without a schema.
    await connection.execute(f"SET search_path TO {SCHEMA}".encode())


async def _set_up(connection: Connection) -> None:
    """Make the tables, one server at a time; waiting for the lock in SQL would block the making of indexes."""
    while True:
        locking = await connection.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0)) AS held", (SCHEMA,))
        row = await locking.fetchone()
        # Never unlocked: the lock is the session's, and this connection is closed when the tables are made.
        if row and row["held"]:
            break
        await asyncio.sleep(0.1)
    await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}".encode())
    await _point(connection)
    await AsyncPostgresSaver(connection).setup()


async def _sweep(checkpoints: AsyncPostgresSaver, pool: AsyncConnectionPool[Connection], kept_s: float) -> None:
    while True:
        with suppress(Error, PoolTimeout):
            async with pool.connection() as connection:
                found = await connection.execute("SELECT DISTINCT thread_id FROM checkpoints")
                run_ids = [row["thread_id"] for row in await found.fetchall()]
            for run_id in run_ids:
                # Ids tell when they were made, so that nothing has to
                # be asked of each; what is no run's id is nobody's.
                if (made_at(run_id) or 0.0) < time.time() - kept_s:
                    await forget(checkpoints, run_id)
        await asyncio.sleep(SWEEP_EVERY_S)
