import pytest

from rag_graph.claims import cite
from rag_graph.events import Citation, Grade, Unsupported
from tests.claims import labelled
from tests.claims.labelled import Split

NEVER_CITED = {"negation", "swapped number", "changed unit", "opposite"}
TUNING: tuple[Split, ...] = ("tuning",)
UNTUNED: tuple[Split, ...] = ("held_out", "fresh")

RULES = {
    "another name": (
        "Marie Curie won the prize for physics in Stockholm.",
        "Marie Curie won the Nobel prize for physics in Stockholm.",
        "Marie Curie won the prize in Stockholm.",
    ),
    "another unit (holds_numbers)": (
        "The tower is 330 metres tall and was painted brown.",
        "The tower is 330 feet tall and was painted brown.",
        "The tower is 330 m tall and was painted brown.",
    ),
    "a dropped negation (agrees_in_negation)": (
        "The warranty does not cover damage by water.",
        "The warranty covers damage by water.",
        "Damage by water is not covered by the warranty.",
    ),
    "a dropped doubt (agrees_in_strength)": (
        "The tower may have been designed by Gustave Eiffel.",
        "The tower was designed by Gustave Eiffel.",
        "The tower may have been designed by Eiffel.",
    ),
    "the opposite in another clause (has_opposite)": (
        "The cache is disabled by default in servers, and can be enabled later.",
        "The cache is enabled by default in servers.",
        "The cache is disabled by default in servers.",
    ),
    "who did it to whom (swaps_roles)": (
        "The lion chased the zebra across the river.",
        "The zebra chased the lion across the river.",
        "The zebra was chased by the lion across the river.",
    ),
    "prepositions changed over (swaps_cases)": (
        "The snake prefers swimming to crawling.",
        "The snake prefers crawling to swimming.",
        "Swimming is what the snake prefers to crawling.",
    ),
    "the one it is compared with (moves_subject)": (
        "Unlike diesel, petrol burns slowly in the engine.",
        "Diesel burns slowly in the engine.",
        "Petrol burns slowly in the engine.",
    ),
    "the number of something else (swaps_numbers)": (
        "The depth is about 330 m in winter and about 125 m in summer.",
        "The depth is about 125 m in winter.",
        "The depth is about 330 m in winter.",
    ),
    "the count of something else (swaps_counts)": (
        "The fleet has 12 ships, 40 planes and 300 trucks.",
        "The fleet has 12 planes.",
        "The fleet has 12 ships.",
    ),
    "the deed of another (swaps_subjects)": (
        "Alice Moreno led at first, but the gold medal of the race Bob Keller won.",
        "Alice Moreno won the gold medal of the race.",
        "Bob Keller won the gold medal of the race.",
    ),
    "two clauses in one (mixes_clauses)": (
        "Snapshots are removed after a week, but archives are kept.",
        "Archives are removed after a week.",
        "Snapshots are removed after a week.",
    ),
    "another word in its place (replaces_word)": (
        "The patients were given 300 mg of aspirin daily at noon.",
        "The patients were given 300 mg of heparin daily at noon.",
        "Daily at noon, the patients were given 300 mg of aspirin.",
    ),
    "another unit without a number (has_other_unit_word)": (
        "The field holds the time to wait for a reply in seconds.",
        "The field holds the time to wait for a reply in minutes.",
        "The field holds the time in seconds to wait for a reply.",
    ),
    "another month (has_other_month)": (
        "The fair takes place every May in the old harbour.",
        "Every March the fair takes place in the old harbour.",
        "Every May the fair takes place in the old harbour.",
    ),
    "more duty than there is (changes_duty)": (
        "An origin server SHOULD send the field for any selected page.",
        "An origin server must send the field for any selected page.",
        "An origin server should send the field for every selected page.",
    ),
    "what is set aside (takes_contrasted)": (
        "The flight was late because of fog, not because of a strike.",
        "The flight was late because of a strike.",
        "The flight was late because of fog.",
    ),
    "the place of another deed (takes_part_of_other)": (
        "The treaty was negotiated in Vienna and signed in Geneva.",
        "The treaty was signed in Vienna.",
        "The treaty was signed in Geneva.",
    ),
    "the passive of what was active (changes_voice)": (
        "The licensor indemnifies the recipient for any liability that arises.",
        "The licensor is indemnified by the recipient for any liability that arises.",
        "The recipient is indemnified by the licensor for any liability that arises.",
    ),
    "whom it was done to (_is_made_actor)": (
        "Norway sold the island to Denmark in 1902.",
        "In 1902 the island was sold to Norway by Denmark.",
        "In 1902 the island was sold to Denmark by Norway.",
    ),
    "what was said of the one before (gives_deed_to_other)": (
        "The default editor is nano; vim can be chosen with a command.",
        "vim is the default editor.",
        "The default editor is nano.",
    ),
    "an opposite among words of both sides (_chooses_other_more)": (
        "Processes with a higher nice value receive less CPU time than those with a lower one.",
        "Processes with a higher nice value receive more CPU time than those with a lower one.",
        "A process with a higher nice value gets less CPU time than one with a lower one.",
    ),
    "one denial of two (agrees_in_negation)": (
        "The command fails to remove directories that are not empty.",
        "Directories that are not empty are removed by the command.",
        "The command does not remove directories that are not empty.",
    ),
    "another item of a list (replaces_item)": (
        "The kit that comes with the boat has a hand pump, two hoses, a gauge and a bag of clips.",
        "The kit that comes with the boat has a hand pump, two hoses, a valve and a bag of clips.",
        "The kit that comes with the boat has a hand pump, two hoses, a gauge and clips.",
    ),
    "another behind the preposition (replaces_attached)": (
        "In trials with mice, the compound slowed the growth of tumours by a third.",
        "The compound slowed tumour growth by a third in trials with patients.",
        "The compound slowed tumour growth by a third in trials with mice.",
    ),
    "more than a rank is told of (widens_group)": (
        "At 85 metres, it is the tallest wooden building in Norway.",
        "At 85 metres, it is the tallest building in Norway.",
        "It is the tallest wooden building in Norway, at 85 metres.",
    ),
    "all of another group (widens_all)": (
        "Employees with more than five years of service get 30 days of leave; all others get 25.",
        "All employees get 30 days of leave.",
        "Employees with more than five years of service get 30 days of leave.",
    ),
    "one of two (takes_one_of_both)": (
        "Both candidates turned down the offer of a televised debate.",
        "One of the candidates turned down the offer of a televised debate.",
        "The offer of a televised debate was turned down by both candidates.",
    ),
    "together what each has (pools)": (
        "Each of the four teams gets 10,000 euros for its travel.",
        "Together the four teams get 10,000 euros for travel.",
        "For travel, each of the four teams gets 10,000 euros.",
    ),
    "what was before what (reverses_order)": (
        "Because the river had been straightened, floods became more frequent downstream.",
        "The river was straightened because floods had become more frequent downstream.",
        "Floods downstream became more frequent because the river had been straightened.",
    ),
    "who gave and who was given (_trades_places)": (
        "The painting was given to the museum by the widow of the collector in 1978.",
        "In 1978, the museum gave the painting to the widow of the collector.",
        "In 1978, the widow of the collector gave the painting to the museum.",
    ),
    "what is prevented (drops_denial)": (
        "The lid prevents water from leaking into the case.",
        "Water leaks into the case.",
        "Water is prevented from leaking into the case.",
    ),
    "what is so only mostly (drops_frequency)": (
        "Requests are usually answered within two working days.",
        "Requests are answered within two working days.",
        "Within two working days, requests are usually answered.",
    ),
    "none where not all (denies_more)": (
        "Not all of the rooms on the north side have a balcony.",
        "The rooms on the north side have no balcony.",
        "Not all rooms on the north side have a balcony.",
    ),
    "what is only planned (tells_plan_as_done)": (
        "The tram line to the harbour will be opened in 2027.",
        "The tram line to the harbour was opened in 2027.",
        "The tram line to the harbour will be opened in the year 2027.",
    ),
    "another beginning or ending (has_other_affix)": (
        "Preoperative checks of the heart are done by the ward.",
        "The ward does postoperative checks of the heart.",
        "The ward does preoperative checks of the heart.",
    ),
    "the other way about (takes_contrasted)": (
        "Call read_rows instead of read_table when the file does not fit into memory.",
        "Call read_table instead of read_rows when the file does not fit into memory.",
        "When the file does not fit into memory, call read_rows instead of read_table.",
    ),
    "the other way to measure (changes_measure, holds_numbers)": (
        "The course is open to anyone aged 18 or over who can swim.",
        "The course is open to anyone under 18 who can swim.",
        "Anyone aged at least 18 who can swim: the course is open to them.",
    ),
    "what it is compared with (swaps_compared)": (
        "Sound travels faster in water than in air, and faster still in steel.",
        "Sound travels faster in air than in water, and faster still in steel.",
        "Sound travels faster in water than in air, and still faster in steel.",
    ),
    "two that act when the other does (_gives_choice_to_other)": (
        "The plant closes its leaves at night and opens them when the sun rises.",
        "At night, the plant opens its leaves, closing them again when the sun rises.",
        "At night the plant closes its leaves, and it opens them when the sun rises.",
    ),
    "clauses that exchange their halves (exchanges_clauses)": (
        "Editors can publish pages; authors can only save drafts.",
        "Authors can publish pages, whereas editors can only save drafts.",
        "Authors can only save drafts, whereas editors can publish pages.",
    ),
    "names that exchange their deeds (exchanges_clauses)": (
        "Marta Lind was wounded at the bridge, while Olaf Berg escaped through the woods.",
        "Marta Lind escaped through the woods, while Olaf Berg was wounded at the bridge.",
        "Olaf Berg escaped through the woods, while Marta Lind was wounded at the bridge.",
    ),
    "a condition of the other (_stand_apart)": (
        "If the primary fails, the standby is promoted within 90 seconds.",
        "The primary is promoted within 90 seconds if the standby fails.",
        "The standby is promoted within 90 seconds if the primary fails.",
    ),
    "what is forbidden (_permission)": (
        "A witness may leave the room while the others are heard.",
        "A witness may not leave the room while the others are heard.",
        "A witness is allowed to leave the room while the others are heard.",
    ),
    "two that went to the other (exchanges_attached)": (
        "The province was ceded to Sweden in 1648 and returned to Denmark in 1720.",
        "In 1648 the province was ceded to Denmark; it was returned to Sweden in 1720.",
        "In 1648 the province was ceded to Sweden; it was returned to Denmark in 1720.",
    ),
    "other characters in their place (replaces_characters)": (
        "会议定于三月在上海的总部举行。",
        "会议定于三月在北京的总部举行。",
        "会议定于三月在上海举行。",
    ),
}
"""What a source says, what only the rule of that name keeps from being cited for it, and what is cited."""


