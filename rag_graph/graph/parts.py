"""The parts that answer questions, which a user may replace one by one."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from rag_graph.errors import UnknownModel
from rag_graph.index import DocumentStore, Index
from rag_graph.query import Mode
from rag_graph.research import Researcher, WiderSearch
from rag_graph.retrieval import Retriever
from rag_graph.runs.log import RunLog
from rag_graph.writing.condensing import Condenser, PrecedingQuestion
from rag_graph.writing.contract import Writer

if TYPE_CHECKING:  # opening chat models takes a second to import
    from rag_graph.models.roles import OpenedModels

FAST_TOP_K = 3
"""As many passages as a draft is written from: more would make the model read longer before its first word."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What a model that a question may choose does in a run: all that a model does there."""

    drafter: Writer
    refiners: Mapping[Mode, Writer] = field(default_factory=dict)
    researchers: Mapping[Mode, Researcher] = field(default_factory=dict)
    condenser: Condenser = field(default_factory=PrecedingQuestion)


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What answers questions. Only the two retrievers and the drafter must be given.

    Replace single ones by `dataclasses.replace(default_parts(settings), fast=…)`. Making them opens nothing.
    """

    fast: Retriever
    """Finds the first passages, in milliseconds."""
    deep: Retriever
    """Finds better ones, in as much time as the draft takes."""
    drafter: Writer
    """Writes the draft; it holds its chat model and the checker of its claims."""
    refiners: Mapping[Mode, Writer] = field(default_factory=dict)
    """Who writes the later versions; where there is none for a mode, the drafter."""
    researchers: Mapping[Mode, Researcher] = field(default_factory=dict)
    """Who gathers the better evidence; where there is none for a mode, one wider search by `deep`."""
    condenser: Condenser = field(default_factory=PrecedingQuestion)
    """Makes a follow-up question one that stands by itself."""
    choices: Mapping[str, Choice] = field(default_factory=dict)
    """Further models that a question may choose, by their names: they stand in for the four above."""
    index: Index | None = None
    """What the retrievers search, if it is ours: uploads go to it, and without it no question is answered."""
    documents: DocumentStore | None = None
    """Where the documents are that citations point to, if not in `index`."""
    models: "OpenedModels | None" = None
    """The models behind the writers: warmed at the start, closed at the end, and named by the server."""
    run_log: RunLog | None = None
    """Where a server keeps its runs, in place of the log that the settings choose."""
    fast_k: int = FAST_TOP_K
    """How many passages the draft is written from."""
    narrates: bool = True
    """Whether the pipeline thinks aloud where no model does."""
    warming: tuple[Callable[[], object], ...] = ()
    """Called at the start, each in a thread: what the first question would otherwise wait for."""
    closing: tuple[Callable[[], object], ...] = ()
    """Called at the end, for what else is to be let go."""

    def chosen(self, model: str) -> "Parts":
        """With the model that a question names, or as they are where it names none. Raises UnknownModel."""
        own = self.models.chat_name if self.models else ""
        if not model or model == own:
            return self
        choice = self.choices.get(model)
        if choice is None:
            known = [*filter(None, [own]), *self.choices]
            advice = f"there are: {', '.join(known)}" if self.choices else "this server has none to choose from"
            raise UnknownModel(f"model: there is no {model[:80]!r}; {advice}.")
        return replace(
            self,
            drafter=choice.drafter,
            refiners=choice.refiners,
            researchers=choice.researchers,
            condenser=choice.condenser,
        )

    def refiner(self, mode: Mode) -> Writer:
        return self.refiners.get(mode, self.drafter)

    def researcher(self, mode: Mode) -> Researcher:
        return self.researchers.get(mode) or WiderSearch(self.deep, top_k=max(WiderSearch.top_k, 2 * self.fast_k))


OpenParts = Callable[[], Awaitable[Parts]]
"""Gives the parts when the first step of a run needs them; it is asked at every step."""
