"""The page at `/`, its modules under `/static`, and what it must know of this server."""

import asyncio
import hashlib
import logging
import os
import re
from pathlib import Path

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel
from starlette.middleware.gzip import GZipMiddleware
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from rag_graph.errors import DatabaseUnavailable
from rag_graph.http.state import choices_of, conversations_of, heartbeat_s_of, models_of

log = logging.getLogger(__name__)

WEB = Path(__file__).parent.parent / "web"
_DIGEST = re.compile(r"[0-9a-f]{16}")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
    "trusted-types dompurify"
)
"""Nothing from elsewhere, nothing inline, and no markup but through the sanitiser."""
HEADERS = {
    "cache-control": "no-cache",
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class Modules(StaticFiles):
    """The page's files: under `digest`, which names what is in them, a browser keeps them; else it asks each time.

    They are a page only together, so that it must not mix those of two versions.
    """

    def __init__(self, digest: str) -> None:
        super().__init__(directory=WEB)
        self._digest = digest

    async def get_response(self, path: str, scope: Scope) -> Response:
        named, _, rest = path.partition(os.sep)
        # While servers are being replaced, the page of one may ask another, which has the files under another name.
        response = await super().get_response(rest if _DIGEST.fullmatch(named) else path, scope)
        response.headers["cache-control"] = "max-age=31536000, immutable" if named == self._digest else "no-cache"
        return response


def _digest() -> str:
    """Of all that the page is made of."""
    digest = hashlib.blake2b(digest_size=8)
    for path in sorted(path for path in WEB.rglob("*") if path.is_file()):
        # With their names, as a file that changes place changes the page.
        digest.update(path.relative_to(WEB).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


async def _keeps_conversations(request: Request) -> bool:
    """Whether they are to be kept and can be: the data folder may be one that nobody writes in."""
    store = conversations_of(request)
    try:
        if store is not None:
            await asyncio.to_thread(store.open)
    except DatabaseUnavailable as exc:
        log.warning("no conversation is kept: %s", exc)
        return False
    return store is not None


class PageConfig(BaseModel):
    """What the page must know: whether documents may be added, keys are asked for, and conversations are kept.

    `choices` are further models than the one under `chat`, of which a question may choose one by its `model`.
    A stream that is silent for much longer than `heartbeat_s` is dead.
    """

    upload: bool
    keys: bool
    models: dict[str, str]
    choices: list[str]
    conversations: bool
    heartbeat_s: float
    version: str


def serve_page(app: FastAPI, *, uploads: bool, keys: bool) -> None:
    router = APIRouter(tags=["page"])
    digest = _digest()
    index = (WEB / "index.html").read_text("utf-8").replace('"static/', f'"static/{digest}/')

    @router.get("/", include_in_schema=False)
    async def page() -> HTMLResponse:
        return HTMLResponse(index, headers=HEADERS)

    @router.get("/config")
    async def config(request: Request) -> PageConfig:
        """What the page must know of this server."""
        return PageConfig(
            upload=uploads,
            keys=keys,
            models=models_of(request),
            choices=choices_of(request),
            conversations=await _keeps_conversations(request),
            heartbeat_s=heartbeat_s_of(request),
            version=app.version,
        )

    app.include_router(router)
    # Only what is under it: a stream that is compressed comes late.
    app.mount("/static", GZipMiddleware(Modules(digest), minimum_size=1_000, compresslevel=6), name="static")
