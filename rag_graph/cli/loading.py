"""What a command loads before it can answer: the embedded models in a thread, beside the imports of the rest."""

import gc
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag_graph.errors import SettingsError
from rag_graph.interrupts import leaving_at_once

if TYPE_CHECKING:
    from rag_graph.models.local.embedder import LocalEmbedder
    from rag_graph.models.local.reader import LocalReader
    from rag_graph.settings import Settings


@dataclass(frozen=True, slots=True)
class LocalModels:
    """Those that the settings are sure to choose, being loaded; whoever uses one waits for it."""

    embedder: "LocalEmbedder | None" = None
    reader: "LocalReader | None" = None


@contextmanager
def loading(settings: "Settings") -> Iterator[LocalModels]:
    """Import in this block what answers: it takes seconds, so a terminal is told, and Ctrl-C needs no orderly end."""
    with leaving_at_once(), _without_collections():
        _tell("\x1b[2mLoading the models and the library …\x1b[0m")
        try:
            yield _begin(settings)
        finally:
            _tell("\r\x1b[2K")


def _tell(what: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(what)
        sys.stderr.flush()


def _begin(settings: "Settings") -> LocalModels:
    has_key = bool(settings.openai_api_key.get_secret_value())
    if settings.embedding.is_set or has_key:
        return LocalModels()
    from rag_graph.models.local.guide import GuideEmbedder

    embedder = GuideEmbedder()
    if settings.chat.is_set or settings.local_gguf:
        _in_a_thread([embedder.load])
        return LocalModels(embedder)
    from rag_graph.models.local.reader import LocalReader

    reader = LocalReader()
    _in_a_thread([embedder.load, reader.load])
    return LocalModels(embedder, reader)


def _in_a_thread(loads: Sequence[Callable[[], object]]) -> None:
    def work() -> None:
        for load in loads:
            with suppress(SettingsError):  # it is said by whoever needs what was not loaded
                load()

    # The imports hold the interpreter, while weights are read, checked and optimised without it. No daemon: an
    # interpreter that ends under the runtime's native code crashes.
    threading.Thread(target=work, name="loading").start()


@contextmanager
def _without_collections() -> Iterator[None]:
    """What is imported stays; looking through all of it for garbage, again and again, is a tenth of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
