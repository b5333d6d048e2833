"""The `rag-graph` command: index documents, ask, talk, serve, evaluate."""

import asyncio
import json
import logging
import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import aclosing
from enum import StrEnum
from functools import wraps
from importlib.metadata import version
from importlib.resources import as_file, files
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, ParamSpec, TypeVar

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from rag_graph.display import chat as conversation
from rag_graph.display import terminal
from rag_graph.errors import IndexMismatch, RagGraphError, SettingsError
from rag_graph.evaluation import report as scoreboard
from rag_graph.evaluation.load import QUESTIONS, measure, report
from rag_graph.evaluation.run import Part, Plan, Results, Tier, Watching, examine
from rag_graph.events import RunFailed
from rag_graph.index.indexing import IndexProgress, IndexReport, index_paths, indexed_roots
from rag_graph.parts import choose_embedder, choose_place
from rag_graph.query import Query
from rag_graph.result import run_result
from rag_graph.server import process as serving
from rag_graph.server.app import create_app
from rag_graph.settings import Settings, setting_names
from rag_graph.transcript import Transcript
from rag_graph.wiring import open_answerer

FAILED, UNUSABLE, INTERRUPTED = 1, 2, 130

cli = typer.Typer(
    name="rag-graph",
    help="Streaming RAG: a draft at once, deep retrieval meanwhile, a refinement when it changes the answer.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


class Tiers(StrEnum):
    """What `eval` measures."""

    FAST = "fast"
    DEEP = "deep"
    BOTH = "both"


_TIERS: dict[Tiers, tuple[Tier, ...]] = {Tiers.FAST: ("fast",), Tiers.DEEP: ("deep",), Tiers.BOTH: ("fast", "deep")}


P = ParamSpec("P")
R = TypeVar("R")


def _in_one_line(command: Callable[P, R]) -> Callable[P, R]:
    """What goes wrong is one line on stderr and an exit code: 2 for what the user can mend, 130 for Ctrl-C."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except RagGraphError as exc:
            _complain(str(exc))
            raise typer.Exit(UNUSABLE) from None
        except KeyboardInterrupt:
            _complain("Stopped.")
            raise typer.Exit(INTERRUPTED) from None

    return run


def _complain(message: str) -> None:
    Console(stderr=True).print(Text(f"rag-graph: {message}", style="red"), soft_wrap=True)


@cli.command()
@_in_one_line
def index(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders to index.")],
    rebuild: Annotated[bool, typer.Option(help="Forget what was indexed before.")] = False,
) -> None:
    """Index documents: Markdown, text, HTML, PDF, DOCX, JSON Lines. Unchanged files are skipped."""
    settings = Settings.load()
    report = _index(settings, paths, rebuild=rebuild)
    if report.failures:
        raise typer.Exit(FAILED)


@cli.command()
@_in_one_line
def ask(
    question: Annotated[str, typer.Argument(help="What you want to know.")],
    deep: Annotated[bool, typer.Option(help="Think harder: more searches, the reasoning model.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write the whole run as one JSON document.")] = False,
) -> None:
    """Ask a question; the answer is shown as it comes, and replaced when the evidence changes it."""
    settings = Settings.load()
    _keep_logs_from_the_answer()
    try:
        query = Query(question=question, mode="deep" if deep else "fast")
    except ValidationError as exc:
        _complain(f"The question is not one: {exc.errors()[0]['msg']}.")
        raise typer.Exit(UNUSABLE) from None
    transcript = asyncio.run(_ask(settings, query, as_json=as_json))
    if isinstance(transcript.terminal, RunFailed):
        raise typer.Exit(FAILED)


@cli.command()
@_in_one_line
def chat(
    deep: Annotated[bool, typer.Option(help="Think harder from the first question on.")] = False,
) -> None:
    """Ask one question after the other, each in the light of those before it. Ctrl-C stops an answer."""
    settings = Settings.load()
    _keep_logs_from_the_answer()
    conversation.chat(settings, mode="deep" if deep else "fast")


@cli.command()
@_in_one_line
def serve(
    sample: Annotated[bool, typer.Option(help="Index the sample documents first.")] = False,
    host: Annotated[str | None, typer.Option(help="Address to listen on (RAG_HOST).")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on (RAG_PORT).")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that serve; more than one needs RAG_REDIS_URL.")] = 1,
) -> None:
    """Serve the HTTP endpoints and the playground."""
    given = {"host": host, "port": port}
    settings = Settings.load(**{name: value for name, value in given.items() if value is not None})
    if sample:
        _index_sample(settings)
    if workers > 1:
        serving.serve_workers(settings, workers)
    else:
        serving.serve(create_app(settings), settings)


@cli.command(name="eval")
@_in_one_line
def evaluate(
    dataset: Annotated[Path, typer.Argument(help="A folder in BEIR layout: corpus.jsonl, queries.jsonl, qrels.tsv.")],
    distractors: Annotated[
        list[Path] | None, typer.Option(help="More documents to search in; may be repeated.")
    ] = None,
    tier: Annotated[Tiers, typer.Option(help="Which retrieval is measured.")] = Tiers.BOTH,
    answers: Annotated[
        bool, typer.Option(help="Also answer with the models that are set; `deep` thinks harder.")
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Ask only the first so many questions.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write the scores as one JSON document.")] = False,
) -> None:
    """Measure retrieval, and answers, on a dataset. A stopped run goes on where it was."""
    settings = Settings.load()
    _keep_logs_from_the_answer()
    plan = Plan(
        folder=dataset,
        distractors=tuple(distractors or ()),
        tiers=_TIERS[tier],
        answers=answers,
        mode="deep" if tier is Tiers.DEEP else "fast",
        limit=limit,
    )
    results = _evaluate(settings, plan)
    if as_json:
        sys.stdout.write(json.dumps(scoreboard.as_json(results), indent=2) + "\n")
    else:
        Console().print(scoreboard.table(results))


@cli.command(name="mcp")
@_in_one_line
def serve_mcp() -> None:
    """Offer `search` and `ask` to an MCP client, over stdin and stdout."""
    if find_spec("mcp") is None:
        raise SettingsError("Install what this needs first: pip install 'rag-graph[mcp]'.")
    asyncio.run(_serve_mcp(Settings.load()))


@cli.command()
@_in_one_line
def bench(
    url: Annotated[str, typer.Argument(help="The server, such as http://localhost:8000.")],
    streams: Annotated[int, typer.Option(min=1, help="Questions to ask in all.")] = 50,
    at_once: Annotated[int, typer.Option(min=1, help="Questions that go on at a time.")] = 10,
    question: Annotated[list[str] | None, typer.Option(help="What to ask, in turn; may be given again.")] = None,
    key: Annotated[
        str,
        typer.Option(envvar="BENCH_API_KEY", help="The server's key; given here, others on this machine can see it."),
    ] = "",
    deep: Annotated[bool, typer.Option(help="Ask to think harder.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write the figures as one JSON document.")] = False,
) -> None:
    """Measure a running server: first token, gaps between tokens, throughput."""
    asked = measure(url, streams=streams, at_once=at_once, key=key, questions=question or QUESTIONS, deep=deep)
    load = asyncio.run(asked)
    if as_json:
        sys.stdout.write(json.dumps(load.as_dict(), indent=2) + "\n")
    else:
        report(load, Console())
    if not load.whole:
        raise typer.Exit(FAILED)


@cli.command(name="settings")
def show_settings() -> None:
    """List every setting with what it means."""
    for name, description in setting_names().items():
        sys.stdout.write(f"{name:32} {description}\n")


def main() -> None:
    cli()


def _keep_logs_from_the_answer() -> None:
    logging.getLogger("rag_graph").setLevel(logging.ERROR)


async def _serve_mcp(settings: Settings) -> None:
    from rag_graph.http.mcp import routes as mcp  # noqa: PLC0415 - optional

    async with open_answerer(settings) as answerer:
        tools = mcp.Tools(answerer, answerer.parts.deep, lambda query, _: answerer.ask(query))
        await mcp.serve_stdio(mcp.create_server(tools, version=version("rag-graph")))


def _index_sample(settings: Settings) -> None:
    """Index a copy, so that another installation of the package replaces it."""
    copy = settings.data_dir / "sample"
    with as_file(files("rag_graph") / "sample") as folder:
        shutil.copytree(folder, copy, dirs_exist_ok=True)
    try:
        _index(settings, [copy], rebuild=False)
    except IndexMismatch:
        if any(not root.is_relative_to(copy.resolve()) for root in indexed_roots(choose_place(settings))):
            raise
        _index(settings, [copy], rebuild=True)


def _index(settings: Settings, paths: Sequence[Path], *, rebuild: bool) -> IndexReport:
    console = Console(stderr=True)
    columns = (
        TextColumn("Indexing"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        _PassagesColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}", style="dim"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=None, passages=0)

        def on_progress(done: IndexProgress) -> None:
            progress.update(
                task,
                completed=done.bytes_done,
                total=done.bytes_total,
                passages=done.passages,
                description=Path(done.uri).name,
            )

        report = index_paths(
            choose_place(settings), paths, embedder=choose_embedder(settings), on_progress=on_progress, rebuild=rebuild
        )
    _report(report, console)
    return report


def _evaluate(settings: Settings, plan: Plan) -> Results:
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        tasks = {name: progress.add_task(name, total=None, start=False) for name in ("indexing", *plan.parts)}

        def on_indexing(done: IndexProgress) -> None:
            progress.update(tasks["indexing"], completed=done.bytes_done, total=done.bytes_total)

        def on_asked(part: Part, done: int, total: int) -> None:
            progress.start_task(tasks[part])
            progress.update(tasks[part], completed=done, total=total)

        return asyncio.run(examine(settings, plan, watching=Watching(on_indexing, on_asked)))


class _PassagesColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        passages = task.fields["passages"]
        rate = passages / task.elapsed if task.elapsed else 0.0
        return Text(f"{passages} passages, {rate:.0f}/s")


def _report(report: IndexReport, console: Console) -> None:
    rate = report.passages / report.seconds if report.seconds else 0.0
    console.print(
        f"{report.added} documents added, {report.replaced} replaced, {report.removed} removed, "
        f"{report.unchanged} unchanged; {report.passages} passages in {report.seconds:.1f} s ({rate:.0f}/s).",
        highlight=False,
    )
    for failure in report.failures:
        console.print(Text(f"not indexed: {failure.uri}: {failure.reason}", style="yellow"), soft_wrap=True)


async def _ask(settings: Settings, query: Query, *, as_json: bool) -> Transcript:
    async with open_answerer(settings) as answerer:
        await answerer.check_ready()
        async with aclosing(answerer.ask(query)) as events:
            if not as_json:
                return await terminal.show(events, answerer.library.document, Console())
            transcript = Transcript()
            async for event in events:
                transcript.add(event)
        sys.stdout.write(run_result(transcript).model_dump_json(indent=2) + "\n")
        return transcript
