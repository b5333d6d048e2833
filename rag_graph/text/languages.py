"""Words by language and by what they are for: the one home of stop words, negations, hedges and number formats."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice


def _words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


def _table(listed: str) -> dict[str, str]:
    """Read `key: word word; key: word` into word to key."""
    rows = (row.split(":") for row in listed.split(";"))
    return {word: key.strip() for key, words in rows for word in words.split()}


STOP_WORDS = _words(
    "a an the this that these those it its he him his she her hers they them their theirs we us our you your i me"
    " my is are was were be been being am has have had having do does did done will would shall should can and or"
    " but so if then than as at by for from in into of on onto to with within about over under between through"
    " during also too very more most less least much many some any such own same other both each there here where"
    " when which who whom whose what why how while because since until after before again further once just only not"
    " no nor own up down out off above below however therefore moreover additionally furthermore overall thus hence"
    " indeed namely respectively according upon per via along across around among amongst against toward towards"
)
"""English words that say nothing by themselves: what is compared or searched by its words leaves them out."""

OPENERS = _words(
    "a after also although an and are as at before but by during for from he her his how however i if in is it its"
    " many moreover most no not of on or our she since so some that the their then there these they this those to"
    " today was we were what when where which while who with you"
)
"""English words whose capital only says that a sentence begins; few names begin with one."""

NAME_CONNECTORS = _words("of the and de la le du des da di del van von der den for in on al el")
"""Small words inside names, as in "University of Leeds" or "Leonardo da Vinci"."""
NAME_PARTINGS = _words("the and in on for")
"""Those of them that may as well stand between two names, as in "Anna Hall of the University of Leeds"."""

PREPOSITIONS = _words(
    "by from to in into of on onto at for with within than between over under through during since until after"
    " before above below against towards toward via per without unlike like dueto"
)
"""The last is what "due to" and its like become before claims are compared."""
PRONOUNS = _words("it its he his she her they their this these him them")
"""Those that stand for what the sentence before was about; "we" and "you" do not."""
RESUMING = _words("it they he she")
"""Those that act, as what a sentence began with does."""
CONJUNCTIONS = _words("and but while whereas or nor although though which who whose because so")
LEAD_INS = PREPOSITIONS | _words(
    "when where if unless except because unlike like while although though despite as once"
)
"""Words that begin a phrase before the subject, as in "In 1889, …"."""

CONDITIONAL = _words("if when unless once where because although though except")
"""Words that begin a clause which goes before what it is a condition of, as in "if it is false, keys are ignored"."""

IRREGULAR: Mapping[str, str] = _table(
    "win: won winning; build: built building; fall: fell fallen; begin: began begun beginning; write: wrote written"
    " writing; hold: held; make: made making; sell: sold; buy: bought; lead: led; become: became; grow: grew grown;"
    " pay: paid; take: took taken taking; give: gave given giving; find: found; found: founded founder founders"
    " founding; know: known knew; see: saw seen; run: ran running; send: sent; spend: spent; leave: left; lose: lost"
    " losing; keep: kept; lie: lay lain; draw: drew drawn; drive: drove driven driving; choose: chose chosen; speak:"
    " spoke spoken; break: broke broken; beat: beaten; say: said; think: thought; teach: taught; bring: brought;"
    " catch: caught; meet: met; child: children; man: men; woman: women; person: people; die: died dying death;"
    " tall: taller tallest height; long: longer longest length; wide: wider widest width; deep: deeper deepest"
    " depth; large: larger largest; high: higher highest; old: older oldest; small: smaller smallest; weigh: weight"
    " weighs weighed; set: setting; cut: cutting; use: using used uses usage; locate: location"
    " located; increase: increase increases increased increasing raise raises raised raising rise rises rose risen"
    " rising; decrease: decrease decreases decreased decline declines declined drop drops dropped; begin: start"
    " starts started starting; end: finish finishes finished; buy: purchase purchases purchased; large: big bigger"
    " biggest; several: multiple various; receive: get gets got getting obtain obtains obtained; hour: hourly; day:"
    " daily; week: weekly; month: monthly; year: yearly annually annual; up: upward upwards; down: downward downwards;"
    " all: every each; north: northward northwards; south: southward southwards; east: eastward eastwards; west:"
    " westward westwards; lend: lent; deal: dealt; feel: felt; hide: hid hidden; steal: stole stolen; stand: stood;"
    " strike: struck; swim: swam swum; throw: threw thrown; wear: wore worn; bind: bound; blow: blew blown; eat: ate"
    " eaten; fight: fought; flee: fled; fly: flew flown; forbid: forbade forbidden; forget: forgot forgotten; freeze:"
    " froze frozen; hang: hung; hear: heard; learn: learnt; mean: meant; seek: sought; stick: stuck; tell: told;"
    " understand: understood; withdraw: withdrew withdrawn; go: went gone going; come: came; ride: rode ridden; sing:"
    " sang sung; sink: sank sunk; sleep: slept; sweep: swept; shoot: shot; shake: shook shaken; arise: arose arisen;"
    " rebuild: rebuilt rebuilding; license: licence licences licensed"
)
"""English forms that no stemmer brings together, and words that say the same in another form: all count as one."""


@dataclass(frozen=True, slots=True, eq=False)
class Language:
    """What tells a language, and its words that turn a statement round.

    `groups` are the characters that part thousands. What else its small words say is told by those of English, by
    `glossary`.
    """

    code: str
    function_words: frozenset[str]
    negations: frozenset[str]
    groups: str = ""


ENGLISH = Language(
    "en",
    STOP_WORDS,
    negations=_words(
        "not no never none neither nor without cannot non nobody nothing nowhere hardly barely scarcely isn"
    ),
    groups=",",
)

HEDGES = _words(
    "may might could alleged allege claim suggest propose plan expect deny fail refuse rumour rumor possibly"
    " probably perhaps hypothesize partly partially would should intend estimate believe almost nearly until try"
    " attempt seek aim hope formerly presume"
)
"""Words that put in doubt what is said, or tell that it is not so yet."""
CONDITIONS = _words("if unless except only false falsely myth wrongly incorrectly allegedly reportedly alternate")
"""Words that restrict what is said, or say that it is wrong."""
TOTALS = _words(
    "all every always only never none solely entirely most must mandatory guarantee guarantees guaranteed first"
    " last largest smallest biggest highest lowest tallest longest oldest best worst exclusively any anyone"
    " everyone whole entire entirely prove proves proved proven cause causes caused because certainly definitely"
    " undoubtedly surely inevitably"
)
"""Words that make what is said total."""

_NORDIC_NEGATIONS = _words(
    "ikke ikkje inte ej icke aldrig aldri ingen inget inga intet ingenting utan uden uten varken"
    " hverken verken knappt næppe knapt"
)
"""One set for three languages: a short text in one of them is easily taken for another's."""

