import hashlib
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from rag_graph.errors import SettingsError
from rag_graph.models.local import embedder as local_embedder
from rag_graph.models.local.embedder import LocalEmbedder
from rag_graph.models.local.tokens import tokenizer


@pytest.fixture(scope="module")
def embedder() -> LocalEmbedder:
    return LocalEmbedder()


def test_vectors_are_unit_rows_in_the_order_of_the_texts(embedder: LocalEmbedder) -> None:
    texts = ["a long text " * 40, "short", "", "of middling length, this one"] * 6
    vectors = embedder.embed(texts)
    assert vectors.shape == (24, embedder.dims)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    for row in (0, 1, 3):
        assert vectors[row] @ embedder.embed_query(texts[row]) > 0.99


def test_a_question_is_nearest_to_the_passage_that_answers_it(embedder: LocalEmbedder) -> None:
    passages = embedder.embed(
        [
            "The Eiffel Tower was completed in 1889 and stands 330 metres tall.",
            "Photosynthesis turns light into chemical energy in plants.",
            "The stock market fell sharply on Monday.",
        ]
    )
    assert int(np.argmax(passages @ embedder.embed_query("How high is the tower in Paris?"))) == 0


def test_no_texts_give_no_rows(embedder: LocalEmbedder) -> None:
    assert embedder.embed([]).shape == (0, embedder.dims)


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("Who made the Larkspur engine in 1874?", 0.9, 1.0),
        ("Wer baute den Motor?", 0.9, 1.0),
        ("¿Dónde está la catedral?", 0.8, 1.0),
        ("Кто построил эту башню?", 0.0, 0.2),
        ("这座塔有多高？", 0.0, 0.1),
        ("塔の高さはどれくらいですか", 0.0, 0.1),
        ("หอคอยนี้สูงเท่าไร", 0.0, 0.1),
        ("?!", 1.0, 1.0),
        ("", 1.0, 1.0),
        ("\ud800", 0.0, 1.0),
    ],
)
def test_it_knows_how_much_of_a_text_it_can_read(embedder: LocalEmbedder, text: str, least: float, most: float) -> None:
    assert least <= embedder.known_share(text) <= most


def test_it_knows_words_and_no_misspelt_ones(embedder: LocalEmbedder) -> None:
    assert all(map(embedder.knows, ("banker", "Lost", "compression")))
    assert not any(map(embedder.knows, ("recusive", "compresion", "", "\ud800x")))


ODD_TEXTS = {
    "prose": "The ship sailed in May and came back with tea, silk and a letter from the governor. " * 20,
    "code": "def read(self, path):\n    return [row.strip() for row in open(path) if row[0] != '#']\n" * 20,
    "table": "| year | sold | returned |\n|---|---|---|\n" + "| 1987 | 12,345.67 | 0.4 % |\n" * 50,
    "base64": "".join(hashlib.sha512(bytes([n])).hexdigest().upper() for n in range(12))[:1500],
    "Chinese": "这座塔有多高，是谁建造的？" * 120,
    "Russian": "Кто построил эту башню и зачем она нужна? " * 40,
    "Thai": "หอคอยนี้สูงเท่าไร" * 80,
    "letters": "é" * 1_500,
    "surrogates": "\ud800 x" * 400,
    "nothing": "",
}


@pytest.mark.parametrize("name", ODD_TEXTS)
@pytest.mark.parametrize("heading", ["", "Manual > Reading", "a heading that goes on " * 40])
def test_no_token_of_a_passage_is_left_unread(embedder: LocalEmbedder, name: str, heading: str) -> None:
    text, tokens = ODD_TEXTS[name], tokenizer()
    parts = embedder.parts(heading, text)
    assert all(len(tokens.encode(part).ids) <= local_embedder.MAX_TOKENS - 2 for part in parts)
    bodies = [part.partition("\n")[2] for part in parts]
    assert "".join(bodies) == text.encode("utf-8", "replace").decode()
    read = [token for body in bodies for token in tokens.encode(body).ids]
    assert read == tokens.encode("".join(bodies)).ids
    assert all(part.startswith(heading[:20]) for part in parts)


def test_a_run_of_letters_that_is_no_word_is_read_too(embedder: LocalEmbedder) -> None:
    base64 = ODD_TEXTS["base64"]
    assert embedder.known_share(base64) > 0.5
    vectors = embedder.embed([base64[:200], base64[200:400]])
    assert vectors[0] @ vectors[1] < 0.999


@pytest.mark.parametrize("text", ["\ud800 lone surrogate", "\x00", "word " * 200_000, "a" * 1_000_000, "日本語"])
def test_hostile_texts_have_a_vector_too(embedder: LocalEmbedder, text: str) -> None:
    assert np.isfinite(embedder.embed_query(text)).all()


def test_threads_share_one_model_and_get_the_same_vectors() -> None:
    embedder = LocalEmbedder()
    with ThreadPoolExecutor(4) as pool:
        rows = list(pool.map(embedder.embed_query, ["the same question"] * 8))
    assert all(np.array_equal(rows[0], row) for row in rows)
    assert len(embedder._loaded) == 1


def test_a_missing_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(SettingsError, match=r"pip install 'rag-graph\[local\]'"):
        LocalEmbedder().embed_query("anything")


def test_the_vocabulary_is_the_published_one() -> None:
    vocabulary = Path(local_embedder.__file__).parent / "data" / "vocab.txt"
    assert hashlib.sha256(vocabulary.read_bytes()).hexdigest() == (
        "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"
    )
