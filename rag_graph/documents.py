"""The things a library is made of: documents, the passages they are cut into, and the hits of a search."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Metadata = Mapping[str, str | int | float | bool]


@dataclass(frozen=True, slots=True)
class Document:
    """A text that was given to us; every span in the project is an offset into `text`, in code points."""

    id: str
    uri: str
    title: str
    text: str
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of one document that is searched and cited: `content == document.text[start:end]`, always."""

    id: int
    document_id: str
    uri: str
    title: str
    start: int
    end: int
    content: str
    heading: tuple[str, ...] = ()
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading, where its line begins in the text, and how deep it is: 1 is the highest."""

    start: int
    level: int
    title: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that a search found; higher scores are better, and comparable within one search only."""

    passage: Passage
    score: float
