"""What the tools of the Model Context Protocol give, and what they say while they work."""

from collections.abc import Sequence

from mcp import types
from pydantic import BaseModel

from rag_graph.documents import Hit, place_of
from rag_graph.errors import RagGraphError
from rag_graph.events import (
    Citation,
    ClaimFate,
    ClaimStated,
    Decided,
    Event,
    RunCancelled,
    RunFailed,
    RunFinished,
    SourceConflict,
    StepStarted,
)
from rag_graph.http.prose import source_list
from rag_graph.transcript import Transcript


class Found(BaseModel):
    """A passage that `search` found: `content` is the document's text from `start` to `end`, in code points."""

    document: str
    title: str
    uri: str
    heading: list[str]
    start: int
    end: int
    score: float
    content: str
    place: str = ""


class SearchOutput(BaseModel):
    """The passages, best first."""

    passages: list[Found]

    @property
    def written(self) -> str:
        """The same as text."""
        if not self.passages:
            return "The documents hold no passage on this."
        return "\n\n".join(
            f"[{n}] {one.title} ({', '.join(filter(None, (one.uri, one.place)))})\n{one.content}"
            for n, one in enumerate(self.passages, 1)
        )


class AskOutput(BaseModel):
    """The answer that stands, and what it rests on; `run_id` reads the whole run elsewhere."""

    answer: str
    citations: list[Citation]
    claims: list[ClaimStated]
    fates: list[ClaimFate]
    conflicts: list[SourceConflict]
    refined: bool
    decision: str
    warnings: list[str]
    run_id: str

    @property
    def written(self) -> str:
        """The answer as text; below it where sources disagree, and the sources: many clients read nothing else."""
        sources = source_list(self.citations)
        parts = [self.answer, *(told.message for told in self.conflicts), f"Sources\n{sources}" if sources else ""]
        return "\n\n".join(part for part in parts if part)


def found(hits: Sequence[Hit]) -> SearchOutput:
    return SearchOutput(
        passages=[
            Found(
                document=hit.passage.document_id,
                title=hit.passage.title,
                uri=hit.passage.uri,
                heading=list(hit.passage.heading),
                start=hit.passage.start,
                end=hit.passage.end,
                # NumPy's own numbers are none to JSON.
                score=float(hit.score),
                content=hit.passage.content,
                place=place_of(hit.passage.metadata)[1],
            )
            for hit in hits
        ]
    )


def answered(transcript: Transcript, run: RunFinished) -> AskOutput:
    decision = transcript.decision
    standing = transcript.answers[run.version]
    return AskOutput(
        answer=run.answer,
        citations=list(run.citations),
        claims=list(standing.claims),
        fates=list(standing.fates),
        conflicts=list(transcript.conflicts),
        refined=run.version != 1,
        decision=decision.reason if decision else "",
        warnings=[warning.message for warning in transcript.warnings],
        run_id=transcript.run_id,
    )


def outcome(transcript: Transcript) -> AskOutput:
    """What an ended run has given. Raises `RagGraphError` where that is no answer."""
    match transcript.terminal:
        case RunFinished() as last:
            return answered(transcript, last)
        case RunFailed() as last:
            raise RagGraphError(last.message)
        case RunCancelled() | None:
            raise RagGraphError("The run was stopped before its end.")


def result_of(output: SearchOutput | AskOutput) -> types.CallToolResult:
    content = types.TextContent(type="text", text=output.written)
    return types.CallToolResult(content=[content], structured_content=output.model_dump(mode="json"))


def failure(message: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(type="text", text=message)], is_error=True)


def progress_of(event: Event) -> str | None:
    """What is said of the work for this event, if anything."""
    match event:
        case StepStarted():
            return event.description
        case Decided():
            return f"{'The draft stands' if event.decision == 'keep' else 'The draft is refined'}: {event.reason}"
        case _:
            return None
