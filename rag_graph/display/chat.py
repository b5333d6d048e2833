"""A conversation in the terminal: questions typed one after the other, each answered in the light of those before."""

import sys
import threading
from contextlib import aclosing, suppress
from dataclasses import dataclass, field

from anyio.from_thread import BlockingPortal, start_blocking_portal
from pydantic import ValidationError
from rich.console import Console
from rich.text import Text

from rag_graph.display.terminal import show
from rag_graph.events import RunFinished
from rag_graph.query import MAX_TURN_CHARS, Mode, Query, Turn
from rag_graph.settings import Settings
from rag_graph.transcript import Transcript
from rag_graph.wiring import Answerer, open_answerer

with suppress(ImportError):
    import readline  # noqa: F401 - `input` then edits lines and remembers them; not on every system

GREETING = "Ask. /deep thinks harder or no longer, /new forgets the conversation, /quit or Ctrl-D leaves."
LAST_TURNS = 20
"""Turns that a question is read in the light of."""


def chat(settings: Settings, *, mode: Mode = "fast") -> None:
    """Answer what is typed until the input ends. Raises what keeps every question from being answered."""
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(open_answerer(settings)) as answerer,
    ):
        portal.call(answerer.check_ready)
        Conversation(portal, answerer, mode).talk()


@dataclass
class Conversation:
    """What was said so far. The answerer lives in the portal's thread, so it goes on while somebody types."""

    portal: BlockingPortal
    answerer: Answerer
    mode: Mode = "fast"
    turns: list[Turn] = field(default_factory=list)
    console: Console = field(default_factory=Console)
    remarks: Console = field(default_factory=lambda: Console(stderr=True))

    def talk(self) -> None:
        is_typed = sys.stdin.isatty()
        if is_typed:
            self._remark(GREETING)
        while (line := _read_line(self._prompt if is_typed else "")) is not None:
            if line.startswith("/"):
                if not self._obey(line):
                    return
            elif line:
                self._answer(line)

    @property
    def _prompt(self) -> str:
        return "deep> " if self.mode == "deep" else "> "

    def _obey(self, command: str) -> bool:
        """Carry a command out; False ends the conversation."""
        match command:
            case "/quit":
                return False
            case "/deep":
                self.mode = "fast" if self.mode == "deep" else "deep"
                self._remark("Thinking harder." if self.mode == "deep" else "Thinking no harder than needed.")
            case "/new":
                self.turns.clear()
                self._remark("The conversation so far is forgotten.")
            case _:
                self._remark(f"There is no {command}. {GREETING}")
        return True

    def _answer(self, question: str) -> None:
        try:
            query = Query(question=question, mode=self.mode, history=self.turns[-LAST_TURNS:])
        except ValidationError as exc:
            self._remark(f"The question is not one: {exc.errors()[0]['msg']}.")
            return
        transcript = self._interruptible(query)
        if transcript is None:
            self._remark("Stopped.")
        elif isinstance(transcript.terminal, RunFinished):
            answer = transcript.answer[:MAX_TURN_CHARS]
            self.turns += [Turn(role="user", content=question), Turn(role="assistant", content=answer)]

    def _interruptible(self, query: Query) -> Transcript | None:
        """The run to its end; None if Ctrl-C cancelled it, which is then over."""
        over = threading.Event()

        async def follow() -> Transcript:
            try:
                async with aclosing(self.answerer.ask(query)) as events:
                    return await show(events, self.answerer.library.document, self.console)
            finally:
                over.set()

        running = self.portal.start_task_soon(follow)
        try:
            return running.result()
        except KeyboardInterrupt:
            running.cancel()
            over.wait()
            return None

    def _remark(self, sentence: str) -> None:
        self.remarks.print(Text(sentence, style="dim"), soft_wrap=not self.remarks.is_terminal)


def _read_line(prompt: str) -> str | None:
    """What is typed, without the space around it; Ctrl-C empties the line, and None is the end."""
    try:
        return input(prompt).strip()
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        return ""
    except EOFError:
        if prompt:
            sys.stderr.write("\n")
        return None
