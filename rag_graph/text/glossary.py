"""Small words of other languages by the English ones that say the same, so that a rule on words is written once.

A word is listed where it nearly always says that; `_` stands for a space.
"""

import re
from collections.abc import Mapping
from functools import cache

from rag_graph.text.languages import CONDITIONS, HEDGES, TOTALS


def _table(listed: str) -> dict[str, str]:
    """Read `key: word word; key: word` into word to key."""
    rows = (row.split(":") for row in listed.split(";"))
    return {word.replace("_", " "): " ".join(key.split()) for key, words in rows for word in words.split()}


SAYS: dict[str, dict[str, str]] = {
    "de": _table("""
        not: nicht; no: kein keine keinen keinem keiner keines; never: nie niemals; nothing: nichts; nobody: niemand
        niemanden; without: ohne; hardly: kaum; not anymore: nicht_mehr; sometimes: manchmal; and: und sowie; but: aber
        sondern jedoch; or: oder; because: weil; although: obwohl obgleich; whereas: wohingegen; all: alle allen aller
        alles jeder jede jedes jeden jedem sämtliche ausnahmslos; some: einige einigen manche manchen mehrere; few:
        wenige wenigen; many: viele vielen; most: meisten; both: beide beiden; more: mehr; less: weniger; always: immer
        stets; often: oft häufig; rarely: selten; usually: meist meistens gewöhnlich üblicherweise; only: nur lediglich
        ausschließlich bloß; also: auch ebenfalls; if: wenn falls sofern; except: außer ausgenommen; wrongly: fälschlich
        irrtümlich fälschlicherweise irrtümlicherweise; perhaps: vielleicht möglicherweise womöglich; probably:
        wahrscheinlich vermutlich voraussichtlich wohl; alleged: angeblich mutmaßlich; almost: fast beinahe; partly:
        teilweise; may: darf dürfen mag mögen; can: kann können; must: muss müssen; should: soll sollen sollte sollten;
        could: könnte könnten; might: dürfte dürften; would: würde würden; plan: geplant plant planen beabsichtigt; by:
        durch; of: des; in: in im; on: auf am an; at: bei beim; with: mit; to: zu zum zur; from: aus; after: nach
        nachdem; before: vor bevor ehe; since: seit; until: bis; for: für; against: gegen; over: über; under: unter;
        between: zwischen; during: während; than: als; first: erste ersten erster erstes; second: zweite zweiten zweiter
        zweites; third: dritte dritten dritter drittes; fourth: vierte vierten vierter viertes; fifth: fünfte fünften
        fünfter fünftes; last: letzte letzten letzter letztes; largest: größte größten größter größtes; 2: zwei; 3:
        drei; 4: vier; 5: fünf; 6: sechs; 7: sieben; 8: acht; 9: neun; 10: zehn; 11: elf; 12: zwölf; once: einmal;
        twice: zweimal; 3 times: dreimal; 4 times: viermal; per: pro; at least: mindestens wenigstens; at most:
        höchstens; more than: mehr_als; less than: weniger_als
    """),
    "fr": _table("""
        not: pas; no: aucun aucune nul nulle; never: jamais; nothing: rien; without: sans; sometimes: parfois; by: par;
        and: et; but: mais; or: ou; because: parce_que parce_qu car; although: bien_que; whereas: tandis_que alors_que;
        all: tous toutes tout toute chaque; some: certains certaines quelques plusieurs; few: peu; many: beaucoup
        nombreux nombreuses; both: les_deux; more: plus davantage; less: moins; always: toujours; often: souvent;
        rarely: rarement; usually: généralement habituellement; only: seulement uniquement exclusivement seul seule
        seuls seules; also: aussi également; if: si; except: sauf excepté hormis; wrongly: faussement; perhaps:
        peut-être éventuellement; probably: probablement vraisemblablement; possibly: possiblement; alleged:
        prétendument; would: aurait auraient serait seraient; seem: semble semblent; almost: presque; partly:
        partiellement; may: peut peuvent; must: doit doivent; should: devrait devraient; could: pourrait pourraient;
        plan: prévoit prévoient envisage envisagent prévu prévue prévus prévues; of: de du des d; in: dans en; on: sur;
        with: avec; to: à au aux; after: après; before: avant; since: depuis; until: jusqu; for: pour; against: contre;
        under: sous; between: entre; during: pendant; they: on; first: premier première premiers premières; second:
        deuxième seconde; third: troisième; fourth: quatrième; fifth: cinquième; last: dernier dernière; 2: deux; 3:
        trois; 4: quatre; 5: cinq; 6: six; 7: sept; 8: huit; 9: neuf; 10: dix; 11: onze; 12: douze; once: une_fois; at
        least: au_moins; at most: au_plus au_maximum; more than: plus_de plus_d; less than: moins_de moins_d
    """),
    "es": _table("""
        not: no; no: ningún ninguna ninguno ningunos; never: nunca jamás; nothing: nada; nobody: nadie; without: sin;
        hardly: apenas; not anymore: ya_no; sometimes: a_veces; by: por; and: y; but: pero sino; or: o; because: porque;
        although: aunque; whereas: mientras_que; all: todos todas todo toda cada; some: algunos algunas varios varias;
        few: pocos pocas; many: muchos muchas; both: ambos ambas; more: más; less: menos; always: siempre; often:
        frecuentemente; rarely: raramente; usually: generalmente normalmente habitualmente; only: solo sólo solamente
        únicamente exclusivamente; also: también; if: si; except: salvo excepto; wrongly: falsamente; perhaps: quizás
        quizá tal_vez; possibly: posiblemente; probably: probablemente; alleged: supuestamente presuntamente; would:
        habría habrían sería serían; seem: parece parecen; almost: casi; partly: parcialmente; may: puede pueden; must:
        debe deben; should: debería deberían; could: podría podrían; plan: planea planean prevé prevén previsto
        prevista; of: de del; in: en; with: con; to: al; after: después; before: antes; since: desde; until: hasta; for:
        para; against: contra; over: sobre; under: bajo; between: entre; during: durante; first: primer primero primera;
        second: segundo segunda; third: tercer tercero tercera; fourth: cuarto cuarta; fifth: quinto quinta; last:
        último última; 2: dos; 3: tres; 4: cuatro; 5: cinco; 6: seis; 7: siete; 8: ocho; 9: nueve; 10: diez; 11: once;
        12: doce; once: una_vez; at least: al_menos por_lo_menos como_mínimo; at most: como_máximo a_lo_sumo; more than:
        más_de; less than: menos_de
    """),
    "it": _table("""
        not: non; no: nessun nessuna; never: mai; nothing: nulla niente; nobody: nessuno; without: senza; not anymore:
        non_più; sometimes: a_volte; by: da dal dallo dalla dai dagli dalle dall; and: e ed; but: ma; or: o oppure;
        because: perché; although: sebbene benché; whereas: mentre; all: tutti tutte tutto tutta ogni; some: alcuni
        alcune qualche diversi diverse; few: pochi poche; many: molti molte; both: entrambi entrambe; more: più; less:
        meno; always: sempre; often: spesso; rarely: raramente; usually: solitamente generalmente; only: solo soltanto
        solamente unicamente esclusivamente; also: anche; if: se; except: salvo tranne eccetto; wrongly: falsamente;
        perhaps: forse; possibly: possibilmente; probably: probabilmente; alleged: presumibilmente; would: avrebbe
        avrebbero sarebbe sarebbero; seem: sembra sembrano; almost: quasi; partly: parzialmente; may: può possono; must:
        deve devono; should: dovrebbe dovrebbero; could: potrebbe potrebbero; plan: prevede prevedono intende intendono
        previsto prevista; of: di del dello della dei degli delle; in: in nel nella nei nelle nell; on: su sul sulla;
        with: con; to: al alla ai allo alle; after: dopo; before: prima_di prima_del prima_della prima_dell prima_dei
        prima_che; until: fino_a; for: per; against: contro; over: sopra; under: sotto; between: tra fra; during:
        durante; first: primo prima; second: secondo seconda; third: terzo terza; fourth: quarto quarta; fifth: quinto
        quinta; last: ultimo ultima; 2: due; 3: tre; 4: quattro; 5: cinque; 6: sei; 7: sette; 8: otto; 9: nove; 10:
        dieci; 11: undici; 12: dodici; once: una_volta; at least: almeno come_minimo; at most: al_massimo; more than:
        più_di oltre; less than: meno_di
    """),
    "pt": _table("""
        not: não; no: nenhum nenhuma; never: nunca jamais; nothing: nada; nobody: ninguém; without: sem; not anymore:
        já_não não_mais; sometimes: às_vezes; by: por pelo pela pelos pelas; and: e; but: mas; or: ou; because: porque;
        although: embora; whereas: enquanto; all: todos todas todo toda cada; some: alguns algumas vários várias; few:
        poucos poucas; many: muitos muitas; both: ambos ambas; more: mais; less: menos; always: sempre; often:
        frequentemente; rarely: raramente; usually: geralmente normalmente; only: só somente apenas unicamente
        exclusivamente; also: também; if: se; except: salvo exceto; wrongly: falsamente; perhaps: talvez; possibly:
        possivelmente; probably: provavelmente; alleged: supostamente alegadamente; would: teria teriam seria seriam;
        seem: parece parecem; almost: quase; partly: parcialmente; may: pode podem; must: deve devem; should: deveria
        deveriam; could: poderia poderiam; plan: planeia planeja prevê pretende previsto prevista; of: de do da dos das;
        in: em no na nos nas; with: com; to: ao aos; after: depois após; before: antes; since: desde; until: até; for:
        para; against: contra; over: sobre; under: sob; between: entre; during: durante; first: primeiro primeira;
        second: segundo segunda; third: terceiro terceira; fourth: quarto quarta; fifth: quinto quinta; last: último
        última; 2: dois duas; 3: três; 4: quatro; 5: cinco; 6: seis; 7: sete; 8: oito; 9: nove; 10: dez; 11: onze; 12:
        doze; once: uma_vez; at least: pelo_menos no_mínimo ao_menos; at most: no_máximo; more than: mais_de; less than:
        menos_de
    """),
    "nl": _table("""
        not: niet; no: geen; never: nooit; nothing: niets; nobody: niemand; without: zonder; hardly: nauwelijks; not
        anymore: niet_meer niet_langer; sometimes: soms; by: door; and: en; but: maar; or: of; because: omdat want;
        although: hoewel; whereas: terwijl; all: alle alles elk elke ieder iedere; some: sommige enkele enige; few:
        weinig; many: veel vele; most: meeste; both: beide; more: meer; less: minder; always: altijd; often: vaak;
        rarely: zelden; usually: meestal gewoonlijk doorgaans; only: alleen slechts enkel uitsluitend; also: ook
        eveneens; if: als mits indien; unless: tenzij; except: behalve; perhaps: misschien mogelijk; probably:
        waarschijnlijk vermoedelijk; would: zou zouden; seem: schijnt lijkt; almost: bijna; partly: gedeeltelijk; may:
        mag mogen; can: kan kunnen; must: moet moeten; plan: gepland; in: in; on: op aan; at: bij; with: met; to: naar;
        from: uit vanaf; after: na nadat; before: vóór voordat; since: sinds; until: tot; for: voor; against: tegen;
        under: onder; between: tussen; during: tijdens; than: dan; of: van; about: over; first: eerste; second: tweede;
        third: derde; fourth: vierde; fifth: vijfde; last: laatste; 2: twee; 3: drie; 4: vier; 5: vijf; 6: zes; 7:
        zeven; 8: acht; 9: negen; 10: tien; 11: elf; 12: twaalf; once: eenmaal één_keer; twice: tweemaal; per: per; at
        least: minstens ten_minste tenminste; at most: hoogstens ten_hoogste maximaal hooguit; more than: meer_dan; less
        than: minder_dan
    """),
    "sv": _table("""
        not anymore: inte_längre; sometimes: ibland; and: och samt; but: men utan_att; or: eller; because: eftersom;
        although: fastän; whereas: medan; all: alla allt varje; some: några vissa somliga; few: få; many: många; most:
        flesta; both: båda; more: mer fler; less: mindre färre; always: alltid; often: ofta; rarely: sällan; usually:
        oftast vanligtvis; only: bara endast enbart uteslutande; also: också även; if: om; unless: såvida; except:
        förutom utom; perhaps: kanske; possibly: möjligen; probably: troligen sannolikt förmodligen torde; alleged:
        påstås; seem: verkar; almost: nästan; partly: delvis; may: får; can: kan; must: måste; should: bör skulle;
        could: kunde; plan: planerar planerad; in: i; on: på; at: vid; with: med; to: till; from: från; after: efter;
        before: före innan; since: sedan; until: tills; for: för; against: mot; over: över; under: under; between:
        mellan; than: än; first: första förste; second: andra; third: tredje; fourth: fjärde; fifth: femte; last: sista
        siste; 2: två; 3: tre; 4: fyra; 5: fem; 6: sex; 7: sju; 8: åtta; 9: nio; 10: tio; 11: elva; 12: tolv; once:
        en_gång; at least: minst; at most: högst; more than: mer_än; less than: mindre_än
    """),
    "da": _table("""
        not anymore: ikke_længere; sometimes: nogle_gange; and: og samt; but: men; or: eller; because: fordi; although:
        selvom; whereas: mens; all: alle alt hver hvert; some: nogle visse; few: få; many: mange; most: fleste; both:
        begge; more: mere flere; less: mindre færre; always: altid; often: ofte; rarely: sjældent; usually: normalt
        sædvanligvis; only: kun blot udelukkende; also: også; if: hvis; unless: medmindre; except: undtagen bortset_fra;
        perhaps: måske; possibly: muligvis; probably: sandsynligvis formentlig; alleged: angiveligt; seem: synes;
        almost: næsten; partly: delvis; can: kan; must: skal; should: bør skulle; could: kunne; would: ville; plan:
        planlægger planlagt; in: i; on: på; at: ved; with: med; to: til; from: fra; after: efter; before: før inden;
        since: siden; until: indtil; for: for; against: mod; over: over; between: mellem; than: end; that: at; first:
        første; second: anden andet; third: tredje; fourth: fjerde; fifth: femte; last: sidste; 2: to; 3: tre; 4: fire;
        5: fem; 6: seks; 7: syv; 8: otte; 9: ni; 10: ti; 11: elleve; 12: tolv; once: en_gang; at least: mindst; at most:
        højst; more than: mere_end; less than: mindre_end
    """),
    "nb": _table("""
        not anymore: ikke_lenger; sometimes: noen_ganger; and: og samt; but: men; or: eller; because: fordi; although:
        selv_om; whereas: mens; all: alle alt hver hvert; some: noen visse; few: få; many: mange; most: fleste; both:
        begge; more: mer flere; less: mindre færre; always: alltid; often: ofte; rarely: sjelden; usually: vanligvis;
        only: bare kun utelukkende; also: også; if: hvis dersom; unless: medmindre; except: unntatt bortsett_fra;
        perhaps: kanskje; possibly: muligens; probably: sannsynligvis trolig; alleged: angivelig; seem: synes; almost:
        nesten; partly: delvis; can: kan; must: må skal; should: bør skulle; could: kunne; would: ville; plan:
        planlegger planlagt; in: i; on: på; at: ved; with: med; to: til; from: fra; after: etter; before: før innen;
        since: siden; until: inntil; for: for; against: mot; over: over; between: mellom; than: enn; that: at; first:
        første; second: andre; third: tredje; fourth: fjerde; fifth: femte; last: siste; 2: to; 3: tre; 4: fire; 5: fem;
        6: seks; 7: sju syv; 8: åtte; 9: ni; 10: ti; 11: elleve; 12: tolv; once: en_gang; at least: minst; at most:
        høyst; more than: mer_enn; less than: mindre_enn
    """),
    "pl": _table("""
        not: nie; no: żaden żadna żadne żadnych żadnej; never: nigdy; nothing: nic; nobody: nikt; without: bez; not
        anymore: już_nie; sometimes: czasem; by: przez; and: i oraz; but: ale lecz; or: lub albo; because: ponieważ;
        although: chociaż choć; whereas: natomiast; all: wszyscy wszystkie wszystko każdy każda każde; some: niektórzy
        niektóre kilka; few: niewielu niewiele; many: wiele wielu; most: większość; more: więcej; less: mniej; always:
        zawsze; often: często; rarely: rzadko; usually: zwykle zazwyczaj; only: tylko jedynie wyłącznie; also: także
        również też; if: jeśli jeżeli; except: oprócz poza; wrongly: błędnie; perhaps: chyba; probably: prawdopodobnie
        przypuszczalnie; alleged: rzekomo; almost: prawie; partly: częściowo; may: może mogą; must: musi muszą; should:
        powinien powinna powinno; could: mógłby mogłaby mogłoby; plan: planuje zamierza; in: w we; on: na; at: przy;
        with: z ze; to: do; from: od; of: o; for: dla; after: po; before: przed; under: pod; over: nad; between: między;
        during: podczas; than: niż; first: pierwszy pierwsza pierwsze; second: drugi druga drugie; third: trzeci trzecia
        trzecie; last: ostatni ostatnia; 2: dwa dwie dwóch; 3: trzy trzech; 4: cztery czterech; 5: pięć pięciu; 6:
        sześć; 7: siedem; 8: osiem; 9: dziewięć; 10: dziesięć; at least: co_najmniej przynajmniej; at most: co_najwyżej
        maksymalnie; more than: więcej_niż ponad; less than: mniej_niż
    """),
    "ru": _table("""
        not: не; no: нет никакой никаких; never: никогда; nothing: ничего ничто; nobody: никто; without: без; hardly:
        едва; not anymore: больше_не; sometimes: иногда; and: и; but: но; or: или; because: потому_что; although: хотя;
        all: все всё каждый каждая каждое; some: некоторые несколько; few: немногие мало; many: многие много; most:
        большинство; both: оба обе; more: больше; less: меньше; always: всегда; often: часто; rarely: редко; usually:
        обычно; only: только лишь исключительно; also: также тоже; if: если; except: кроме; wrongly: ошибочно; perhaps:
        возможно; probably: вероятно наверное предположительно; alleged: якобы; almost: почти; partly: частично; may:
        может могут мог могла могли; must: должен должна должно должны; would: бы; plan: планирует намерен; in: в во;
        on: на; with: с со; to: к ко; from: из от; for: для; after: после; before: перед; until: до; under: под; over:
        над; between: между; than: чем; first: первый первая первое; second: второй вторая второе; third: третий третья
        третье; last: последний последняя последнее; 2: два две двух; 3: три трёх трех; 4: четыре; 5: пять; 6: шесть; 7:
        семь; 8: восемь; 9: девять; 10: десять; twice: дважды; 3 times: трижды; at least: не_менее как_минимум; at most:
        не_более; more than: более; less than: менее
    """),
    "uk": _table("""
        not: не; no: немає жоден жодна жодного; never: ніколи; nothing: нічого ніщо; nobody: ніхто; without: без;
        sometimes: іноді; and: і й та; but: але; or: або; because: тому_що; although: хоча; all: всі усі все кожен кожна
        кожне; some: деякі кілька; few: мало; many: багато; most: більшість; both: обидва обидві; more: більше; less:
        менше; always: завжди; often: часто; rarely: рідко; usually: зазвичай; only: тільки лише виключно; also: також;
        if: якщо; except: крім; wrongly: помилково; perhaps: можливо; probably: ймовірно; alleged: нібито; almost:
        майже; partly: частково; may: може можуть міг могла могли; must: повинен повинна повинні; would: б; plan:
        планує; in: в у; on: на; with: з із; from: від; for: для; after: після; before: перед; until: до; under: під;
        over: над; between: між; than: ніж; first: перший перша перше; second: другий друга друге; third: третій третя
        третє; last: останній остання останнє; 2: два дві двох; 3: три трьох; 4: чотири; 5: п'ять; at least: не_менше
        щонайменше; at most: не_більше щонайбільше
    """),
}

