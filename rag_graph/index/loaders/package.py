"""The parts of a file of Office, DOCX, PPTX or XLSX, strict or transitional."""

import posixpath
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass

from lxml import etree

from rag_graph.index.loaders.base import attribute, local_name, parse_xml


@dataclass(frozen=True, slots=True)
class Package:
    """The parts of an Office document, and how they belong together."""

    archive: zipfile.ZipFile

    def content(self, name: str) -> bytes | None:
        try:
            return self.archive.read(name)
        except KeyError:
            return None

    def part(self, name: str) -> etree._Element | None:
        content = self.content(name)
        return parse_xml(content) if content is not None else None

    def relations(self, name: str) -> dict[str, tuple[str, str]]:
        """By id the kind of a related part and its name."""
        folder, base = posixpath.split(name)
        root = self.part(posixpath.join(folder, "_rels", f"{base}.rels"))
        found = {}
        for item in root if root is not None else ():
            if attribute(item, "TargetMode") != "External":
                target = posixpath.normpath(posixpath.join("/", folder, attribute(item, "Target"))).lstrip("/")
                found[attribute(item, "Id")] = (attribute(item, "Type").rpartition("/")[2], target)
        return found

    def related(self, name: str, *kinds: str) -> Iterator[str]:
        yield from (target for kind, target in self.relations(name).values() if kind in kinds)

    def target(self, name: str, key: str) -> etree._Element | None:
        """The part that another one names by this id."""
        return self.part(self.relations(name).get(key, ("", ""))[1])

    def title(self) -> str:
        for name in self.related("", "core-properties", "coreProperties"):
            root = self.part(name)
            for item in root if root is not None else ():
                if local_name(item) == "title":
                    return item.text or ""
        return ""
