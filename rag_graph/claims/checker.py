"""What a check of claims is given and what it says: implement `ClaimChecker` to judge with a model of your own."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

from rag_graph.events import Grade, NumberedPassage
from rag_graph.text.sentences import Kind

State = Literal["supported", "contradicted", "unsupported", "unchecked"]


@dataclass(frozen=True, eq=False)
class Sources:
    """The passages that one answer is written from, and the question it answers.

    One object per answer, compared by identity: a checker that reads the passages once may keep what it
    read in a `WeakKeyDictionary` of these, and has it for as long as the answer is being written.
    """

    passages: tuple[NumberedPassage, ...]
    question: str = ""

    @cached_property
    def by_number(self) -> dict[int, NumberedPassage]:
        return {passage.number: passage for passage in self.passages}

    @property
    def addresses(self) -> dict[int, str]:
        """Where the passages come from, by which a marker that links there is told from another link."""
        return {passage.number: passage.uri for passage in self.passages}


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence of an answer; or, where its markers stand inside it, the part that each group of them is about.

    `content` and `sentence` have no markers; `start`, `end` and `sentence_span` count code points of the
    answer with them. `markers` are the numbers of the passages cited for it: none when the model cited nothing.
    `before` holds the sentences that came just before, oldest first, to say what "it" stands for.
    """

    content: str
    start: int
    end: int
    sentence: str
    sentence_span: tuple[int, int]
    markers: tuple[int, ...] = ()
    before: tuple[str, ...] = ()
    kind: Kind = "prose"


@dataclass(frozen=True, slots=True)
class Support:
    """Words that bear a claim out: `content[start:end]` of the passage of that number; `score` is 0 to 1.

    `whole_sentence` says that they bear out all of the sentence that the claim is a part of. `grade` says how firmly:
    `quoted` where they say it in nearly the same words, `bears_on_it` where they hold its words and nothing speaks
    against it.
    """

    passage: int
    start: int
    end: int
    score: float
    whole_sentence: bool = False
    grade: Grade = "quoted"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check makes of a claim. `reason` is a sentence for people; without one, a plain one is told.

    - `supported`: each of `supports` becomes a citation, and several may support the claim only together;
      `refused` are markers whose passages do not say it.
    - `contradicted`, `unsupported`: the claim is flagged, at each of its markers if it has any. Only for what the
      sources deny or lack: a claim that a check could not follow is `unchecked`.
    - `unchecked`: nothing is said of the claim.
    """

    state: State
    supports: tuple[Support, ...] = ()
    refused: tuple[int, ...] = ()
    reason: str = ""


class ClaimChecker(Protocol):
    """Judges whether passages say what an answer claims. One object serves all answers, many at a time.

    It may take its time: the answer streams on meanwhile, and while one call is under way the claims that
    end are gathered for the next, so a model that judges many at once is given many. Blocking work belongs
    in a thread. Both methods are cancelled when the run is. Whatever they raise costs the checks, which a
    warning tells, and never the answer.
    """

    async def prepare(self, sources: Sources) -> None:
        """Read the passages while the answer begins. `check` may come beside it, and alone if the answer is short."""

    async def check(self, claims: Sequence[Claim], sources: Sources) -> Sequence[Verdict]:
        """Give one verdict for each claim, in their order."""