def grades(source: str, claim: str) -> set[str]:
    passage = labelled.number_passage(1, "A document", source)
    answer = f"{claim[:-1]} [1]{claim[-1]}"
    return {fact.grade for fact in cite(answer, [passage], question="What is known?") if isinstance(fact, Citation)}


def is_cited(source: str, claim: str) -> bool:
    return bool(grades(source, claim))


def judge(splits: tuple[Split, ...], *, marked: bool, grade: Grade | None = None) -> list[labelled.Verdict]:
    return [verdict for split in splits for verdict in labelled.judge(split, marked=marked, grade=grade)]


@pytest.mark.parametrize(("source", "turned", "true"), RULES.values(), ids=RULES.keys())
def test_each_rule_refuses_what_only_it_sees_and_lets_the_true_claim_pass(source: str, turned: str, true: str) -> None:
    assert "quoted" not in grades(source, turned)
    assert "quoted" in grades(source, true)


@pytest.mark.parametrize(
    ("source", "turned"),
    [
        ("The lowest temperature was -40 °C in January.", "The lowest temperature was 40 °C in January."),
        ("Keep the valve open if the pressure is > 3 bar.", "Keep the valve open if the pressure is < 3 bar."),
        ("The desk is staffed from 7 am on weekdays.", "The desk is staffed from 7 pm on weekdays."),
        ("Every guard completed the training in May.", "Some guards completed the training in May."),
        ("The filter is cleaned twice in a week.", "The filter is cleaned once in a week."),
        ("Class III lasers are used in the laboratory.", "Class II lasers are used in the laboratory."),
        ("The repair costs 1.250 euros in total.", "The repair costs 1.25 euros in total."),
        ("这台泵的保修期为12个月，从购买日起计算。", "这台泵的保修期为18个月，从购买日起计算。"),
        ("会議は東京で5月8日に開催されます。", "会議は東京で5月9日に開催されます。"),
        ("这座剧院建成于一九七六年，位于河边。", "这座剧院建成于一九六七年，位于河边。"),
        ("冷库的温度为零下18度，每天检查。", "冷库的温度为18度，每天检查。"),
        ("The echo comes back after 7 ms in the hall.", "The echo comes back after 7 µs in the hall."),
        ("The fuse of the lamp blows at 20 mA.", "The fuse of the lamp blows at 20 A."),
        ("The laser of the table emits 3 mW.", "The laser of the table emits 3 MW."),
        ("Class B extinguishers hang in the kitchen.", "Class A extinguishers hang in the kitchen."),
    ],
)
def test_a_small_sign_that_turns_a_claim_keeps_it_from_being_cited(source: str, turned: str) -> None:
    assert not is_cited(source, turned)
    assert is_cited(source, source)


