from rag_graph.events import NumberedPassage
from rag_graph.graph.decision import bearing_on, in_words

QUESTION = "Who was the first president of the association which published the Journal of Integration?"


def passage(number: int, title: str, content: str) -> NumberedPassage:
    return NumberedPassage(
        number=number, document=title, title=title, uri=title, start=0, end=len(content), score=0, content=content
    )


JOURNAL = passage(1, "Journal of Integration", "It is published by the Psychological Society of Rome.")
RIVER = passage(2, "River", "A river flows.")
HILL = passage(3, "Hill", "A hill stands.")
LAKE = passage(4, "Lake", "A lake lies still.")
SOCIETY = passage(5, "Psychological Society of Rome", "It was founded in 1892.")
OFFICE = passage(6, "Offices", "The first president of an association is its founder.")
DOCUMENTS = [JOURNAL, RIVER, HILL, LAKE, SOCIETY, OFFICE]


def numbers(new: set[int], cited: set[int], documents: list[NumberedPassage] = DOCUMENTS) -> list[int]:
    return [bearing.passage.number for bearing in bearing_on(QUESTION, documents, new=new, cited=cited, top=3)]


def test_a_new_passage_far_down_that_has_nothing_of_the_question_does_not_count() -> None:
    assert numbers({4}, cited={1}) == []


def test_a_passage_whose_title_the_cited_source_names_counts() -> None:
    [bearing] = bearing_on(QUESTION, DOCUMENTS, new={5}, cited={1}, top=3)
    assert in_words([bearing]) == "[5] “Psychological Society of Rome”, named by what the draft cites"


def test_a_passage_that_the_draft_was_shown_the_title_of_counts_though_it_cites_another() -> None:
    assert numbers({5}, cited={2}) == []
    [bearing] = bearing_on(QUESTION, DOCUMENTS, new={5}, cited={2}, shown={1, 2}, top=3)
    assert in_words([bearing]) == "[5] “Psychological Society of Rome”, named by what the draft was given"


def test_a_title_in_the_question_itself_is_no_lead() -> None:
    asked = passage(5, "Association", "It has rooms.")
    assert numbers({5}, {1}, [JOURNAL, RIVER, HILL, LAKE, asked]) == []


def test_a_passage_with_words_of_the_question_that_the_draft_lacks_counts() -> None:
    assert numbers({6}, cited={1}) == [6]
    rules = passage(2, "Rules", "The first president of an association is elected.")
    assert numbers({6}, cited={1, 2}, documents=[JOURNAL, rules, HILL, LAKE, SOCIETY, OFFICE]) == []


def test_one_of_the_best_of_the_search_counts_whatever_it_says() -> None:
    assert numbers({2, 3, 4}, cited={1}) == [2, 3]


def test_everything_new_counts_when_the_draft_cites_nothing() -> None:
    assert numbers({2, 4, 5}, cited=set()) == [2, 4, 5]


def test_what_the_draft_knew_never_counts() -> None:
    assert numbers(set(), cited={1}) == []


def test_only_the_first_are_named() -> None:
    bearings = bearing_on(QUESTION, DOCUMENTS, new={2, 3, 4, 5}, cited=set(), top=3)
    assert (
        in_words(bearings)
        == "[2] “River”, the draft cites no source; [3] “Hill”, the draft cites no source; and 2 more"
    )
