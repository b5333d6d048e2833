"""What a claim denies, doubts, requires or makes total, and its source does not."""

from functools import lru_cache

from rag_graph.claims.statements import Statement
from rag_graph.text.languages import ENGLISH
from rag_graph.text.terms import root


def agrees_in_negation(claim: Statement, said: Statement) -> bool:
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


@lru_cache(maxsize=64)
def _roots(words: frozenset[str]) -> frozenset[str]:
    return frozenset(map(root, words))


def agrees_in_strength(claim: Statement, said: Statement) -> bool:
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


def takes_contrasted(claim: Statement, said: Statement) -> bool:
    """Tell "due to snow, not to a strike" from "due to a strike"."""
    return not claim.negated and not claim.contrasted and bool(claim.stems & said.contrasted)


def widens_condition(claim: Statement, said: Statement) -> bool:
    """Tell "even if it is late" from "if it is in time": what holds only under a condition does not hold regardless."""
    return "regardless" in claim.plain - said.plain and bool(said.plain & _CONDITIONS)


_CONDITIONS = frozenset(("if", "when", "unless", "only", "provided"))


def changes_duty(claim: Statement, said: Statement) -> bool:
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


def adds_doubt(claim: Statement, said: Statement) -> bool:
    """Whether a claim has a doubt that its source has not."""
    permitted = _PERMITS if said.plain & _PERMITS else frozenset()
    return bool((claim.roots - said.roots - permitted) & _roots(claim.language.hedges))