_OTHERS = (
    Language(
        "de",
        _words(
            "der die das den dem des ein eine einen einem einer eines und oder aber ist sind war waren wird werden"
            " wurde wurden hat haben hatte hatten kann können muss müssen darf dürfen mit von vom zu zum zur im in am"
            " an auf aus bei beim nach für über unter durch gegen um als wie wenn dass weil auch noch sich es er sie"
            " wir ich ihr ihre sein seine dieser diese dieses diesem jeder jede seit bis vor zwischen so dann"
        ),
        _words(
            "nicht nichts kein keine keinen keinem keiner keines nie niemals niemand niemanden nirgends nirgendwo weder"
            " ohne kaum"
        ),
        groups=".",
    ),
    Language(
        "fr",
        _words(
            "le la les l un une des du de d et ou mais est sont était étaient été être a ont avait peut doit dans en"
            " sur sous par pour avec il elle ils elles on ce cette ces cet qui que qu dont où au aux se s son sa ses"
            " leur leurs plus très aussi comme entre depuis jusqu après avant chaque tous toutes à y"
        ),
        _words("ne n pas jamais rien aucun aucune nul nulle ni sans non guère nullement"),
        groups=" ",
    ),
    Language(
        "es",
        _words(
            "el la los las un una unos unas de del y o pero es son era eran fue fueron ser está están ha han había"
            " puede debe en con por para a al se su sus lo le les que como más muy también cuando donde entre desde"
            " hasta sobre este esta estos estas cada todo todos"
        ),
        _words("no nunca jamás nada nadie ningún ninguna ninguno ningunos ni sin tampoco apenas"),
        groups=". ",
    ),
    Language(
        "it",
        _words(
            "il lo la i gli le un uno una l di del dello della dei degli delle e ed o ma è sono era erano fu furono"
            " essere stato stata ha hanno aveva deve in nel nella nei nelle con per da dal dalla a al alla ai si suo"
            " sua suoi che come più anche quando dove tra fra su sul sulla questo questa ogni ne"
        ),
        _words("non mai nulla niente nessun nessuno nessuna né senza neanche nemmeno neppure"),
        groups=".",
    ),
    Language(
        "pt",
        _words(
            "o a os as um uma de do da dos das e ou mas é são era eram foi foram ser está tem têm deve em no na nos"
            " nas com por para ao à aos às se seu sua seus que como mais muito também quando onde entre desde até sobre"
            " este esta cada todo pelo pela"
        ),
        _words("não nunca jamais nada ninguém nenhum nenhuma nem sem tampouco"),
        groups=". ",
    ),
    Language(
        "nl",
        _words(
            "de het een van en of maar is zijn was waren wordt worden werd werden heeft hebben had kan moet in op aan"
            " met voor door bij naar uit over onder tot ook nog dat die dit deze er zich hij zij ze wij ik om als dan"
            " te wel nu"
        ),
        _words("niet niets geen nooit niemand nergens noch zonder evenmin nauwelijks"),
        groups=".",
    ),
    Language(
        "sv",
        _words(
            "den det en ett och eller men är var varit blir blev har hade kan måste i på av för med till från om som"
            " att de sig sin sitt sina han hon vi jag ni även när där mellan efter under över vid"
        ),
        _NORDIC_NEGATIONS,
        groups=" ",
    ),
    Language(
        "da",
        _words(
            "den det en et og eller men er var været bliver blev har havde kan skal må i på af for med til fra om som"
            " at de sig sin sit sine han hun vi jeg også når hvor mellem efter under over ved der"
        ),
        _NORDIC_NEGATIONS,
        groups=".",
    ),
    Language(
        "nb",
        _words(
            "den det en et ei og eller men er var vært blir ble har hadde kan må skal i på av for med til fra om som"
            " at de seg sin sitt sine han hun vi jeg også når hvor mellom etter under over ved der"
        ),
        _NORDIC_NEGATIONS,
        groups=" .",
    ),
    Language(
        "pl",
        _words(
            "i w z ze na do się jest są był była było były to że o od po za przez dla jak ale lub oraz ten ta te tego"
            " tej tym być ma mają musi przy pod nad który która które jego jej ich także już czy został została"
        ),
        _words("nie nigdy nikt nic żaden żadna żadne żadnych żadnej ani bez"),
        groups=" ",
    ),
    Language(
        "ru",
        _words(
            "и в во на с со по к ко из за от до для о об у что как это был была было были есть или но а же бы его её"
            " их он она они мы я вы при также под над между после который которая которые должен был"
        ),
        _words("не ни нет никогда никто ничего ничто никакой никаких нельзя без едва нигде"),
        groups=" ",
    ),
    Language(
        "uk",
        _words(
            "і й та в у на з із до за від для що як це був була було були або але його її їх він вона вони ми я ви"
            " при також під над між після який яка які"
        ),
        _words("не ні немає ніколи ніхто нічого ніщо жоден жодна жодного без"),
        groups=" ",
    ),
)
LANGUAGES: Mapping[str, Language] = {language.code: language for language in (ENGLISH, *_OTHERS)}
"""The languages in which a statement can be told from its contrary by its words."""

