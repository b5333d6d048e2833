"""How right the claim check is on sentences that others wrote and labelled.

python -m tests.benchmarks.claims FOLDER [--fetch] [--half dev|test] [--errors NAME]

FOLDER holds the files named below, which `--fetch` brings; none is part of this repository. Each set is halved by
document: everything was chosen on the first halves, and the second ones are for reporting.
"""

# ruff: noqa: T201 - a benchmark prints
import argparse
import asyncio
import csv
import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.request import urlopen

from rag_graph.claims import Claim, RuleChecker, Sources, Verdict
from rag_graph.evaluation.claims import Checked, LabelledClaim, check_claims, claim_scores, passage_of
from rag_graph.text.sentences import sentences
from rag_graph.text.terms import key

FAITHBENCH = [f"faithbench-{number}.json" for number in (*range(1, 13), 14, 15, 16)]
EXPERTQA = ("rand_test", "rand_val", "domain_test", "domain_val")
FILES = {
    "qags-cnndm.jsonl": "W4ngatang/qags/HEAD/data/mturk_cnndm.jsonl",
    "qags-xsum.jsonl": "W4ngatang/qags/HEAD/data/mturk_xsum.jsonl",
    "wice-dev.jsonl": "ryokamoi/wice/HEAD/data/entailment_retrieval/claim/dev.jsonl",
    "wice-test.jsonl": "ryokamoi/wice/HEAD/data/entailment_retrieval/claim/test.jsonl",
    "begin-wow.tsv": "google/BEGIN-dataset/HEAD/wow/begin_test_wow.tsv",
    **{
        name: f"vectara/FaithBench/HEAD/data_for_release/{name.replace('faithbench-', 'batch_')}" for name in FAITHBENCH
    },
    **{f"expertqa-{part}.jsonl": f"chaitanyamalaviya/ExpertQA/HEAD/data/lfqa/{part}.jsonl" for part in EXPERTQA},
}


def faithbench(folder: Path) -> Iterator[LabelledClaim]:
    """Ten current models' summaries; people marked what the source does not bear out, others' doubts are left out."""
    for name in FAITHBENCH:
        for sample in json.loads((folder / name).read_text("utf-8"))["samples"]:
            answer = sample["summary"]
            for sentence in sentences(answer):
                words = answer[sentence.start : sentence.end]
                # "Here is a summary:" and headings need no source.
                if sentence.kind != "prose" or len(words.split()) < _LEAST_WORDS or words.endswith((":", "**")):
                    continue
                marks = {
                    label
                    for note in sample["annotations"]
                    if note["summary_start"] < sentence.end and note["summary_end"] > sentence.start
                    for label in note["label"]
                }
                wrong = any(mark.startswith("Unwanted") for mark in marks)
                if wrong or not marks:
                    yield _marked(words, sample["source"], is_supported=not wrong)


_LEAST_WORDS = 4


def expertqa(folder: Path) -> Iterator[LabelledClaim]:
    """GPT-4's and Bing's answers with markers of their own, judged by experts; the evidence is often cut off."""
    seen = set()
    for part in EXPERTQA:
        for line in (folder / f"expertqa-{part}.jsonl").read_text("utf-8").splitlines():
            entry = json.loads(line)
            for system in ("rr_gs_gpt4", "rr_sphere_gpt4", "bing_chat"):
                for claim in entry["answers"].get(system, {"claims": ()})["claims"]:
                    words = claim["claim_string"]
                    shown = [re.fullmatch(r"\[(\d+)\]\s+\S+\s+(.+)", text, re.DOTALL) for text in claim["evidence"]]
                    passages = {int(one[1]): one[2] for one in shown if one}
                    if not passages or not re.search(r"\[\d", words) or words in seen or claim["support"] == "N/A":
                        continue
                    seen.add(words)
                    yield LabelledClaim(
                        words,
                        tuple(passage_of(number, text) for number, text in passages.items()),
                        "supported" if claim["support"] == "Complete" else "unsupported",
                        entry["question"],
                        entry["question"],
                    )


def wice(folder: Path) -> Iterator[LabelledClaim]:
    """Sentences of Wikipedia against the pages they cite; mostly unsupported or partly so."""
    for name in ("wice-dev.jsonl", "wice-test.jsonl"):
        for line in (folder / name).read_text("utf-8").splitlines():
            entry = json.loads(line)
            source = "\n".join(entry["evidence"])
            yield _marked(entry["claim"], source, is_supported=entry["label"] == "supported")


def qags(name: str) -> Callable[[Path], Iterator[LabelledClaim]]:
    def read(folder: Path) -> Iterator[LabelledClaim]:
        for line in (folder / name).read_text("utf-8").splitlines():
            entry = json.loads(line)
            for one in entry["summary_sentences"]:
                votes = [answer["response"] == "yes" for answer in one["responses"]]
                yield _marked(one["sentence"], entry["article"], is_supported=sum(votes) * 2 > len(votes))

    return read


