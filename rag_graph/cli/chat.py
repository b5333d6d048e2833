"""`rag-graph chat`: one question after the other."""

from typing import Annotated

import typer

from rag_graph.cli.answering import ServerOption, choose_asker, settings_for
from rag_graph.cli.contract import LanguageOption, ModelOption, keep_logs_from_the_answer
from rag_graph.interrupts import interruptible, leaving_at_once


def chat(
    deep: Annotated[bool, typer.Option(help="Think harder from the first question on.")] = False,
    model: ModelOption = "",
    language: LanguageOption = "",
    server: ServerOption = None,
) -> None:
    """Ask one question after the other, each in the light of those before it. Ctrl-C stops an answer."""
    settings = settings_for(server)
    keep_logs_from_the_answer()
    opening = choose_asker(settings)
    with leaving_at_once():
        from anyio.from_thread import start_blocking_portal

        from rag_graph.display.chat import Conversation
    # The answerer lives in a thread of its own, so that it goes on while somebody types. Before it is open and while
    # it is closed, Ctrl-C would wait for that thread.
    with (
        leaving_at_once(),
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(opening) as asker,
        interruptible(),
    ):
        Conversation(
            portal, asker.ask, asker.document, mode="deep" if deep else "fast", model=model, language=language
        ).talk()
