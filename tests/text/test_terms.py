import tracemalloc

from rag_graph.text.terms import KEPT_WORDS, key, terms, title_name


def test_words_lose_case_accents_and_endings() -> None:
    assert terms("Beyoncé's Songs; the APPLES") == ["beyonc", "song", "the", "appl"]


def test_scripts_without_spaces_become_pairs() -> None:
    assert terms("東京都 is") == ["東京", "京都", "is"]
    assert terms("東") == ["東"]


def test_names_in_code_are_found_by_their_words() -> None:
    assert terms("open_pipeline(top_k=10)") == ["open", "pipelin", "top", "k", "10"]


def test_keys_are_the_same_in_every_process() -> None:
    assert key("song") == 12_932_276_086_716_905_973


def test_a_title_is_named_without_its_parenthesis() -> None:
    assert title_name("Émile (film)") == title_name("EMILE")


def test_words_that_were_read_once_do_not_fill_the_memory() -> None:
    tracemalloc.start()
    try:
        _read_new_words(0)
        full, _ = tracemalloc.get_traced_memory()
        _read_new_words(KEPT_WORDS)
        assert tracemalloc.get_traced_memory()[0] < 1.5 * full
    finally:
        tracemalloc.stop()


def _read_new_words(first: int) -> None:
    for number in range(first, first + KEPT_WORDS):
        terms(f"word{number}")
