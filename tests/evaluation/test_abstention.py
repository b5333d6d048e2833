from rag_graph.evaluation.abstention import Judged, abstention

SURE, LESS, LEAST = 0.9, 0.6, 0.3


def test_what_is_withheld_is_counted_by_whether_it_could_be_answered() -> None:
    found = abstention(
        [Judged(True, True, SURE), Judged(True, False, None), Judged(False, False, None), Judged(False, False, None)]
    )
    assert found["unanswerable_refused"].mean == 1.0
    assert found["answerable_refused"].mean == 0.5
    assert found["answered"].mean == 0.25


def test_the_risk_is_that_of_the_surest_answers() -> None:
    confidences = (SURE, SURE, LESS, LESS)
    found = abstention([Judged(True, False, LEAST), *(Judged(True, True, sure) for sure in confidences)])
    assert found["risk@20"].mean == found["risk@80"].mean == 0.0
    assert found["risk@100"].mean == 0.2


def test_an_answer_to_what_nothing_answers_is_wrong() -> None:
    found = abstention([Judged(False, True, SURE), Judged(True, True, LESS)])
    assert found["risk@50"].mean == 1.0


def test_a_coverage_that_was_not_reached_has_no_risk() -> None:
    found = abstention([Judged(True, True, SURE), Judged(True, False, None), Judged(False, False, None)])
    assert "risk@100" not in found
    assert found["risk@40"].mean == 0.0