@pytest.mark.parametrize(
    ("source", "turned"),
    [
        ("Die Brücke wurde im Jahr 1931 in Köln eröffnet.", "Die Brücke wurde im Jahr 1931 nicht in Köln eröffnet."),
        ("Der Vertrag wurde vom Rat nicht angenommen.", "Der Vertrag wurde vom Rat angenommen."),
        ("Die Versicherung deckt den Schaden am Dach nicht ab.", "Die Versicherung deckt den Schaden am Dach."),
        ("Das Fahrrad ist nur für Kinder im Park gedacht.", "Das Fahrrad ist für Kinder im Park gedacht."),
        ("Möglicherweise wurde der Dom von Otto Weil gebaut.", "Der Dom wurde von Otto Weil gebaut."),
        ("Die Miete beträgt 1.250 Euro im Monat.", "Die Miete beträgt 1,25 Euro im Monat."),
        ("Le pont n'a pas été ouvert dans la ville en 1931.", "Le pont a été ouvert dans la ville en 1931."),
        ("El puente nunca fue abierto al público en la ciudad.", "El puente fue abierto al público en la ciudad."),
        ("Il ponte non fu aperto al pubblico nella città.", "Il ponte fu aperto al pubblico nella città."),
        ("A ponte não foi aberta ao público na cidade.", "A ponte foi aberta ao público na cidade."),
        ("De brug is niet door de koning in de stad geopend.", "De brug is door de koning in de stad geopend."),
        ("Bron har inte öppnats av kungen i staden.", "Bron har öppnats av kungen i staden."),
        ("Broen blev ikke åbnet af kongen i byen.", "Broen blev åbnet af kongen i byen."),
        ("Most nie został otwarty w mieście w 1931 roku.", "Most został otwarty w mieście w 1931 roku."),
        ("A taxa não inclui o almoço e custa dez euros.", "A taxa inclui o almoço e custa dez euros."),
        ("Мост не был открыт в городе в 1931 году.", "Мост был открыт в городе в 1931 году."),
        ("Das Lager ist immer geöffnet.", "Das Lager ist immer geschlossen."),
        ("Les loyers ont augmenté de 4 %.", "Les loyers ont diminué de 4 %."),
        ("El casco es obligatorio en el taller.", "El casco es opcional en el taller."),
        ("Il fumo è vietato nel cortile.", "Il fumo è consentito nel cortile."),
    ],
)
def test_the_contrary_is_not_cited_in_languages_whose_negations_are_known(source: str, turned: str) -> None:
    assert not is_cited(source, turned)
    assert not is_cited(turned, source)
    assert is_cited(source, source)


