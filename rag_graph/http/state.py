"""What the app holds while it serves, as routes reach it: nothing else in `http` knows how the app keeps it."""

import asyncio
from typing import Protocol, cast

from fastapi import Request
from starlette.types import Scope

from rag_graph.conversations import ConversationStore
from rag_graph.documents import Document
from rag_graph.index import Index
from rag_graph.query import Query
from rag_graph.runs.feedback import FeedbackStore
from rag_graph.runs.runner import Runner


class Documents(Protocol):
    """Where the documents are that answers rest on."""

    def document(self, document_id: str) -> Document | None: ...


def runner_of(request: Request) -> Runner:
    """What starts, follows and cancels runs."""
    return cast("Runner", request.app.state.runner)


def documents_of(request: Request) -> Documents:
    """What gives the documents that citations point to."""
    return cast("Documents", request.app.state.answerer)


def index_of(request: Request) -> Index | None:
    """The index that is searched, unless retrieval is the user's own."""
    return cast("Index | None", request.app.state.answerer.parts.index)


def conversations_of(request: Request) -> ConversationStore | None:
    """Where conversations are kept, unless they are not."""
    return cast("ConversationStore | None", request.app.state.conversations)


def models_of(request: Request) -> dict[str, str]:
    """The names of the models that answer, by what they are for; none where the writers are the user's own."""
    models = request.app.state.answerer.parts.models
    return {"chat": models.chat_name, "reasoning": models.reasoning_name} if models else {}


def choices_of(request: Request) -> list[str]:
    """The names of further models, of which a question may choose one."""
    return list(request.app.state.answerer.parts.choices)


def feedback_of(request: Request) -> FeedbackStore:
    """Where feedback is kept."""
    return cast("FeedbackStore", request.app.state.feedback)


async def check_ready(request: Request, query: Query) -> None:
    """Raise what keeps this question from being answered, such as `IndexNotFound`, or filters by an unknown name."""
    await request.app.state.answerer.check_ready(query.filters, query.model)


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
