"""Names of sessions, by which a client's notification finds the run that a request of its own has started.

Up to the protocol of 2025-11-25 a client that gives up sends `notifications/cancelled`, which names the request, by a
request of its own, and may leave the first one open. No session is kept here, so that any process can take any request:
its name and the request's id name a chat, and the run of a chat is found from every process.
"""

import secrets
from typing import Any, Final

import orjson
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag_graph.errors import RagGraphError
from rag_graph.runs.runner import Runner

HEADER: Final = "mcp-session-id"
MAX_NAME_CHARS: Final = 255


def chat_of(session: str | None, request_id: Any) -> str | None:
    """The name of what a request of this session asks; None where there is no session."""
    return f"mcp {session[:MAX_NAME_CHARS]} {request_id!r}" if session and request_id is not None else None


class Sessions:
    """Names a session in the answer to `initialize`, and stops the run of what is cancelled; the rest passes."""

    def __init__(self, app: ASGIApp, runner: Runner) -> None:
        self._app = app
        self._runner = runner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        first = await receive()  # the whole body, which the server's rule for bodies has read and measured
        session = Headers(scope=scope).get(HEADER)
        match _call_of(first):
            case {"method": "notifications/cancelled", "params": {"requestId": request_id}} if session:
                await self._cancel(scope, chat_of(session, request_id) or "")
                await Response(status_code=202)(scope, receive, send)
            # Named here, since a server without sessions gives no
            # name, and a client sends back only one that it was given.
            case {"method": "initialize"} if not session:
                await self._app(scope, _again(first, receive), _naming(send, secrets.token_urlsafe(24)))
            case _:
                await self._app(scope, _again(first, receive), send)

    async def _cancel(self, scope: Scope, chat: str) -> None:
        caller = scope.get("state", {}).get("caller", "")
        try:
            run = await self._runner.latest(chat, caller=caller)
            if run is not None and run.status == "running":
                await self._runner.cancel(run.run_id, "client", caller=caller)
        except RagGraphError:
            return  # a notification has no answer, and the request itself is told what is wrong


def _call_of(message: Message) -> Any:
    try:
        return orjson.loads(message.get("body", b""))
    except orjson.JSONDecodeError:
        return None  # the app refuses it in its own words


def _again(first: Message, receive: Receive) -> Receive:
    messages = [first]

    async def replayed() -> Message:
        return messages.pop() if messages else await receive()

    return replayed


def _naming(send: Send, session: str) -> Send:
    async def named(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)[HEADER] = session
        await send(message)

    return named