@pytest.mark.parametrize(
    ("source", "turned"),
    [
        ("Takuu ei kata veden aiheuttamia vahinkoja.", "Takuu kata veden aiheuttamia vahinkoja."),
        ("Podul nu a fost deschis în oraș de primar.", "Podul a fost deschis în oraș de primar."),
        ("Biletul nu acoperă călătoria de noapte.", "Biletul acoperă călătoria de noapte."),
        ("A jegy nem érvényes a hajóútra.", "A jegy érvényes a hajóútra."),
        ("A garancia nem terjed ki a víz okozta károkra.", "A garancia ki terjed a víz okozta károkra."),
        ("الضمان لا يغطي الأضرار الناجمة عن الماء.", "الضمان يغطي الأضرار الناجمة عن الماء."),
        ("การรับประกันไม่ครอบคลุมความเสียหายจากน้ำ", "การรับประกันครอบคลุมความเสียหายจากน้ำ"),
        ("Η εγγύηση δεν καλύπτει ζημιές από νερό.", "Η εγγύηση καλύπτει ζημιές από νερό."),
    ],
)
def test_in_other_languages_only_what_is_there_word_for_word_may_be_cited(source: str, turned: str) -> None:
    assert not is_cited(source, turned)


@pytest.mark.parametrize(
    ("source", "claim"),
    [
        ("The ferry doesn't run in the winter months.", "The ferry doesn&#39;t run in the winter months [1]."),
        ("The ferry carries 45 cars to the island.", "The ferry carries 45 cars to the island (Source: [1])."),
        (
            "The ferry carries 45 cars to the island.",
            "As stated in source 1: the ferry carries 45 cars to the island [1].",
        ),
        ("渡轮每天运送四十五辆汽车到岛上。", "是的，渡轮每天运送45辆汽车到岛上[1]。"),
        ("Паром перевозит 45 машин на остров.", "Да, паром перевозит 45 машин на остров [1]."),
        ("The Oʻahu ferry carries 45 cars to the island.", "The O'ahu ferry carries 45 cars to the island [1]."),
    ],
)
def test_what_stands_around_a_claim_and_how_it_is_spelled_keep_it_from_nothing(source: str, claim: str) -> None:
    facts = cite(claim, [labelled.number_passage(1, "Ferry", source)], question="What of it?")
    assert [fact.type for fact in facts] == ["answer_delta", "citation"]