VERB_SECOND = frozenset(("de", "nl", "sv", "da", "nb"))
"""Languages whose verb may stand before who acts, as in "Im Mai lobte Ida Max"."""
ORDERED = frozenset(("en", "fr", "es", "it", "pt"))
"""Languages in which the order of words tells who acts."""

NAMES: Mapping[str, str] = {
    "en": "English",
    "de": "German",
    "fr": "French",
    "es": "Spanish",
    "it": "Italian",
    "pt": "Portuguese",
    "nl": "Dutch",
    "sv": "Swedish",
    "da": "Danish",
    "nb": "Norwegian",
    "pl": "Polish",
    "ru": "Russian",
    "uk": "Ukrainian",
}
"""How people call the languages of the table."""

ASKING_WORDS: Mapping[str, frozenset[str]] = {
    "en": _words("who whom whose what which when where why how is are was were does do did can name list"),
    "de": _words(
        "wer wen wem wessen was wo woher wohin wann warum wieso wie welche welcher welches welchen wieviel gibt"
    ),
    "fr": _words("qui que quoi qu où quand comment pourquoi quel quelle quels quelles combien"),
    "es": _words("quién quiénes qué dónde cuándo cómo cuál cuáles cuánto cuánta cuántos cuántas"),
    "it": _words("chi che cosa cos dove dov quando come perché quale quali qual quanto quanta quanti quante"),
    "pt": _words("quem que onde quando como qual quais quanto quanta quantos quantas porque"),
    "nl": _words("wie wat waar wanneer hoe waarom welke welk hoeveel"),
    "sv": _words("vem vad var när hur varför vilken vilket vilka"),
    "da": _words("hvem hvad hvor hvornår hvordan hvorfor hvilken hvilket hvilke"),
    "nb": _words("hvem hva hvor når hvordan hvorfor hvilken hvilket hvilke"),
    "pl": _words("kto co gdzie kiedy jak dlaczego który która które ile jaki jaka jakie"),
    "ru": _words("кто что где когда как почему какой какая какое какие сколько чей"),
    "uk": _words("хто що де коли як чому який яка яке які скільки чий"),
}
"""Words that questions begin with; those are short, so that they tell a language as much as all others together."""

