"""Whether a source sentence says what a claim says: strict rules over words, numbers, names, order and negation."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import pairwise, takewhile

from rag_graph.claims.opposites import ALTERNATIVES, CHOICES
from rag_graph.claims.statements import MONTHS, UNIT_WORDS, UNITS, Statement, Word, subject_of
from rag_graph.text.languages import ENGLISH
from rag_graph.text.terms import root


def agrees(claim: Statement, said: Statement) -> bool:
    """Whether nothing in the claim differs from what the source sentence says, as far as rules can tell.

    That enough of the claim is in the source is for the caller to see to. Rules only ever refuse: each knows one
    way in which the same words say something else.
    """
    return (
        all(name.stem in said.stems for name in claim.names)
        and _holds_numbers(claim, said)
        and _agrees_in_negation(claim, said)
        and _agrees_in_strength(claim, said)
        and not any(differs(claim, said) for differs in _DIFFERENCES)
    )


def turns(claim: Statement, said: Statement, known: AbstractSet[str]) -> bool:
    """Whether a claim in nearly a sentence's words makes something else of them.

    As `agrees`, with those rules that see contradictions in free wording; `known` are the words of all that is cited.
    On what real models write the others refuse the supported as often as the rest: of 32 copies that only
    `_mixes_clauses` or `_replaces_word` objected to 29 were supported.
    """
    return not (
        all(name.stem in said.stems for name in claim.names)
        and _holds_numbers(claim, said)
        and _agrees_in_negation(claim, said)
        and _agrees_in_strength(claim, said)
        and not (claim.roots - said.roots - (_PERMITS if said.plain & _PERMITS else frozenset()))
        & _roots(claim.language.hedges)
        and not any(differs(claim, said) for differs in _DIFFERENCES_OF_COPIES)
        and not misquotes(claim, said, known)
    )


def misquotes(claim: Statement, said: Statement, known: AbstractSet[str]) -> bool:
    """Whether a claim that takes its words from a sentence puts them together otherwise, however much it leaves out."""
    return (
        _changes_places(claim, said)
        or _swaps_cases(claim, said)
        or _mixes_subjects(claim, said)
        or _gives_deed_to_other(claim, said)
        or _leaves_contrast(claim, said)
        or _takes_word_of_others(claim, said, known)
        or _turns_actor(claim, said)
    )


def moves_number(claim: Statement, said: Statement) -> bool:
    """Whether a number of the claim is in this sentence as that of something else, or of nothing that it names."""
    own = {number.stem for number in said.numbers}
    shared = [number for number in claim.numbers if number.stem in own]
    return bool(shared) and (
        (claim.stems & said.stems).issubset(number.stem for number in shared)
        # Of several numbers in free wording each has more words near it than its own.
        or (sum(len(number.stem) > 1 for number in claim.numbers) <= 1 and _swaps_numbers(claim, said))
        or _swaps_counts(claim, said)
    )


def is_negated_alike(claim: Statement, said: Statement) -> bool:
    """Whether a source sentence that holds most of a claim denies what the claim denies, and no more."""
    return _agrees_in_negation(claim, said)


def says_opposite(claim: Statement, said: Statement) -> bool:
    """Whether the source has the opposite of a word of the claim in its place."""
    return any(differs(claim, said) for differs in _OPPOSITES)


def keeps_strength(claim: Statement, said: Statement) -> bool:
    """Whether a claim keeps the doubts, conditions and contrasts of a sentence, and makes nothing total."""
    return _agrees_in_strength(claim, said) and not _leaves_contrast(claim, said)


def keeps_order(claim: Statement, said: Statement) -> bool:
    """Whether a claim is a source sentence with words left out, none of which made it say something else."""
    theirs = iter(said.words)
    return (
        bool(claim.words)
        and all(any(word.stem == other.stem for other in theirs) for word in claim.words)
        and len(claim.stems) >= _LEAST_KEPT * len(said.stems)
        and _holds_numbers(claim, said)
        and _agrees_in_negation(claim, said)
        and _agrees_in_strength(claim, said)
        and not any(differs(claim, said) for differs in (*_DIFFERENCES_IN_ORDER, _beheads))
    )


def _beheads(claim: Statement, said: Statement) -> bool:
    """Tell "removes all entries but keeps the statistics" from "removes all entries and the statistics"."""
    return any(
        (claim.stems & stems) - frozenset().union(*(other for at, other in said.clauses.items() if at != clause))
        and claim.stems.isdisjoint(said.heads[clause])
        for clause, stems in said.clauses.items()
    )


_LEAST_KEPT = 0.3
"""A claim of fewer of the sentence's words is often put together from its ends."""


