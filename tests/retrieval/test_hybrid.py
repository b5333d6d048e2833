import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from rag_graph.documents import Document
from rag_graph.index import Library, Store, View, index_paths
from rag_graph.models.embeddings import Embedder, Vectors
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


class CountingStore:
    """A store that knows how many views of it are open, as a pool knows how many of its connections are taken."""

    def __init__(self, library: Library, embedder: Embedder) -> None:
        self._library = library
        self.embedder = embedder
        self.open_views = 0

    @contextmanager
    def view(self, filters: Filters | None = None) -> Iterator[View]:
        self.open_views += 1
        with self._library.view(filters) as view:
            yield view
        self.open_views -= 1

    def document(self, document_id: str) -> Document | None:
        return self._library.document(document_id)


def index(folder: Path, titles: Iterable[str]) -> None:
    """Bring the library in this folder to these documents."""
    lines = [{"_id": title, "title": title, "text": TEXTS[title], "secret": title == "Ada Brown"} for title in titles]
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, lines)))
    index_paths(folder / "index", [folder / "corpus.jsonl"], embedder=HashEmbedder())


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    folder = tmp_path_factory.mktemp("library")
    index(folder, TEXTS)
    library = Library.open(folder / "index", HashEmbedder())
    yield library
    library.close()


@pytest.mark.anyio
@pytest.mark.parametrize("tier", [FastRetriever, DeepRetriever])
async def test_the_second_hop_is_found_through_the_first(library: Library, tier: type[HybridRetriever]) -> None:
    hits = await tier(library).retrieve(QUESTION, top_k=3)
    assert {"Journal of Inner Weather", "Society of Quiet Clouds"} <= {hit.passage.title for hit in hits}
    assert len(hits) == 3


def test_without_its_bridges_the_question_leads_to_its_own_words_only(library: Library) -> None:
    two_hops = "Where was the painter from who first chaired what publishes the Journal of Inner Weather?"
    without = replace(FAST, lexical_bridge=0, links=0, quotas=())

    def place(stages: Stages) -> int:
        hits = HybridRetriever(library, stages).search(two_hops, top_k=len(TEXTS))
        return [hit.passage.title for hit in hits].index("Society of Quiet Clouds")

    assert place(DEEP) <= place(without)


def test_only_the_most_promising_bridges_are_embedded(library: Library) -> None:
    def embedded(bridges: int) -> list[str]:
        asked: list[str] = []
        store = CountingStore(library, Listening(asked.extend))
        HybridRetriever(store, replace(DEEP, dense_bridges=bridges)).search(QUESTION, top_k=5)
        question, *others = asked
        assert question == QUESTION
        return others

    every = embedded(100)
    assert len(every) > 2
    assert len(embedded(2)) == 2
    assert set(embedded(2)) <= set(every)


@pytest.mark.parametrize(("stages", "calls"), [(FAST, 1), (DEEP, 2)])
def test_no_view_of_the_store_is_open_while_the_embedder_is_asked(library: Library, stages: Stages, calls: int) -> None:
    open_views: list[int] = []
    store = CountingStore(library, Listening(lambda _: open_views.append(store.open_views)))
    hits = HybridRetriever(store, stages).search(QUESTION, top_k=5)
    assert open_views == [0] * calls
    assert hits == HybridRetriever(library, stages).search(QUESTION, top_k=5)


def test_a_document_that_goes_while_bridges_are_embedded_makes_room_for_the_next(tmp_path: Path) -> None:
    def remove(texts: Sequence[str]) -> None:
        if list(texts) != [QUESTION]:
            index(tmp_path, (title for title in TEXTS if title != gone))

    def titles(store: Store, stages: Stages, top_k: int) -> list[str]:
        return [hit.passage.title for hit in HybridRetriever(store, stages).search(QUESTION, top_k=top_k)]

    index(tmp_path, TEXTS)
    library = Library.open(tmp_path / "index", Listening(remove))
    quiet = CountingStore(library, HashEmbedder())
    seeds = titles(quiet, Stages(lexical_bridge=0, links=0), DEEP.seeds)
    gone = next(title for title in titles(quiet, DEEP, 10) if title not in seeds)
    found = titles(library, DEEP, 10)
    library.close()
    assert len(found) == 10
    assert gone not in found


@pytest.mark.parametrize("stages", [FAST, DEEP])
def test_no_stage_reaches_outside_the_filter(library: Library, stages: Stages) -> None:
    hits = HybridRetriever(library, stages).search("Ada Brown of the Society", top_k=100, filters={"secret": False})
    assert hits
    assert all(hit.passage.metadata["secret"] is False for hit in hits)
    assert HybridRetriever(library, stages).search("Ada Brown", top_k=5, filters={"nothing": 1}) == []


@pytest.mark.parametrize("stages", [Stages(dense=1, lexical=0), Stages(dense=0, lexical=1), Stages(dense=0, lexical=0)])
def test_each_stage_can_be_left_out(library: Library, stages: Stages) -> None:
    found = HybridRetriever(library, stages).search(QUESTION, top_k=5)
    assert len(found) == (5 if stages.dense or stages.lexical else 0)


@pytest.mark.parametrize("question", ["?", "the", "東京", "a" * 4_000, "\x00 \ud800", "ADA BROWN", "ada brown painter"])
def test_any_question_gets_an_answer_and_no_error(library: Library, question: str) -> None:
    hits = FastRetriever(library).search(question, top_k=3)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True) or len(hits) == 3


def test_the_same_search_gives_the_same_hits(library: Library) -> None:
    assert DeepRetriever(library).search(QUESTION, top_k=9) == DeepRetriever(library).search(QUESTION, top_k=9)


def test_an_empty_library_has_no_hits(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    index_paths(tmp_path / "index", [tmp_path / "docs"], embedder=HashEmbedder())
    assert DeepRetriever(Library.open(tmp_path / "index", HashEmbedder())).search("anything", top_k=3) == []
