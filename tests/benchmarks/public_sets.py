"""Public sets for retrieval, of many kinds and languages, made from the repositories that publish them.

Each is a folder in BEIR layout. Repositories are read as bare clones, `SOURCES/OWNER+NAME/repo`; git makes those that
are not there yet. Nothing of the data is part of this project; the licences are those of its authors.
"""

import csv
import io
import json
import random
import re
import subprocess
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from tests.benchmarks.retrieval import DATA

MOST_QUESTIONS = 120
"""Of each set so many, drawn once: half of them to develop with, the others to report."""
MOST_DOCUMENTS = 400
"""Of each set those with the evidence, and others, drawn once, up to so many: the embedder takes 30 ms for each."""


@dataclass(frozen=True)
class PublicSet:
    """Documents as (id, title, text), and questions as (text, ids of the documents that hold the answer)."""

    documents: Mapping[str, tuple[str, str]]
    questions: list[tuple[str, frozenset[str]]]


@dataclass(frozen=True)
class Sources:
    """The clones of the repositories that hold the data."""

    folder: Path

    def read(self, repository: str, path: str) -> bytes:
        return self._git(self._clone(repository), "show", f"HEAD:{path}")

    def text(self, repository: str, path: str) -> str:
        return self.read(repository, path).decode("utf-8")

    def files(self, repository: str, under: str) -> list[str]:
        listed = self._git(self._clone(repository), "ls-tree", "-r", "--name-only", "HEAD", under)
        return listed.decode("utf-8").split()

    def _clone(self, repository: str) -> Path:
        clone = self.folder / repository.replace("/", "+") / "repo"
        if not clone.exists():
            clone.parent.mkdir(parents=True, exist_ok=True)
            address = f"https://github.com/{repository}"
            subprocess.run(["git", "clone", "--quiet", "--bare", "--depth=1", address, clone], check=True)  # noqa: S607
        return clone

    def _git(self, clone: Path, *command: str) -> bytes:
        return subprocess.run(["git", f"--git-dir={clone}", *command], check=True, capture_output=True).stdout  # noqa: S607


def xquad(asked_in: str, written_in: str = "") -> Callable[[Sources], PublicSet]:
    """240 paragraphs of an encyclopaedia and the questions on them, the same in each language, in the same order."""

    def read(sources: Sources, language: str) -> PublicSet:
        return _squad([json.loads(sources.text("google-deepmind/xquad", f"xquad.{language}.json"))])

    def make(sources: Sources) -> PublicSet:
        return PublicSet(read(sources, written_in or asked_in).documents, read(sources, asked_in).questions)

    return make


def jaquad(sources: Sources) -> PublicSet:
    """Paragraphs of the Japanese Wikipedia."""
    files = (f"data/dev/jaquad_dev_000{number}.json" for number in range(4))
    return _squad(json.loads(sources.text("SkelterLabsInc/JaQuAD", file)) for file in files)


def natural_questions(sources: Sources) -> PublicSet:
    """What people asked a search engine, over paragraphs of the English Wikipedia (those of QED)."""
    lines = sources.text("google-research-datasets/QED", "qed-dev.jsonlines").splitlines()
    entries = [json.loads(line) for line in lines]
    names = _names(entry["paragraph_text"] for entry in entries)
    return PublicSet(
        {names[entry["paragraph_text"]]: (entry["title_text"], entry["paragraph_text"]) for entry in entries},
        [(entry["question_text"], frozenset({names[entry["paragraph_text"]]})) for entry in entries],
    )


def cosqa(sources: Sources) -> PublicSet:
    """What people asked a search engine, over Python functions."""
    repository = "Jun-jie-Huang/CoCLR"
    codes = json.loads(sources.text(repository, "data/search/code_idx_map.txt"))
    asked = json.loads(sources.text(repository, "data/search/cosqa-retrieval-test-500.json"))
    return PublicSet(
        {str(number): ("", code) for code, number in codes.items()},
        [(entry["doc"], frozenset({str(entry["retrieval_idx"])})) for entry in asked],
    )


def cranfield(sources: Sources) -> PublicSet:
    """Long questions of engineers, over abstracts on aerodynamics."""
    repository = "Menotron/cs7is3-cranfield-search"
    documents = {}
    for entry in sources.text(repository, "data/cran.all.1400").split(".I ")[1:]:
        number, title, text = re.match(r"(\d+)\n\.T\n(.*?)\.A\n.*?\.W\n(.*)", entry, re.DOTALL).groups()  # type: ignore[union-attr]
        documents[number] = (_flat(title), _flat(text.removeprefix(title)))
    asked = re.findall(r"\.I \d+\n\.W\n(.*?)(?=\.I|\Z)", sources.text(repository, "data/cran.qry"), re.DOTALL)
    evidence: dict[int, set[str]] = {}
    # The questions are numbered anew in the judgements; -1 is the paper that a question came from, 5 none at all.
    for line in sources.text(repository, "data/cranqrel").splitlines():
        question, document, judged = line.split()
        if int(judged) < 5 and document in documents:
            evidence.setdefault(int(question), set()).add(document)
    return PublicSet(
        {name: its for name, its in documents.items() if its[1]},
        [(_flat(text), frozenset(evidence.get(number, ()))) for number, text in enumerate(asked, 1)],
    )


