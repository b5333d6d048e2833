"""Sources that say different things are told only where one of them must be wrong."""

import pytest

from rag_graph.claims.conflicts import conflicts, opposes
from rag_graph.events import NumberedPassage
from tests.benchmarks.conflicts import is_told, pairs


def passage(number: int, title: str, content: str) -> NumberedPassage:
    return NumberedPassage(
        number=number, document=f"d{number}", title=title, uri="u", start=0, end=len(content), score=1, content=content
    )


def test_hardly_any_pair_is_told_wrongly_and_most_conflicts_are_told() -> None:
    told = [pair["conflict"] for pair in pairs() if is_told(pair)]
    assert sum(told) / len(told) >= 0.95
    assert sum(told) >= 0.8 * sum(pair["conflict"] for pair in pairs())


@pytest.mark.parametrize(
    ("question", "titles", "one", "other"),
    [
        (
            "How tall is the tower?",
            ("Eiffel Tower", "Tokyo Tower"),
            "The tower is 330 m tall.",
            "The tower is 333 m tall.",
        ),
        ("How many people?", ("A", "B"), "In 2010 5400 people lived here.", "In 2020 6100 people lived here."),
        ("How many users?", ("A", "B"), "The service has 2.3 million users.", "The service has 2,314,000 users."),
        ("How many users?", ("A", "B"), "The service has about 200 users.", "The service has 230 users."),
        (
            "What is the population?",
            ("Eagle Mountain, Utah", "Redmond, Utah"),
            "The population was 21,415 at the 2010 census.",
            "The population was 788 at the 2010 census.",
        ),
        ("How long is it?", ("Film", "Cinema"), "The film lasts 120 minutes.", "The film lasts 2 hours."),
        ("Which Python?", ("Tool 2.1", "Tool 3.0"), "Tool needs Python 3.8.", "Tool needs Python 3.10."),
        ("How many came?", ("A", "B"), "The show drew over 900 people.", "The show drew over 1100 people."),
        ("Which is fast?", ("A", "B"), "Airbus 320 Neo is a fast plane.", "Airbus 330 Neo is a fast plane."),
        ("Where?", ("A", "B"), "The hall is described in section 3.", "The hall is described in section 7."),
        ("How many replicas?", ("A", "B"), "A shard has several replicas.", "A shard has several or no replicas."),
        ("Linux?", ("A", "B"), "The tool runs on Linux.", "The tool does not run on Linux before version 3."),
        (
            "How heavy is the drone?",
            ("Falcon", "Osprey"),
            "The Falcon flies. The drone weighs 249 g.",
            "The Osprey flies. The drone weighs 895 g.",
        ),
        ("What is the fee?", ("Sauna", "Library"), "The fee is 25 euros.", "The fee is 35 euros."),
        ("What does it weigh?", ("Pump A", "Pump B"), "It weighs 12 kg.", "It weighs 15 kg."),
        ("Dogs?", ("A", "B"), "Dogs are allowed on a leash.", "Dogs are not allowed without a leash."),
        ("When?", ("A", "B"), "The lease ends on 31.12.2025.", "The lease ends on December 31, 2025."),
        ("When?", ("A", "B"), "The ferry leaves at 14:30.", "The ferry leaves at 2:30 pm."),
        ("When?", ("A", "B"), "The choir sings on 5 March 2024.", "The choir sings on 9 April 2024."),
        ("Who is mayor?", ("A", "B"), "The mayor of Lund was Ann Lee.", "The mayor of Lund is Bob May."),
        ("Preis?", ("A", "B"), "Der Preis beträgt 1.250 Euro.", "Der Preis beträgt 1250 Euro."),
        ("船票多少钱？", ("A", "B"), "船票的价格为40元。", "船票的价格约为45元。"),
        (
            "What does the hut weigh?",
            ("A", "B"),
            "| Hut | Weight |\n|---|---|\n| H1 | 12 kg |",
            "| Hut | Weight |\n|---|---|\n| H2 | 15 kg |",
        ),
        (
            "Which film was released?",
            ("A Letter from Rome (1950 film)", "Two Days in May"),
            "The film was released by Orla Films on 3 May 1950.",
            "The film was released by Orla Films on 9 June 1961.",
        ),
    ],
)
def test_other_times_other_things_and_roundings_are_no_conflict(
    question: str, titles: tuple[str, str], one: str, other: str
) -> None:
    assert not list(conflicts(question, [passage(1, titles[0], one), passage(2, titles[1], other)]))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Webhooks of a user are enabled by default.", "Webhooks of a user are disabled by default."),
        ("The upload limit of files is 512 kB.", "The upload limit of files is 10 MB."),
        ("The board cannot show more than 29 rows at once.", "The board cannot show more than 26 rows at once."),
        ("If a page has moved, a 301 redirect is sent.", "If a page has moved, a 308 redirect is sent."),
        ("The server of the page listens on port 8000.", "The server of the page listens on port 8080."),
        ("About 200 people of the town were hurt.", "About 900 people of the town were hurt."),
        ("Full-time staff of the firm get 28 days.", "Full-time staff of the firm get 30 days."),
        ("Support of proxies came in 7.52.2 of the tool.", "Support of proxies came in 7.53.0 of the tool."),
    ],
)
def test_opposites_other_units_limits_and_exact_numbers_are_conflicts(one: str, other: str) -> None:
    assert list(conflicts(one, [passage(1, "Manual", one), passage(2, "Manual", other)]))