_NORDIC = _table("""
    not: ikke ikkje inte ej icke; no: ingen inget inga intet; never: aldrig aldri; nothing: ingenting;
    without: utan uden uten; hardly: knappt næppe knapt
""")
"""One for three languages: a short text in one of them is easily taken for another's."""
for _code in ("sv", "da", "nb"):
    SAYS[_code] |= _NORDIC


def _unanimous(targets: frozenset[str]) -> dict[str, str]:
    """What all languages that have a word say by it, of those that say one of these."""
    found: dict[str, set[str]] = {}
    for says in SAYS.values():
        for word, said in says.items():
            found.setdefault(word, set()).add(said)
    return {
        word: said.pop()
        for word, said in found.items()
        if len(said) == 1 and word not in _ENGLISH_TOO and not targets.isdisjoint(said)
    }


_ENGLISH_TOO = frozenset(
    [
        "allen",
        "alt",
        "bare",
        "bis",
        "blot",
        "car",
        "elk",
        "enkel",
        "envisage",
        "fast",
        "kun",
        "mag",
        "mai",
        "men",
        "om",
        "plant",
        "premier",
        "pretende",
        "quasi",
        "salvo",
        "se",
        "si",
        "tot",
        "ville",
        "want",
    ]
)
"""Words of other languages that are others in English: a text too short to tell its language has the English one."""
SAYS[""] = _unanimous(HEDGES | CONDITIONS | TOTALS)

