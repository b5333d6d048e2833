"""The ASGI app: which routes there are, and what opens and closes with it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from importlib.util import find_spec
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, Header, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi.responses import PlainTextResponse
from langchain_core.runnables import RunnableConfig
from pydantic import BaseModel
from starlette.routing import Route

from rag_graph.client.announcement import CHALLENGE, PROOF, Announcement, prove
from rag_graph.errors import IndexNotFound, RagGraphError
from rag_graph.events import Event
from rag_graph.graph.parts import Parts
from rag_graph.http import conversations, docs, feedback, library, originals, overview, page, pages, problems
from rag_graph.http.agent_protocol import routes as agent_protocol
from rag_graph.http.ai_sdk import routes as ai_sdk
from rag_graph.http.answering import while_read
from rag_graph.http.langserve import routes as langserve
from rag_graph.http.langserve.request import is_answered_whole, is_batch
from rag_graph.http.native import routes as native
from rag_graph.http.openai import routes as openai
from rag_graph.http.openai.request import Presentation
from rag_graph.http.responses import routes as responses
from rag_graph.http.state import caller_of
from rag_graph.index.loader import Limits
from rag_graph.query import Query
from rag_graph.runs.admission import Admission
from rag_graph.runs.runner import Runner
from rag_graph.server.bodies import limit_bodies
from rag_graph.server.hosts import AllowedHosts, is_local
from rag_graph.server.policies import Policies
from rag_graph.server.process import calm_collector
from rag_graph.server.security import AccessKeys, parse_origins, protect
from rag_graph.settings import Settings
from rag_graph.telemetry.metrics import CONTENT_TYPE, Metrics
from rag_graph.telemetry.observing import Telemetry, choose_tracing
from rag_graph.wiring import (
    Answerer,
    check_extras,
    choose_conversations,
    choose_feedback,
    open_answerer,
    open_worker,
)

_PAGE_S = 10.0
"""CPU time that a page may take; nearly all take a hundredth of it, and somebody waits for each."""
SUMMARY = "Streaming RAG: a draft at once, deep retrieval meanwhile, a refinement when it changes the answer."


class Health(BaseModel):
    """`problem` says what keeps questions from being answered, and what to do.

    What a part of the user's own does not tell is empty or 0.
    """

    status: Literal["ready", "empty", "not_ready", "draining"]
    problem: str = ""
    documents: int = 0
    passages: int = 0
    chat_model: str
    reasoning_model: str
    embedding_model: str


def create_app(settings: Settings | None = None, parts: Parts | None = None) -> FastAPI:
    """Build the app over the given parts, or those that the settings choose. Raises SettingsError.

    Indexes, models and logs open when it starts.
    """
    settings = settings or Settings.load()
    # Before anything opens: a missing package is one line then, and no traceback out of the lifespan.
    check_extras(settings)
    keys = AccessKeys.parse(settings.api_keys.get_secret_value())
    hosts = AllowedHosts.choose(settings.allowed_hosts, address=settings.host, has_keys=bool(keys))
    origins = parse_origins(settings.allowed_origins)
    metrics = Metrics(fallback_model=settings.fallback.model)
    tracing = choose_tracing()
    observer = Telemetry(metrics, tracing)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        store = app.state.conversations
        async with (
            open_answerer(settings, parts, observer=observer) as answerer,
            open_worker(answerer, settings, on_end=store.record if store else None) as runner,
            _open_mcp(app, answerer, runner, settings),
        ):
            app.state.answerer = answerer
            app.state.runner = runner
            app.state.closing = asyncio.Event()
            # Last, when all that lives as long as the server has
            # been made: that is what the collector then passes over.
            with calm_collector():
                async with metrics.counting(lambda: runner.waiting):
                    yield
        await asyncio.to_thread(app.state.feedback.close)
        if store is not None:  # after the runs, whose ends it keeps
            await asyncio.to_thread(store.close)
        if tracing is not None:
            tracing.close()

    app = FastAPI(
        title="rag_graph",
        version=version("rag-graph"),
        lifespan=lifespan,
        summary=SUMMARY,
        docs_url=None,  # their own pages load scripts from another host, onto an origin that may know a key
        redoc_url=None,
    )
    app.state.conversations = choose_conversations(settings) if _keeps_conversations(settings, keys) else None
    app.state.feedback = choose_feedback(settings)
    app.state.heartbeat_s = settings.heartbeat_s
    app.state.write_timeout_s = settings.write_timeout_s
    for router in (
        native.router,
        responses.create_router(settings.v1_draft),  # before the one that refuses what else is asked
        openai.create_router(Presentation(draft=settings.v1_draft, sources=settings.v1_sources)),
        ai_sdk.router,
        agent_protocol.create_router(),
        feedback.router,
        library.router,
        conversations.router,
        overview.router,
        originals.router,
    ):
        app.include_router(router)
    limits = Limits(seconds=settings.load_max_s, memory_mb=settings.load_max_mb)
    looking = Limits(seconds=min(limits.seconds, _PAGE_S), memory_mb=limits.memory_mb)
    app.include_router(pages.page_routes(looking))
    if settings.uploads:
        folder = settings.data_dir / "uploads"
        app.include_router(library.upload_routes(folder=folder, limits=limits, kept_s=settings.run_kept_s))
    else:
        app.include_router(library.closed)
    app.include_router(docs.router)
    page.serve_page(app, uploads=settings.uploads, keys=bool(keys))
    _add_health(app)
    _add_metrics(app, metrics)
    _add_langserve(app, max_batches=max(1, settings.max_runs // 2))
    app.add_middleware(
        protect,
        hosts=hosts,
        origins=origins,
        keys=keys,
        bodies=limit_bodies(
            max_bytes=settings.max_body_bytes, max_upload_bytes=settings.max_upload_bytes, uploads=settings.uploads
        ),
    )
    # Each stands outside those before it: a refusal of `protect` has its policy too, and a trace holds both.
    app.add_middleware(Policies)
    if tracing is not None:
        app.add_middleware(tracing.joins)
    for kind in problems.EXPLAINED:
        app.add_exception_handler(kind, problems.explain)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]  # FastAPI's documented way
    return app


def _keeps_conversations(settings: Settings, keys: AccessKeys) -> bool:
    """As it is set; unset, not where everybody counts as one caller and others could read what was asked."""
    if settings.conversations is None:
        return bool(keys) or is_local(settings.host)
    return settings.conversations


@asynccontextmanager
async def _open_mcp(app: FastAPI, answerer: Answerer, runner: Runner, settings: Settings) -> AsyncIterator[None]:
    """Serve `/mcp` while the app runs; where the `mcp` extra is missing, say so there."""
    # Asked for without importing it: most servers have no use for the second that takes.
    if find_spec("mcp") is None:
        app.router.routes.append(Route("/mcp", _without_mcp, methods=["GET", "POST", "DELETE"]))
        yield
        return
    from rag_graph.http.mcp import routes as mcp  # noqa: PLC0415 - optional
    from rag_graph.http.mcp.tasks import Tasks  # noqa: PLC0415 - optional

    tools = mcp.Tools(answerer, answerer.parts.deep, mcp.ask_runner(runner), admitted=runner.admitted)
    server = mcp.create_server(tools, version=app.version, tasks=Tasks(answerer, runner))
    async with mcp.open_http(server, runner, max_body_bytes=settings.max_body_bytes) as serving:
        route = Route(mcp.PATH, serving)
        app.router.routes.append(route)
        yield
        app.router.routes.remove(route)


async def _without_mcp(_: Request) -> Response:
    message = "This server speaks MCP once its extra is installed: pip install 'rag-graph[mcp]'."
    return problems.render(problems.Problem(501, "mcp_not_installed", message))


def _add_health(app: FastAPI) -> None:
    cannot: dict[int | str, dict[str, Any]] = {503: {"model": Health, "description": "It cannot now."}}

    @app.get("/health/live", tags=["server"])
    async def live() -> dict[str, str]:
        """Whether the process serves requests at all. What is wrong beyond that, a restart would not mend."""
        return {"status": "alive"}

    @app.get("/health/ready", tags=["server"], responses=cannot)
    async def ready(request: Request, response: Response) -> Health:
        """Whether the server should be sent requests: also while nothing is indexed, as uploads come by it too."""
        found = await health(request, response)
        # Else nothing could be uploaded through a service that sends
        # requests to ready servers only, and none became ready.
        if found.status == "empty":
            response.status_code = 200
        return found

    @app.get("/health", tags=["server"], responses=cannot)
    async def health(
        request: Request,
        response: Response,
        challenge: Annotated[str | None, Header(alias=CHALLENGE, include_in_schema=False)] = None,
    ) -> Health:
        """Whether the server can answer questions; 503 when it cannot."""
        announcement: Announcement | None = getattr(request.app.state, "announcement", None)
        if announcement and challenge:
            response.headers[PROOF] = prove(announcement.secret, challenge)
        parts = request.app.state.answerer.parts
        known = {
            "chat_model": parts.models.chat_name if parts.models else "",
            "reasoning_model": parts.models.reasoning_name if parts.models else "",
            "embedding_model": parts.index.embedder.name if parts.index else "",
        }
        response.status_code = 503
        if request.app.state.runner.draining:
            return Health(status="draining", problem="This server is about to stop.", **known)
        try:
            documents, passages = await asyncio.to_thread(parts.index.counts) if parts.index else (0, 0)
        except IndexNotFound as exc:
            return Health(status="empty", problem=str(exc), **known)
        except RagGraphError as exc:
            return Health(status="not_ready", problem=str(exc), **known)
        response.status_code = 200
        return Health(status="ready", documents=documents, passages=passages, **known)


def _add_metrics(app: FastAPI, metrics: Metrics) -> None:
    @app.get("/metrics", tags=["server"], response_class=PlainTextResponse)
    async def measurements(request: Request) -> Response:
        """Measurements in Prometheus' text format."""
        metrics.count(waiting=request.app.state.runner.waiting)
        return Response(metrics.exposition(), media_type=CONTENT_TYPE)


def _add_langserve(app: FastAPI, *, max_batches: int) -> None:
    # Of all callers together: half of the server is kept for those who ask one question at a time.
    # All count as one caller, whose own limit is never met before the one for all.
    batches = Admission(limit=max_batches, limit_per_caller=max_batches + 1, what="batches")

    def ask(query: Query, config: RunnableConfig) -> AsyncGenerator[Event]:
        answerer: Answerer = app.state.answerer
        return answerer.ask(query, config)

    async def admitted(request: Request) -> AsyncIterator[None]:
        """Hold a run's slot while LangServe answers: its runs are not the runner's, and count as much."""
        if request.method != "POST":
            yield
            return
        runner: Runner = app.state.runner
        answerer: Answerer = app.state.answerer
        async with AsyncExitStack() as held:
            if is_answered_whole(request):
                await held.enter_async_context(while_read(request))
            if is_batch(request):
                await held.enter_async_context(batches.slot(""))
            await held.enter_async_context(runner.admitted(caller_of(request)))
            await answerer.check_ready()
            yield

    langserve.serve(app, ask, dependencies=[Depends(admitted)])


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        schema["components"]["schemas"] |= native.event_schemas()
        app.openapi_schema = schema
    return app.openapi_schema
