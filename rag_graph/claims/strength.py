"""What a claim denies, doubts, requires or makes total, and its source does not."""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from itertools import chain, islice, pairwise

from rag_graph.claims.statements import Statement
from rag_graph.text.languages import CONDITIONS, ENGLISH, HEDGES, TOTALS
from rag_graph.text.terms import root


def agrees_in_negation(claim: Statement, said: Statement) -> bool:
    """Refuse a claim that denies what the source says, or says what it denies."""
    if claim.is_unspaced or said.is_unspaced:
        return claim.negated == said.negated
    if len(claim.denied) == len(said.denied) == len(claim.clauses) == len(said.clauses) == 1:
        return True
    if claim.negated:
        # "Does not remove what is not empty" denies twice what "what is not empty is removed" denies once.
        kept = [word for word in said.denied if word in claim.stems]
        is_cut = len(kept) > len(claim.denied) or len(claim.denied) > len(said.denied)
        return bool(claim.negated & said.negated) and not (is_cut and claim.language is ENGLISH)
    # The source may deny something else: "It was built in 1889, not in 1890." bears "It was built in 1889." out.
    return not (said.negated & claim.stems)


_HEDGES, _TOTALS = frozenset(map(root, HEDGES)), frozenset(map(root, TOTALS))


def agrees_in_strength(claim: Statement, said: Statement) -> bool:
    """Refuse a claim that drops a source's doubt, or says "all" or "must" where the source does not."""
    totals = (claim.roots & _TOTALS) - said.roots
    if claim.plain & _PERMITS:
        totals -= _CAUSES
    for alike in _SAME_TOTALS:
        if alike & said.roots:
            totals -= alike
    held = claim.plain | frozenset().union(*(_HELD_BY[word] for word in claim.plain & _HELD_BY.keys()))
    if said.plain >= _TRUTH:
        held |= _TRUTH
    if totals or (said.plain & CONDITIONS) - held:
        return False
    # A doubt counts where the claim comes from: in "It may rain, and the hall holds 300." the hall is not in doubt.
    held = claim.roots | _PERMITS if claim.plain & _PERMITTING else claim.roots
    if claim.roots & _BELIEFS or "according" in claim.plain:
        held |= _BELIEFS
    if "should" in said.plain:
        # "Use a key" is "you should use a key".
        told = {behind for (word, _), (behind, _) in pairwise(said.places) if word == "should"}
        held |= _SHOULD if told & claim.plain else frozenset()
    if claim.roots & _INTENTS:
        held |= _INTENTS
    if claim.negated and claim.plain & _NEEDED:
        held |= _PERMITS
    closest = max((len(stems & claim.stems) for stems in said.clauses.values()), default=0)
    return not any(
        root(word) in _HEDGES
        and root(word) not in held
        and len(said.clauses.get(clause, frozenset()) & claim.stems) >= min(closest, _HEDGED_WORDS)
        for word, clause in said.places
    )


_CAUSES = frozenset(map(root, ("cause", "prove")))
"""What may cause something is not said to cause it."""
_SAME_TOTALS = tuple(
    frozenset(map(root, alike.split()))
    for alike in ("all any whole entire", "because dueto cause lead result reason consequence contribute", "must shall")
)
"""What is said of any of them is said of all of them; and a cause may be told in many words."""


_TRUTH = frozenset(("true", "false"))
"""Who tells of both says of neither that it is a myth."""


_HELD_BY = {
    word: frozenset((condition,))
    for condition, words in (
        ("if", "when whenever where once provided providing"),
        ("only", "solely exclusively just sole limited restricted alone reserved"),
        ("except", "excluding excluded exception"),
    )
    for word in words.split()
}
"""Words that say a condition as well as the one of the source."""


_BELIEFS = frozenset(
    map(
        root,
        (
            *("may", "might", "could", "would", "possibly", "perhaps", "probably", "suggest", "believe", "estimate"),
            *("alleged", "hypothesize", "presume"),
        ),
    )
)
"""Who says "may" of what somebody believes, or "according to" whom, leaves it in doubt."""
_INTENTS = frozenset(
    map(
        root,
        ("plan", "intend", "expect", "aim", "propose", "hope", "seek", "should", "would", "scheduled", "due", "will"),
    )
)
"""What is meant to be is told with any of these."""
_NEEDED = frozenset(("need", "needed", "required", "necessary", "obligatory", "compulsory", "mandatory"))
"""What is not needed may be left."""


