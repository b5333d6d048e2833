"""Who does what to whom: the words of a source that act, or are dealt with, otherwise in a claim."""

from collections.abc import Sequence
from itertools import pairwise

from rag_graph.claims.statements import Statement, Word
from rag_graph.text.languages import CONDITIONAL, ORDERED, PRONOUNS, VERB_SECOND

_OPPOSITE_CASES = frozenset(
    frozenset(pair.split())
    for pair in (
        *("from to", "before after", "above below", "over under", "since until", "since before", "from until"),
        *("until after", "with without", "from into"),
    )
)


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


def _stand_apart(claim: Statement, said: Statement, pair: tuple[tuple[Word, Word], tuple[Word, Word]]) -> bool:
    """Whether two words are of two clauses in both, or parted by a lead-in of either, and each has kept its company.

    "Though A failed, B won" is "B won, though A failed", and not "A won, though B failed".
    """
    (first, first_there), (last, last_there) = pair
    are_apart = first.clause != last.clause and first_there.clause != last_there.clause
    if not (are_apart or _is_led_in(claim, said, first, last) or _is_led_in(said, claim, last_there, first_there)):
        return False
    theirs, rivals = _part(said, first_there), _part(said, last_there)
    beside, beside_last = _company(claim, first, last), _company(claim, last, first)
    return len(beside & theirs) >= len(beside & rivals) and len(beside_last & rivals) >= len(beside_last & theirs)


def _part(statement: Statement, word: Word) -> frozenset[str]:
    """The words of its clause, with it in the lead-in or behind that."""
    is_led_in = word.position <= statement.led_in_to
    return frozenset(
        other.stem
        for other in statement.words
        if other.clause == word.clause and (other.position <= statement.led_in_to) == is_led_in
    )


def _company(statement: Statement, word: Word, other: Word) -> frozenset[str]:
    """What stands with a word: its part of the sentence, or its neighbours where the other is of the same part."""
    part = _part(statement, word)
    if other.stem in part:
        at = statement.words.index(word)
        part = frozenset(near.stem for near in statement.words[max(0, at - 1) : at + 2])
    return part - {word.stem, other.stem}


def _is_led_in(one: Statement, other: Statement, first: Word, last: Word) -> bool:
    """Whether a condition or circumstance that one tells before the rest, and the other behind it, ends between two."""
    if not first.position <= one.led_in_to < last.position:
        return False
    is_condition = one.opening in CONDITIONAL and not other.led_in_to and not other.plain.isdisjoint(CONDITIONAL)
    return is_condition or one.opening in _ADJUNCTS


def swaps_roles(claim: Statement, said: Statement) -> bool:
    """Tell "A beat B" from "B beat A", "B was beaten by A" and "from B to A"."""
    shared = _shared_words(claim, said)
    if _puts_otherwise(shared, said):
        return True
    return any(
        _is_swapped(*first, *last, between)
        for at, first in enumerate(shared)
        for to, last in enumerate(shared[at + 1 :], at + 1)
        if not _stand_apart(claim, said, (first, last))
        if (between := _between(shared, at, to, claim.language.code))
    )


