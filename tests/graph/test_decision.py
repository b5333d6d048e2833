import pytest

from rag_graph.claims import cite
from rag_graph.claims.ledger import state_claims
from rag_graph.events import AnswerDelta, Citation, NumberedPassage, Unsupported
from rag_graph.graph.decision import NOTHING_AGAINST, Draft, Evidence, Weighed, tell_conflicts, weigh
from rag_graph.transcript import Written

QUESTION = "Who was the first president of the association which published the Journal of Integration?"


def passage(number: int, title: str, content: str, score: float = 0) -> NumberedPassage:
    return NumberedPassage(
        number=number, document=title, title=title, uri=title, start=0, end=len(content), score=score, content=content
    )


JOURNAL = passage(1, "Journal of Integration", "It is published by the Psychological Society of Rome.")
RIVER = passage(2, "River", "A river flows.")
HILL = passage(3, "Hill", "A hill stands.")
SOCIETY = passage(4, "Psychological Society of Rome", "Its first president was Carla Neri.")
LAKE = passage(5, "Lake", "A lake lies still.")
STANDS = Weighed(NOTHING_AGAINST)
ANSWERED = "The journal is published by the Psychological Society of Rome [1]."


def weighed(
    draft: str, *new: NumberedPassage, question: str = QUESTION, first: tuple[NumberedPassage, ...] = ()
) -> Weighed:
    shown = first or (JOURNAL, RIVER, HILL)
    written = Written()
    for event in cite(draft, shown, question=question):
        match event:
            case AnswerDelta():
                written.deltas.append(event.delta)
            case Citation():
                written.citations.append(event)
            case Unsupported():
                written.unsupported.append(event)
    written.claims = state_claims(written, 1)
    return weigh(question, Draft(written, shown), Evidence((*shown, *new), top=3))


def test_a_draft_stands_unasked_where_nothing_is_new() -> None:
    assert not weighed("The sources do not say this.").asks


@pytest.mark.parametrize(
    "draft",
    [ANSWERED, "It is published by the Psychological Society of Rome.", "Carla Neri chairs a rather odd club [1]."],
)
def test_a_draft_that_rests_on_sources_stands_unasked_with_markers_or_without(draft: str) -> None:
    assert weighed(draft, LAKE) == Weighed(NOTHING_AGAINST)


@pytest.mark.parametrize(
    "draft",
    [
        "The sources do not say this.",
        f"{ANSWERED} The sources do not mention its first president.",
        "Bananas have grown on the moon since the war.",
    ],
)
def test_a_draft_that_answers_nothing_or_says_what_lacks_or_has_no_source_is_asked_about(draft: str) -> None:
    assert weighed(draft, LAKE).bearing == (LAKE,)


def test_a_page_that_the_drafts_sources_name_is_where_they_go_on() -> None:
    assert weighed(ANSWERED, SOCIETY, LAKE) == Weighed(
        "“Psychological Society of Rome” goes on where the sources of the first answer end", (SOCIETY,)
    )
    assert not weighed(ANSWERED, *(passage(n, f"Lake {n}", "Still.") for n in range(6, 9)), SOCIETY).asks


@pytest.mark.parametrize(
    ("question", "draft", "gap"),
    [
        ("On which date did Ada leave the river?", "Ada left the river in anger [1].", "tells no date"),
        ("On which date did Ada leave the river?", "Ada left the river on 5 May [1].", ""),
        ("When did Ada leave the river?", "Ada left the river in anger [1].", "tells no time"),
        ("When does Ada leave the river?", "Ada leaves the river whenever it rains [1].", ""),
        ("What becomes of the river when Ada leaves?", "It is dry [1].", ""),
        ("How many boats has the river?", "The river has boats made of wood [1].", "tells no number"),
        ("How many boats has the river?", "The river has two boats [1].", ""),
        ("Which boat does Ada sail on the river?", "Ada sails a boat on the river [1].", "only repeats the question"),
        ("Does Ada sail on the river?", "Ada sails on the river [1].", ""),
        ("Who was first on the river, Ada or Eve?", "Ada [1].", ""),
    ],
)
def test_a_draft_that_lacks_what_every_answer_has_is_asked_about(question: str, draft: str, gap: str) -> None:
    river = passage(1, "River", "Ada sailed on the river.")
    found = weighed(draft, LAKE, question=question, first=(river,))
    assert found == (Weighed(f"The first answer {gap}, and more was found since", (LAKE,)) if gap else STANDS)