_AGENTS: Mapping[str, frozenset[str]] = {
    "de": frozenset(("von", "vom")),
    "sv": frozenset(("av",)),
    "da": frozenset(("af",)),
    "nb": frozenset(("av",)),
}
"""Words that tell who acts in a passive sentence, and are "of" in another."""
_PASSIVE: Mapping[str, frozenset[str]] = {
    code: frozenset(words.split())
    for code, words in {
        "de": "wird wurde wurden werden worden",
        "sv": "blev blir blivit är var",
        "da": "blev bliver blevet er var",
        "nb": "ble blir blitt er var",
    }.items()
}

_UNITS = {
    "minute": """
        Minute Minuten minutes minuto minutos minuti minuut minuten minut minuter minutter minuty минут минуты
        минуту хвилин
    """,
    "hour": """
        Stunde Stunden heure heures hora horas ora ore uur uren timme timmar time timer godzina godziny godzin
        час часа часов година годин
    """,
    "day": """
        Tag Tage Tagen jour jours día días giorno giorni dia dias dag dagen dagar dage dager dzień dni день дня
        дней днів
    """,
    "week": """
        Woche Wochen semaine semaines semana semanas settimana settimane week weken vecka veckan veckor uge ugen
        uger uke uken uker tydzień tygodnie tygodni tygodniu неделя неделю недели недель тиждень тижнів
    """,
    "month": """
        Monat Monate Monaten mois mes meses mese mesi mês maand maanden månad månaden månader måned måneden
        måneder miesiąc miesiące miesięcy miesiącu месяц месяца месяцев місяць місяців
    """,
    "year": """
        Jahr Jahre Jahren an ans année années año años anno anni ano anos jaar jaren år året rok roku lata lat
        год года лет рік років
    """,
    "percent": """
        Prozent procent prosent procento процентов процента проценты відсотків por_ciento per_cento por_cento
        pour_cent
    """,
    "percentage points": """
        Prozentpunkte Prozentpunkten points_de_pourcentage puntos_porcentuales punti_percentuali
        pontos_percentuais procentpunten procentenheter procentpoint prosentpoeng
    """,
    "million": """
        Million Millionen millions millones millón milioni milione milhões milhão miljoen miljoner millioner
        milionów миллионов мільйонів
    """,
    "billion": """
        Milliarde Milliarden milliard milliards mil_millones miliardi miliardo bilhões mil_milhões miljard
        miljarder milliarder miliardów миллиардов мільярдів
    """,
    "thousand": """
        Tausend tausend mille mil mila duizend tusen tusind tysięcy тысяч тисяч
    """,
    "times": """
        Mal mal fois vez veces volta volte vezes keer maal gånger gang gange ganger razy raz раз раза рази
    """,
}
UNITS: Mapping[str, str] = {word.replace("_", " "): unit for unit, words in _UNITS.items() for word in words.split()}
"""What is counted, by the English word; each only behind a number, for "mille" may be one."""

