import re

import pytest

from rag_graph.text.languages import ENGLISH, LANGUAGES, UNTOLD, Language, language_of, name_of


def told(text: str) -> Language | None:
    return language_of(re.findall(r"\w+", text.lower()))


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("en", "The warranty does not cover damage by water, and the device is not for use in the rain."),
        ("de", "Das Gerät darf nicht im Freien verwendet werden."),
        ("fr", "La garantie ne couvre pas les dommages causés par l'eau."),
        ("es", "La garantía no cubre los daños causados por el agua."),
        ("it", "La garanzia non copre i danni causati dall'acqua."),
        ("pt", "A garantia não cobre os danos causados pela água."),
        ("nl", "De garantie dekt geen schade die door water is ontstaan."),
        ("sv", "Tornet byggdes år 1889 och är det högsta i staden."),
        ("da", "Tårnet blev bygget i 1889 og er det højeste i byen, hvor også havnen ligger."),
        ("pl", "Wieża została zbudowana w 1889 roku i jest najwyższa w mieście."),
        ("ru", "Башня была построена в 1889 году и является самой высокой в городе."),
    ],
)
def test_a_sentence_tells_its_language(code: str, text: str) -> None:
    assert told(text) is LANGUAGES[code]


@pytest.mark.parametrize(
    "text",
    [
        "Garanția nu acoperă daunele cauzate de apă. Clădirea a fost construită în anul 1889 de o companie din oraș.",
        "Muzeul este deschis de marți până duminică, iar intrarea este gratuită pentru copii.",
        "Záruka se nevztahuje na škody způsobené vodou. Budova byla postavena v roce 1889 a je nejvyšší ve městě.",
        "Takuu ei kata veden aiheuttamia vahinkoja. Rakennus valmistui vuonna 1889 ja se on kaupungin korkein.",
        "A garancia nem terjed ki a víz okozta károkra. Az épület 1889-ben épült, és a város legmagasabb épülete.",
        "Garanti su hasarını kapsamaz. Bina 1889 yılında inşa edildi ve şehrin en yüksek binasıdır.",
        "Garansi tidak mencakup kerusakan akibat air. Gedung ini dibangun pada tahun 1889 dan masih berdiri.",
        "La garantia no cobreix els danys causats per l'aigua. L'edifici es va construir el 1889 i és el més alt.",
        "Ábyrgðin nær ekki til skemmda af völdum vatns. Byggingin var reist árið 1889 og er sú hæsta í borginni.",
        "Die waarborg dek nie skade wat deur water veroorsaak word nie. Die gebou is in 1889 gebou en is hoog.",
        "Η εγγύηση δεν καλύπτει ζημιές από νερό.",
        "الضمان لا يغطي الأضرار الناجمة عن الماء.",
    ],
)
def test_a_language_outside_the_table_does_not_pass_for_a_neighbour(text: str) -> None:
    assert told(text) is None


def test_a_few_words_tell_no_language_and_may_hold_any_not() -> None:
    assert told("Paris") is UNTOLD
    assert {"not", "nicht", "ikke", "nie", "nu"} <= UNTOLD.negations


def test_no_word_of_a_language_says_not_and_nothing() -> None:
    for language in LANGUAGES.values():
        if language is not ENGLISH:
            assert not language.negations & language.function_words, language.code


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("English", "What is the height of La Tour Eiffel?"),
        ("French", "Où est la tour ?"),
        ("German", "Wer baute den Motor?"),
        ("Spanish", "¿Quién construyó la catedral?"),
        ("Italian", "Chi ha costruito la torre?"),
        ("Portuguese", "Quem construiu a ponte?"),
        ("Dutch", "Wie bouwde de toren?"),
        ("Russian", "Кто построил эту башню?"),
        ("Ukrainian", "Хто збудував цю вежу?"),
        ("Chinese", "这座塔有多高？"),
        ("Japanese", "塔の高さはどれくらいですか"),
        ("Korean", "이 탑은 얼마나 높습니까"),
        ("Thai", "หอคอยนี้สูงเท่าไร"),
        ("Greek", "Πόσο ψηλός είναι ο πύργος;"),
        ("Arabic script", "ما ارتفاع هذا البرج؟"),
        ("", "La vie en rose"),
        ("", "SKU-8847"),
        ("", "Apakah nama menara itu?"),
        ("", ""),
    ],
)
def test_a_language_is_named_where_it_is_sure(name: str, text: str) -> None:
    assert name_of(text) == name
