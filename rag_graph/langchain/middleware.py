"""Sources before an agent's model, and a check of what it says in the end."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, NotRequired

from langchain.agents.middleware import AgentMiddleware, AgentState, ModelRequest, ModelResponse
from langchain.agents.middleware.types import PrivateStateAttr
from langchain_core.messages import AIMessage, SystemMessage
from langgraph.runtime import Runtime

from rag_graph.claims import CitationStream, ClaimChecker, RuleChecker, Sources
from rag_graph.errors import RagGraphError
from rag_graph.events import Emit, Event, NumberedPassage, PassagesRetrieved, Warned
from rag_graph.graph.messages import answer_message, question_in
from rag_graph.graph.node import wait_for
from rag_graph.graph.parts import FAST_TOP_K
from rag_graph.graph.step import recording
from rag_graph.research import NumberedPassages
from rag_graph.retrieval.runs import search
from rag_graph.wiring import AnyRetriever, as_retriever
from rag_graph.writing.prompts import sources_prompt

STEP = "sources"


class GroundedState(AgentState[Any]):
    """What an agent is asked, and the passages found for it, as dicts, which any checkpointer keeps."""

    rag_passages: NotRequired[Annotated[list[dict[str, Any]], PrivateStateAttr]]
    rag_question: NotRequired[Annotated[str, PrivateStateAttr]]


class GroundedAnswers(AgentMiddleware[GroundedState, Any, Any]):
    """Retrieves for the question, has the model cite, and checks the claims of the agent's last message.

    That message is replaced by its id: its text gets a `citation` annotation for each citation that was checked, and
    what else it holds stays. Found passages, citations and unsupported claims go to the agent's custom stream. A search
    that fails, or a message that holds no question, is told there as a warning, and the agent goes on without sources.
    """

    state_schema = GroundedState

    def __init__(self, retriever: AnyRetriever, *, k: int = FAST_TOP_K, checker: ClaimChecker | None = None) -> None:
        super().__init__()
        self._retriever = as_retriever(retriever)
        self._k = k
        self._checker = checker or RuleChecker()

    async def abefore_agent(self, state: GroundedState, runtime: Runtime[Any]) -> dict[str, Any]:
        question, passages = "", NumberedPassages(most=self._k)
        try:
            question, _ = question_in(state["messages"])
            passages.add(await search(self._retriever, question, top_k=self._k))
        except RagGraphError as exc:
            runtime.stream_writer(Warned(step=STEP, code=exc.code, message=f"{exc} The agent goes on without sources."))
        runtime.stream_writer(PassagesRetrieved(stage="fast", passages=tuple(passages.ranked)))
        # Also where nothing was found: on a thread, the passages of an earlier question would be taken for this one's.
        return {"rag_passages": [passage.model_dump() for passage in passages.ranked], "rag_question": question}

    def before_agent(self, state: GroundedState, runtime: Runtime[Any]) -> dict[str, Any]:
        return wait_for(self.abefore_agent(state, runtime))

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
    ) -> ModelResponse[Any]:
        return await handler(self._with_sources(request))

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelResponse[Any]:
        return handler(self._with_sources(request))

    async def aafter_agent(self, state: GroundedState, runtime: Runtime[Any]) -> dict[str, Any] | None:
        passages = _passages(state)
        last = state["messages"][-1]
        if not passages or not isinstance(last, AIMessage) or last.tool_calls or not last.text or not last.id:
            return None

        async def tell(event: Event) -> None:
            runtime.stream_writer(event)

        emit, written = recording(tell)
        await self._check(last.text, Sources(passages, state.get("rag_question", "")), emit)
        checked = answer_message(last.id, written.answers[1], ())
        metadata = {**last.response_metadata, **checked.response_metadata}
        content = _with_text(last.content_blocks, checked.content_blocks)
        return {"messages": [last.model_copy(update={"content": content, "response_metadata": metadata})]}

    def after_agent(self, state: GroundedState, runtime: Runtime[Any]) -> dict[str, Any] | None:
        return wait_for(self.aafter_agent(state, runtime))

    async def _check(self, text: str, sources: Sources, emit: Emit) -> None:
        answer = CitationStream(sources, self._checker, emit, version=1, step=STEP)
        try:
            await answer.write(text)
            await answer.finish()
        finally:
            await answer.aclose()

    def _with_sources(self, request: ModelRequest[Any]) -> ModelRequest[Any]:
        said: Any = request.system_message.content if request.system_message else ""
        prompt = sources_prompt(_passages(request.state))
        if isinstance(said, list):  # its blocks may say what is to be cached, which a text cannot
            prompted: Any = [*said, {"type": "text", "text": f"\n\n{prompt}"}]
        else:
            prompted = "\n\n".join(filter(None, [said, prompt]))
        return request.override(system_message=SystemMessage(prompted))


def _with_text(blocks: Sequence[Any], text: Sequence[Any]) -> list[Any]:
    """A message's blocks with this text in the place of theirs; a model may sign its thinking, which it reads back."""
    at = next(at for at, block in enumerate(blocks) if block["type"] == "text")
    kept = [block for block in blocks if block["type"] != "text"]
    return [*kept[:at], *text, *kept[at:]]


def _passages(state: Any) -> tuple[NumberedPassage, ...]:
    return tuple(NumberedPassage.model_validate(passage) for passage in state.get("rag_passages", []))
