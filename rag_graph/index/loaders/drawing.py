"""SVG: its title, what it says of itself, and the words that are drawn."""

from rag_graph.errors import DocumentUnreadable
from rag_graph.index.loaders.base import Source, Writer, local_name, parse_xml
from rag_graph.index.loading import Loaded


def load(source: Source) -> Loaded:
    root = parse_xml(source.content())
    if local_name(root) != "svg":
        raise DocumentUnreadable("it is damaged, or not what its suffix says")
    writer = Writer()
    title = ""
    for element in root.iter("{*}title", "{*}desc", "{*}text"):
        words = " ".join("".join(map(str, element.itertext())).split())
        if local_name(element) == "title" and not title:
            title = words
        writer.block(words)
    yield source.written(writer, title=title)
