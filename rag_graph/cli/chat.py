"""`rag-graph chat`: one question after the other."""

from typing import Annotated

import typer

from rag_graph.cli.contract import keep_logs_from_the_answer


def chat(
    deep: Annotated[bool, typer.Option(help="Think harder from the first question on.")] = False,
) -> None:
    """Ask one question after the other, each in the light of those before it. Ctrl-C stops an answer."""
    from anyio.from_thread import start_blocking_portal

    from rag_graph.display.chat import Conversation
    from rag_graph.settings import Settings
    from rag_graph.wiring import open_answerer

    settings = Settings.load()
    keep_logs_from_the_answer()
    # The answerer lives in a thread of its own, so that it goes on while somebody types.
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(open_answerer(settings)) as answerer,
    ):
        portal.call(answerer.check_ready)
        Conversation(portal, answerer.ask, answerer.document, mode="deep" if deep else "fast").talk()
