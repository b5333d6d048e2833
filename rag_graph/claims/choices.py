"""A word of a claim that stands in the place of another: an opposite, a unit, a month, a rank, any other."""

import re
from collections import Counter
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import groupby, pairwise, takewhile
from operator import attrgetter

from rag_graph.claims.opposites import ALTERNATIVES, CHOICES
from rag_graph.claims.statements import UNIT_WORDS, UNITS, Statement, Word
from rag_graph.text.glossary import MONTHS
from rag_graph.text.languages import ENGLISH
from rag_graph.text.terms import root

UNIT_ROOTS = frozenset(map(root, " ".join(UNITS).split()))


def has_opposite(claim: Statement, said: Statement) -> bool:
    """Tell "disabled, and can be enabled later" from "enabled": the clause with the opposite must not fit better.

    The source may have the claim's word too, in another clause. The clause that shares more with the rest of the claim
    is what the claim is about.
    """
    if denied := frozenset(claim.denied) & CHOICES.keys():
        claim = claim.without(denied)  # "Not required" is "optional".
    claimed, told = _chosen(claim), _chosen(said)
    for (row, place), words in claimed.items():
        others = [theirs for (at, other), theirs in told.items() if at == row and other != place]
        if row == _ORDER and keeps_order_told(claim, said):
            continue  # "A before B" is "B after A".
        if row == _LIMIT and len(claim.stems) > _MOST_LIMITED:
            continue
        if not others or any((row, at) in claimed for at in range(len(ALTERNATIVES[row])) if at != place):
            continue
        rest = claim.stems - words
        if _fits(rest, told.get((row, place), frozenset()), said) < max(_fits(rest, other, said) for other in others):
            return True
    return _gives_choice_to_other(claim, said) or _chooses_other_more(claim, said) or _is_negated_by_prefix(claim, said)


def opposed_by(claim: Statement, words: AbstractSet[str]) -> frozenset[str]:
    """Those of these words that are another choice than one of the claim's."""
    claimed = _chosen(claim)
    return frozenset(
        word
        for word in words
        for row, place in CHOICES.get(word, ())
        if (row, place) not in claimed and any(at == row for at, _ in claimed)
    )


_ORDER = next(row for row, alternatives in enumerate(ALTERNATIVES) if "before" in alternatives[0].split())


_LIMIT = next(row for row, (one, *_) in enumerate(ALTERNATIVES) if {"all", "any"} <= set(one.split()))
_MOST_LIMITED = 12
"""In a longer claim "only" is mostly about something else than "any" is in the source."""


def keeps_order_told(claim: Statement, said: Statement) -> bool:
    """Whether what comes first comes first in both, in whichever order they tell it."""
    return (
        bool(claim.earlier & said.earlier and claim.later & said.later)
        and claim.earlier.isdisjoint(said.later)
        and claim.later.isdisjoint(said.earlier)
    )


def tells_order_backwards(claim: Statement, said: Statement) -> bool:
    """Whether "A before B" is told as "B after A", which puts all that acts in another's place."""
    return keeps_order_told(claim, said) and not claim.plain & said.plain & {"before", "after"}


def _gives_choice_to_other(claim: Statement, said: Statement) -> bool:
    """Tell "closes at night and opens in the morning" from "opens at night and closes in the morning"."""
    told = _chosen(said)
    for stems in claim.clauses.values():
        chosen = {choice: {word} for word in stems if word in CHOICES for choice in CHOICES[word]}
        for (row, place), words in chosen.items():
            others = [theirs for (at, other), theirs in told.items() if at == row and other != place]
            if (
                row == _ORDER
                or not others
                or (row, place) not in told
                or any(at == row and to != place for at, to in chosen)
            ):
                continue
            rest = stems - words
            if _fits(rest, told[row, place], said) + 1 < max(_fits(rest, one, said) for one in others):
                return True
    return False


def _chooses_other_more(claim: Statement, said: Statement) -> bool:
    """Tell "a higher value gets more than a lower" from "a higher value gets less", which have words of both sides."""
    ours, theirs = _choice_counts(claim), _choice_counts(said)
    is_order_kept = keeps_order_told(claim, said)
    return any(
        count > theirs[row, place]
        and not (row == _LIMIT and len(claim.stems) > _MOST_LIMITED)
        and not (row == _ORDER and is_order_kept)
        and any(theirs[row, other] > ours[row, other] for other in range(len(ALTERNATIVES[row])) if other != place)
        for (row, place), count in ours.items()
    )


