"""A loader as somebody may bring it: each line of a file is a document."""

from collections.abc import Iterator
from pathlib import Path

from langchain_core.document_loaders import BaseLoader
from langchain_core.documents import Document


class LineLoader(BaseLoader):
    def __init__(self, path: str) -> None:
        self.path = path

    def lazy_load(self) -> Iterator[Document]:
        for number, line in enumerate(Path(self.path).read_text().splitlines(), 1):
            yield Document(line, metadata={"title": f"Line {number}", "number": number})


class LoaderThatNeedsMore(LineLoader):
    def lazy_load(self) -> Iterator[Document]:
        raise ImportError("package `pysrt` not found,\nplease install it with `pip install pysrt`")


class LoaderThatFails(LineLoader):
    def lazy_load(self) -> Iterator[Document]:
        raise KeyError(self.path)
