"""`rag-graph serve`: the HTTP endpoints and the playground, in one process or several."""

from typing import Annotated

import typer

from rag_graph.cli.index import index_sample


def serve(
    sample: Annotated[bool, typer.Option(help="Index the sample documents first.")] = False,
    host: Annotated[str | None, typer.Option(help="Address to listen on (RAG_HOST).")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on (RAG_PORT).")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that serve; more than one needs RAG_REDIS_URL.")] = 1,
    parts: Annotated[
        str, typer.Option(help="Parts of your own, as `module:name`: a Parts, or a function of the Settings.")
    ] = "",
) -> None:
    """Serve the HTTP endpoints and the playground."""
    from rag_graph.server import process
    from rag_graph.settings import Settings

    given = {"host": host, "port": port}
    settings = Settings.load(**{name: value for name, value in given.items() if value is not None})
    if sample:
        settings = index_sample(settings)
    if workers > 1:
        process.serve_workers(settings, workers, parts)
    else:
        from rag_graph.server.app import create_app
        from rag_graph.wiring import load_parts

        # Parts of one's own answer otherwise than a command would, which has none.
        process.serve(create_app(settings, load_parts(parts, settings)), settings, is_announced=not parts)
