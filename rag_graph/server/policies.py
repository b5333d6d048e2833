"""What browsers may do with each answer: nothing, unless it is a page, which says for itself what it needs."""

import hashlib
import re
from base64 import b64encode
from collections.abc import Awaitable
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

NOTHING: Final = "default-src 'none'; frame-ancestors 'none'"
PLAYGROUND: Final = (
    "default-src 'none'; script-src 'self' 'unsafe-eval' {hashes}; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""LangServe's playgrounds begin with a script in the page, and check their forms by code that they make of schemas."""
EVERYWHERE: Final = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
_INLINE_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


class Policies:
    """Gives every answer its policy: that of its route, or of the playgrounds, or that it is no page at all."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, _with_policy(send) if scope["type"] == "http" else send)


def _with_policy(send: Send) -> Send:
    """Add to the head of an answer. Pieces pass by a plain call and one look, for a token is a piece."""
    passes = False
    page: Message | None = None

    def send_on(message: Message) -> Awaitable[None]:
        nonlocal passes, page
        if passes:
            return send(message)
        if page is not None:
            passes = True
            return _send_page(page, message, send)
        headers = MutableHeaders(raw=message["headers"])
        message["headers"] = headers.raw
        for name, value in EVERYWHERE.items():
            headers.setdefault(name, value)
        # Held until its body is here, for the hashes of its scripts have to stand in the head.
        is_page = headers.get("content-type", "").startswith("text/html")
        if is_page and "content-security-policy" not in headers:
            page = message
            return _nothing()
        headers.setdefault("content-security-policy", NOTHING)
        passes = True
        return send(message)

    return send_on


async def _send_page(page: Message, body: Message, send: Send) -> None:
    """LangServe sends a page whole, so that what it may run is known by its hash."""
    found = _INLINE_SCRIPT.findall(body.get("body", b""))
    hashes = " ".join(f"'sha256-{b64encode(hashlib.sha256(script).digest()).decode()}'" for script in found)
    MutableHeaders(raw=page["headers"])["content-security-policy"] = PLAYGROUND.format(hashes=hashes)
    await send(page)
    await send(body)


async def _nothing() -> None:
    pass
