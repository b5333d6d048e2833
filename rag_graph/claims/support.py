"""Whether a source sentence says what a claim says: strict rules over words, numbers, names, order and negation."""

from collections.abc import Set as AbstractSet

from rag_graph.claims.choices import (
    drops_rank,
    exchanges_attached,
    has_opposite,
    has_other_affix,
    has_other_month,
    has_other_superlative,
    has_other_unit_word,
    replaces_attached,
    replaces_characters,
    replaces_item,
    replaces_word,
    takes_one_of_both,
    takes_word_of_others,
    tells_order_backwards,
    widens_group,
)
from rag_graph.claims.clauses import (
    beheads,
    exchanges_clauses,
    gives_deed_to_other,
    leaves_contrast,
    mixes_clauses,
    mixes_subjects,
    swaps_subjects,
    takes_part_of_other,
)
from rag_graph.claims.quantities import (
    changes_measure,
    holds_numbers,
    pools,
    swaps_counts,
    swaps_numbers,
    takes_word_before,
)
from rag_graph.claims.roles import (
    changes_places,
    changes_voice,
    moves_subject,
    reverses_order,
    swaps_cases,
    swaps_compared,
    swaps_roles,
    turns_actor,
)
from rag_graph.claims.statements import Statement
from rag_graph.claims.strength import (
    adds_doubt,
    agrees_in_negation,
    agrees_in_strength,
    changes_duty,
    denies_more,
    drops_denial,
    drops_frequency,
    takes_contrasted,
    tells_plan_as_done,
    widens_all,
    widens_condition,
)


def agrees(claim: Statement, said: Statement) -> bool:
    """Whether nothing in the claim differs from what the source sentence says, as far as rules can tell.

    That enough of the claim is in the source is for the caller to see to. Rules only ever refuse: each knows one
    way in which the same words say something else.
    """
    return (
        all(name.stem in said.stems for name in claim.names)
        and holds_numbers(claim, said)
        and agrees_in_negation(claim, said)
        and agrees_in_strength(claim, said)
        and not any(differs(claim, said) for differs in _DIFFERENCES)
    )


def turns(claim: Statement, said: Statement, known: AbstractSet[str]) -> bool:
    """Whether a claim in nearly a sentence's words makes something else of them.

    As `agrees`, with those rules that see contradictions in free wording; `known` are the words of all that is cited.
    On what real models write the others refuse the supported as often as the rest: of 32 copies that only
    `mixes_clauses` or `replaces_word` objected to 29 were supported.
    """
    return not (
        all(name.stem in said.stems for name in claim.names)
        and holds_numbers(claim, said)
        and agrees_in_negation(claim, said)
        and agrees_in_strength(claim, said)
        and not adds_doubt(claim, said)
        and not any(differs(claim, said) for differs in _DIFFERENCES_OF_COPIES)
        and not misquotes(claim, said, known)
    )


def misquotes(claim: Statement, said: Statement, known: AbstractSet[str]) -> bool:
    """Whether a claim that takes its words from a sentence puts them together otherwise, however much it leaves out."""
    return (
        (not tells_order_backwards(claim, said) and (changes_places(claim, said) or turns_actor(claim, said)))
        or swaps_cases(claim, said)
        or mixes_subjects(claim, said)
        or gives_deed_to_other(claim, said)
        or leaves_contrast(claim, said)
        or takes_word_of_others(claim, said, known)
    )


def moves_number(claim: Statement, said: Statement) -> bool:
    """Whether a number of the claim is in this sentence as that of something else, or of nothing that it names."""
    own = {number.stem for number in said.numbers}
    shared = [number for number in claim.numbers if number.stem in own]
    return bool(shared) and (
        (claim.stems & said.stems).issubset(number.stem for number in shared)
        # Of several numbers in free wording each has more words near it than its own.
        or (sum(len(number.stem) > 1 for number in claim.numbers) <= 1 and swaps_numbers(claim, said))
        or swaps_counts(claim, said)
        or (max(len(claim.stems), len(said.words) / 2) <= _SHORT_CLAIM and takes_word_before(claim, said))
        or changes_measure(claim, said)
    )


def says_opposite(claim: Statement, said: Statement) -> bool:
    """Whether the source has the opposite of a word of the claim in its place."""
    is_short = len(claim.stems) <= _SHORT_CLAIM
    return any(differs(claim, said) for differs in ((*_OPPOSITES, *_TURNS) if is_short else _OPPOSITES))


_SHORT_CLAIM = 12


def keeps_strength(claim: Statement, said: Statement) -> bool:
    """Whether a claim keeps the doubts, conditions and contrasts of a sentence, and makes nothing total."""
    return agrees_in_strength(claim, said) and not leaves_contrast(claim, said)


def keeps_order(claim: Statement, said: Statement) -> bool:
    """Whether a claim is a source sentence with words left out, none of which made it say something else."""
    theirs = iter(said.words)
    return (
        bool(claim.words)
        and all(any(word.stem == other.stem for other in theirs) for word in claim.words)
        and len(claim.stems) >= _LEAST_KEPT * len(said.stems)
        and holds_numbers(claim, said)
        and agrees_in_negation(claim, said)
        and agrees_in_strength(claim, said)
        and not any(differs(claim, said) for differs in (*_DIFFERENCES_IN_ORDER, beheads))
    )


_LEAST_KEPT = 0.3
"""A claim of fewer of the sentence's words is often put together from its ends."""


_OPPOSITES = (
    has_opposite,
    drops_rank,
    has_other_superlative,
    has_other_unit_word,
    has_other_month,
    changes_duty,
    widens_condition,
    takes_contrasted,
)
"""What turns a claim round by a word or two, wherever its words come from."""


_TURNS = (
    takes_one_of_both,
    widens_group,
    widens_all,
    denies_more,
    drops_denial,
    tells_plan_as_done,
    has_other_affix,
    reverses_order,
    swaps_compared,
    exchanges_attached,
    replaces_item,
    pools,
)
"""What turns a claim that is short, or in a sentence's own words: a longer one has these words of other sentences."""


_DIFFERENCES_IN_ORDER = (
    gives_deed_to_other,
    *_OPPOSITES,
    *_TURNS,
    drops_frequency,
    takes_part_of_other,
    changes_voice,
    moves_subject,
    swaps_numbers,
    swaps_counts,
    swaps_subjects,
    mixes_clauses,
)
"""What may differ though all words of the claim follow one another in the source."""


_DIFFERENCES_OF_COPIES = (
    *_OPPOSITES,
    *_TURNS,
    takes_part_of_other,
    swaps_numbers,
    swaps_counts,
    swaps_subjects,
    exchanges_clauses,
    drops_frequency,
    replaces_attached,
    replaces_characters,
)
"""What makes another claim of nearly the same words, in free wording too."""


_DIFFERENCES = (
    gives_deed_to_other,
    *_OPPOSITES,
    *_TURNS,
    takes_part_of_other,
    leaves_contrast,
    swaps_roles,
    swaps_cases,
    moves_subject,
    swaps_numbers,
    swaps_counts,
    swaps_subjects,
    mixes_clauses,
    exchanges_clauses,
    replaces_word,
    drops_frequency,
    replaces_attached,
    replaces_characters,
)
