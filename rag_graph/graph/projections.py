"""What `run` has under version 3 of LangGraph's streaming: the answer, its citations, the decision, the passages."""

from dataclasses import dataclass
from typing import Any

from langgraph.stream import ProtocolEvent, StreamChannel, StreamTransformer

from rag_graph.events import AnswerDelta, AnswerReset, Citation, Decided, PassagesRetrieved


@dataclass(frozen=True, slots=True)
class AnswerPiece:
    """More of the answer; where it `replaces`, all text before it is void."""

    delta: str
    version: int
    replaces: bool


class RagProjections(StreamTransformer):
    """Gives `run.answer`, `run.citations`, `run.decision` and `run.passages`."""

    _native = True  # LangGraph's documented way to have them as attributes of the run
    required_stream_modes = ("custom",)

    def __init__(self, scope: tuple[str, ...] = ()) -> None:
        super().__init__(scope)
        self._answer = StreamChannel[AnswerPiece]()
        self._citations = StreamChannel[Citation]()
        self._decision = StreamChannel[Decided]()
        self._passages = StreamChannel[PassagesRetrieved]()
        self._version = 1
        self._is_void = False

    def init(self) -> dict[str, Any]:
        return {
            "answer": self._answer,
            "citations": self._citations,
            "decision": self._decision,
            "passages": self._passages,
        }

    def process(self, event: ProtocolEvent) -> bool:
        if event["method"] == "custom" and tuple(event["params"]["namespace"]) == self.scope:
            self._add(event["params"]["data"])
        return True

    def _add(self, event: object) -> None:
        match event:
            case AnswerDelta() if event.delta:
                replaces = self._is_void or event.version != self._version
                self._version, self._is_void = event.version, False
                self._answer.push(AnswerPiece(event.delta, event.version, replaces))
            case AnswerReset():
                self._is_void = True
            case Citation():
                self._citations.push(event)
            case Decided():
                self._decision.push(event)
            case PassagesRetrieved():
                self._passages.push(event)
            case _:
                pass
