"""`rag-graph eval`: how good retrieval and answers are on a dataset."""

import asyncio
import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from rag_graph.cli.contract import keep_logs_from_the_answer


class Tiers(StrEnum):
    """What is measured."""

    FAST = "fast"
    DEEP = "deep"
    BOTH = "both"


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
    """Measure retrieval, and answers, on a dataset; and the check of claims, if it has a claims.jsonl.

    A stopped run goes on where it was.
    """
    from rich.console import Console

    from rag_graph.display.progress import evaluating
    from rag_graph.evaluation import report
    from rag_graph.evaluation.run import Evaluation, Tier, run_evaluation
    from rag_graph.settings import Settings

    settings = Settings.load()
    keep_logs_from_the_answer()
    tiers: dict[Tiers, tuple[Tier, ...]] = {Tiers.FAST: ("fast",), Tiers.DEEP: ("deep",), Tiers.BOTH: ("fast", "deep")}
    evaluation = Evaluation(
        folder=dataset,
        distractors=tuple(distractors or ()),
        tiers=tiers[tier],
        answers=answers,
        mode="deep" if tier is Tiers.DEEP else "fast",
        limit=limit,
    )
    with evaluating(evaluation.parts, Console(stderr=True)) as (on_indexing, on_asked):
        results = asyncio.run(run_evaluation(settings, evaluation, on_indexing=on_indexing, on_asked=on_asked))
    if as_json:
        sys.stdout.write(json.dumps(report.scores_as_json(results), indent=2) + "\n")
    else:
        Console().print(report.scores_table(results))
        if results.claims:
            Console().print(report.claims_table(results))
