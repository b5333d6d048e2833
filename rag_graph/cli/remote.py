"""A running server that answers for a command: the one that is named, or this user's own over the same library."""

import asyncio
import secrets
import ssl
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import anyio
import httpx

from rag_graph.client import AsyncClient, RetryPolicy
from rag_graph.client.announcement import CHALLENGE, PROOF, read
from rag_graph.documents import Document
from rag_graph.errors import RagGraphError, ServerUnreachable, Unauthorized
from rag_graph.events import Event, RunStarted

if TYPE_CHECKING:
    from rag_graph.query import Query
    from rag_graph.settings import Settings

# A server that is well answers this from memory; after it, the command answers by itself, or says that nobody does.
GREETED_S: Final = 5.0
PLACE_TOLD_EVERY_S: Final = 1.0
CANCELLED_S: Final = 2.0
"""Whoever pressed Ctrl-C waits for it; a run that could not be cancelled ends when nobody reads it."""

_RETRIES: Final = RetryPolicy(tries=5)
"""Somebody waits and sees nothing: a server that is gone for ten seconds is told as gone."""


@dataclass(frozen=True, slots=True)
class FoundServer:
    """Where it is, and the key for it; `is_own` when it was found rather than named."""

    url: str
    key: str
    is_own: bool


def named_server(settings: "Settings") -> FoundServer:
    """The server that RAG_SERVER_URL names. Raises `ServerUnreachable` and `Unauthorized`, so that nobody waits."""
    url, key = settings.server_url.rstrip("/"), settings.server_key.get_secret_value()
    headers = {"authorization": f"Bearer {key}"} if key else {}
    try:
        with httpx.Client(headers=headers, timeout=GREETED_S) as http:
            health = http.get(f"{url}/health")
            opened = http.get(f"{url}/config")
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as exc:
        raise ServerUnreachable(f"Nothing answers at {url}: start the server, or correct RAG_SERVER_URL.") from exc
    if opened.status_code == httpx.codes.UNAUTHORIZED:
        raise Unauthorized("The server refused the key: set RAG_SERVER_KEY to one of its RAG_API_KEYS.")
    try:
        said = health.json()
    except ValueError:
        said = None
    if not isinstance(said, dict) or "status" not in said:
        raise ServerUnreachable(f"What answers at {url} is no rag_graph: correct RAG_SERVER_URL.")
    if said["status"] != "ready":
        raise ServerUnreachable(f"The server at {url} cannot answer: {said.get('problem') or said['status']}")
    return FoundServer(url, key, is_own=False)


def own_server(settings: "Settings") -> FoundServer | None:
    """Give this user's server, where one runs over the same library with the same models and is ready."""
    announced = read(settings.server_file)
    key = settings.server_key.get_secret_value()
    if announced is None or not announced.is_for(settings.answering) or (announced.has_keys and not key):
        return None
    challenge = secrets.token_hex(16)
    try:
        # No proxy that the environment names: what is asked stays on this machine.
        with httpx.Client(trust_env=False, verify=_no_tls(), timeout=GREETED_S) as http:
            health = http.get(f"{announced.url}/health", headers={CHALLENGE: challenge})
    except (httpx.HTTPError, httpx.InvalidURL):
        return None
    if not health.is_success or not announced.is_proved_by(health.headers.get(PROOF, ""), challenge):
        return None
    return FoundServer(announced.url, key, is_own=True)


class RemoteAsker:
    """Asks a server, and reads documents there."""

    def __init__(self, server: FoundServer, http: httpx.AsyncClient, blocking: httpx.Client) -> None:
        self._documents = f"{server.url}/documents"
        self._queue = f"{server.url}/queue"
        self._http = http
        self._headers = {"authorization": f"Bearer {server.key}"} if server.key else {}
        self._blocking = blocking
        self._client = AsyncClient(server.url, api_key=server.key or None, http=http, retries=_RETRIES)

    async def ask(self, query: "Query") -> AsyncGenerator[Event]:
        """One run there; whoever leaves it ends it."""
        key = secrets.token_hex(16)
        asked = self._client.ask(
            query.question,
            mode=query.mode,
            history=query.history,
            filters=query.filters,
            model=query.model,
            language=query.language,
            key=key,
        )
        run_id = ""
        waiting = asyncio.create_task(self._tell_place(key))
        async with aclosing(asked) as events:
            try:
                async for event in events:
                    waiting.cancel()
                    run_id = event.run_id if isinstance(event, RunStarted) else run_id
                    yield event
                    if event.type in {"run_finished", "run_failed", "run_cancelled"}:
                        run_id = ""
            finally:
                waiting.cancel()
                if run_id:
                    # Shielded, or the Ctrl-C that led here would end this request as well.
                    with anyio.move_on_after(CANCELLED_S, shield=True), suppress(RagGraphError):
                        await self._client.cancel(run_id)

    async def _tell_place(self, key: str) -> None:
        """Say how many questions come first, as often as that changes, while this one waits for its run."""
        headers = {**self._headers, "idempotency-key": key}
        said = None
        while sys.stderr.isatty():
            await asyncio.sleep(PLACE_TOLD_EVERY_S)
            try:
                told = (await self._http.get(self._queue, headers=headers)).raise_for_status().json()
                ahead = told["ahead"]
            except (httpx.HTTPError, ValueError, KeyError, TypeError):
                return  # a server of an earlier version tells of no line
            if ahead != said and isinstance(ahead, int):
                sys.stderr.write(f"{line_before(ahead)}\n")  # above what is shown: rich takes it there
                said = ahead

    def document(self, document_id: str) -> Document | None:
        """The document that a citation points to; blocks. None where it cannot be had: its line is not told then."""
        try:
            said = self._blocking.get(f"{self._documents}/{document_id}").raise_for_status().json()
            return Document(id=document_id, uri=said["uri"], title=said["title"], text=said["content"])
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return None


@asynccontextmanager
async def open_remote(server: FoundServer) -> AsyncIterator[RemoteAsker]:
    verify, trust_env = (_no_tls(), False) if server.is_own else (True, True)
    headers = {"authorization": f"Bearer {server.key}"} if server.key else {}
    with httpx.Client(headers=headers, verify=verify, trust_env=trust_env, timeout=GREETED_S) as blocking:
        async with httpx.AsyncClient(verify=verify, trust_env=trust_env) as http:
            yield RemoteAsker(server, http, blocking)


def _no_tls() -> ssl.SSLContext:
    """A context that trusts nobody: one's own server speaks HTTP, and reading all authorities takes a while."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def line_before(ahead: int) -> str:
    """How many questions of this line come first, in a sentence."""
    match ahead:
        case 0:
            return "Waiting in line: your question is next."
        case 1:
            return "Waiting in line: 1 question is before yours."
        case _:
            return f"Waiting in line: {ahead} questions are before yours."
