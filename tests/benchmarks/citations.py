"""How right the citation check is on the labelled claims, and what it costs per token.

python -m tests.benchmarks.citations [--mistakes tuning|held_out]
"""

# ruff: noqa: T201 - a benchmark prints
import argparse
import asyncio
import time

from rag_graph.claims import CitationStream, RuleChecker, Sources
from rag_graph.events import Event
from tests.claims import labelled
from tests.claims.labelled import Split

SPLITS: tuple[Split, ...] = ("tuning", "held_out", "fresh")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mistakes", choices=SPLITS)
    mistakes = parser.parse_args().mistakes
    print(f"12 passages made comparable, once: {asyncio.run(_prepare_ms()):.1f} ms")
    print(f"{'split':<10} {'claims':<10} {'precision':>9} {'recall':>7} {'cited':>6} {'supported':>10}")
    for split in SPLITS:
        for marked in (True, False):
            figures = labelled.score(list(labelled.judge(split, marked=marked)))
            name = "marked" if marked else "unmarked"
            print(
                f"{split:<10} {name:<10} {figures.precision:>9.3f} {figures.recall:>7.3f}"
                f" {figures.cited:>6} {figures.supported:>10}"
            )
    told = [one for split in SPLITS for one in labelled.judge(split, marked=True)]
    # The claims of "two sentences" are true of two together, and no contradictions.
    wrong = [one for one in told if one.claim.support is None and one.claim.kind != "two sentences"]
    print(f"contradictions and overstatements cited: {sum(one.quote is not None for one in wrong)} of {len(wrong)}")
    for split in SPLITS:
        quoted = labelled.score(list(labelled.judge(split, marked=True, grade="quoted")))
        print(f"{split:<10} {'quoted':<10} {quoted.precision:>9.3f} {quoted.recall:>7.3f} {quoted.cited:>6}")
    print(f"a token with nothing in it: {asyncio.run(_token_us(' tower', 100)):.2f} us, with its event")
    print(f"a token of an answer with a marker a sentence, checks included: {asyncio.run(_answer_us()):.2f} us")
    if mistakes:
        _print_mistakes(mistakes)


async def _nobody(event: Event) -> None:
    """Follows no run."""


def _stream() -> CitationStream:
    passages, _ = labelled.load("tuning")
    return CitationStream(Sources(tuple(passages)), RuleChecker(), _nobody, version=1, step="draft")


async def _token_us(token: str, count: int) -> float:
    """Time tokens in the middle of a sentence, the hot path."""
    best = float("inf")
    for _ in range(50):
        stream = _stream()
        begin = time.perf_counter()
        for _ in range(count):
            await stream.write(token)
        best = min(best, time.perf_counter() - begin)
    return best / count * 1e6


async def _prepare_ms() -> float:
    passages, _ = labelled.load("tuning")
    begin = time.perf_counter()
    await RuleChecker().prepare(Sources(tuple(passages)))
    return (time.perf_counter() - begin) * 1e3


async def _answer_us() -> float:
    _, claims = labelled.load("tuning")
    answer = " ".join(f"{claim.words[:-1]} [{claim.passage}]." for claim in claims)
    tokens = [answer[at : at + 4] for at in range(0, len(answer), 4)]
    best = float("inf")
    for _ in range(5):
        stream = _stream()
        begin = time.perf_counter()
        for token in tokens:
            await stream.write(token)
        await stream.finish()
        best = min(best, time.perf_counter() - begin)
    return best / len(tokens) * 1e6


def _print_mistakes(split: Split) -> None:
    for marked in (True, False):
        print("\nmarked" if marked else "\nunmarked")
        for verdict in labelled.judge(split, marked=marked):
            if verdict.quote != verdict.claim.support:
                sign = "MISSED" if verdict.quote is None else "WRONG "
                print(f"{sign} [{verdict.claim.kind}] {verdict.claim.words}\n       {verdict.quote}")


if __name__ == "__main__":
    main()
