from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from rag_graph.events import NumberedPassage
from rag_graph.models.embeddings import Vectors
from rag_graph.models.local.embedder import LocalEmbedder
from rag_graph.retrieval.quotes import Quote, QuoteChoice, Weights, best_quotes

QUESTION = "Who was the first president of the association which published the Journal of Dreams?"


def passage(number: int, title: str, content: str, *, score: float = 0) -> NumberedPassage:
    return NumberedPassage(
        number=number, document=title, title=title, uri=title, start=0, end=len(content), score=score, content=content
    )


JOURNAL = passage(
    1, "Journal of Dreams", "It has four issues a year. The journal is published by the Oneiric Association of Basel."
)
BASEL = passage(2, "Basel", "Basel is a city on the Rhine. Its first president was a merchant.")
ONEIRIC = passage(
    3, "Oneiric Association of Basel", "It has 900 members. Stanley Hill was its first president, from 1892 on."
)


def flat(quotes: tuple[Quote, ...]) -> list[str]:
    return [quote.flat for quote in quotes]


def test_the_pair_covers_the_question_and_is_linked_by_a_name() -> None:
    chosen = best_quotes(QUESTION, [JOURNAL, BASEL, ONEIRIC])
    assert set(flat(chosen)) == {
        "The journal is published by the Oneiric Association of Basel.",
        "Stanley Hill was its first president, from 1892 on.",
    }


def test_quotes_are_exact_spans() -> None:
    for quote in best_quotes(QUESTION, [JOURNAL, BASEL, ONEIRIC]):
        assert quote.passage.content[quote.start : quote.end] == quote.quote
        assert 0 <= quote.score <= 1


def test_meaning_counts_where_words_are_not_shared() -> None:
    passages = [
        passage(1, "Notes", "The ferry was painted green last summer. Physicians advise drinking plenty of water."),
    ]
    [first, _] = best_quotes("What do doctors recommend?", passages, LocalEmbedder())
    assert first.flat == "Physicians advise drinking plenty of water."


def test_headings_questions_and_scraps_are_not_quoted() -> None:
    content = (
        "# The tower of the town\n\nHow tall is the tower here?\n\nThe tower.\n\nThe tower has a height of 90 metres."
    )
    assert flat(best_quotes("How tall is the tower?", [passage(1, "Tower", content)])) == [
        "The tower has a height of 90 metres."
    ]


@pytest.mark.parametrize(
    ("question", "content", "wanted"),
    [
        ("Are dogs allowed?", "Dogs are allowed. Bicycles stay outside.", "Dogs are allowed."),
        ("保修期多长？", "水泵的保修期为二十四个月。仓库在格拉茨。", "水泵的保修期为二十四个月。"),
        (
            "Where is the depot?",
            "**When does it open?**\n\nAt nine.\n\n**Where is the depot?**\n\nIn Linz.",
            "In Linz.",
        ),
    ],
)
def test_short_sentences_scripts_without_spaces_and_answers_to_a_question_are_quoted(
    question: str, content: str, wanted: str
) -> None:
    first, *_ = best_quotes(question, [passage(1, "Notes", content)], LocalEmbedder())
    assert first.flat == wanted


def test_the_names_of_columns_are_not_quoted() -> None:
    content = "| Wash | Heat of the wash |\n|---|---|\n| Wool | 30 °C |\n\nCotton may be boiled at 95 °C."
    found = flat(best_quotes("What is the heat of a wash?", [passage(1, "Washer", content)]))
    assert found
    assert not any("Heat of the wash" in quote for quote in found)


def test_the_same_sentence_is_not_quoted_twice() -> None:
    same = "The tower is ninety metres tall."
    passages = [passage(1, "A", same), passage(2, "B", same)]
    assert len(best_quotes("How tall is the tower?", passages)) == 1


def test_no_sentence_no_quote() -> None:
    assert best_quotes(QUESTION, []) == ()
    assert best_quotes(QUESTION, [passage(1, "A", "")]) == ()
    assert best_quotes("", [JOURNAL]) != ()


def test_a_choice_may_be_narrowed_and_scores_stay_comparable() -> None:
    choice = QuoteChoice(QUESTION, [JOURNAL, BASEL, ONEIRIC])
    narrow = choice.best(lambda quote: quote.passage.number == 2)
    assert {quote.passage.number for quote in narrow} == {2}
    assert narrow[0].score < choice.best()[0].score
    assert choice.best(lambda _: False) == ()


@dataclass
class Counting:
    """The embedded embedder, counting the texts it was given."""

    inner: LocalEmbedder = field(default_factory=LocalEmbedder)
    name: str = "counting"
    dims: int = 384
    seen: int = 0

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.seen += len(texts)
        return self.inner.embed(texts)

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        return self.inner.embed_queries(texts)

    def embed_query(self, text: str) -> Vectors:
        return self.inner.embed_query(text)


def test_few_sentences_are_embedded() -> None:
    embedder = Counting()
    content = " ".join(f"The tower number {number} is tall." for number in range(100))
    QuoteChoice("How tall is it?", [passage(1, "A", content)], embedder, weights=Weights(embedded=5))
    assert embedder.seen == 5


@pytest.mark.parametrize(
    ("question", "content", "answer"),
    [
        ("我每年有几天假期？", "员工每年有十五天带薪假期。公司在四楼。", "员工每年有十五天带薪假期。"),
        (
            "ポンプの保証期間は？",
            "ポンプの保証期間は24か月です。工場は長野にあります。",
            "ポンプの保証期間は24か月です。",
        ),
        ("Is parking free?", "Parking is free.", "Parking is free."),
        ("Where is the office?", "**Where is the office?**\n\nIn Graz.", "In Graz."),
    ],
)
def test_short_sentences_and_those_without_spaces_are_quoted(question: str, content: str, answer: str) -> None:
    assert answer in flat(best_quotes(question, [passage(1, "Notes", content)]))