MONTHS: Mapping[str, tuple[str, ...]] = {
    code: tuple(names.split())
    for code, names in {
        "en": "January February March April May June July August September October November December",
        "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
        "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
        "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
        "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
        "pt": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
        "nl": "januari februari maart april mei juni juli augustus september oktober november december",
        "sv": "januari februari mars april maj juni juli augusti september oktober november december",
        "da": "januar februar marts april maj juni juli august september oktober november december",
        "nb": "januar februar mars april mai juni juli august september oktober november desember",
        "pl": "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia",
        "ru": "января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
        "uk": "січня лютого березня квітня травня червня липня серпня вересня жовтня листопада грудня",
    }.items()
}

_WORD = re.compile(r"[^\W\d_]+")
_BOUND_TO = re.compile(
    r"\b(?:ne |n['’])(\w+(?: \w+)?) (?<!pas )(?<!plus )(?<!jamais )(?<!rien )qu(?:e |['’])(?=\w)", re.IGNORECASE
)
"""French "n'est ouverte qu'aux clients", which denies nothing of the clients."""
_PERIODS = {word: unit for word, unit in UNITS.items() if unit in ("minute", "hour", "day", "week", "month", "year")}


def _any_of(words: Mapping[str, str]) -> str:
    return "|".join(map(re.escape, sorted(words, key=len, reverse=True)))


