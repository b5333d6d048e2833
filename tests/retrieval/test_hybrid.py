import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from rag_graph.index import EmbeddedIndex, index_paths
from rag_graph.index.embedded.index import EmbeddedSnapshot
from rag_graph.models.embeddings import Vectors
from rag_graph.models.local.embedder import LocalEmbedder
from rag_graph.query import Filters
from rag_graph.retrieval import DEEP, FAST, DeepRetriever, FastRetriever, HybridRetriever, Stages
from tests.index.hashing import HashEmbedder

NOISE = [f"The village number {n} lies near a river and has a church. Its mayor is Person{n} Smith." for n in range(60)]
TEXTS = {
    "Journal of Inner Weather": "The Journal of Inner Weather is published by the Society of Quiet Clouds.",
    "Society of Quiet Clouds": "It was founded in 1921. Its first chair was Ada Brown, of the Society of Quiet Clouds.",
    "Ada Brown": "Ada Brown was a painter from Leeds. Ada Brown died in 1960.",
    **{f"Village {n}": text for n, text in enumerate(NOISE)},
}
QUESTION = "Who was the first chair of the body that publishes the Journal of Inner Weather?"


class Listening(HashEmbedder):
    """Tells `hear` of the questions that it embeds."""

    def __init__(self, hear: Callable[[Sequence[str]], object]) -> None:
        super().__init__()
        self._hear = hear

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        self._hear(texts)
        return super().embed_queries(texts)


class CountingIndex(EmbeddedIndex):
    """An index that knows how many snapshots of it are open, as a pool knows how many connections are taken."""

    open_snapshots = 0

    @contextmanager
    def snapshot(self, filters: Filters | None = None) -> Iterator[EmbeddedSnapshot]:
        self.open_snapshots += 1
        with super().snapshot(filters) as snapshot:
            yield snapshot
        self.open_snapshots -= 1


def index(folder: Path, titles: Iterable[str]) -> None:
    """Bring the library in this folder to these documents."""
    lines = [{"_id": title, "title": title, "text": TEXTS[title], "secret": title == "Ada Brown"} for title in titles]
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, lines)))
    with closing(EmbeddedIndex(folder / "index", HashEmbedder())) as written:
        index_paths(written, [folder / "corpus.jsonl"])


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedIndex]:
    folder = tmp_path_factory.mktemp("library")
    index(folder, TEXTS)
    library = EmbeddedIndex(folder / "index", HashEmbedder())
    yield library
    library.close()


@pytest.mark.anyio
@pytest.mark.parametrize("tier", [FastRetriever, DeepRetriever])
async def test_the_second_hop_is_found_through_the_first(library: EmbeddedIndex, tier: type[HybridRetriever]) -> None:
    hits = await tier(library).retrieve(QUESTION, top_k=3)
    assert {"Journal of Inner Weather", "Society of Quiet Clouds"} <= {hit.passage.title for hit in hits}
    assert len(hits) == 3


def test_without_its_bridges_the_question_leads_to_its_own_words_only(library: EmbeddedIndex) -> None:
    two_hops = "Where was the painter from who first chaired what publishes the Journal of Inner Weather?"
    without = replace(FAST, lexical_bridge=0, links=0, quotas=())

    def place(stages: Stages) -> int:
        hits = HybridRetriever(library, stages).search(two_hops, top_k=len(TEXTS))
        return [hit.passage.title for hit in hits].index("Society of Quiet Clouds")

    assert place(DEEP) <= place(without)


def test_only_the_most_promising_bridges_are_embedded(library: EmbeddedIndex) -> None:
    def embedded(bridges: int) -> list[str]:
        asked: list[str] = []
        store = CountingIndex(library.directory, Listening(asked.extend))
        HybridRetriever(store, replace(DEEP, dense_bridges=bridges)).search(QUESTION, top_k=5)
        store.close()
        question, *others = asked
        assert question == QUESTION
        return others

    every = embedded(100)
    assert len(every) > 2
    assert len(embedded(2)) == 2
    assert set(embedded(2)) <= set(every)


