"""How right the citation check is on the labelled claims, and what it costs per token.

python -m tests.benchmarks.citations [--mistakes tuning|held_out]
"""

# ruff: noqa: T201 - a benchmark prints
import argparse
import time

from rag_graph.claims import CitationStream
from tests.claims import labelled
from tests.claims.labelled import Split

SPLITS: tuple[Split, ...] = ("tuning", "held_out", "fresh")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mistakes", choices=SPLITS)
    mistakes = parser.parse_args().mistakes
    print(f"12 passages made comparable, once: {_prepare_ms():.1f} ms")
    print(f"{'split':<10} {'claims':<10} {'precision':>9} {'recall':>7} {'cited':>6} {'supported':>10}")
    for split in SPLITS:
        for marked in (True, False):
            figures = labelled.score(list(labelled.judge(split, marked=marked)))
            name = "marked" if marked else "unmarked"
            print(
                f"{split:<10} {name:<10} {figures.precision:>9.3f} {figures.recall:>7.3f}"
                f" {figures.cited:>6} {figures.supported:>10}"
            )
    print(f"a token with nothing in it: {_token_us(' tower', 100):.2f} us, with its event")
    print(f"a token of an answer with a marker a sentence, checks included: {_answer_us():.2f} us")
    if mistakes:
        _print_mistakes(mistakes)


def _token_us(token: str, count: int) -> float:
    """Time tokens in the middle of a sentence, the hot path."""
    passages, _ = labelled.load("tuning")
    best = float("inf")
    for _ in range(50):
        stream = CitationStream(passages, version=1, question="")
        begin = time.perf_counter()
        for _ in range(count):
            stream.feed(token)
        best = min(best, time.perf_counter() - begin)
    return best / count * 1e6


def _prepare_ms() -> float:
    passages, _ = labelled.load("tuning")
    begin = time.perf_counter()
    CitationStream(passages, version=1, question="").prepare()
    return (time.perf_counter() - begin) * 1e3


def _answer_us() -> float:
    passages, claims = labelled.load("tuning")
    answer = " ".join(f"{claim.words[:-1]} [{claim.passage}]." for claim in claims)
    tokens = [answer[at : at + 4] for at in range(0, len(answer), 4)]
    best = float("inf")
    for _ in range(5):
        stream = CitationStream(passages, version=1, question="")
        begin = time.perf_counter()
        for token in tokens:
            stream.feed(token)
        stream.finish()
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