@pytest.mark.parametrize(
    ("question", "one", "other"),
    [
        ("When does the ferry leave?", "The ferry leaves at 8 am.", "The ferry leaves at 8 pm."),
        ("When does the ferry leave?", "The ferry leaves at 10:00.", "The ferry leaves at 10:30."),
        ("When does the lease end?", "The lease expires on 2026-01-31.", "The lease expires on June 30, 2026."),
        ("What is the ferry's fee?", "The fee is $25.", "The fee is $35."),
        ("Is the ferry heated?", "The ferry is heated.", "The ferry is not heated."),
        ("Is the ticket available?", "The ticket is available in Oslo.", "The ticket is unavailable in Oslo."),
        ("What is the lowest temperature?", "The lowest temperature is -10 °C.", "The lowest temperature is 10 °C."),
        ("Who is the head of sales?", "The head of sales is Maria Sand.", "The head of sales is Jon Beck."),
        ("How many seats?", "The hall has 1200 seats.", "The hall has 900 seats."),
        ("Was kostet die Fähre?", "Die Fähre kostet 20 Euro.", "Die Fähre kostet 30 Euro."),
        ("Wann wurde das Haus gebaut?", "Das Haus wurde 1974 gebaut.", "Das Haus wurde 1982 gebaut."),
        ("Czy parking jest bezpłatny?", "Parking jest bezpłatny.", "Parking nie jest bezpłatny."),
        ("船票多少钱？", "船票的价格为40元。", "船票的价格为45元。"),
        ("能带狗吗？", "花园内可以带狗。", "花园内不可以带狗。"),
        (
            "What does the hut H1 weigh?",
            "| Hut | Weight |\n|---|---|\n| H1 | 12 kg |",
            "| Hut | Weight |\n|---|---|\n| H1 | 15 kg |",
        ),
    ],
)
def test_times_days_cells_and_sentences_of_other_languages_are_conflicts_too(
    question: str, one: str, other: str
) -> None:
    assert list(conflicts(question, [passage(1, "Manual", one), passage(2, "Manual", other)]))


def test_a_conflict_about_something_else_than_was_asked_is_not_told() -> None:
    one, other = passage(1, "A", "The drone weighs 249 g."), passage(2, "B", "The drone weighs 895 g.")
    assert list(conflicts("How heavy is the drone?", [one, other]))
    assert not list(conflicts("Where was Anna Berg born?", [one, other]))
    assert not list(conflicts("How heavy is the drone?", [one, one.model_copy(update={"number": 3})]))


def test_of_two_conflicts_the_one_that_was_asked_about_is_told() -> None:
    old = passage(1, "Ferry", "The ferry costs 20 euros. The ferry leaves at 8 am.")
    new = passage(2, "Ferry", "The ferry costs 30 euros. The ferry leaves at 9:30 am.")
    for question, words in (("When does the ferry leave?", "leaves"), ("What does the ferry cost?", "costs")):
        [found] = conflicts(question, [old, new])
        assert words in found.one.words


def test_the_newer_source_stands_first_where_both_dates_are_known() -> None:
    old = passage(1, "Prices 2023", "The licence costs 49 euros.")
    new = passage(2, "Prices 2024", "The licence costs 59 euros.")
    for order in ((old, new), (new, old)):
        [found] = conflicts("What does the licence cost?", order)
        assert (found.one.passage, found.other.passage) == (new, old)


def test_a_sentence_of_an_answer_is_opposed_by_a_passage_that_says_otherwise() -> None:
    page = passage(1, "Guide", "The Eiffel Tower is 330 metres tall. It opened in 1889.")
    assert opposes("The Eiffel Tower is 324 metres tall.", "Guide", page)
    assert not opposes("The Eiffel Tower is 330 metres tall.", "Guide", page)
    assert not opposes("The Tokyo Tower is 333 metres tall.", "Tokyo", page)
