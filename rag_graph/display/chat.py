"""A conversation in the terminal: questions typed one after the other, each answered in the light of those before."""

import sys
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field

from anyio.from_thread import BlockingPortal
from pydantic import ValidationError
from rich.console import Console
from rich.text import Text

from rag_graph.display.terminal import show
from rag_graph.display.view import FindDocument
from rag_graph.errors import RagGraphError
from rag_graph.events import Event, RunFinished
from rag_graph.query import Mode, Query, Turn
from rag_graph.text.controls import inert_line
from rag_graph.transcript import Transcript

with suppress(ImportError):
    import readline  # noqa: F401 - `input` then edits lines and remembers them; not on every system

GREETING = "Ask. /deep thinks harder or no longer, /new forgets the conversation, /quit or Ctrl-D leaves."
LAST_TURNS = 20
"""Turns that a question is read in the light of."""


@dataclass
class Conversation:
    """What was said so far. Questions are answered by `ask` in the portal's event loop, in another thread."""

    portal: BlockingPortal
    ask: Callable[[Query], AsyncGenerator[Event]]
    find: FindDocument
    mode: Mode = "fast"
    model: str = ""
    language: str = ""
    turns: list[Turn] = field(default_factory=list)
    console: Console = field(default_factory=Console)
    remarks: Console = field(default_factory=lambda: Console(stderr=True))

    def talk(self) -> None:
        is_typed = sys.stdin.isatty()
        if is_typed:
            self._remark(GREETING)
        prompts = {"fast": "> ", "deep": "deep> "}
        while (line := _read_line(prompts[self.mode] if is_typed else "")) is not None:
            if line.startswith("/"):
                if not self._obey(line):
                    return
            elif line:
                self._answer(line)

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
            query = Query(
                question=question,
                mode=self.mode,
                history=self.turns[-LAST_TURNS:],
                model=self.model,
                language=self.language,
            )
        except ValidationError as exc:
            self._remark(f"The question is not one: {exc.errors()[0]['msg']}.")
            return
        over = threading.Event()

        async def follow() -> Transcript:
            try:
                async with aclosing(self.ask(query)) as events:
                    return await show(events, self.find, self.console)
            finally:
                over.set()

        running = self.portal.start_task_soon(follow)
        try:
            transcript = running.result()
        except KeyboardInterrupt:
            running.cancel()
            over.wait()  # a cancelled future is done before its task has let go of the terminal
            self._remark("Stopped.")
            return
        except RagGraphError as exc:  # a server that is gone for now ends no conversation
            self._remark(str(exc))
            return
        if isinstance(transcript.terminal, RunFinished):
            self.turns += [Turn.of("user", question), Turn.of("assistant", transcript.answer)]

    def _remark(self, sentence: str) -> None:
        self.remarks.print(Text(inert_line(sentence), style="dim"), soft_wrap=not self.remarks.is_terminal)


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
