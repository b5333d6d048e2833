"""The clauses of a source: what a claim puts together from several of them, or leaves out of one."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations, pairwise, permutations

from rag_graph.claims.opposites import CHOICES
from rag_graph.claims.statements import Statement, subject_of
from rag_graph.text.languages import LEAD_INS, VERB_SECOND


def beheads(claim: Statement, said: Statement) -> bool:
    """Tell "removes all entries but keeps the statistics" from "removes all entries and the statistics"."""
    return any(
        (claim.stems & stems) - frozenset().union(*(other for at, other in said.clauses.items() if at != clause))
        and claim.stems.isdisjoint(said.heads[clause])
        for clause, stems in said.clauses.items()
    )


def swaps_subjects(claim: Statement, said: Statement) -> bool:
    """Tell "Alice won gold and Bob won silver" from "Alice won silver": who is named first must be in that clause."""
    first = next(iter(claim.words), None)
    if not first or not first.is_name or first.case in LEAD_INS or len(said.scopes) == 1:
        return False
    subject = subject_of(claim)
    rest = claim.clauses[first.clause] - subject
    fits = {clause: len(rest & stems) for clause, stems in said.clauses.items()}
    best = max(fits.values(), default=0)
    return best > 0 and not any(
        subject <= said.scopes[clause] | said.key for clause, fit in fits.items() if fit == best
    )


def gives_line_of_other(claim: Statement, told: Sequence[Statement]) -> bool:
    """As `swaps_subjects`, where who is named and what the claim tells of them stand in two sentences, each of one."""
    names = frozenset(word.stem for word in claim.names if word.case != "by")  # who acts may be named behind it
    for words in claim.clauses.values():
        first = next(word for word in claim.words if word.stem in words)
        if not first.is_name or first.case:
            continue
        rest = words - names
        fits = [len(rest & said.stems) for said in told]
        best = max(fits, default=0)
        tellers = [said for said, fit in zip(told, fits, strict=True) if fit == best]
        if (
            best >= _LEAST_TOLD
            and all(subject_of(said) & names and first.stem not in said.stems for said in tellers)
            and any(first.stem in said.stems for said in told)
        ):
            return True
    return False


_LEAST_TOLD = 2


def mixes_clauses(claim: Statement, said: Statement) -> bool:
    """Tell "snapshots are removed, but archives are kept" from "archives are removed".

    A clause of the claim that draws on two of the source must hold the word that each of them begins with.
    """
    for words in claim.clauses.values():
        drawn_on = [
            clause
            for clause, stems in said.clauses.items()
            if (words & stems) - frozenset().union(*(other for at, other in said.clauses.items() if at != clause))
        ]
        if len(drawn_on) > 1 and any(claim.stems.isdisjoint(said.heads[clause]) for clause in drawn_on):
            return True
    return False


def mixes_subjects(claim: Statement, said: Statement) -> bool:
    """As `mixes_clauses`, only where the claim begins with a word of one clause and goes on with another's.

    That other clause has a subject of its own, which the claim lacks.
    """
    first: dict[int, str] = {}
    for word in said.words:
        first.setdefault(word.clause, word.case)
    led_in = {clause for clause, case in first.items() if case}  # "…, from 41 to 45 percent" goes on with what was told
    for words in claim.clauses.values():
        subject = next(word.stem for word in claim.words if word.stem in words)
        if not any(subject in stems for stems in said.clauses.values()):
            continue
        for clause, stems in said.clauses.items():
            elsewhere = frozenset().union(*(other for at, other in said.clauses.items() if at != clause))
            if (
                subject not in said.scopes[clause] | said.key
                and clause not in led_in
                and (words & stems) - elsewhere
                and claim.stems.isdisjoint(said.heads[clause])
            ):
                return True
    return False


def takes_part_of_other(claim: Statement, said: Statement) -> bool:
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


def gives_deed_to_other(claim: Statement, said: Statement) -> bool:
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
    return claim.language.code not in VERB_SECOND and any(
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


def exchanges_clauses(claim: Statement, said: Statement) -> bool:
    """As `crosses`, of one sentence in whose words a claim is, and of names too."""
    return crosses(claim, (said,), names=True)


def crosses(claim: Statement, told: Sequence[Statement], *, names: bool = False) -> bool:
    """Tell "founded in 1786 and housed here since 1902" from "founded in 1902 and housed here since 1786".

    Two clauses of the claim that each have words of the same two clauses have exchanged them. Of two sentences, which
    may be told as one, only numbers tell that.
    """
    # In free wording two clauses often name the same ones.
    common = {"one"} if names else {"one", *(word.stem for word in claim.names)}
    parts = [(at, stems - common) for at, said in enumerate(told) for stems in said.clauses.values()]
    own = [
        (at, stems.difference(*(other for to, (_, other) in enumerate(parts) if to != place)))
        for place, (at, stems) in enumerate(parts)
    ]
    subjects = [subject_of(said) for said in told]
    marks = frozenset(word.stem for word in claim.numbers)
    for one, other in combinations(claim.clauses.values(), 2):
        for (at, first), (to, second) in permutations(own, 2):
            if at == to and one & first and one & second and other & first and other & second:
                return True
            if at != to and (
                one & first - subjects[at]
                and one & second & marks
                and other & second - subjects[to]
                and other & first & marks
            ):
                return True
    return False


def exchanges_subjects(claim: Statement, told: Sequence[Statement]) -> bool:
    """Tell "Ida is the chair. Max is the treasurer." from "Max is the chair and Ida is the treasurer".

    Each of two clauses has the subject of one sentence alone, and what only the other one says of its own: all of that,
    or a name, a number, a choice or a denial, where the own sentence has another.
    """
    if len(claim.clauses) == 1:
        return False
    for one, other in combinations(map(_without_names_given, told), 2):
        own, others = one.stems - other.stems, other.stems - one.stems
        subject, subject_of_other = subject_of(one) & own, subject_of(other) & others
        said, said_of_other = own - subject, others - subject_of_other
        for first, second in permutations(claim.clauses.values(), 2):
            if not (first & subject and second & subject_of_other) or first & subject_of_other or second & subject:
                continue
            is_all_exchanged = (
                first & said_of_other and second & said and not first & said and not second & said_of_other
            )
            is_denied = first & claim.negated and other.negated and not (one.negated or second & claim.negated)
            if (
                is_all_exchanged
                or is_denied
                or any(
                    mine in second - first and theirs in first - second
                    for mine, theirs in _rivals(one, other, said, said_of_other)
                )
            ):
                return True
    return False


def _without_names_given(said: Statement) -> Statement:
    """Without the names that `Statement.about` set before it: "her brother" is not her."""
    own = tuple(word for word in said.words if word.position >= 0)
    return said if len(own) == len(said.words) else replace(said, words=own)


def _rivals(
    one: Statement, other: Statement, said: frozenset[str], said_of_other: frozenset[str]
) -> list[tuple[str, str]]:
    """Pairs of words of two sentences that may stand in each other's place: of one sort, or opposites."""
    return [
        (mine.stem, theirs.stem)
        for mine in one.words
        for theirs in other.words
        if mine.stem in said
        and theirs.stem in said_of_other
        and (
            (mine.is_name and theirs.is_name)
            or (mine.is_number and theirs.is_number)
            or any(row == at for row, _ in CHOICES.get(mine.stem, ()) for at, _ in CHOICES.get(theirs.stem, ()))
        )
    ]


_CONTRASTS = frozenset(("but", "whereas", "while", "although", "though"))


def leaves_contrast(claim: Statement, said: Statement) -> bool:
    """Tell "removes all entries but keeps the statistics" from "removes all entries and the statistics"."""
    if claim.plain & _CONTRASTS:
        return False
    for word, clause in said.places:
        if word in _CONTRASTS and clause in said.clauses:
            elsewhere = frozenset().union(*(other for at, other in said.clauses.items() if at != clause))
            taken = (claim.stems & said.clauses[clause]) - elsewhere
            if taken and claim.stems.isdisjoint(said.heads[clause]) and claim.stems & elsewhere:
                return True
    return False