@pytest.mark.parametrize(("stages", "calls"), [(FAST, 1), (DEEP, 2)])
def test_no_snapshot_is_open_while_the_embedder_is_asked(library: EmbeddedIndex, stages: Stages, calls: int) -> None:
    open_then: list[int] = []
    store = CountingIndex(library.directory, Listening(lambda _: open_then.append(store.open_snapshots)))
    hits = HybridRetriever(store, stages).search(QUESTION, top_k=5)
    store.close()
    assert open_then == [0] * calls
    assert hits == HybridRetriever(library, stages).search(QUESTION, top_k=5)


def test_a_document_that_goes_while_bridges_are_embedded_makes_room_for_the_next(tmp_path: Path) -> None:
    def remove(texts: Sequence[str]) -> None:
        if list(texts) != [QUESTION]:
            index(tmp_path, (title for title in TEXTS if title != gone))

    def titles(store: EmbeddedIndex, stages: Stages, top_k: int) -> list[str]:
        return [hit.passage.title for hit in HybridRetriever(store, stages).search(QUESTION, top_k=top_k)]

    index(tmp_path, TEXTS)
    library = EmbeddedIndex(tmp_path / "index", Listening(remove))
    quiet = EmbeddedIndex(tmp_path / "index", HashEmbedder())
    seeds = titles(quiet, Stages(lexical_bridge=0, links=0), DEEP.seeds)
    gone = next(title for title in titles(quiet, DEEP, 10) if title not in seeds)
    found = titles(library, DEEP, 10)
    library.close()
    quiet.close()
    assert len(found) == 10
    assert gone not in found


@pytest.mark.parametrize("stages", [FAST, DEEP])
def test_no_stage_reaches_outside_the_filter(library: EmbeddedIndex, stages: Stages) -> None:
    hits = HybridRetriever(library, stages).search("Ada Brown of the Society", top_k=100, filters={"secret": False})
    assert hits
    assert all(hit.passage.metadata["secret"] is False for hit in hits)
    assert HybridRetriever(library, stages).search("Ada Brown", top_k=5, filters={"nothing": 1}) == []


@pytest.mark.parametrize("stages", [Stages(dense=1, lexical=0), Stages(dense=0, lexical=1), Stages(dense=0, lexical=0)])
def test_each_stage_can_be_left_out(library: EmbeddedIndex, stages: Stages) -> None:
    found = HybridRetriever(library, stages).search(QUESTION, top_k=5)
    assert len(found) == (5 if stages.dense or stages.lexical else 0)


@pytest.mark.parametrize("question", ["?", "the", "東京", "a" * 4_000, "\x00 \ud800", "ADA BROWN", "ada brown painter"])
def test_any_question_gets_an_answer_and_no_error(library: EmbeddedIndex, question: str) -> None:
    hits = FastRetriever(library).search(question, top_k=3)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True) or len(hits) == 3


def test_the_same_search_gives_the_same_hits(library: EmbeddedIndex) -> None:
    assert DeepRetriever(library).search(QUESTION, top_k=9) == DeepRetriever(library).search(QUESTION, top_k=9)


