"""What the app holds while it serves, as routes reach it: nothing else in `http` knows how the app keeps it."""

import asyncio
from typing import Protocol, cast

from fastapi import Request
from starlette.types import Scope

from rag_graph.documents import Document
from rag_graph.models.embeddings import Embedder
from rag_graph.runs.runner import Runner


class Documents(Protocol):
    """The library as routes use it."""

    @property
    def embedder(self) -> Embedder: ...

    def document(self, document_id: str) -> Document | None: ...


def runner_of(request: Request) -> Runner:
    """What starts, follows and cancels runs."""
    return cast("Runner", request.app.state.runner)


def documents_of(request: Request) -> Documents:
    """The library that answers rest on."""
    return cast("Documents", request.app.state.answerer.library)


def models_of(request: Request) -> dict[str, str]:
    """The names of the models that answer, by what they are for."""
    voices = request.app.state.answerer.voices
    return {"chat": voices.chat_name, "reasoning": voices.reasoning_name}


async def check_ready(request: Request) -> None:
    """Raise what keeps every question from being answered, such as `IndexNotFound`."""
    await request.app.state.answerer.check_ready()


def caller_of(request: Request) -> str:
    """Who asks: the name that authentication has left, or everybody."""
    return getattr(request.state, "caller", "")


def heartbeat_s_of(request: Request) -> float:
    """After so long without anything to say, a stream says that it is alive."""
    return cast("float", request.app.state.heartbeat_s)


def write_timeout_s_of(request: Request) -> float:
    """A reader that takes nothing for so long is cut off."""
    return cast("float", request.app.state.write_timeout_s)


def closing_of(scope: Scope) -> asyncio.Event:
    """Set when the server has let go of its runs."""
    return cast("asyncio.Event", scope["app"].state.closing)
