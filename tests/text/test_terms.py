import tracemalloc

import pytest

from rag_graph.text.terms import KEPT_WORDS, key, terms, title_name


def test_words_lose_case_accents_and_endings() -> None:
    assert terms("Beyoncé's Songs; the APPLES") == ["beyonc", "song", "the", "appl"]


def test_scripts_without_spaces_become_pairs() -> None:
    assert terms("東京都 is") == ["東京", "京都", "is"]
    assert terms("東") == ["東"]


def test_names_in_code_are_found_by_their_words() -> None:
    assert terms("open_pipeline(top_k=10)")[:5] == ["open", "pipelin", "top", "k", "10"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Call app.add_middleware() first.", "add_middleware"),
        ("Order SKU-8847.", "sku-8847"),
        ("Since v1.2.3 it works.", "v1.2.3"),
        ("The error ERR_0x8004 (E_CONN_RESET)", "e_conn_reset"),
        ("Minutes of 2024-03-05", "2024-03-05"),
        ("Written in C++, not in C#.", "c++"),
        ("PX-4471‑B", "px-4471-b"),
    ],
)
def test_names_in_code_are_found_as_a_whole(text: str, name: str) -> None:
    assert terms(text).count(name) == 1


def test_a_sentence_that_ends_without_a_space_is_no_name() -> None:
    assert terms("It ends here.Next it begins") == ["it", "end", "here", "next", "it", "begin"]


@pytest.mark.parametrize(
    ("one", "other"), [("e-mail", "email"), ("an e-mail", "the E-Mails"), ("HttpRequestHandler", "request handlers")]
)
def test_a_name_is_found_however_its_words_are_joined(one: str, other: str) -> None:
    assert set(terms(one)) & set(terms(other))


def test_names_of_people_and_firms_stay_whole() -> None:
    assert terms("McDonald on YouTube with an iPhone") == ["mcdonald", "on", "youtub", "with", "an", "iphon"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("муниципалитета", "муниципалитеты"),
        ("книги", "книгами"),
        ("مُحَمَّد", "محمد"),
        ("الكتاب", "كتاب"),
        ("किताबें", "किताब"),
        ("Straße", "STRASSE"),
        ("Łódź", "lodz"),
        ("ＡＢＣ１２", "abc12"),
        ("ﾃｽﾄ", "テスト"),
        ("muni\u00adcipa\u00adlity", "municipality"),
        ("ﬁfth", "fifth"),
    ],
)
def test_one_word_in_two_forms_or_spellings_is_one_term(one: str, other: str) -> None:
    assert terms(one) == terms(other)


def test_thai_is_read_in_pairs_too() -> None:
    assert set(terms("กฎหมาย")) <= set(terms("มีกฎหมายใหม่"))


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


@pytest.mark.parametrize(
    ("one", "other"), [("1,000 rows", "1000"), ("2,500,000", "2500000"), ("3,5 m", "3.5"), ("5km", "km"), ("3rd", "3")]
)
def test_numbers_have_the_terms_of_their_other_spellings(one: str, other: str) -> None:
    assert other in terms(one)


def test_a_list_of_numbers_is_none_in_groups() -> None:
    assert not {"1234", "12345"} & set(terms("1,2,34 and 12,3,45"))