_COUNTED = re.compile(rf"(?<=\d )(?:{_any_of(UNITS)})(?!\w)")
_FREQUENCY = re.compile(rf"\b(once|twice|\d+ times)(?: [^\W\d]{{1,4}}){{0,2}} ({_any_of(_PERIODS)})(?!\w)")


def in_english_words(text: str, code: str) -> str:
    """A text with the English words in place of the small ones of its language; what is left has its own.

    Only for comparing: the rules that read it ask for a few words, and for the order of all of them.
    """
    if code not in SAYS:
        return text
    says, phrases = SAYS[code], _phrases(code)
    if code == "fr":
        text = _BOUND_TO.sub(r"\1 only ", text)
    if phrases:
        text = phrases.sub(lambda found: says[found[0].lower()], text)
    if agents := _AGENTS.get(code):
        is_passive = not _PASSIVE[code].isdisjoint(_WORD.findall(text.lower()))
        text = _WORD.sub(lambda found: ("by" if is_passive else "of") if found[0] in agents else found[0], text)

    first = len(text) - len(text.lstrip())

    def told(found: re.Match[str]) -> str:
        # In German a capital may make another word of it.
        return says.get(found[0].lower() if found.start() == first else found[0], found[0])

    text = _WORD.sub(told, text)
    return _FREQUENCY.sub(
        lambda found: f"{found[1]} per {_PERIODS[found[2]]}", _COUNTED.sub(lambda found: UNITS[found[0]], text)
    )


@cache
def _phrases(code: str) -> re.Pattern[str] | None:
    phrases = {word: said for word, said in SAYS[code].items() if not word.isalpha()}
    return re.compile(rf"(?<![\w-])(?:{_any_of(phrases)})(?![\w-])", re.IGNORECASE) if phrases else None