def _choice_counts(statement: Statement) -> Counter[tuple[int, int]]:
    words = (root(word) for word, _ in statement.places)
    return Counter(choice for word in words if word not in UNIT_ROOTS for choice in CHOICES.get(word, ()))


def _chosen(statement: Statement) -> dict[tuple[int, int], frozenset[str]]:
    """What a statement chooses: its words by row and place. A unit, such as the second of a time, is no word of it."""
    found: dict[tuple[int, int], frozenset[str]] = {}
    for word in statement.roots:
        if word in CHOICES and (word in statement.stems or word not in UNIT_ROOTS):
            for choice in CHOICES[word]:
                found[choice] = found.get(choice, frozenset()) | {word}
    return found


def takes_one_of_both(claim: Statement, said: Statement) -> bool:
    """Tell "both candidates" from "one of the candidates"."""
    is_of_one = any(pair == ("one", "of") for pair in pairwise(word for word, _ in claim.places))
    return is_of_one and "both" in said.plain - claim.plain and "one" not in said.plain


def has_other_unit_word(claim: Statement, said: Statement) -> bool:
    """Tell "a number of minutes" from "a number of seconds": units that measure one thing and have no number."""
    ours, theirs = _unit_words(claim), _unit_words(said)
    return any(kind in (other for other, _ in theirs - ours) for kind, _ in ours - theirs)


def _unit_words(statement: Statement) -> frozenset[tuple[int, str]]:
    return frozenset(UNIT_WORDS[word] for word in statement.plain if word in UNIT_WORDS)


def has_other_month(claim: Statement, said: Statement) -> bool:
    """Tell "every May" from "every March", which are words of their own in small letters."""
    ours, theirs = _months(claim), _months(said)
    return bool(ours - theirs) and bool(theirs - ours)


def _months(statement: Statement) -> frozenset[str]:
    # Only its capital tells the month from "may".
    words = statement.names if statement.language is ENGLISH else statement.words
    names = _MONTHS.get(statement.language.code, _MONTHS["en"])
    return frozenset(word.form for word in words if word.form in names)


_MONTHS = {code: frozenset(name.lower() for name in names) for code, names in MONTHS.items()}


_NONE: frozenset[str] = frozenset()


def _fits(rest: frozenset[str], words: frozenset[str], said: Statement) -> int:
    """How many of the rest of a claim stand in a clause with one of these words; -1 where none has one."""
    clauses = {clause for word, clause in said.places if root(word) in words}
    begun = frozenset(word.stem for word in takewhile(lambda word: word.stem not in CHOICES, said.words))
    return max(
        (
            # "Open in summer and closed in winter": a clause that begins with the choice has the subject before it.
            len(
                rest
                & (
                    said.scopes.get(clause, frozenset())
                    | (begun if said.heads.get(clause, _NONE) & CHOICES.keys() else _NONE)
                )
            )
            for clause in clauses
        ),
        default=-1,
    )


_NEGATING_PREFIXES = ("un", "in", "im", "il", "ir", "dis", "non", "counter", "anti", "ne", "nie")


_LEAST_PREFIXED = 5
"""So many letters have the words that a prefix turns round, or "port" and "import" would be opposites."""


def _is_negated_by_prefix(claim: Statement, said: Statement) -> bool:
    """Tell "clockwise" from "counterclockwise", "stable" from "unstable" and Czech "vztahuje" from "nevztahuje"."""
    if bool(claim.negated) != bool(said.negated):
        return False  # "Nobody noticed it" is "It went unnoticed".
    ours, theirs = _forms(claim) - _forms(said), _forms(said) - _forms(claim)
    return any(
        prefix + word in other
        for one, other in ((ours, theirs), (theirs, ours))
        for word in one
        if len(word) >= _LEAST_PREFIXED and word.isalpha()
        for prefix in _NEGATING_PREFIXES
    )


def has_other_affix(claim: Statement, said: Statement) -> bool:
    """Tell "postoperative" from "preoperative", "harmless" from "harmful", and "assignee" from "assignor"."""
    ours, theirs = ({word.form for word in one.words} for one in (claim, said))
    return any(_swapped_affixes(word) & (theirs - ours) for word in ours - theirs)