def test_an_empty_library_has_no_hits(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    index = EmbeddedIndex(tmp_path / "index", HashEmbedder())
    index_paths(index, [tmp_path / "docs"])
    assert DeepRetriever(index).search("anything", top_k=3) == []


class Reading(HashEmbedder):
    """Knows of every text the same share."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self._share = share

    def known_share(self, text: str) -> float:  # noqa: ARG002 - contract
        return self._share


def write(folder: Path, texts: dict[str, str]) -> EmbeddedIndex:
    lines = [{"_id": title, "title": title, "text": text} for title, text in texts.items()]
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, lines)))
    written = EmbeddedIndex(folder / "index", HashEmbedder())
    index_paths(written, [folder / "corpus.jsonl"])
    return written


def found(library: EmbeddedIndex, question: str, top_k: int = 3) -> list[str]:
    return [hit.passage.title for hit in FastRetriever(library).search(question, top_k=top_k)]


def test_a_mistyped_name_is_found_all_the_same(library: EmbeddedIndex) -> None:
    assert found(library, "Which pianter was Ada Brwon?", top_k=1) == ["Ada Brown"]


def test_where_all_is_mistyped_vectors_have_no_say(tmp_path: Path) -> None:
    texts = {
        "gzip": "Recursive compression: travel the directory and compress all that is there.",
        "opinions": "A command line tool should be composable, and its commands should be nested.",
        "strategy": "The recursive strategy resolves cases with two heads.",
    }
    (tmp_path / "notes").mkdir()
    for name, text in texts.items():
        (tmp_path / "notes" / f"{name}.txt").write_text(text)
    question = "recusive compresion directroy"
    words_alone = replace(FAST, dense=0, lexical=1)
    with closing(EmbeddedIndex(tmp_path / "index", LocalEmbedder())) as library:
        index_paths(library, [tmp_path / "notes"])
        both, alone = (HybridRetriever(library, stages).search(question, top_k=3) for stages in (FAST, words_alone))
        assert [(hit.passage.title, hit.score) for hit in both] == [(hit.passage.title, hit.score) for hit in alone]


class Misled(HashEmbedder):
    """Takes each question for what one passage says."""

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        return super().embed_queries([f"Opening\n{OPENING}" for _ in texts])


OPENING = "The opening page says why each tank is full: of pumps, of gauges and of all that draining takes."


@pytest.mark.parametrize(("named", "first"), [("drain_valve", "Valves"), ("draining", "Opening")])
def test_an_identifier_is_left_to_words(tmp_path: Path, named: str, first: str) -> None:
    texts = {"Valves": "Call drain_valve to empty the tank at last.", "Opening": OPENING}
    write(tmp_path, texts | {f"Village {n}": text for n, text in enumerate(NOISE)}).close()
    with closing(EmbeddedIndex(tmp_path / "index", Misled())) as library:
        assert found(library, f"Why is the tank full after {named}?", top_k=1) == [first]


def test_what_is_said_to_whoever_answers_is_not_searched(library: EmbeddedIndex) -> None:
    said = f"You are a mayor with a church. {QUESTION} Answer in one sentence, near a river."
    assert FastRetriever(library).search(said, top_k=5) == FastRetriever(library).search(QUESTION, top_k=5)


def test_small_words_do_not_outweigh_the_one_that_is_asked_about(tmp_path: Path) -> None:
    texts = {"What is shown": "What is shown is what was asked.", "What to measure": "What is measured is used."}
    others = {f"What is {n}": f"What is it that number {n} is for? It is what it is." for n in range(20)}
    library = write(tmp_path, {**others, **texts, "Hops": "A second search is called bridging by those who make it."})
    assert found(library, "What is bridging?", top_k=1) == ["Hops"]
    library.close()


def test_copies_of_a_passage_take_one_place(tmp_path: Path) -> None:
    bonus = "The quarterly bonus is paid in the first week of the following quarter."
    copies = {f"Version {n}": bonus.replace(" is ", " \n is ") if n == 2 else bonus for n in range(5)}
    answers = {f"Is the bonus taxed in {year}?": "Yes." for year in (2019, 2020)}
    library = write(tmp_path, {**copies, **answers, "Tax": "The bonus is taxed."})
    titles = found(library, "When is the quarterly bonus paid and taxed?", top_k=8)
    assert sum(title.startswith("Version") for title in titles) == 1
    assert {"Tax", *answers} <= set(titles)
    library.close()


@pytest.mark.parametrize("stages", [FAST, DEEP])
@pytest.mark.parametrize(
    "question",
    ["who was the first chair of a body that has clouds?", "Should I ask the first chair of a body that I've read of?"],
)
def test_a_question_that_names_nothing_is_not_bridged(library: EmbeddedIndex, stages: Stages, question: str) -> None:
    plain = replace(stages, lexical_bridge=0, dense_bridge=0, links=0)
    assert HybridRetriever(library, stages).search(question, top_k=10) == HybridRetriever(library, plain).search(
        question, top_k=10
    )


@pytest.mark.parametrize("question", [QUESTION, "who chaired the society of quiet clouds first?"])
def test_a_question_that_names_something_is_bridged(library: EmbeddedIndex, question: str) -> None:
    plain = replace(FAST, lexical_bridge=0, links=0)
    bridged, direct = (
        {hit.passage.title: hit.score for hit in HybridRetriever(library, stages).search(question, top_k=10)}
        for stages in (FAST, plain)
    )
    assert bridged["Ada Brown"] > direct.get("Ada Brown", 0)


REPORT = {
    "Note 1": "Harbour Line holds inventory of grain. The Pier Fund insures it for Harbour Line.",
    "Note 2": "Harbour Line pays suppliers in March. The Quay Loan covers what Harbour Line owes.",
    "Note 3": "Harbour Line moved its office. The Pier Fund and the Quay Loan paid the rent of Harbour Line.",
    "Note 4": "Harbour Line thanks the Pier Fund, the Quay Loan and all who sailed with Harbour Line.",
    "Note 5": "Payables of suppliers are due within a month, and a turnover of stock is expected each year.",
}


def test_bridges_count_as_far_as_they_explain_the_question(tmp_path: Path) -> None:
    library = write(tmp_path, REPORT | {f"Village {n}": text for n, text in enumerate(NOISE)})
    words_alone = replace(FAST, dense=0, lexical=1)
    plain = replace(words_alone, lexical_bridge=0, links=0)

    def gained(question: str) -> float:
        """By how much bridges bring any passage up."""
        bridged, direct = (
            {hit.passage.title: hit.score for hit in HybridRetriever(library, its).search(question, top_k=4)}
            for its in (words_alone, plain)
        )
        assert all(title.startswith("Note") for title in (*bridged, *direct))
        return max(bridged[title] - direct.get(title, 0.0) for title in bridged)

    whole = gained("Which fund insures the grain that Harbour Line holds, and whose office rent was paid?")
    half = gained("Which fund insures the grain that Harbour Line holds, and what liquidity, profit and margin has it?")
    nothing = gained(
        "Did Harbour Line improve quarterly liquidity, judged by quick ratio without prepaid expenses, or is another "
        "metric more useful for analysts comparing carriers?"
    )
    assert whole > half > nothing == 0
    library.close()


@pytest.mark.parametrize("stages", [FAST, DEEP])
def test_what_one_hop_found_best_stays_first(library: EmbeddedIndex, stages: Stages) -> None:
    [first] = HybridRetriever(library, replace(stages, lexical_bridge=0, dense_bridge=0, links=0)).search(
        QUESTION, top_k=1
    )
    [bridged] = HybridRetriever(library, stages).search(QUESTION, top_k=1)
    assert bridged.passage == first.passage


def test_an_embedder_that_cannot_read_the_question_has_no_say(library: EmbeddedIndex) -> None:
    words_alone = Stages(dense=0, lexical=1, lexical_bridge=0, links=0, quotas=())
    both = replace(words_alone, dense=0.6, lexical=0.4)

    def search(embedder: HashEmbedder, stages: Stages) -> list[tuple[str, float]]:
        store = EmbeddedIndex(library.directory, embedder)
        hits = HybridRetriever(store, stages).search("Who was Ada Brown?", top_k=2)
        store.close()
        return [(hit.passage.title, round(hit.score, 3)) for hit in hits]

    assert search(Reading(0.0), both) == search(HashEmbedder(), words_alone)
    assert search(Reading(1.0), both) == search(HashEmbedder(), both)
    assert search(Reading(1.0), both) != search(Reading(0.0), both)


NOTES = {
    "animals": "Dogs may not enter the laboratory.",
    "display": "Release 3.9 adds a dark mode to the settings.",
    "outage": "Service is restored within four hours of a failure.",
    "get": "The function get returns what you get when you ask for a user.",
    "list": "How do I list what there is? The function list is there for it.",
    "bring": "Plants are watered by those who bring them.",
}


@pytest.mark.parametrize(
    ("question", "note"),
    [
        ("Can I take my puppy to the lab?", "animals"),
        ("Is there a night theme?", "display"),
        ("How fast must we be back when everything breaks down?", "outage"),
    ],
)
def test_a_question_in_other_words_is_found_by_its_meaning(tmp_path: Path, question: str, note: str) -> None:
    (tmp_path / "notes").mkdir()
    for name, text in NOTES.items():
        (tmp_path / "notes" / f"{name}.txt").write_text(text)
    with closing(EmbeddedIndex(tmp_path / "index", LocalEmbedder())) as library:
        index_paths(library, [tmp_path / "notes"])
        assert found(library, question, top_k=1) == [note]


def test_a_short_form_finds_what_is_only_called_by_its_long_one(tmp_path: Path) -> None:
    texts = {
        "Bodies": "The Quiet Lake Agency (QLA) was founded in 1961.",
        "Fees": "Moorings are licensed by the Quiet Lake Agency for a fee.",
        "Lakes": "The lake is quiet, says the agency that sells trips to it.",
        **{f"Village {n}": text for n, text in enumerate(NOISE)},
    }
    library = write(tmp_path, texts)
    words_alone = Stages(dense=0, lexical=1, lexical_bridge=0, links=0, quotas=())
    for question in ("QLA", "What is the QLA?", "qla moorings"):
        titles = [hit.passage.title for hit in HybridRetriever(library, words_alone).search(question, top_k=3)]
        assert {"Bodies", "Fees"} <= set(titles), question
    library.close()


@pytest.mark.parametrize("stages", [FAST, DEEP])
def test_all_that_fits_as_well_is_given_where_all_is_asked_for(tmp_path: Path, stages: Stages) -> None:
    rows = {f"row {n}": f"product: lamp {n}; colour: {'red' if n < 9 else 'blue'}; stock: {n * 7}" for n in range(40)}
    library = write(tmp_path, rows)

    def given(question: str) -> list[str]:
        return [hit.passage.title for hit in HybridRetriever(library, stages).search(question, top_k=3)]

    assert sorted(given("List all red lamps")) == sorted(f"row {n}" for n in range(9))
    assert len(given("Which lamp is red?")) == 3
    assert len(given("List all lamps")) == 20
    assert len(given("List all unicorns")) == 3
    library.close()


@pytest.mark.parametrize("question", ["bridging", "Bridging?", "brigding"])
def test_a_question_of_one_word_finds_what_has_it(tmp_path: Path, question: str) -> None:
    texts = {
        "Hops": "A second search is called bridging by those who make it.",
        "Rivers": "A second search for the ferry was in vain.",
    }
    library = write(tmp_path, texts | {f"Village {n}": text for n, text in enumerate(NOISE)})
    assert found(library, question, top_k=1) == ["Hops"]
    library.close()


@pytest.mark.parametrize(
    ("question", "note"),
    [
        ("What happened on 3rd of May 2021?", "budget"),
        ("2021-06-03", "office"),
        ("rails of 1000 mm", "rail"),
        ("Which run is 5km long?", "run"),
        ("lgacer", "glacier"),
        ("notifcaiton", "notification"),
        ("trailingspace", "formatter"),
        ("trail ing space", "formatter"),
        ("maxRetries", "retries"),
    ],
)
def test_what_is_written_otherwise_is_found_by_words_alone(tmp_path: Path, question: str, note: str) -> None:
    texts = {
        "budget": "Minutes of 2021-05-03: the board approved the budget.",
        "chair": "Minutes of 2021-03-05: the board elected a chair.",
        "office": "Minutes of 3 June 2021: the board moved the office.",
        "rail": "An aluminium rail, 1,000 millimetres long.",
        "run": "The fun run is 5 kilometres long.",
        "marathon": "The marathon is 42 kilometres long.",
        "glacier": "A glacer is a river of ice.",
        "notification": "A notification is sent by the broker.",
        "formatter": "The formatter strips trailing space.",
        "retries": "`max_retries` sets how often a request is repeated.",
    }
    # Titles that say nothing, so that the text alone is searched.
    library = write(tmp_path, {f"Note {n}": text for n, text in enumerate(texts.values())})
    words = HybridRetriever(library, replace(FAST, dense=0, lexical=1))
    assert words.search(question, top_k=1)[0].passage.content == texts[note]
    library.close()
