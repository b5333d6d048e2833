"""A small server that plays stories to the page, over the same routes as the real one, at the pace of the test."""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from aiohttp import BodyPartReader, web

from tests.web.stories import DOCUMENTS, Event, Gate

PAGE = Path(__file__).parents[2] / "rag_graph" / "web"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
    "trusted-types dompurify"
)
POLLED_S = 0.01
TERMINAL = {"run_finished", "run_failed", "run_cancelled"}
Story = Callable[..., Iterator[Event | Gate]]


@dataclass(eq=False)
class Run:
    """A run's log; `grown` is replaced each time it grows."""

    id: str
    events: list[Event] = field(default_factory=list)
    grown: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def ended(self) -> bool:
        return bool(self.events) and self.events[-1]["type"] in TERMINAL

    def append(self, event: Event) -> None:
        if self.ended:
            return
        self.events.append({**event, "run_id": self.id} if event["type"] == "run_started" else event)
        self.grown.set()
        self.grown = asyncio.Event()


class ScriptedServer:
    """Plays the story that a question's first word names; `open_gate`, `cut` and the like are for the test's thread."""

    def __init__(self, stories: dict[str, Story]) -> None:
        self.stories = stories
        self.config: dict[str, Any] = {
            "upload": False,
            "models": {"chat": "scripted"},
            "version": "test",
            "keys": False,
        }
        self.ahead: int | None = None
        self.library: dict[str, Any] | None = None
        self.required_key: str | None = None
        self.refusal: tuple[int, dict[str, Any], dict[str, str]] | None = None
        self.queries: list[dict[str, Any]] = []
        self.uploads: list[str] = []
        self.judged: list[dict[str, Any]] = []
        self.cancelled: list[str] = []
        self.resumed_from: list[str] = []
        self.is_down = False
        self.gates_are_open = False
        self.pace_s = 0.0
        self.url = ""
        self._runs: dict[str, Run] = {}
        self._keys: dict[str, Run] = {}
        self._open: set[str] = set()
        self._gates: dict[str, asyncio.Event] = {}
        self._connections: set[asyncio.Transport] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._ready = threading.Event()
        self._stop = asyncio.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(60)

    def open_gate(self, *names: str) -> None:
        def release() -> None:
            for name in names:
                self._open.add(name)
                self._gates.setdefault(name, asyncio.Event()).set()

        self._loop.call_soon_threadsafe(release)

    def cut(self, *, down: bool = False) -> None:
        """Break every stream in the middle; `down` refuses new ones until `restore`."""
        self.is_down = down

        def abort() -> None:
            for transport in self._connections:
                transport.abort()

        self._loop.call_soon_threadsafe(abort)

    def restore(self) -> None:
        self.is_down = False

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._run())
        self._loop.close()

    async def _run(self) -> None:
        app = web.Application(middlewares=[self._guard])
        app.add_routes(
            [
                web.get("/", self._page),
                web.get("/config", self._config),
                web.post("/query", self._query),
                web.get("/queue", self._queue),
                web.get("/runs/{id}/events", self._events),
                web.post("/runs/{id}/cancel", self._cancel),
                web.post("/runs/{id}/feedback", self._judge),
                web.get("/library", self._overview),
                web.get("/documents/{id}", self._document),
                web.post("/documents", self._upload),
                web.static("/static", PAGE),
            ]
        )
        runner = web.AppRunner(app, shutdown_timeout=0.2)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        assert site._server
        port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]  # asyncio's server has sockets
        self.url = f"http://127.0.0.1:{port}/"
        self._ready.set()
        await self._stop.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await runner.cleanup()

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        is_page = request.path == "/" or request.path.startswith("/static")
        if self.is_down and not is_page:
            assert request.transport
            request.transport.abort()
            return web.Response(status=503)
        if self.required_key and not is_page and request.headers.get("authorization") != f"Bearer {self.required_key}":
            return problem(401, "unauthorized", "Give a valid API key.")
        return await handler(request)

    async def _page(self, _: web.Request) -> web.FileResponse:
        return web.FileResponse(PAGE / "index.html", headers={"content-security-policy": POLICY})

    async def _config(self, _: web.Request) -> web.Response:
        return web.json_response(self.config)

    async def _overview(self, _: web.Request) -> web.Response:
        return problem(404, "document_not_found", "No.") if self.library is None else web.json_response(self.library)

    async def _queue(self, request: web.Request) -> web.Response:
        assert request.headers["idempotency-key"]
        return web.json_response({"ahead": self.ahead})

    async def _query(self, request: web.Request) -> web.StreamResponse:
        if self.refusal:
            status, body, headers = self.refusal
            return web.json_response(body, status=status, headers=headers)
        while self.ahead is not None:  # noqa: ASYNC110 - the test's thread sets it, and no event of this loop
            await asyncio.sleep(POLLED_S)
        asked = await request.json()
        key = request.headers.get("idempotency-key", "")
        if key not in self._keys:
            self.queries.append(asked)
            self._keys[key] = self._start(asked)
        return await self._follow(request, self._keys[key], 0)

    def _start(self, asked: dict[str, Any]) -> Run:
        run = Run(f"01J{len(self._runs):023d}")
        self._runs[run.id] = run
        story = self.stories.get(asked["question"].split()[0].strip("?").lower(), self.stories["who"])
        parameters = {"mode": "deep"} if asked["mode"] == "deep" else {}
        task = self._loop.create_task(self._play(run, story(asked["question"], **parameters)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return run

    async def _play(self, run: Run, story: Iterator[Event | Gate]) -> None:
        for item in story:
            if isinstance(item, Gate):
                if not self.gates_are_open and item.name not in self._open:
                    await self._gates.setdefault(item.name, asyncio.Event()).wait()
            else:
                run.append(item)
                await asyncio.sleep(self.pace_s)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        run = self._runs.get(request.match_info["id"])
        if run is None:
            return problem(404, "unknown_run", "No run has this id.")
        cursor = request.headers.get("last-event-id", "")
        self.resumed_from.append(cursor)
        after = int(cursor.rpartition(":")[2] or 0)
        if run.ended and after >= len(run.events):
            return web.Response(status=204)
        return await self._follow(request, run, after)

    async def _follow(self, request: web.Request, run: Run, after: int) -> web.StreamResponse:
        headers = {"content-type": "text/event-stream", "cache-control": "no-cache", "x-run-id": run.id}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        transport = request.transport
        assert transport
        self._connections.add(transport)
        try:
            while True:
                grown = run.grown
                frames = [frame(run.id, seq, event) for seq, event in enumerate(run.events[after:], after + 1)]
                after = len(run.events)
                if frames:
                    await response.write("".join(frames).encode())
                if run.ended:
                    break
                if grown is run.grown and after == len(run.events):
                    await grown.wait()
        except ConnectionResetError:
            return response
        finally:
            self._connections.discard(transport)
        await response.write_eof()
        return response

    async def _cancel(self, request: web.Request) -> web.Response:
        run = self._runs[request.match_info["id"]]
        self.cancelled.append(run.id)
        answer = "".join(e["delta"] for e in run.events if e["type"] == "answer_delta" and e["version"] == 1)
        run.append({"type": "answer_finished", "version": 1})
        run.append({"type": "run_cancelled", "by": "client", "answer": answer})
        return web.json_response({"run_id": run.id, "status": "cancelled"})

    async def _judge(self, request: web.Request) -> web.Response:
        if self.refusal:
            status, body, headers = self.refusal
            return web.json_response(body, status=status, headers=headers)
        self.judged.append(await request.json())
        return web.Response(status=204)

    async def _document(self, request: web.Request) -> web.Response:
        document = DOCUMENTS.get(request.match_info["id"])
        if document is None:
            return problem(404, "document_not_found", "The library has no document with this id.")
        return web.json_response(
            {
                "id": document.id,
                "uri": document.uri,
                "title": document.title,
                "content": document.content,
                "metadata": {},
            }
        )

    async def _upload(self, request: web.Request) -> web.Response:
        async for part in await request.multipart():
            assert isinstance(part, BodyPartReader)
            self.uploads.append(part.filename or "")
            await part.read()
        return web.json_response({"documents": len(self.uploads), "passages": 3, "skipped": []})


def frame(run_id: str, seq: int, event: Event) -> str:
    return f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\nid: {run_id}:{seq}\n\n"


def problem(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message, "retryable": False}}, status=status)