@lru_cache(maxsize=4_096)
def _swapped_affixes(word: str) -> frozenset[str]:
    """The words that say the contrary of this one by another beginning or ending."""
    found = {
        other + word.removeprefix(one)
        for one, other in _COUNTER_PREFIXES
        if word.startswith(one) and len(word) >= len(one) + _LEAST_STEM
    }
    found |= {
        word.removesuffix(one) + other
        for one, other in _COUNTER_SUFFIXES
        if word.endswith(one) and len(word) >= len(one) + _LEAST_STEM
    }
    return frozenset(found)


def _both_ways(listed: str) -> tuple[tuple[str, str], ...]:
    pairs = [tuple(pair.split("/")) for pair in listed.split()]
    return tuple((one, other) for first, second in pairs for one, other in ((first, second), (second, first)))


_LEAST_STEM = 4
_COUNTER_PREFIXES = _both_ways(
    "hyper/hypo over/under pre/post intra/inter in/out im/ex in/ex up/down macro/micro mono/poly endo/exo pro/anti"
)
_COUNTER_SUFFIXES = _both_ways("less/ful or/ee er/ee ors/ees ers/ees")


def _forms(statement: Statement) -> frozenset[str]:
    """Words as stems and as they stand: the stem of "broken" is that of "break", and "unbroken" has its own."""
    return statement.stems | frozenset(word.form for word in statement.words)


_ORDINALS = frozenset(("second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"))


_SUPERLATIVE = re.compile(
    r"(?!(?:west|east|test|rest|guest|forest|interest|request|contest|protest|harvest)$)\w{3,}est|most|best"
)


def drops_rank(claim: Statement, said: Statement) -> bool:
    """Tell "the second oldest" and "one of the oldest" from "the oldest"."""
    return any(
        _SUPERLATIVE.fullmatch(word) and word in claim.plain and rank - claim.plain
        for at, (word, _) in enumerate(said.places)
        if (rank := _rank_before(said, at))
    )


def widens_group(claim: Statement, said: Statement) -> bool:
    """Tell "the tallest wooden building" from "the tallest building": a rank holds of those that it is told of."""
    kinds = {word: behind for word, behind in _ranked(said) if len(behind) > 1 and behind[0] != "ever"}
    return any(
        word in kinds and behind[:1] == kinds[word][1:2] and kinds[word][0] not in claim.stems
        for word, behind in _ranked(claim)
    )


def _ranked(statement: Statement) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each superlative with the two words that follow right behind it."""
    for word in statement.words:
        if _SUPERLATIVE.fullmatch(word.form):
            near = (word.position + 1, word.position + 2)
            yield word.form, tuple(other.stem for other in statement.words if other.position in near)


def _rank_before(said: Statement, at: int) -> frozenset[str]:
    before = [word for word, _ in said.places[max(0, at - 3) : at]]
    if before[-1:] and before[-1] in _ORDINALS:
        return frozenset(before[-1:])
    return frozenset(("one",)) if before == ["one", "of", "the"] else frozenset()


_OTHER_SUPERLATIVES = tuple(
    map(
        frozenset,
        map(
            str.split,
            (
                "largest biggest greatest",
                "smallest",
                "tallest highest",
                "lowest",
                "deepest",
                "longest",
                "shortest",
                "oldest earliest",
                "youngest newest latest",
                "fastest quickest",
                "slowest",
                "richest",
                "poorest",
                "heaviest",
                "lightest",
                "best",
                "worst",
                "hottest warmest",
                "coldest coolest",
            ),
        ),
    )
)


def has_other_superlative(claim: Statement, said: Statement) -> bool:
    """Tell "the largest lake" from "the deepest lake"."""
    ours = [alike for alike in _OTHER_SUPERLATIVES if alike & claim.plain]
    theirs = [alike for alike in _OTHER_SUPERLATIVES if alike & said.plain]
    return any(alike not in theirs for alike in ours) and any(alike not in ours for alike in theirs)


def takes_word_of_others(claim: Statement, said: Statement, known: AbstractSet[str]) -> bool:
    """As `replaces_word`, but for the word behind the first or a verb, of which another may say the same.

    Unless the sources have that other word elsewhere, or it is a name.
    """
    verbs = frozenset(word.stem for word in claim.words[1:2]) | (_verbs(claim) if _verbs(said) else frozenset())
    replaceable = {(before, after): word for word, before, after in _spots(said) if word.stem not in claim.stems}
    return any(
        word.stem not in said.stems
        and CHOICES.get(word.stem, ()) != CHOICES.get(replaceable[before, after].stem)
        and (word.stem not in verbs or word.stem in known or word.is_name or replaceable[before, after].is_name)
        for word, before, after in _spots(claim)
        if (before, after) in replaceable
    )


def _verbs(statement: Statement) -> frozenset[str]:
    """What is likely a verb: right behind another word, before a small one, as in "the night bus leaves the port"."""
    return frozenset(
        word.stem
        for before, word, behind in zip(
            statement.words, statement.words[1:], (*statement.words[2:], None), strict=False
        )
        if word.position - before.position == 1
        and not before.is_number
        and not word.case
        and (behind is None or behind.position - word.position > 1)
    )


def replaces_word(claim: Statement, said: Statement) -> bool:
    """Tell "300 mg of heparin given" from "300 mg of aspirin given": one unshared word in another's place."""
    replaceable = {(before, after) for word, before, after in _spots(said) if word.stem not in claim.stems}
    return any(word.stem not in said.stems and (before, after) in replaceable for word, before, after in _spots(claim))