_NEIGHBOURS = {
    "ro": _words("și în de la cu pe nu este sunt a au fost un o al ai ale din care că pentru sau se iar mai după până"),
    "hu": _words("a az és nem is egy hogy van volt de ha már meg csak mint vagy ki be el fel le ez azt"),
    "ca": _words("el la els les un una i o de del dels a amb per en que és són va al als es no més l d s també ha"),
    "gl": _words("o a os as un unha e ou de do da dos das non que é son foi por para no na nos nas máis con ao se"),
    "is": _words("og að er í á ekki það sem við til um hann hún þeir var en af má ef eða með fyrir sú sá"),
    "af": _words("die n en is nie van in het dit wat om te vir met op word was deur hy sy hulle mag as aan ook"),
    "cs": _words("a v se na je že s z do o i za k pro ale po jako který která jsou byl byla bylo nebo také"),
    "hr": _words("i u je se na da su za od s a ne koji koja koje kao ili ali po iz o do bio bila bilo"),
}
"""Languages that are not in the table, but whose small words would let them pass for one that is."""
UNTOLD = Language(
    "",
    STOP_WORDS,
    negations=frozenset().union(*(language.negations for language in LANGUAGES.values()))
    | _words("nu nici nem ei ekki ne nije nisu tidak bukan mitte nav nėra"),
)
"""Of a text too short to tell: English most likely, so its words are read as such, but any language's "not" is one."""

_LEAST_SHARE = 0.2
_LEAST_WORDS = 2
"""So many words of a text are a language's function words at least. Most sentences of prose have 25 % and more; the
sentences in other languages in tests/text/test_languages.py stay under 20 %. Bulgarian and Serbian do pass for
Russian, whose "не" is theirs too."""
_SHORT_TEXT_WORDS = 12
_MOST_WORDS = 120
"""More would tell no better, and each is looked up once for each language."""
_LATIN = re.compile(r"[a-z\u00df-\u024f\d._&]*")


