"""Redis, asked until it answers: commands and scripts that may be sent twice."""

import asyncio
import hashlib
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    NoPermissionError,
    NoScriptError,
    RedisError,
)

from rag_graph.errors import LogUnavailable, SettingsError
from rag_graph.runs.redis import lua

COMPLAIN_S = 10.0
RETRY_S = (0.02, 0.5)
"""The first pause before a command is sent again, and the longest."""
# Longer than `pump.BLOCK_MS`: a blocking read that hears nothing must come back before its socket is given up.
SOCKET_TIMEOUT_S = 5.0
CHECK_S = 3.0
"""A server that starts does not wait longer than this for what it can do without at first."""
MAX_CONNECTIONS = 32

SHA = {
    script: hashlib.sha1(script.encode()).hexdigest()  # noqa: S324  (the name Redis gives a script)
    for script in (lua.CREATE, lua.APPEND, lua.RENEW, lua.CLAIM, lua.RELEASE, lua.FORGET, lua.CANCEL)
}

log = logging.getLogger(__name__)
T = TypeVar("T")


class Connection:
    """A pool of connections. Requests give up after `patience_s`, which raises `LogUnavailable`."""

    def __init__(self, url: str, *, prefix: str, patience_s: float) -> None:
        self._prefix = prefix
        self._patience_s = patience_s
        self._complain_at = 0.0
        try:
            # This pool lets a command wait for a connection; the plain one raises as soon as all of them are taken.
            pool = BlockingConnectionPool.from_url(
                url,
                max_connections=MAX_CONNECTIONS,
                socket_timeout=SOCKET_TIMEOUT_S,
                socket_connect_timeout=SOCKET_TIMEOUT_S,
                retry=Retry(NoBackoff(), 0),  # `patiently` tries again, and knows when to stop
                # Under RESP3 the client gives the reply of XREAD as a dict, and `Pump` reads the pairs of RESP2.
                protocol=2,
            )
        except ValueError:
            raise SettingsError("RAG_REDIS_URL: write it as redis://USER:PASSWORD@HOST:PORT/NUMBER.") from None
        self.redis: Any = Redis.from_pool(pool)  # its types are those of the sync and async clients at once

    async def check(self) -> None:
        """Raise SettingsError for what no waiting mends; a Redis that is not there yet is asked again later."""
        try:
            async with asyncio.timeout(CHECK_S):
                await self.redis.ping()
        except (RedisError, OSError, TimeoutError) as exc:
            if _is_refusal(exc):
                raise SettingsError("RAG_REDIS_URL: Redis refuses the user or the password: check both.") from None
            log.warning("Redis does not answer yet: no question is taken until it does (RAG_REDIS_URL)")

    async def aclose(self) -> None:
        await self.redis.aclose()

    def key(self, *parts: str) -> str:
        return ":".join((self._prefix, *parts))

    async def run(self, script: str, keys: Sequence[str], args: Sequence[str | int]) -> Any:
        return await self.call("EVALSHA", SHA[script], len(keys), *keys, *args)

    async def call(self, *command: str | int) -> Any:
        return await self.patiently(partial(self.redis.execute_command, *command))

    async def patiently(self, command: Callable[[], Awaitable[T]], *, for_s: float | None = None) -> T:
        """Send a command that may be sent twice until Redis answers."""
        give_up_at = time.monotonic() + (self._patience_s if for_s is None else for_s)
        pause_s = RETRY_S[0]
        while True:
            try:
                return await command()
            # Before RedisError, of which this is one: it is mended, not waited for.
            except NoScriptError:
                # A Redis that was restarted has lost them; if loading fails, the next round says why.
                with suppress(RedisError):
                    for script in SHA:
                        await self.redis.script_load(script)
            except RedisError as exc:
                if time.monotonic() > give_up_at or (for_s is None and _is_refusal(exc)):
                    raise unavailable() from exc
                self._complain(exc)
                # Spread, so that all who have lost the same Redis do not meet it again in the same instant.
                await asyncio.sleep(jitter(pause_s))
                pause_s = min(pause_s * 2, RETRY_S[1])

    def _complain(self, error: RedisError) -> None:
        """Log an outage once in a while, not once for every command that meets it."""
        if time.monotonic() > self._complain_at:
            self._complain_at = time.monotonic() + COMPLAIN_S
            log.warning("Redis does not answer: %s", type(error).__name__)


def _is_refusal(error: Exception) -> bool:
    """Whether Redis answers so again however often it is asked; the client wraps what it meets when it connects."""
    refusals = (AuthenticationError, AuthorizationError, NoPermissionError)
    return isinstance(error, refusals) or isinstance(error.__cause__, refusals)


def unavailable() -> LogUnavailable:
    return LogUnavailable("The store of the runs cannot be reached: ask again in a moment.")


def ms(seconds: float) -> int:
    return int(seconds * 1000)


def jitter(seconds: float) -> float:
    return seconds * random.uniform(0.5, 1.0)  # noqa: S311  (spreads retries, guards nothing)