def scifact(sources: Sources) -> PublicSet:
    """Claims of science, over abstracts: a part of SciFact's, with the claims that these speak of."""
    repository = "nice-hku-coder/coder_data"
    abstracts = sources.text(repository, "scifact_antonym/corpus_candidate.jsonl").splitlines()
    documents = {entry["doc_id"]: ("", entry["text"]) for entry in map(json.loads, abstracts)}
    claims = sources.text(repository, "scifact/claim_contradict_topic_relevant.jsonl").splitlines()
    return PublicSet(
        documents,
        [
            (entry["claim"], frozenset(map(str, entry["topical_relevant_doc_ids"])) & documents.keys())
            for entry in map(json.loads, claims)
        ],
    )


def live_qa(sources: Sources) -> PublicSet:
    """What people asked a medical library, over answers of NIH pages that doctors judged (MedQuAD, LiveQA)."""
    packed = sources.read("abachaa/MedQuAD", "QA-TestSet-LiveQA-Med-Qrels-2479-Answers.zip")
    with zipfile.ZipFile(io.BytesIO(packed)) as files:
        names = [name for name in files.namelist() if not name.startswith("__MACOSX")]
        judged, answers = (
            files.read(next(name for name in names if name.endswith(ending))).decode("utf-8", "replace")
            for ending in (".txt", ".csv")
        )
    documents = {}
    for name, answer in list(csv.reader(io.StringIO(answers)))[1:]:
        title, _, text = answer.partition("\n")
        documents[name] = (title.removeprefix("Question: ").strip(), text.partition("Answer:")[2].strip())
    path = "TestDataset/TREC-2017-LiveQA-Medical-Test-Questions-w-summaries.xml"
    tree = ET.fromstring(sources.text("abachaa/LiveQA_MedicalTask_TREC2017", path))  # noqa: S314 - a known file
    asked = {entry.attrib["qid"].removeprefix("TQ"): entry.findtext("NLM-Summary") or "" for entry in tree}
    evidence: dict[str, set[str]] = {}
    for line in judged.splitlines():
        question, judgement, name = line.split()
        if judgement[0] in "34" and name in documents:
            evidence.setdefault(question, set()).add(name)
    return PublicSet(
        {name: its for name, its in documents.items() if its[1]},
        [(_flat(text), frozenset(evidence.get(number, ()))) for number, text in asked.items()],
    )


def covid_faq(sources: Sources) -> PublicSet:
    """Questions of official pages on an epidemic, over their answers alone."""
    repository = "JHU-COVID-QA/scraping-qas"
    documents: dict[str, str] = {}
    questions: list[tuple[str, frozenset[str]]] = []
    for path in sources.files(repository, "data/scraping/schema_v0.3"):
        lines = sources.text(repository, path).split("\n") if path.endswith(".jsonl") else []
        for entry in map(json.loads, filter(None, lines)):
            answer = _flat(entry["answerText"] or "")
            if entry["language"] == "en" and answer and answer not in documents.values():
                documents[str(len(documents))] = answer
                questions.append((_flat(entry["questionText"]), frozenset({str(len(documents) - 1)})))
    return PublicSet({name: ("", text) for name, text in documents.items()}, questions)


def finance(sources: Sources) -> PublicSet:
    """Questions of analysts, over pages of annual reports (FinanceBench)."""
    lines = sources.text("patronus-ai/financebench", "data/financebench_open_source.jsonl").splitlines()
    documents: dict[str, tuple[str, str]] = {}
    questions: list[tuple[str, frozenset[str]]] = []
    for entry in map(json.loads, lines):
        pages = {f"{page['doc_name']}-{page['evidence_page_num']}": page for page in entry["evidence"]}
        documents |= {name: (page["doc_name"], page["evidence_text_full_page"]) for name, page in pages.items()}
        questions.append((entry["question"], frozenset(pages)))
    return PublicSet(documents, questions)