def _holds_numbers(claim: Statement, said: Statement) -> bool:
    """Refuse a number that the source lacks, or has of another unit ("330 feet") or bound ("over 330").

    A unit may stand apart from its number in the source, as in a table: then its word must be in the sentence.
    """
    return all(
        any(
            number.stem == other.stem
            and number.bound == other.bound
            and (number.unit in ("", other.unit) or (not other.unit and root(number.unit) in said.stems))
            for other in said.numbers
        )
        for number in claim.numbers
    )


def _agrees_in_negation(claim: Statement, said: Statement) -> bool:
    """Refuse a claim that denies what the source says, or says what it denies."""
    if claim.is_unspaced or said.is_unspaced:
        return claim.negated == said.negated
    if claim.negated:
        # "Does not remove what is not empty" denies twice what "what is not empty is removed" denies once.
        kept = [word for word in said.denied if word in claim.stems]
        is_cut = len(kept) > len(claim.denied) or len(claim.denied) > len(said.denied)
        return bool(claim.negated & said.negated) and not (is_cut and claim.language is ENGLISH)
    # The source may deny something else: "It was built in 1889, not in 1890." bears "It was built in 1889." out.
    return not (said.negated & claim.stems)


def _stems(listed: str) -> frozenset[str]:
    return frozenset(map(root, listed.split()))


UNIT_ROOTS = _stems(" ".join(UNITS))
_OPPOSITE_CASES = frozenset(
    frozenset(pair.split())
    for pair in ("from to", "before after", "above below", "over under", "since until", "with without", "from into")
)


@lru_cache(maxsize=64)
def _roots(words: frozenset[str]) -> frozenset[str]:
    return frozenset(map(root, words))


def _agrees_in_strength(claim: Statement, said: Statement) -> bool:
    """Refuse a claim that drops a source's doubt, or says "all" or "must" where the source does not."""
    language = said.language
    totals = (claim.roots & _roots(language.totals)) - said.roots
    if "any" in said.plain:
        totals -= _ANY
    if totals or (said.plain & language.conditions) - claim.plain:
        return False
    # A doubt counts where the claim comes from: in "It may rain, and the hall holds 300." the hall is not in doubt.
    hedges = _roots(language.hedges)
    held = claim.roots | _PERMITS if claim.plain & _PERMITS else claim.roots
    closest = max((len(stems & claim.stems) for stems in said.clauses.values()), default=0)
    return not any(
        root(word) in hedges
        and root(word) not in held
        and len(said.clauses.get(clause, frozenset()) & claim.stems) >= min(closest, _HEDGED_WORDS)
        for word, clause in said.places
    )


_ANY = frozenset(("all",))
"""For any of them is for all of them."""
_PERMITS = frozenset(("can", "may"))
"""What is allowed is told with either."""
_HEDGED_WORDS = 2
"""So many of the claim's words in the clause of a doubt, or as many as the best clause has, put the claim in doubt."""


def _has_opposite(claim: Statement, said: Statement) -> bool:
    """Tell "disabled, and can be enabled later" from "enabled": the clause with the opposite must not fit better.

    The source may have the claim's word too, in another clause. The clause that shares more with the rest of the claim
    is what the claim is about.
    """
    claimed, told = _chosen(claim), _chosen(said)
    for (row, place), words in claimed.items():
        others = [theirs for (at, other), theirs in told.items() if at == row and other != place]
        if not others or any((row, at) in claimed for at in range(len(ALTERNATIVES[row])) if at != place):
            continue
        rest = claim.stems - words
        if _fits(rest, told.get((row, place), frozenset()), said) < max(_fits(rest, other, said) for other in others):
            return True
    return _chooses_other_more(claim, said) or _is_negated_by_prefix(claim, said)


