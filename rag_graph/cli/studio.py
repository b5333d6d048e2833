"""`rag-graph studio`: the graph behind LangGraph's development server, for Studio and LangGraph's own clients."""

import json
import os
from importlib.resources import as_file, files
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final

import typer

from rag_graph.cli.index import index_sample

CONFIGURATION: Final = "langgraph.json"
PORT: Final = 2024
"""Where Studio and LangGraph's SDKs look by default."""


def studio(
    folder: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help=f"Run from here, by its {CONFIGURATION} if it has one.")
    ] = Path(),
    write: Annotated[bool, typer.Option("--write", help=f"Write a {CONFIGURATION} there, and run nothing.")] = False,
    sample: Annotated[bool, typer.Option(help="Index the sample documents first.")] = False,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = PORT,
    browser: Annotated[bool, typer.Option(help="Open Studio in a browser.")] = True,
) -> None:
    """Run the graph in LangGraph's development server, with its threads, its API and Studio.

    It needs LangGraph's command: langgraph-cli, with its extra inmem. With --write it leaves a langgraph.json to build
    on, such as for graphs of your own from create_rag_graph; LangGraph's command takes it too.
    """
    from rag_graph.errors import SettingsError
    from rag_graph.settings import Settings

    if write:
        typer.echo(f"Wrote {_write(folder)}: run it by `rag-graph studio` or `langgraph dev` there.", err=True)
        return
    if find_spec("langgraph_cli") is None or find_spec("langgraph_api") is None:
        raise SettingsError(
            "Studio runs on LangGraph's development server; install it in the same environment first: "
            "pip install 'langgraph-cli[inmem]'."
        )
    settings = Settings.load()
    if sample:
        index_sample(settings)
    from langgraph_cli.cli import cli as langgraph

    options = ["--host", host, "--port", str(port), *([] if browser else ["--no-browser"])]
    os.chdir(folder)  # where LangGraph's command looks for the modules that are named, and keeps its threads
    # LangGraph's command ends the process with its own code: of the two calls only one is made.
    if Path(CONFIGURATION).exists():
        langgraph(["dev", "--config", CONFIGURATION, *options], prog_name="langgraph")
    with as_file(files("rag_graph") / "deploy" / CONFIGURATION) as packaged:  # nothing in it changes: no reloading
        langgraph(["dev", "--config", str(packaged), "--no-reload", *options], prog_name="langgraph")


def _write(folder: Path) -> Path:
    from rag_graph.errors import SettingsError

    packaged = json.loads((files("rag_graph") / "deploy" / CONFIGURATION).read_text())
    # The packaged one installs the folder that it lies in; this one is for a folder of somebody's own.
    written = {**packaged, "dependencies": [".", "rag-graph[local]"]}
    path = folder / CONFIGURATION
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(f"{json.dumps(written, indent=2)}\n")
    except FileExistsError:
        raise SettingsError(f"{path} is there already: `rag-graph studio` runs it as it is.") from None
    except OSError as exc:
        raise SettingsError(f"{path} cannot be written: {exc.strerror}.") from exc
    return path
