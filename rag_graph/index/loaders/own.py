"""Somebody's own loader: a LangChain `BaseLoader`, or whatever takes a path and gives one."""

from importlib import import_module
from typing import Any, Final

from rag_graph.documents import Place
from rag_graph.errors import DocumentUnreadable
from rag_graph.index.loaders.base import Source, as_title, clean
from rag_graph.index.loading import Loaded, LoadedDocument

_SAID_CHARS: Final = 200


def load(source: Source, by: str) -> Loaded:
    """`by` is `module:name`. Each document that it gives becomes one; pages of one file become one with pages."""
    module, _, name = by.partition(":")
    try:
        made = getattr(import_module(module), name)
    except (ImportError, AttributeError) as exc:
        raise DocumentUnreadable(f"there is no loader {by!r}", "unreadable") from exc
    try:
        loader = made(str(source.path))
        found: Any = loader.lazy_load() if hasattr(loader, "lazy_load") else loader
        documents = [document for document in found if document.page_content.strip()]
    except (OSError, MemoryError):
        raise
    except ImportError as exc:
        missing = " ".join(str(exc).split())[:_SAID_CHARS]
        raise DocumentUnreadable(f"the loader {by!r} needs more packages: {missing}", "unreadable") from exc
    except Exception as exc:  # whatever somebody's own code raises; the file need not be at fault
        raise DocumentUnreadable(f"the loader {by!r} failed on it ({type(exc).__name__})", "unreadable") from exc
    if not documents:
        raise DocumentUnreadable("there is no text in it", "no text")
    pages = [document.metadata.get("page") for document in documents]
    if len(documents) > 1 and all(isinstance(page, int) for page in pages):
        yield _paged(source, documents)
        return
    for number, document in enumerate(documents, start=1):
        title = document.metadata.get("title")
        yield LoadedDocument(
            title=as_title(title if isinstance(title, str) else "") or as_title(source.name.stem),
            text=clean(document.page_content),
            key=str(number) if len(documents) > 1 else "",
            metadata=_scalars(document.metadata),
        )


def _paged(source: Source, documents: list[Any]) -> LoadedDocument:
    """LangChain counts pages from 0."""
    text, places = "", []
    for document in documents:
        text += "\n\n" if text else ""
        places.append(Place(len(text), {"page": document.metadata["page"] + 1}))
        text += clean(document.page_content)
    title = documents[0].metadata.get("title")
    return source.document(text, title=title if isinstance(title, str) else "", places=tuple(places))


def _scalars(held: dict[str, Any]) -> dict[str, str | int | float | bool]:
    return {
        name: clean(value) if isinstance(value, str) else value
        for name, value in held.items()
        if name not in {"source", "title"} and isinstance(value, str | int | float | bool)
    }