def test_a_page_of_a_name_in_the_question_is_asked_about_unless_one_of_that_name_was_shown() -> None:
    question = "Where did Ada Byron meet the president?"
    shown, page = (
        passage(1, "Meetings", "Ada Byron met the president in Rome."),
        passage(4, "Ada Byron (poet)", "A life."),
    )
    found = weighed("They met in Rome [1].", page, question=question, first=(shown,))
    assert found == Weighed("“Ada Byron (poet)” is the page on something that was asked about", (page,))
    known = passage(2, "Ada Byron", "Another life.")
    assert weighed("They met in Rome [1].", page, question=question, first=(shown, known)) == STANDS


def test_words_of_a_title_that_stand_apart_in_the_sources_name_no_page() -> None:
    assert weighed(ANSWERED, passage(4, "Society of the Journal", "A club.")) == STANDS


@pytest.mark.parametrize(("unit", "zero"), [(1, 0), (0.01, 0), (10, -50)])
def test_a_new_passage_that_the_search_puts_beside_the_sources_is_asked_about(unit: float, zero: float) -> None:
    def scored(number: int, score: float) -> NumberedPassage:
        return passage(number, f"Page {number}", f"Thing {number}.", zero + unit * score)

    first = (passage(1, "Journal of Integration", JOURNAL.content, zero + unit * 10), scored(2, 9.9), scored(3, 0))
    near, far = scored(4, 7), scored(5, 5)
    assert weighed(ANSWERED, near, far, first=first) == Weighed(
        "“Page 4” fits the question about as well as the sources of the first answer", (near,)
    )
    assert weighed(ANSWERED, far, first=first) == STANDS


def test_the_other_side_of_a_comparison_is_asked_about() -> None:
    pine, oak = passage(1, "Pine", "The pine lives 300 years."), passage(4, "Oak", "The oak lives 900 years.")
    question = "Which lives longer, the pine or the oak?"
    found = weighed("The pine lives 300 years [1].", oak, question=question, first=(pine,))
    assert found == Weighed("“Oak” is about the other side of what was asked", (oak,))
    assert not weighed("The pine lives 300 years [1].", oak, question="How old is the pine?", first=(pine,)).asks


def test_a_new_page_with_a_sentence_on_the_question_in_other_words_is_asked_about() -> None:
    tower = passage(1, "Guide", "The tower is 300 metres tall.")
    grown = passage(4, "News", "The tower grew to 330 metres in 2022.")
    question = "How tall is the tower?"
    found = weighed("The tower is 300 metres tall [1].", grown, question=question, first=(tower,))
    assert found == Weighed("“News” tells something else of what was asked", (grown,))
    same = passage(4, "Copy", "The tower is 300 metres tall.")
    assert not weighed("The tower is 300 metres tall [1].", same, question=question, first=(tower,)).asks


def test_a_new_page_that_says_otherwise_is_asked_about() -> None:
    old = passage(1, "Guide", "The Eiffel Tower is 324 metres tall.")
    new = passage(4, "Newer page", "The Eiffel Tower is 330 metres tall.")
    question = "How tall is the Eiffel Tower?"
    found = weighed("The Eiffel Tower is 324 metres tall [1].", new, question=question, first=(old,))
    assert found == Weighed("“Newer page” says otherwise than the first answer", (new,))
    same = passage(4, "Newer page", "The Eiffel Tower is 324 metres tall.")
    assert not weighed("The Eiffel Tower is 324 metres tall [1].", same, question=question, first=(old,)).asks


def test_a_conflict_tells_both_quotes_the_newer_one_first() -> None:
    old = passage(1, "Prices 2023", "The team licence costs 49 euros.")
    new = passage(2, "Prices 2024", "The team licence costs 59 euros.")
    [told] = tell_conflicts("What does the team licence cost?", Evidence((old, new), top=3))
    assert [quote.quote for quote in told.quotes] == [new.content, old.content]
    assert told.message.startswith("The sources disagree. “Prices 2024”, which is newer: “The team licence costs 59")
