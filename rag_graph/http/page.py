"""The page at `/`, its modules under `/static`, and what it must know of this server."""

import asyncio
import logging
from pathlib import Path

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import FileResponse
from pydantic import BaseModel
from starlette.middleware.gzip import GZipMiddleware
from starlette.staticfiles import StaticFiles

from rag_graph.errors import DatabaseUnavailable
from rag_graph.http.state import conversations_of, heartbeat_s_of, models_of

log = logging.getLogger(__name__)

WEB = Path(__file__).parent.parent / "web"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
    "trusted-types dompurify"
)
"""Nothing from elsewhere, nothing inline, and no markup but through the sanitiser."""
HEADERS = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


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

    A stream that is silent for much longer than `heartbeat_s` is dead.
    """

    upload: bool
    keys: bool
    models: dict[str, str]
    conversations: bool
    heartbeat_s: float
    version: str


def serve_page(app: FastAPI, *, uploads: bool, keys: bool) -> None:
    router = APIRouter(tags=["page"])

    @router.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(WEB / "index.html", headers=HEADERS)

    @router.get("/config")
    async def config(request: Request) -> PageConfig:
        """What the page must know of this server."""
        return PageConfig(
            upload=uploads,
            keys=keys,
            models=models_of(request),
            conversations=await _keeps_conversations(request),
            heartbeat_s=heartbeat_s_of(request),
            version=app.version,
        )

    app.include_router(router)
    # Only what is under it: a stream that is compressed comes late.
    app.mount("/static", GZipMiddleware(StaticFiles(directory=WEB), minimum_size=1_000, compresslevel=6), name="static")