def _puts_otherwise(shared: Sequence[tuple[Word, Word]], said: Statement) -> bool:
    """Whether a word stands behind the opposite preposition, or acts where it was acted on."""
    return any(
        frozenset((word.case, other.case)) in _OPPOSITE_CASES or _is_made_actor(word, other, shared, said)
        for word, other in shared
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
        return (last.case == "by") != (last_there.case == "by") and (first.case == "by") == (first_there.case == "by")
    return False


def changes_places(claim: Statement, said: Statement) -> bool:
    """As `swaps_roles`, only of words that act or are acted on in both: "in version 3" may become the subject.

    In languages such as German the order of words is freer, and only names count.
    """
    shared = [pair for pair in _shared_words(claim, said) if pair[0].stem not in said.key]
    if _puts_otherwise(shared, said):
        return True
    return any(
        _may_act(first, first_there)
        and _may_act(last, last_there)
        and (claim.language.code in ORDERED or (first.is_name and last.is_name))
        and not _is_taken_up(claim, first, last)
        and _is_swapped(first, first_there, last, last_there, _between(shared, at, to, claim.language.code))
        for at, (first, first_there) in enumerate(shared)
        for to, (last, last_there) in enumerate(shared[at + 1 :], at + 1)
        if not _stand_apart(claim, said, ((first, first_there), (last, last_there)))
    )


def _is_taken_up(claim: Statement, first: Word, last: Word) -> bool:
    """Whether a later clause may speak of the first word by "it", as in "the lid is hot, since the lamp heats it"."""
    return first.clause != last.clause and any(
        word in PRONOUNS and clause == last.clause for word, clause in claim.places
    )


def _between(shared: Sequence[tuple[Word, Word]], at: int, to: int, code: str) -> list[int]:
    """Where those that stand between two words stand in the source.

    In German and its like the verb may come before both, as in "Im Mai lobte Ida Max" for "Ida lobte Max".
    """
    return [other.position for _, other in shared[(0 if code in VERB_SECOND else at + 1) : to]]


def _is_made_actor(word: Word, other: Word, shared: Sequence[tuple[Word, Word]], said: Statement) -> bool:
    """Tell "sold by Denmark" from "sold to Denmark", and "inherited by its parent" from "of its parent"."""
    if word.case != "by" or other.case in ("", "by"):
        return False
    is_put_aside = any(one.case == "of" and there is said.words[0] for one, there in shared)
    return other.case in _DEALT_WITH or (other.case == "of" and is_put_aside)


_DEALT_WITH = frozenset(("to", "from", "against"))


def _may_act(here: Word, there: Word) -> bool:
    return here.case in ("", "by") and there.case in ("", "by") and not here.is_number


def reverses_order(claim: Statement, said: Statement) -> bool:
    """Tell "filled before it is locked" from "locked before it is filled", and a cause from what it led to."""
    if any(map(str.isdigit, claim.earlier & said.later)) and any(map(str.isdigit, claim.later & said.earlier)):
        return True
    return (
        bool(claim.earlier & said.later and claim.later & said.earlier)
        and claim.earlier.isdisjoint(said.earlier)
        and claim.later.isdisjoint(said.later)
    )


def swaps_compared(claim: Statement, said: Statement) -> bool:
    """Tell "faster in water than in air" from "faster in air than in water"."""
    ours, theirs = (
        frozenset(word.stem for word in one.words if word.case == "than" and word.stem != "one")
        for one in (claim, said)
    )
    return bool((ours - theirs) & said.stems) and bool((theirs - ours) & claim.stems)


def swaps_cases(claim: Statement, said: Statement) -> bool:
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


def changes_voice(claim: Statement, said: Statement) -> bool:
    """Tell "A is paid by B" from "A pays B", and "since 2019" from "until 2019", of words in one order."""
    return any(
        (word.case == "by") != (other.case == "by") or frozenset((word.case, other.case)) in _OPPOSITE_CASES
        for word, other in _shared_words(claim, said)
    )


_RELATIONS = frozenset(
    ("to", "from", "than", "against", "for", "with", "without", "under", "unlike", "like", "after", "before")
)
"""Prepositions of what somebody is compared or deals with: who stands behind one is not who acts."""


def moves_subject(claim: Statement, said: Statement) -> bool:
    """Tell "unlike diesel, petrol burns" from "diesel burns": who acts must be there, and act there too."""
    if not claim.words:
        return False
    return (
        _is_no_actor(claim.words[0], said)
        or _is_no_actor(_main_word(claim), said)
        or bool(said.words and said.words[0].stem in claim.stems and _is_no_actor(said.words[0], claim))
    )


_COMPARED = frozenset(("unlike", "than", "against"))


def turns_actor(claim: Statement, said: Statement) -> bool:
    """As `moves_subject`, of who is only compared in the source, or has become the one who is dealt with."""
    if not claim.words or not said.words:
        return False
    first = claim.words[0]
    cases = {other.case for other in said.words if other.stem == first.stem}
    is_compared = not first.case and bool(cases) and cases <= _COMPARED
    return (
        is_compared
        or _trades_places(claim, said)
        or (said.words[0].stem in claim.stems and _is_no_actor(said.words[0], claim) and not _is_compound(said, claim))
    )


def _trades_places(claim: Statement, said: Statement) -> bool:
    """Tell "given to the museum by the widow" from "the museum gave it to the widow"."""
    main = _main_word(claim)
    givers = frozenset(word.stem for word in said.words if word.case == "by")
    return (
        not main.case
        and {word.case for word in said.words if word.stem == main.stem} == {"to"}
        and any(word.stem in givers and word.case not in ("by", "from") for word in claim.words)
    )


def _main_word(statement: Statement) -> Word:
    """The first word behind a lead-in."""
    return next((word for word in statement.words if word.position > statement.led_in_to), statement.words[0])


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
