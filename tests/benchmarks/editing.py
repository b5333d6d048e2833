"""What asking for changes to a draft saves against writing it anew: `python -m tests.benchmarks.editing`.

The scripted model says a token, here a word with its blanks, each 20 ms. It changes one claim in the middle of a draft,
or a third of all claims, and knows both forms by heart: what is measured is the form and not the model. Prompts are
counted as the writer estimates them.
"""

# ruff: noqa: T201 - a benchmark prints
import asyncio
from dataclasses import dataclass, replace
from time import perf_counter

from langchain_core.runnables import RunnableConfig

from rag_graph.events import AnswerDelta, Event, NumberedPassage
from rag_graph.models.providers.openai import open_chat_model
from rag_graph.models.replies import Replier
from rag_graph.transcript import Transcript
from rag_graph.writing.contract import Assignment
from rag_graph.writing.prompted import PromptedWriter
from rag_graph.writing.prompts import answer_prompt, estimate_tokens
from tests.upstream import Upstream, tokens

PACE_S = 0.02
CONTEXT_TOKENS = 16_000
TIMES_AN_INPUT = 4
"""So many times as much as a token of the prompt an output token costs at most services."""


def _said(number: int, century: int, marker: str = "") -> str:
    return f"In the year {century + number} the tower was given its part number {number} of iron{marker}."


@dataclass(frozen=True)
class Measured:
    prompt_tokens: int
    reply_tokens: int
    first_change_s: float
    total_s: float

    @property
    def cost(self) -> int:
        return self.prompt_tokens + TIMES_AN_INPUT * self.reply_tokens


def main() -> None:
    print("claims  chars  changed  way      prompt  reply  cost  first changed word  whole")
    with Upstream() as upstream:
        for claims in (2, 3, 4, 5, 6, 8, 12, 24):
            for changed in sorted({1, claims // 3} - {0}):
                asyncio.run(_compare(upstream, claims, changed))


async def _compare(upstream: Upstream, claims: int, changed: int) -> None:
    said = [_said(number, 1800, " [1]") for number in range(claims)]
    middle = claims // 2
    new = {at: _said(at, 1900, " [2]") for at in range(middle, middle + changed)}
    whole = " ".join(new.get(at, words) for at, words in enumerate(said))
    changes = "\n".join(f"REPLACE {{{at + 1}}}: {words}" for at, words in new.items())
    passages = tuple(_passage(number, century) for number, century in enumerate((1800, 1900), 1))
    anew = Assignment("What was the tower given?", passages, 2, "refine", draft=" ".join(said))
    for way, assignment, reply in (("anew", anew, whole), ("changes", replace(anew, edits=True), changes)):
        measured = await _measure(upstream, assignment, reply, whole, f"{1900 + middle}")
        print(
            f"{claims:6} {len(anew.draft):6} {changed:8}  {way:8} {measured.prompt_tokens:6} {measured.reply_tokens:6}"
            f" {measured.cost:5} {measured.first_change_s:18.2f}s {measured.total_s:5.2f}s"
        )


async def _measure(upstream: Upstream, assignment: Assignment, reply: str, expected: str, changed: str) -> Measured:
    upstream.say(reply, pace_s=PACE_S)
    model = open_chat_model(upstream.base_url, "key", "scripted")
    events: list[Event] = []
    first = 0.0
    began = perf_counter()

    async def emit(event: Event) -> None:
        nonlocal first
        events.append(event)
        told = "".join(one.delta for one in events if isinstance(one, AnswerDelta))
        if not first and changed in told:
            first = perf_counter() - began

    await PromptedWriter(Replier(model), CONTEXT_TOKENS).write(assignment, emit, RunnableConfig())
    total = perf_counter() - began
    await model.aclose()
    assert Transcript.of(events).answers[2].content == expected
    messages = answer_prompt(assignment, CONTEXT_TOKENS).messages
    prompt = sum(estimate_tokens(str(message.content)) for message in messages)
    return Measured(prompt, len(tokens(reply)), first, total)


def _passage(number: int, century: int) -> NumberedPassage:
    content = " ".join(_said(part, century) for part in range(40))
    return NumberedPassage(
        number=number,
        document=str(number),
        title=f"Register {number}",
        uri="",
        start=0,
        end=len(content),
        score=1,
        content=content,
    )


if __name__ == "__main__":
    main()