_PERMITS = frozenset(("can", "may", root("possible")))
_PERMITTING = _PERMITS | frozenset(("allowed", "permitted", "able", "allows", "permits", "lets", "reserved"))
"""What is allowed is told with any of these."""


_SHOULD = frozenset(("should",))
_HEDGED_WORDS = 2
"""So many of the claim's words in the clause of a doubt, or as many as the best clause has, put the claim in doubt."""


def drops_denial(claim: Statement, said: Statement) -> bool:
    """Tell "the lid prevents that water leaks in" from "water leaks in": what somebody prevents does not happen."""
    if claim.negated or claim.roots & _DENYING:
        return False
    return any(root(word) in _DENYING and behind <= claim.stems for word, _, behind in _with_neighbours(said) if behind)


def _with_neighbours(statement: Statement) -> Iterator[tuple[str, frozenset[str], frozenset[str]]]:
    """Each word, small ones too, with the word that says something before it in its clause, and with that behind it."""
    for at, (word, clause) in enumerate(statement.places):
        before = (root(other) for other, there in reversed(statement.places[:at]) if there == clause)
        behind = (root(other) for other, there in statement.places[at + 1 :] if there == clause)
        yield (
            word,
            frozenset(islice((stem for stem in before if stem in statement.stems), 1)),
            frozenset(islice((stem for stem in behind if stem in statement.stems), 1)),
        )


_DENYING = frozenset(
    root(word)
    for word in (
        *("prevent", "avoid", "prohibit", "forbid", "ban", "preclude", "reject", "refute", "dismiss", "deny", "cease"),
        *("abandon", "cancel", "lack", "stop"),
    )
)
"""Verbs that say of what follows that it is not so, or not any more."""


def drops_frequency(claim: Statement, said: Statement) -> bool:
    """Tell "usually within a day" from "within a day"."""
    return claim.plain.isdisjoint(_MOSTLY) and any(
        word in _MOSTLY and before | behind <= claim.stems for word, before, behind in _with_neighbours(said)
    )


_MOSTLY = frozenset(
    (
        *("usually", "typically", "generally", "often", "frequently", "mostly", "normally", "commonly", "sometimes"),
        "occasionally",
    )
)


def denies_more(claim: Statement, said: Statement) -> bool:
    """Tell "not all rooms have a view" from "no room has a view"."""
    is_partial = any(word == "not" and root(behind) in _WHOLE for (word, _), (behind, _) in pairwise(said.places))
    return is_partial and bool(claim.negated) and not claim.roots & _WHOLE


_WHOLE = frozenset(map(root, ("all", "always", "necessarily", "entirely", "fully", "completely")))


def tells_plan_as_done(claim: Statement, said: Statement) -> bool:
    """Tell "the line will open in 2027" from "the line was opened in 2027"."""
    return (
        any(
            word == "will" and len(said.clauses.get(clause, frozenset()) & claim.stems) >= _HEDGED_WORDS
            for word, clause in said.places
        )
        and bool(claim.plain & _PAST)
        and claim.plain.isdisjoint(_FUTURE)
        and said.plain.isdisjoint(_PAST)
    )


_PAST = frozenset(("was", "were", "had", "did"))
_FUTURE = frozenset(("will", "would", "shall", "planned", "scheduled", "expected", "set", "going", "due", "supposed"))


def takes_contrasted(claim: Statement, said: Statement) -> bool:
    """Tell "due to snow, not to a strike" from "due to a strike", and from "due to a strike rather than to snow"."""
    if claim.contrasted:
        ours, theirs = claim.stems - claim.contrasted, said.stems - said.contrasted
        return bool(claim.contrasted & theirs) and bool(said.contrasted & ours)
    taken = (word for word in claim.words if word.stem in said.contrasted)
    return not claim.negated and any(word.case != "from" for word in taken)  # "50 instead of 20" is "from 20 to 50"


