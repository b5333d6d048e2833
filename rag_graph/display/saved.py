"""A run as a file: Markdown for people, its result as JSON, or its events as lines of JSON, by the file's suffix."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rag_graph.display.view import Source
from rag_graph.errors import InvalidRequest
from rag_graph.events import Event
from rag_graph.result import run_result
from rag_graph.text.controls import inert, inert_json, inert_line
from rag_graph.transcript import Transcript

SUFFIXES: Final = (".md", ".json", ".jsonl")


class SavedRun:
    """The file to be; said at once where it cannot be, before anybody waits for an answer. Raises `InvalidRequest`."""

    def __init__(self, path: Path) -> None:
        if path.suffix.lower() not in SUFFIXES:
            raise InvalidRequest(f"--save {path}: the name has to end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}.")
        if path.is_dir() or not path.parent.is_dir():
            raise InvalidRequest(f"--save {path}: there is no folder {path.parent}, or this is one.")
        self._path = path

    def write(self, question: str, transcript: Transcript, events: Sequence[Event], cited: Sequence[Source]) -> None:
        match self._path.suffix.lower():
            case ".md":
                content = as_markdown(question, transcript, cited)
            case ".json":
                content = as_json(transcript)
            case _:
                content = "".join(map(as_line, events))
        try:
            self._path.write_text(content, encoding="utf-8")
        except OSError as exc:
            raise InvalidRequest(f"--save {self._path}: it cannot be written: {exc.strerror}.") from exc


def as_markdown(question: str, transcript: Transcript, cited: Sequence[Source]) -> str:
    """The question, the answer that stands, and the list that its markers point to."""
    parts = [f"# {inert_line(question)}", inert(transcript.answer.strip())]
    if cited:
        places = (f"- [{it.marker}] {inert_line(it.title)}, `{inert_line(it.place)}`" for it in cited)
        parts.append("## Sources\n\n" + "\n".join(places))
    return "\n\n".join(part for part in parts if part) + "\n"


def as_json(transcript: Transcript) -> str:
    return inert_json(run_result(transcript).model_dump_json(indent=2)) + "\n"


def as_line(event: Event) -> str:
    return inert_json(event.model_dump_json()) + "\n"