def replaces_item(claim: Statement, said: Statement) -> bool:
    """Tell "two hoses, a gauge and clips" from "two hoses, a valve and clips": another item between the same two."""
    items = {(before, after): item for before, item, after in _items(said)}
    return any(
        (before, after) in items and item.isdisjoint(said.stems) and items[before, after].isdisjoint(claim.stems)
        for before, item, after in _items(claim)
    )


def _items(statement: Statement) -> Iterator[tuple[str, frozenset[str], str]]:
    """The short clauses between two others, each with the last word before it and the first behind it."""
    parts = [[word.stem for word in words] for _, words in groupby(statement.words, key=attrgetter("clause"))]
    for before, item, after in zip(parts, parts[1:], parts[2:], strict=False):
        if len(item) <= _ITEM_WORDS:
            yield before[-1], frozenset(item), after[0]


_ITEM_WORDS = 2


def replaces_attached(claim: Statement, said: Statement) -> bool:
    """Tell "in trials with mice" from "in trials with patients": another word behind the same word's preposition."""
    theirs = {key: word for key, word in _attached(said) if word not in claim.stems}
    return any(key in theirs and word not in said.stems for key, word in _attached(claim))


def exchanges_attached(claim: Statement, said: Statement) -> bool:
    """Tell "ceded to Sweden and returned to Denmark" from "ceded to Denmark and returned to Sweden"."""
    ours, theirs = dict(_attached(claim)), dict(_attached(said))
    moved = {(theirs[key], word) for key, word in ours.items() if theirs.get(key, word) != word}
    return any((word, other) in moved for other, word in moved)


def _attached(statement: Statement) -> Iterator[tuple[tuple[str, str], str]]:
    for before, word in pairwise(statement.words):
        if (
            word.case in _ATTACHING
            and before.case != word.case
            and word.position - before.position <= _NEAR
            and not word.is_number
        ):
            yield (before.stem, word.case), word.stem


_ATTACHING = frozenset(
    ("with", "of", "from", "to", "for", "by", "without", "against", "in", "on", "at", "during", "among")
)
_NEAR = 3


# Not hiragana: Japanese endings and particles change from one way of saying a thing to another.
_CONTENT_CHARACTERS = re.compile(r"[\u30a0-\u30ff\u3400-\u9fff\uac00-\ud7af]")


def replaces_characters(claim: Statement, said: Statement) -> bool:
    """Tell "三月在北京举行" from "三月在上海举行": in scripts without spaces, other characters in a word's place."""
    if not (claim.unspaced and said.unspaced):
        return False
    matcher = SequenceMatcher(None, said.unspaced, claim.unspaced, autojunk=False)
    return any(
        tag == "replace"
        and _CONTENT_CHARACTERS.search(said.unspaced, begin, end)
        and _CONTENT_CHARACTERS.search(claim.unspaced, first, last)
        for tag, begin, end, first, last in matcher.get_opcodes()
    )


def _spots(statement: Statement) -> Iterator[tuple[Word, str, str]]:
    """Give each word with the words before and behind it; at an end, with its preposition."""
    stems = ["", *(word.stem for word in statement.words), ""]
    for at, word in enumerate(statement.words):
        yield word, stems[at], stems[at + 2]