def test_a_number_in_groups_parted_by_blanks_is_not_missed() -> None:
    passage = labelled.number_passage(1, "Hall", "Each seat of the hall costs 1 250 euros.")
    facts = cite("Each seat of the hall costs 1,250 euros [1].", [passage], question="What of it?")
    assert not any(isinstance(fact, Unsupported) for fact in facts)


def test_a_claim_in_a_language_that_is_not_known_is_not_called_unsupported() -> None:
    passage = labelled.number_passage(1, "Takuu", "Takuu ei kata veden aiheuttamia vahinkoja, eikä sitä voi jatkaa.")
    facts = cite("Takuu kattaa kaikki vahingot laitteessa ja sen voi uusia [1].", [passage], question="Mitä?")
    assert [fact.type for fact in facts] == ["answer_delta"]


@pytest.mark.parametrize("splits", [TUNING, UNTUNED])
@pytest.mark.parametrize("marked", [True, False])
def test_the_check_keeps_its_floors_on_labelled_claims(splits: tuple[Split, ...], *, marked: bool) -> None:
    score = labelled.score(judge(splits, marked=marked, grade="quoted"))
    assert score.precision >= 0.95
    assert score.recall >= 0.6


@pytest.mark.parametrize("marked", [True, False])
def test_a_swapped_number_a_changed_unit_or_a_negation_is_never_cited(*, marked: bool) -> None:
    cited = [
        verdict.claim.words
        for verdict in judge(TUNING + UNTUNED, marked=marked)
        if verdict.claim.kind in NEVER_CITED and verdict.claim.support is None and verdict.quote
    ]
    assert cited == []


def test_a_very_long_claim_is_not_judged_clause_by_clause() -> None:
    claim = " ".join(f"word{number}" for number in range(500))
    passage = labelled.number_passage(1, "Words", f"{claim}.")
    assert [fact.type for fact in cite(f"{claim}.", [passage], question="")] == ["answer_delta"]
