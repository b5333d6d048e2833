"""The ASGI app: which routes there are, and what opens and closes with it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, Literal

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import PlainTextResponse
from langchain_core.runnables import RunnableConfig
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Route

from rag_graph.errors import RagGraphError
from rag_graph.events import Event
from rag_graph.http import library, page, problems
from rag_graph.http.ai_sdk import routes as ai_sdk
from rag_graph.http.langserve import routes as langserve
from rag_graph.http.native import routes as native
from rag_graph.http.openai import routes as openai
from rag_graph.http.openai.encoding import Presentation
from rag_graph.parts import choose_place
from rag_graph.pipeline import Pipeline, open_pipeline
from rag_graph.query import Query
from rag_graph.server.process import calm_collector
from rag_graph.server.security import AccessKeys, parse_origins, protect
from rag_graph.settings import Settings
from rag_graph.telemetry.metrics import CONTENT_TYPE, Metrics
from rag_graph.telemetry.observing import Telemetry, choose_tracing

SUMMARY = "Streaming RAG: a draft at once, deep retrieval meanwhile, a refinement when it changes the answer."


class Health(BaseModel):
    """`problem` says what keeps questions from being answered, and what to do."""

    status: Literal["ready", "not_ready", "draining"]
    problem: str = ""
    documents: int = 0
    passages: int = 0
    chat_model: str
    reasoning_model: str
    embedding_model: str


def create_app(settings: Settings | None = None) -> FastAPI:
    """Build the app; indexes, models and logs open when it starts. Raises SettingsError."""
    settings = settings or Settings.load()
    keys = AccessKeys.parse(settings.api_keys.get_secret_value())
    origins = parse_origins(settings.allowed_origins)
    metrics = Metrics(fallback_model=settings.fallback.model)
    tracing = choose_tracing()
    observer = Telemetry(metrics, tracing)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_pipeline(settings, observer) as pipeline, _open_mcp(app, pipeline, settings):
            app.state.pipeline = pipeline
            app.state.closing = asyncio.Event()
            with calm_collector():
                async with metrics.counting(lambda: pipeline.runner.waiting):
                    yield
        if tracing is not None:
            tracing.close()

    app = FastAPI(title="rag_graph", version=version("rag-graph"), lifespan=lifespan, summary=SUMMARY)
    app.state.heartbeat_s = settings.heartbeat_s
    app.state.write_timeout_s = settings.write_timeout_s
    app.state.chats = ai_sdk.Chats()
    app.include_router(native.router)
    app.include_router(openai.create_router(Presentation(draft=settings.v1_draft, sources=settings.v1_sources)))
    app.include_router(ai_sdk.router)
    app.include_router(library.router)
    if settings.uploads:
        app.include_router(library.upload_routes(folder=settings.data_dir / "uploads", place=choose_place(settings)))
    page.serve_page(app, uploads=settings.uploads, keys=bool(keys))
    _add_health(app)
    _add_metrics(app, metrics)
    _add_langserve(app)
    app.add_middleware(
        protect,
        keys=keys,
        origins=origins,
        max_body_bytes=settings.max_body_bytes,
        max_upload_bytes=settings.max_upload_bytes,
    )
    if tracing is not None:
        app.add_middleware(tracing.joins)
    app.add_exception_handler(RagGraphError, problems.explain)
    app.add_exception_handler(RequestValidationError, problems.explain_input)
    app.add_exception_handler(ValidationError, problems.explain_input)
    app.add_exception_handler(HTTPException, problems.explain_http)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]  # FastAPI's documented way
    return app


@asynccontextmanager
async def _open_mcp(app: FastAPI, pipeline: Pipeline, settings: Settings) -> AsyncIterator[None]:
    """Serve `/mcp` while the app runs, where the `mcp` extra is installed."""
    if find_spec("mcp") is None:
        yield
        return
    from rag_graph.http.mcp import routes as mcp  # noqa: PLC0415 - optional

    tools = mcp.Tools(pipeline, pipeline.deep)
    async with mcp.open_http(mcp.create_server(tools, version=app.version), host=settings.host) as serving:
        route = Route(mcp.PATH, serving)
        app.router.routes.append(route)
        yield
        app.router.routes.remove(route)


def _add_health(app: FastAPI) -> None:
    @app.get("/health", tags=["server"], responses={503: {"model": Health, "description": "It cannot now."}})
    async def health(request: Request, response: Response) -> Health:
        """Whether the server can answer questions; 503 when it cannot."""
        pipeline = _pipeline(request)
        known = {
            "chat_model": pipeline.voices.chat_name,
            "reasoning_model": pipeline.voices.reasoning_name,
            "embedding_model": pipeline.library.embedder.name,
        }
        try:
            documents, passages = await asyncio.to_thread(pipeline.library.counts)
        except RagGraphError as exc:
            response.status_code = 503
            return Health(status="not_ready", problem=str(exc), **known)
        if pipeline.runner.draining:
            response.status_code = 503
            return Health(status="draining", problem="This server is about to stop.", **known)
        return Health(status="ready", documents=documents, passages=passages, **known)


def _add_metrics(app: FastAPI, metrics: Metrics) -> None:
    @app.get("/metrics", tags=["server"], response_class=PlainTextResponse)
    async def measurements(request: Request) -> Response:
        """Measurements in Prometheus' text format."""
        metrics.count(waiting=_pipeline(request).runner.waiting)
        return Response(metrics.exposition(), media_type=CONTENT_TYPE)


def _add_langserve(app: FastAPI) -> None:
    def ask(query: Query, config: RunnableConfig) -> AsyncGenerator[Event]:
        pipeline: Pipeline = app.state.pipeline
        return pipeline.ask(query, config)

    async def admitted(request: Request) -> AsyncIterator[None]:
        """Hold a place while LangServe answers: its runs are not the runner's, and count as much."""
        if request.method != "POST":
            yield
            return
        pipeline = _pipeline(request)
        async with pipeline.runner.place(await native.caller_of(request)):
            await pipeline.check_ready()
            yield

    langserve.serve(app, ask, dependencies=[Depends(admitted)])


def _pipeline(request: Request) -> Pipeline:
    pipeline: Pipeline = request.app.state.pipeline
    return pipeline


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        schema["components"]["schemas"] |= native.event_schemas()
        app.openapi_schema = schema
    return app.openapi_schema
