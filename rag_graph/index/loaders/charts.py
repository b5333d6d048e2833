"""The charts of Office documents, as the tables that they were drawn from."""

from lxml import etree

from rag_graph.index.loaders.base import Writer, attribute, child, local_name, whole_number


def write_chart(writer: Writer, root: etree._Element | None) -> None:
    """A row for each category and a column for each series, as a chart keeps them beside its picture."""
    if root is None:
        return
    for title in root.iter("{*}title"):
        above = title.getparent()
        if above is not None and local_name(above) == "chart":
            writer.block(" ".join(text.text or "" for text in title.iter("{*}t")))
    series = list(root.iter("{*}ser"))
    names = [" ".join(_points(child(one, "tx")).values()) for one in series]
    labels: dict[int, str] = {}
    for one in series:
        labels |= {at: text for at, text in _points(_first(one, "cat", "xVal")).items() if at not in labels}
    values = [_points(_first(one, "val", "yVal")) for one in series]
    rows = sorted({*labels, *(at for held in values for at in held)})
    table = [[labels.get(at, ""), *(held.get(at, "") for held in values)] for at in rows]
    if table:
        writer.table([["", *names], *table] if any(names) else table, headers=1 if any(names) else None)


def _first(series: etree._Element, *names: str) -> etree._Element | None:
    return next((found for name in names if (found := child(series, name)) is not None), None)


def _points(held: etree._Element | None) -> dict[int, str]:
    """By number what stands at each point; labels of several levels one after the other, outermost first."""
    found: dict[int, str] = {}
    if held is None:
        return found
    levels = list(held.iter("{*}lvl"))
    for level in levels or [held]:
        points = {
            whole_number(attribute(point, "idx"), at): "".join(v.text or "" for v in point.iter("{*}v"))
            for at, point in enumerate(level.iter("{*}pt"))
        }
        found = {at: f"{points.get(at, '')} {found.get(at, '')}".strip() for at in {*points, *found}}
    named = next((v.text for v in held.iter("{*}v") if v.text), None)
    return found if found or named is None else {0: named}