def open_road(sources: Sources) -> PublicSet:
    """Questions of engineers, over the manual of a tool that designs chips (ORD-QA)."""
    repository = "lesliepy99/RAG-EDA"
    manual = json.loads(sources.text(repository, "benchmark/openroad_documentation.json"))
    asked = sources.text(repository, "benchmark/ORD-QA.jsonl").splitlines()
    return PublicSet(
        {
            piece["id"]: ("", piece["content"].partition("\n")[2])
            for chapter in manual
            for piece in chapter["knowledge"]
        },
        [(_flat(entry["question"]), frozenset(entry["reference"])) for entry in map(json.loads, asked)],
    )


def shared(name: str) -> Callable[[Sources], PublicSet]:
    """Questions in two hops over passages of Wikipedia for both sets, those of the folder that SHARED_DATA names."""

    def make(_: Sources) -> PublicSet:
        folder = DATA / name
        documents = {
            entry["_id"]: (entry["title"], entry["text"])
            for path in (DATA / "hotpotqa" / "corpus.jsonl", DATA / "musique" / "corpus.jsonl")
            for entry in map(json.loads, path.open())
        }
        evidence: dict[str, set[str]] = {}
        for line in (folder / "qrels.tsv").read_text().splitlines()[1:]:
            question, document, _score = line.split("\t")
            evidence.setdefault(question, set()).add(document)
        asked = map(json.loads, (folder / "queries.jsonl").open())
        return PublicSet(documents, [(entry["text"], frozenset(evidence[entry["_id"]])) for entry in asked])

    return make


SETS: Mapping[str, Callable[[Sources], PublicSet]] = {
    "hotpotqa": shared("hotpotqa"),
    "musique": shared("musique"),
    "natural questions": natural_questions,
    "scifact": scifact,
    "cranfield": cranfield,
    "medical": live_qa,
    "finance": finance,
    "faq": covid_faq,
    "manual": open_road,
    "code": cosqa,
    "english": xquad("en"),
    "german": xquad("de"),
    "russian": xquad("ru"),
    "arabic": xquad("ar"),
    "chinese": xquad("zh"),
    "thai": xquad("th"),
    "german over english": xquad("de", "en"),
    "russian over english": xquad("ru", "en"),
    "arabic over english": xquad("ar", "en"),
    "chinese over english": xquad("zh", "en"),
    "japanese": jaquad,
}
_WHOLE = ("hotpotqa", "musique")


def write(name: str, sources: Sources, folder: Path) -> None:
    """Write a set in BEIR layout, if it is not there yet."""
    if (folder / "qrels.tsv").is_file():
        return
    made, rng = SETS[name](sources), random.Random(0)  # noqa: S311 - the same every time
    asked = list(dict(question for question in made.questions if question[1]).items())
    # Drawn, not the first: they come in the order of their documents.
    asked = rng.sample(asked, min(MOST_QUESTIONS, len(asked)))
    wanted = frozenset().union(*(evidence for _, evidence in asked))
    others = [name for name in made.documents if name not in wanted]
    most = len(others) if name in _WHOLE else max(0, MOST_DOCUMENTS - len(wanted))
    kept = wanted.union(rng.sample(others, min(most, len(others))))
    write_set(PublicSet({name: its for name, its in made.documents.items() if name in kept}, asked), folder)


def write_set(made: PublicSet, folder: Path) -> None:
    """Write all of a set in BEIR layout."""
    folder.mkdir(parents=True, exist_ok=True)
    documents, asked = made.documents, made.questions
    _write(folder / "corpus.jsonl", ({"_id": i, "title": t, "text": x} for i, (t, x) in documents.items()))
    _write(folder / "queries.jsonl", ({"_id": f"q{n}", "text": text} for n, (text, _) in enumerate(asked)))
    rows = [f"q{n}\t{document}\t1" for n, (_, evidence) in enumerate(asked) for document in sorted(evidence)]
    (folder / "qrels.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *rows]) + "\n", "utf-8")


def _squad(files: Iterable[Mapping[str, list[dict[str, list[dict[str, object]]]]]]) -> PublicSet:
    documents: dict[str, tuple[str, str]] = {}
    questions: list[tuple[str, frozenset[str]]] = []
    for paragraph in (paragraph for file in files for article in file["data"] for paragraph in article["paragraphs"]):
        name = str(len(documents))
        documents[name] = ("", str(paragraph["context"]))
        asked: Iterator[dict[str, str]] = iter(paragraph["qas"])  # type: ignore[call-overload]
        questions += ((its["question"], frozenset({name})) for its in asked)
    return PublicSet(documents, questions)


def _names(texts: Iterable[str]) -> dict[str, str]:
    return {text: str(number) for number, text in enumerate(dict.fromkeys(texts))}


def _flat(text: str) -> str:
    return " ".join(text.split())


def _write(path: Path, entries: Iterable[Mapping[str, str]]) -> None:
    path.write_text("".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries), "utf-8")