def _chooses_other_more(claim: Statement, said: Statement) -> bool:
    """Tell "a higher value gets more than a lower" from "a higher value gets less", which have words of both sides."""
    ours, theirs = _choice_counts(claim), _choice_counts(said)
    return any(
        count > theirs[row, place]
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


def _has_other_unit_word(claim: Statement, said: Statement) -> bool:
    """Tell "a number of minutes" from "a number of seconds": units that measure one thing and have no number."""
    ours, theirs = _unit_words(claim), _unit_words(said)
    return any(kind in (other for other, _ in theirs - ours) for kind, _ in ours - theirs)


def _unit_words(statement: Statement) -> frozenset[tuple[int, str]]:
    return frozenset(UNIT_WORDS[word] for word in statement.plain if word in UNIT_WORDS)


def _takes_contrasted(claim: Statement, said: Statement) -> bool:
    """Tell "due to snow, not to a strike" from "due to a strike"."""
    return not claim.negated and not claim.contrasted and bool(claim.stems & said.contrasted)


def _widens_condition(claim: Statement, said: Statement) -> bool:
    """Tell "even if it is late" from "if it is in time": what holds only under a condition does not hold regardless."""
    return "regardless" in claim.plain - said.plain and bool(said.plain & _CONDITIONS)


_CONDITIONS = frozenset(("if", "when", "unless", "only", "provided"))


def _changes_duty(claim: Statement, said: Statement) -> bool:
    """Tell "should" and "may" from "must", however the rest is said."""
    ours, theirs = _duties(claim), _duties(said)
    is_stricter = "must" in ours - theirs and bool(theirs)
    return is_stricter or ("may" in ours and theirs == {"must"})


def _duties(statement: Statement) -> frozenset[str]:
    return frozenset(_DUTIES[word] for word in statement.plain if word in _DUTIES)


_DUTIES = {
    **dict.fromkeys(("must", "shall", "mandatory", "obligatory", "compulsory"), "must"),
    **dict.fromkeys(("should", "recommended", "advisable"), "should"),
    **dict.fromkeys(("may", "optional", "optionally"), "may"),
}


def _has_other_month(claim: Statement, said: Statement) -> bool:
    """Tell "every May" from "every March", which are words of their own in small letters."""
    ours, theirs = _months(claim), _months(said)
    return bool(ours - theirs) and bool(theirs - ours)


def _months(statement: Statement) -> frozenset[str]:
    return frozenset(word.form for word in statement.names if word.form in _MONTH_NAMES)


_MONTH_NAMES = frozenset(month.lower() for month in MONTHS)


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
    ours, theirs = claim.stems - said.stems, said.stems - claim.stems
    return any(
        prefix + word in other
        for one, other in ((ours, theirs), (theirs, ours))
        for word in one
        if len(word) >= _LEAST_PREFIXED and word.isalpha()
        for prefix in _NEGATING_PREFIXES
    )


_ORDINALS = frozenset(("second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"))
_SUPERLATIVE = re.compile(
    r"(?!(?:west|east|test|rest|guest|forest|interest|request|contest|protest|harvest)$)\w{3,}est|most|best"
)


def _drops_rank(claim: Statement, said: Statement) -> bool:
    """Tell "the second oldest" and "one of the oldest" from "the oldest"."""
    return any(
        _SUPERLATIVE.fullmatch(word) and word in claim.plain and rank - claim.plain
        for at, (word, _) in enumerate(said.places)
        if (rank := _rank_before(said, at))
    )


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


def _has_other_superlative(claim: Statement, said: Statement) -> bool:
    """Tell "the largest lake" from "the deepest lake"."""
    ours = [alike for alike in _OTHER_SUPERLATIVES if alike & claim.plain]
    theirs = [alike for alike in _OTHER_SUPERLATIVES if alike & said.plain]
    return any(alike not in theirs for alike in ours) and any(alike not in ours for alike in theirs)


_ADJUNCTS = frozenset(("in", "on", "onto", "at", "of", "during", "within", "since", "until", "via", "per"))
"""Prepositions of when and where: what follows them may stand anywhere in a sentence and plays no role in the deed."""


def _shared_words(claim: Statement, said: Statement) -> list[tuple[Word, Word]]:
    """The words of a claim that a sentence has too, each with its counterpart, where they stand first."""
    there: dict[str, Word] = {}
    for word in said.words:
        there.setdefault(word.stem, word)
    here: dict[str, Word] = {}
    for word in claim.words:
        here.setdefault(word.stem, word)
    return [(word, there[name]) for name, word in here.items() if name in there]


def _swaps_roles(claim: Statement, said: Statement) -> bool:
    """Tell "A beat B" from "B beat A", "B was beaten by A" and "from B to A"."""
    shared = _shared_words(claim, said)
    if any(frozenset((word.case, other.case)) in _OPPOSITE_CASES for word, other in shared):
        return True
    if any(_is_made_actor(word, other, shared, said) for word, other in shared):
        return True
    return any(
        _is_swapped(*first, *last, between)
        for at, first in enumerate(shared)
        for to, last in enumerate(shared[at + 1 :], at + 1)
        if (between := [other.position for _, other in shared[at + 1 : to]])
    )


def _is_swapped(first: Word, first_there: Word, last: Word, last_there: Word, between: list[int]) -> bool:
    """Tell whether two words that stand around a third have changed places, or kept them in another voice."""
    pair = ((first, first_there), (last, last_there))
    if any((here.case and here.case == other.case) or other.case in _ADJUNCTS for here, other in pair):
        return False
    # "by" marks who acts in the passive: changed places and one "by" come to the same, each alone does not.
    if any(last_there.position < middle < first_there.position for middle in between):
        return (last.case == "by") == (first_there.case == "by")
    if any(first_there.position < middle < last_there.position for middle in between):
        return (last.case == "by") != (last_there.case == "by")
    return False


def _changes_places(claim: Statement, said: Statement) -> bool:
    """As `_swaps_roles`, only of words that act or are acted on in both: "in version 3" may become the subject.

    In other languages than English the order of words is freer, and only names count.
    """
    shared = _shared_words(claim, said)
    if any(frozenset((word.case, other.case)) in _OPPOSITE_CASES for word, other in shared):
        return True
    if any(_is_made_actor(word, other, shared, said) for word, other in shared):
        return True
    return any(
        _may_act(first, first_there)
        and _may_act(last, last_there)
        and (claim.language is ENGLISH or (first.is_name and last.is_name))
        and _is_swapped(first, first_there, last, last_there, [other.position for _, other in shared[at + 1 : to]])
        for at, (first, first_there) in enumerate(shared)
        for to, (last, last_there) in enumerate(shared[at + 1 :], at + 1)
    )


def _is_made_actor(word: Word, other: Word, shared: Sequence[tuple[Word, Word]], said: Statement) -> bool:
    """Tell "sold by Denmark" from "sold to Denmark", and "inherited by its parent" from "of its parent"."""
    if word.case != "by" or other.case in ("", "by"):
        return False
    is_put_aside = any(one.case == "of" and there is said.words[0] for one, there in shared)
    return other.case in _DEALT_WITH or (other.case == "of" and is_put_aside)


_DEALT_WITH = frozenset(("to", "from", "against"))


def _may_act(here: Word, there: Word) -> bool:
    return here.case in ("", "by") and there.case in ("", "by") and not here.is_number


def _swaps_cases(claim: Statement, said: Statement) -> bool:
    """Tell "prefers crawling to swimming" from "prefers swimming to crawling"."""
    cases: dict[str, set[str]] = {}
    for word in said.words:
        cases.setdefault(word.stem, set()).add(word.case)
    turned = [word for word in claim.words if word.case not in cases.get(word.stem, {word.case})]
    return any(
        first.case in cases[other.stem] and other.case in cases[first.stem]
        for first in turned
        if first.case not in ("", "by") and first.case not in _ADJUNCTS
        for other in claim.words
        # In "before closing the file" for "before the file is closed" either of the two may be told first.
        if first.case not in _CLAUSAL or abs(first.position - other.position) > _NEIGHBOURING
        if other.case != first.case and other.stem in cases
    )


_CLAUSAL = frozenset(("before", "after", "since", "until"))
_NEIGHBOURING = 3


def _changes_voice(claim: Statement, said: Statement) -> bool:
    """Tell "A is paid by B" from "A pays B", and "since 2019" from "until 2019", of words in one order."""
    return any(
        (word.case == "by") != (other.case == "by") or frozenset((word.case, other.case)) in _OPPOSITE_CASES
        for word, other in _shared_words(claim, said)
    )


_RELATIONS = frozenset(
    ("to", "from", "than", "against", "for", "with", "without", "under", "unlike", "like", "after", "before")
)
"""Prepositions of what somebody is compared or deals with: who stands behind one is not who acts."""


def _moves_subject(claim: Statement, said: Statement) -> bool:
    """Tell "unlike diesel, petrol burns" from "diesel burns": who acts must be there, and act there too."""
    if not claim.words:
        return False
    return _is_no_actor(claim.words[0], said) or bool(
        said.words and said.words[0].stem in claim.stems and _is_no_actor(said.words[0], claim)
    )


_COMPARED = frozenset(("unlike", "than", "against"))


def _turns_actor(claim: Statement, said: Statement) -> bool:
    """As `_moves_subject`, of who is only compared in the source, or has become the one who is dealt with."""
    if not claim.words or not said.words:
        return False
    first = claim.words[0]
    cases = {other.case for other in said.words if other.stem == first.stem}
    is_compared = not first.case and bool(cases) and cases <= _COMPARED
    return is_compared or (
        said.words[0].stem in claim.stems and _is_no_actor(said.words[0], claim) and not _is_compound(said, claim)
    )


def _is_compound(said: Statement, claim: Statement) -> bool:
    """Whether a sentence begins with "HEAD responses" where the claim has "a response to HEAD"."""
    first = said.words[:2]
    return len(first) > 1 and any(
        (one.stem, other.stem) == (first[1].stem, first[0].stem) and other.case for one, other in pairwise(claim.words)
    )


def _is_no_actor(word: Word, there: Statement) -> bool:
    cases = {other.case for other in there.words if other.stem == word.stem}
    # "With the flag it sorts" says of the flag what "the flag makes it sort" does.
    leads_in = there.words[:1] and there.words[0].stem == word.stem and there.words[0].case == "with"
    return not word.case and cases <= _RELATIONS and not leads_in


def _takes_word_of_others(claim: Statement, said: Statement, known: AbstractSet[str]) -> bool:
    """As `_replaces_word`, but for the word behind the first, mostly a verb, of which another may say the same.

    Unless the sources have that other word elsewhere, or it is a name.
    """
    behind_first = claim.words[1].stem if len(claim.words) > 1 else ""
    replaceable = {(before, after): word for word, before, after in _spots(said) if word.stem not in claim.stems}
    return any(
        word.stem not in said.stems
        and CHOICES.get(word.stem, ()) != CHOICES.get(replaceable[before, after].stem)
        and (word.stem != behind_first or word.stem in known or word.is_name or replaceable[before, after].is_name)
        for word, before, after in _spots(claim)
        if (before, after) in replaceable
    )


def _replaces_word(claim: Statement, said: Statement) -> bool:
    """Tell "300 mg of heparin given" from "300 mg of aspirin given": one unshared word in another's place."""
    replaceable = {(before, after) for word, before, after in _spots(said) if word.stem not in claim.stems}
    return any(word.stem not in said.stems and (before, after) in replaceable for word, before, after in _spots(claim))


# Not hiragana: Japanese endings and particles change from one way of saying a thing to another.
_CONTENT_CHARACTERS = re.compile(r"[\u30a0-\u30ff\u3400-\u9fff\uac00-\ud7af]")


def _replaces_characters(claim: Statement, said: Statement) -> bool:
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


def _swaps_numbers(claim: Statement, said: Statement) -> bool:
    """Tell "330 m tall and 125 m wide" from "125 m tall": each number must keep the words of its clause."""
    for number in claim.numbers:
        near = claim.clauses[number.clause] - {number.stem}
        by_default = [clause for clause, stems in said.clauses.items() if "default" in stems & near]
        if len(by_default) == 1 and any(
            other.clause in by_default for other in said.numbers if other.stem == number.stem
        ):
            continue
        names = {word.stem for word in claim.names} & near
        # Only numbers of one sort compete: a year is never taken for a length.
        own = [near & said.scopes[other.clause] for other in said.numbers if other.stem == number.stem]
        # A number that the claim has beside this one, too, is no rival: their order is for `_swaps_counts`.
        beside = {other.stem for other in claim.numbers if other.clause == number.clause}
        rivals = [other for other in said.numbers if other.stem not in beside and _sort(other) == _sort(number)]
        scopes = [near & said.scopes[other.clause] for other in rivals]
        # The word right before a number says most: "built in 1889 and sold in 1995" against "built in 1995".
        alike = (other.stem for other in rivals if other.unit == number.unit)
        if _before(claim, number.stem) & (_before(said, *alike) - _before(said, number.stem)):
            return True
        best = max(map(len, own), default=0)
        if any(len(scope) > best or (scope - frozenset().union(*own)) & names for scope in scopes):
            return True
    return False


def _before(statement: Statement, *numbers: str) -> frozenset[str]:
    """Give the words right before these numbers."""
    return frozenset(
        word.stem for word, number in pairwise(statement.words) if number.is_number and number.stem in numbers
    )


def _sort(number: Word) -> str:
    if number.unit:
        return "measure"
    return "year" if len(number.stem) == _YEAR_DIGITS and number.stem[0] in "12" else "count"


_YEAR_DIGITS = 4


def _swaps_counts(claim: Statement, said: Statement) -> bool:
    """Tell "36 countries and 400 patients" from "36 patients and 400 countries"."""
    counted = set(_counted(said))
    return any(
        (number, thing) not in counted
        and any(other == number for other, _ in counted)
        and any(other == thing for _, other in counted)
        for number, thing in _counted(claim)
    )


def _counted(statement: Statement) -> Iterator[tuple[str, str]]:
    for word, following in pairwise(statement.words):
        if word.is_number and following.position - word.position == 1:
            yield word.stem, following.stem


def _swaps_subjects(claim: Statement, said: Statement) -> bool:
    """Tell "Alice won gold and Bob won silver" from "Alice won silver": who is named first must be in that clause."""
    if not claim.words or not claim.words[0].is_name or len(said.scopes) == 1:
        return False
    subject = subject_of(claim)
    rest = claim.clauses[claim.words[0].clause] - subject
    fits = {clause: len(rest & stems) for clause, stems in said.clauses.items()}
    best = max(fits.values(), default=0)
    return best > 0 and not any(subject <= said.scopes[clause] for clause, fit in fits.items() if fit == best)


def _mixes_clauses(claim: Statement, said: Statement) -> bool:
    """Tell "snapshots are removed, but archives are kept" from "archives are removed".

    A clause of the claim that draws on two of the source must hold the word that each of them begins with.
    """
    for words in claim.clauses.values():
        drawn_on = [
            clause
            for clause, stems in said.clauses.items()
            if (words & stems) - frozenset().union(*(other for at, other in said.clauses.items() if at != clause))
        ]
        if len(drawn_on) > 1 and any(words.isdisjoint(said.heads[clause]) for clause in drawn_on):
            return True
    return False


def _mixes_subjects(claim: Statement, said: Statement) -> bool:
    """As `_mixes_clauses`, only where the claim begins with a word of one clause and goes on with another's.

    That other clause has a subject of its own, which the claim lacks.
    """
    for words in claim.clauses.values():
        subject = next(word.stem for word in claim.words if word.stem in words)
        if not any(subject in stems for stems in said.clauses.values()):
            continue
        for clause, stems in said.clauses.items():
            elsewhere = frozenset().union(*(other for at, other in said.clauses.items() if at != clause))
            if (
                subject not in said.scopes[clause]
                and (words & stems) - elsewhere
                and words.isdisjoint(said.heads[clause])
            ):
                return True
    return False


def _takes_part_of_other(claim: Statement, said: Statement) -> bool:
    """Tell "negotiated in Vienna and signed in Geneva" from "signed in Vienna".

    A word behind a preposition belongs to its clause, so that a clause which has another one of that preposition,
    and whose deed the claim tells, is not the one it was taken from.
    """
    deeds = {
        clause: frozenset(word.stem for word in said.words[1:] if word.clause == clause and not word.case)
        for clause in said.clauses
    }
    for word in claim.words:
        homes = {
            other.clause for other in said.words if word.case and (other.stem, other.case) == (word.stem, word.case)
        }
        near = claim.clauses[word.clause]
        if not homes or any(deeds[home] <= near for home in homes):
            continue
        kept = max(len(near & deeds[home]) for home in homes)
        for clause, told in deeds.items():
            rivals = {other.stem for other in said.words if other.clause == clause and other.case == word.case}
            if clause not in homes and rivals and rivals.isdisjoint(claim.stems) and len(near & told) >= max(1, kept):
                return True
    return False


def _gives_deed_to_other(claim: Statement, said: Statement) -> bool:
    """Tell "nano is the default; vim can be chosen" from "vim is the default", and who succeeds from who is succeeded.

    A subject goes on into later clauses, as in "It was bought, sold and rebuilt", and never back into an earlier one.
    """
    if not claim.words or "by" in claim.plain:
        return False
    heads = {word.stem: word for word in said.words if word.stem in said.heads[word.clause] and not word.case}
    first, rest = claim.words[0].stem, claim.stems - {claim.words[0].stem}
    homes = {word.clause for word in said.words if word.stem == first}
    if first in heads and len(homes) == 1:
        home = heads[first].clause
        is_earlier = any(rest and rest <= said.clauses[clause] for clause in said.clauses if clause < home)
        if is_earlier and len(said.clauses[home]) > 1 and rest.isdisjoint(said.clauses[home]):
            return True
    return any(
        word.is_name
        and word.stem in heads
        and heads[word.stem].is_name
        and not word.case
        and _acts(said, word.stem, before.stem)
        for before, word in pairwise(claim.words)
        if not before.is_name and not before.is_number
    )


def _acts(said: Statement, name: str, deed: str) -> bool:
    """Whether a name stands right before a deed in its clause, so that it is who did it."""
    words = [word for word in said.words if word.is_name is False or word.stem == name]
    return any((one.stem, other.stem) == (name, deed) and one.clause == other.clause for one, other in pairwise(words))


_CONTRASTS = frozenset(("but", "whereas", "while", "although", "though"))


def _leaves_contrast(claim: Statement, said: Statement) -> bool:
    """Tell "removes all entries but keeps the statistics" from "removes all entries and the statistics"."""
    for word, clause in said.places:
        if word in _CONTRASTS and word not in claim.plain and clause in said.clauses:
            elsewhere = frozenset().union(*(other for at, other in said.clauses.items() if at != clause))
            taken = (claim.stems & said.clauses[clause]) - elsewhere
            if taken and claim.stems.isdisjoint(said.heads[clause]) and claim.stems & elsewhere:
                return True
    return False


_OPPOSITES = (
    _has_opposite,
    _drops_rank,
    _has_other_superlative,
    _has_other_unit_word,
    _has_other_month,
    _changes_duty,
    _widens_condition,
    _takes_contrasted,
)
"""What turns a claim round by a word or two, wherever its words come from."""
_DIFFERENCES_IN_ORDER = (
    _gives_deed_to_other,
    _has_opposite,
    _drops_rank,
    _has_other_unit_word,
    _has_other_month,
    _changes_duty,
    _takes_contrasted,
    _takes_part_of_other,
    _changes_voice,
    _moves_subject,
    _swaps_numbers,
    _swaps_counts,
    _swaps_subjects,
    _mixes_clauses,
)
"""What may differ though all words of the claim follow one another in the source."""
_DIFFERENCES_OF_COPIES = (
    *_OPPOSITES,
    _takes_part_of_other,
    _swaps_numbers,
    _swaps_counts,
    _swaps_subjects,
    _replaces_characters,
)
"""What makes another claim of nearly the same words, in free wording too."""
_DIFFERENCES = (
    _gives_deed_to_other,
    *_OPPOSITES,
    _takes_part_of_other,
    _leaves_contrast,
    _swaps_roles,
    _swaps_cases,
    _moves_subject,
    _swaps_numbers,
    _swaps_counts,
    _swaps_subjects,
    _mixes_clauses,
    _replaces_word,
    _replaces_characters,
)