def widens_condition(claim: Statement, said: Statement) -> bool:
    """Tell "even if it is late" from "if it is in time": what holds only under a condition does not hold regardless."""
    added = claim.plain - said.plain
    if added & _WIDENING and "only" in said.plain - claim.plain:
        return True
    return "regardless" in added and bool(said.plain & _CONDITIONS)


_WIDENING = frozenset(("also", "even"))


def makes_total(claim: Statement, known: AbstractSet[str]) -> bool:
    """Whether a claim says "only", "never" or the like, and nothing that is cited has any such word."""
    numbers = frozenset(number.clause for number in claim.numbers)
    # "Only four episodes" are no more than few.
    ours = any(word in _ABSOLUTE and not (word == "only" and clause in numbers) for word, clause in claim.places)
    return ours and known.isdisjoint(_LIMITING)


_ABSOLUTE = frozenset(("only", "solely", "exclusively", "never", "always", "none", "nobody"))
_LIMITING = frozenset(
    map(root, (*_ABSOLUTE, "no", "not", "all", "except", "just", "limit", "restrict", "nothing", "without"))
)


def widens_all(claim: Statement, said: Statement) -> bool:
    """Tell "all others get 25 days" from "all employees get 25 days": what is said of all is said of all of these."""
    theirs = [word for behind in _totalled(said, _BEHIND_ALL) for word in behind]
    return bool(theirs) and any(
        not behind.isdisjoint(said.stems) and behind.isdisjoint(theirs) for behind in _totalled(claim, 1)
    )


def _totalled(statement: Statement, most: int) -> Iterator[frozenset[str]]:
    """The words right behind each "all"."""
    for at, (word, clause) in enumerate(statement.places):
        if root(word) == "all":
            behind = (root(other) for other, there in statement.places[at + 1 :] if there == clause)
            # "The authors each get a copy" has it behind them.
            before = (root(other) for other, there in statement.places[max(0, at - 2) : at] if there == clause)
            told = chain(islice((one for one in behind if one in statement.stems), most), before if most > 1 else ())
            yield frozenset(told)


_BEHIND_ALL = 3


_CONDITIONS = frozenset(("if", "when", "unless", "only", "except", "provided"))


def changes_duty(claim: Statement, said: Statement) -> bool:
    """Tell "should" and "may" from "must", however the rest is said."""
    ours, theirs = _duties(claim), _duties(said)
    is_stricter = "must" in ours - theirs and bool(theirs)
    if {_permission(claim), _permission(said)} == {(True, False), (False, True)}:
        return True
    return is_stricter or ("may" in ours and "must" not in ours and theirs == {"must"})


def _permission(statement: Statement) -> tuple[bool, bool]:
    """Whether it tells of what may be done, and of what may not."""
    words = ["", *(word for word, _ in statement.places), ""]
    # Elsewhere than in English the two may stand far apart, as in German "darf der Akku nicht".
    is_denied = bool(statement.negated) and statement.language is not ENGLISH
    found = {
        not is_denied and before != "not" and behind != "not"
        for before, word, behind in zip(words, words[1:], words[2:], strict=False)
        if word in _ALLOWING
    }
    return True in found, False in found


_ALLOWING = frozenset(("may", "can", "allowed", "permitted"))


def _duties(statement: Statement) -> frozenset[str]:
    return frozenset(_DUTIES[word] for word in statement.plain if word in _DUTIES)


_DUTIES = {
    **dict.fromkeys(("must", "shall", "mandatory", "obligatory", "compulsory"), "must"),
    **dict.fromkeys(("should", "recommended", "advisable", "encouraged", "advised", "urged"), "should"),
    **dict.fromkeys(("may", "optional", "optionally"), "may"),
}


def adds_doubt(claim: Statement, said: Statement) -> bool:
    """Whether a claim has a doubt that its source has not."""
    permitted = _PERMITS if said.plain & _PERMITS else frozenset()
    for alike in (_BELIEFS, _INTENTS):
        if said.roots & alike:
            permitted |= alike
    if _duties(said):
        permitted |= frozenset(("should",))
    return bool((claim.roots - said.roots - permitted) & _HEDGES)