def language_of(words: Iterable[str]) -> Language | None:
    """The language of a text, given as its words in small letters; None if it is likely to be none of the table.

    A few words in Latin script that tell no language are `UNTOLD`.
    """
    listed = list(islice(words, _MOST_WORDS))
    known = {code: sum(word in telling for word in listed) for code, telling in _TELLING.items()}
    most = max(known.values())
    # Of those that share small words, as Romanian does with Dutch, the one whose letters these are.
    code = min((code for code in known if known[code] == most), key=lambda code: _strange_words(code, listed))
    if known[code] >= max(_LEAST_WORDS, _LEAST_SHARE * len(listed)):
        return LANGUAGES.get(code)
    is_short = len(listed) < _SHORT_TEXT_WORDS and all(_LATIN.fullmatch(word) for word in listed)
    return UNTOLD if is_short else None


def _strange_words(code: str, words: list[str]) -> int:
    """How many words have a letter that a language has not; of those outside the table, no letter is strange."""
    if code not in _LATIN_LETTERS:
        return 0
    own = _LATIN_LETTERS[code]
    return sum(not word.isascii() and not own.issuperset(char for char in word if char.isalpha()) for word in words)


_LATIN_LETTERS = {
    code: frozenset("abcdefghijklmnopqrstuvwxyz" + more)
    for code, more in {
        "en": "",
        "de": "äöüß",
        "fr": "àâæçéèêëîïôœùûüÿ",
        "es": "áéíñóúü",
        "it": "àèéìíîòóùú",
        "pt": "áâãàçéêíóôõúü",
        "nl": "éèëïóöü",
        "sv": "åäöé",
        "da": "æøåé",
        "nb": "æøåéòô",
        "pl": "ąćęłńóśźż",
    }.items()
}
_TELLING = {code: language.function_words | language.negations for code, language in LANGUAGES.items()} | _NEIGHBOURS


def name_of(text: str) -> str:
    """What people call the language of a text, or its script where several languages write it; "" if that is unsure.

    For questions too, which are as short as three words.
    """
    text = text[:_MOST_CHARS]
    scripts = {name: len(letters.findall(text)) for name, letters in _SCRIPTS.items()}
    script = max(scripts, key=lambda name: scripts[name])
    is_foreign = 2 * scripts[script] > sum(map(str.isalpha, text))
    if is_foreign and script != "Russian":
        return "Japanese" if scripts["Japanese"] else script
    words = _LETTERS.findall(text.casefold())
    known = {code: sum(word in its for word in words) for code, its in _IN_QUESTIONS.items()}
    code, second = sorted(known, key=lambda code: -known[code])[:2]
    if is_foreign:
        # Russian for short of more: its small words are Bulgarian and Serbian, too.
        return "Ukrainian" if known["uk"] > known["ru"] else "Russian"
    # Two small words may be a name's, as in "La vie en rose", unless one of them asks.
    least = _LEAST_WORDS if ASKING_WORDS.get(code, frozenset()).intersection(words) else _LEAST_WORDS + 1
    is_sure = known[code] > known[second] and known[code] >= max(least, _LEAST_SHARE * len(words))
    return NAMES.get(code, "") if is_sure else ""


# A question is shorter, and of a document's beginning more would tell no better.
_MOST_CHARS = 2_000
_IN_QUESTIONS = {code: its | ASKING_WORDS.get(code, frozenset()) for code, its in _TELLING.items()}
_LETTERS = re.compile(r"[^\W\d_]+")
_SCRIPTS = {
    "Chinese": re.compile("[\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff]"),
    "Japanese": re.compile("[\u3040-\u30ff]"),
    "Korean": re.compile("[\u1100-\u11ff\uac00-\ud7af]"),
    "Thai": re.compile("[\u0e00-\u0e7f]"),
    "Greek": re.compile("[\u0370-\u03ff]"),
    "Hebrew": re.compile("[\u0590-\u05ff]"),
    "Arabic script": re.compile("[\u0600-\u06ff]"),
    "Devanagari": re.compile("[\u0900-\u097f]"),
    "Russian": re.compile("[\u0400-\u04ff]"),
}
