"""The chaos of `tests.chaos` while ordinary readers keep the servers busy: their answers must be whole too.

    python -m tests.benchmarks.drill [--runs 200] [--seconds 90] [--streams 25] [--json]

So many readers follow answers of 200 tokens at 20 ms a token over links that nobody cuts; what they notice is that
servers and Redis are killed. A gap of theirs begins at one token and ends at the next, whoever writes that. They, the
scripted model and the links share a process with the chaos, so their times are upper bounds. Ends with 1 if anything
was lost or doubled.
"""

import argparse
import asyncio
import itertools
import json
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter

import anyio

from rag_graph.client import AsyncClient
from rag_graph.evaluation.load import percentile
from rag_graph.events import AnswerDelta, Event, RunFinished
from rag_graph.runs.log import is_terminal
from tests.benchmarks.crowd import PACE_S, words
from tests.chaos import PATIENCE_S, Asker, Model, Stage, Verdict, connected, drill, number_of, staged, tell
from tests.links import Links
from tests.upstream import Request, Script

FIRST_ORDINARY = 1_000_000
"""Questions from this number on are those of ordinary readers."""
RANKS = (50, 90, 99, 100)


class PacedModel(Model):
    """Answers ordinary readers at an even pace, and the others as the chaos wants it."""

    def _take(self, request: Request) -> Script:
        number = number_of(request)
        if number < FIRST_ORDINARY:
            return super()._take(request)
        return Script(content=words(number), pace_s=PACE_S)


@dataclass
class OrdinaryReader(Asker):
    """A reader whose link nobody cuts, with a watch."""

    began: float = 0.0
    tokens_at: list[float] = field(default_factory=list)

    async def ask(self, client: AsyncClient) -> None:
        self.began = perf_counter()
        await super().ask(client)

    def hear(self, event: Event) -> None:
        super().hear(event)
        if isinstance(event, AnswerDelta):
            self.tokens_at.append(perf_counter())

    @property
    def fault(self) -> str:
        """What is wrong with what this reader holds; nothing, when it is what the model said."""
        held, said = self.transcript, "".join(words(self.number)).strip()
        faults = {
            self.failure: bool(self.failure),
            "the run did not finish": not isinstance(held.terminal, RunFinished),
            "an answer has lost or doubled words": held.answer.strip() != said,
            "the end does not repeat the answer": bool(held.terminal and held.terminal.answer != held.answer),
            "there was not one end": sum(map(is_terminal, self.events)) != 1,
        }
        return next((fault for fault, is_so in faults.items() if is_so), "")


@dataclass
class Background:
    """Ordinary readers, one after the other in every place, until they are told to go home."""

    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(FIRST_ORDINARY))
    whole: int = 0
    asked_anew: int = 0
    faults: list[str] = field(default_factory=list)
    first_tokens: list[float] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    going_home: bool = False

    async def read_forever(self, client: AsyncClient) -> None:
        while not self.going_home:
            reader = OrdinaryReader(next(self.numbers))
            await reader.ask(client)
            self._take(reader)

    @property
    def verdict(self) -> Verdict:
        counts: dict[str, object] = {
            "ordinary readers": f"{self.whole} whole, {len(self.faults)} broken",
            "of them asked anew": self.asked_anew,
            "first token, ms": _spread_ms(self.first_tokens),
            "gap, ms": _spread_ms(self.gaps),
        }
        return Verdict(counts, self.faults)

    def _take(self, reader: OrdinaryReader) -> None:
        if reader.fault:
            self.faults.append(f"{reader.number}: {reader.fault}")
        else:
            self.whole += 1
        self.asked_anew += len(set(reader.run_ids)) > 1
        self.first_tokens += [at - reader.began for at in reader.tokens_at[:1]]
        self.gaps += [after - before for before, after in itertools.pairwise(reader.tokens_at)]


async def drill_under_load(runs: int, seconds: float, streams: int, folder: Path) -> Verdict:
    background = Background()
    async with staged(folder, PacedModel()) as stage:
        with way_in(stage) as url, anyio.fail_after(seconds + 3 * PATIENCE_S):
            async with connected(url) as client, anyio.create_task_group() as tasks:
                for _ in range(streams):
                    tasks.start_soon(background.read_forever, client)
                verdict = await drill(stage, runs, seconds)
                background.going_home = True
    return Verdict(verdict.counts | background.verdict.counts, verdict.wrong + background.verdict.wrong)


@contextmanager
def way_in(stage: Stage) -> Iterator[str]:
    """Where the readers ask: the balancer, or where there is none, links that are left alone."""
    if len(stage.ports) == 1:
        yield f"http://127.0.0.1:{stage.ports[0]}"
        return
    with Links(iter(()), *stage.ports) as links:
        yield links.url


def _spread_ms(seconds: Sequence[float]) -> dict[str, float]:
    return {f"p{rank}": round(percentile(seconds, rank) * 1000, 1) for rank in RANKS} if seconds else {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=90.0, help="how long things break")
    parser.add_argument("--streams", type=int, default=25)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    random.seed(given.seed)
    with tempfile.TemporaryDirectory() as folder:
        verdict = asyncio.run(drill_under_load(given.runs, given.seconds, given.streams, Path(folder)))
    if given.json:
        sys.stdout.write(json.dumps(asdict(verdict), indent=2) + "\n")
    else:
        tell(verdict)
    sys.exit(bool(verdict.wrong))


if __name__ == "__main__":
    main()