def begin(folder: Path) -> Iterator[LabelledClaim]:
    """Replies of small models to a piece of Wikipedia, in chat; talk that says nothing is left out."""
    with (folder / "begin-wow.tsv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            if row["begin_label"] != "Generic":
                is_supported = row["begin_label"] == "Fully attributable"
                yield _marked(row["response"], row["knowledge"], is_supported=is_supported)


SETS: dict[str, Callable[[Path], Iterator[LabelledClaim]]] = {
    "real models (FaithBench)": faithbench,
    "GPT-4, its markers (ExpertQA)": expertqa,
    "Wikipedia (WiCE)": wice,
    "summaries (QAGS-CNN)": qags("qags-cnndm.jsonl"),
    "summaries (QAGS-XSum)": qags("qags-xsum.jsonl"),
    "chat (BEGIN)": begin,
}


def half(name: str, folder: Path, which: str) -> list[LabelledClaim]:
    """One half of a set by document."""
    wanted = 0 if which == "dev" else 1
    return [claim for claim in SETS[name](folder) if key(claim.group) % 2 == wanted]


def _marked(words: str, source: str, *, is_supported: bool) -> LabelledClaim:
    """A sentence with the marker of its only passage before its full stop."""
    bare = words.strip()
    stop = bare[-1] if bare[-1:] in ".!?" else ""
    sentence = f"{bare.removesuffix(stop)} [1]{stop or '.'}"
    return LabelledClaim(
        sentence, (passage_of(1, source),), "supported" if is_supported else "unsupported", group=source[:200]
    )


class _Timed:
    """The rules, with the CPU seconds of reading the passages, which an answer does once, and of checking apart."""

    def __init__(self) -> None:
        self.reading = self.checking = 0.0
        self._rules = RuleChecker()

    async def prepare(self, sources: Sources) -> None:
        began = time.process_time()
        await self._rules.prepare(sources)
        self.reading += time.process_time() - began

    async def check(self, claims: Sequence[Claim], sources: Sources) -> Sequence[Verdict]:
        await self.prepare(sources)
        began = time.process_time()
        verdicts = await self._rules.check(claims, sources)
        self.checking += time.process_time() - began
        return verdicts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--fetch", action="store_true", help="bring the files that are missing")
    parser.add_argument("--half", choices=("dev", "test"), default="test")
    parser.add_argument("--only", default="", help="a part of a set's name")
    parser.add_argument("--errors", choices=ERRORS, help="print twenty errors of a kind for each set")
    given = parser.parse_args()
    if given.fetch:
        _fetch(given.folder)
    print(f"{'':<31} {'n':>5} {'supp.':>5}  {'cited P':^15} {'cited R':^15} {'quoted P':^15} {'quoted R':^15}", end="")
    print(f" {'supp. flagged':^15} {'flags right':^15}  ms: reading, check")
    for name in SETS:
        if given.only in name:
            claims = half(name, given.folder, given.half)
            timed = _Timed()
            checked = asyncio.run(check_claims(claims, timed))
            _print_row(name, checked, [seconds / len(claims) * 1000 for seconds in (timed.reading, timed.checking)])
            if given.errors:
                _print_errors(given.errors, checked)


def _print_row(name: str, checked: list[Checked], ms: Sequence[float]) -> None:
    scores = claim_scores(checked)
    told = [scores[name] for name in SHOWN]
    cells = [f"{one.value:.2f} ({one.interval[0]:.2f}-{one.interval[1]:.2f})" for one in told]
    cells.append(", ".join(f"{one:.1f}" for one in ms))
    print(f"{name:<31} {len(checked):>5} {scores['supported'].value:>5.2f}  {' '.join(cells)}")


SHOWN = ("cited_precision", "cited_recall", "quoted_precision", "quoted_recall", "supported_flagged", "flag_precision")
ERRORS: dict[str, Callable[[Checked], bool]] = {
    "cited": lambda one: one.is_cited and one.claim.label != "supported",
    "quoted": lambda one: one.is_quoted and one.claim.label != "supported",
    "missed": lambda one: not one.is_cited and one.claim.label == "supported",
    "flagged": lambda one: one.is_flagged and one.claim.label == "supported",
}


def _print_errors(kind: str, checked: list[Checked]) -> None:
    wrong = sorted(filter(ERRORS[kind], checked), key=lambda one: key(one.claim.sentence))
    for one in wrong[:20]:
        print(f"\n- {one.claim.sentence}\n  {'; '.join(one.reasons)}")
        for passage in one.claim.passages:
            print(f"  [{passage.number}] {' '.join(passage.content.split())[:1500]}")


def _fetch(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, path in FILES.items():
        if not (folder / name).exists():
            with urlopen(f"https://raw.githubusercontent.com/{path}") as reply:
                (folder / name).write_bytes(reply.read())


if __name__ == "__main__":
    main()
