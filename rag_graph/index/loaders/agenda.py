"""Calendars and contacts: iCalendar (RFC 5545) and vCard (RFC 6350), whose lines are written alike."""

import quopri
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from rag_graph.errors import DocumentUnreadable
from rag_graph.index.encoding import decode
from rag_graph.index.loaders.base import Source, Writer
from rag_graph.index.loading import Loaded

_LINE: Final = re.compile(r'(?:[\w-]+\.)?(?P<name>[\w-]+)(?P<parameters>(?:;(?:"[^"]*"|[^":]++)*+)?):(?P<value>.*)')
_PARAMETER: Final = re.compile(r';([\w-]+)(?:=("[^"]*"|[^;]*))?')
_MOMENT: Final = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)(?:T(\d\d):?(\d\d):?(\d\d)(Z?))?")
_ESCAPED: Final = re.compile(r"\\([\\;,nN:])")
_ENTRIES: Final = frozenset(("VEVENT", "VTODO", "VJOURNAL", "VCARD"))
_NAMED: Final = {
    "SUMMARY": "Summary",
    "DTSTART": "Start",
    "DTEND": "End",
    "DUE": "Due",
    "DURATION": "Duration",
    "COMPLETED": "Completed",
    "RRULE": "Repeats",
    "LOCATION": "Location",
    "ORGANIZER": "Organizer",
    "ATTENDEE": "Attendee",
    "CATEGORIES": "Categories",
    "STATUS": "Status",
    "PRIORITY": "Priority",
    "DESCRIPTION": "Description",
    "COMMENT": "Comment",
    "FN": "Name",
    "NICKNAME": "Nickname",
    "ORG": "Organization",
    "TITLE": "Title",
    "ROLE": "Role",
    "TEL": "Telephone",
    "EMAIL": "Email",
    "ADR": "Address",
    "URL": "URL",
    "BDAY": "Birthday",
    "ANNIVERSARY": "Anniversary",
    "NOTE": "Note",
}
"""What people read of an entry; the rest tells programs which one it is, or holds pictures."""
_MOMENTS: Final = frozenset(("DTSTART", "DTEND", "DUE", "COMPLETED", "BDAY", "ANNIVERSARY"))
_LISTS: Final = frozenset(("ORG", "ADR"))


@dataclass(frozen=True, slots=True)
class _Line:
    name: str
    parameters: Mapping[str, str]
    value: str

    def read(self) -> str:
        value = self.value
        if self.parameters.get("ENCODING", "").upper() == "QUOTED-PRINTABLE" or "QUOTED-PRINTABLE" in self.parameters:
            charset = self.parameters.get("CHARSET", "utf-8")
            value = decode(quopri.decodestring(value.encode()), declared=charset)[0]
        if self.name in _MOMENTS and (found := _MOMENT.fullmatch(value)):
            day, hour, minute, zone = "-".join(found.groups()[:3]), found[4], found[5], self.parameters.get("TZID", "")
            return f"{day} {hour}:{minute} {'UTC' if found[7] else zone}".strip() if hour else day
        if self.name in _LISTS:
            value = ", ".join(filter(None, map(str.strip, re.split(r"(?<!\\);", value))))
        value = _ESCAPED.sub(lambda found: "\n" if found[1] in "nN" else found[1], value)
        if self.name in {"ORGANIZER", "ATTENDEE"}:
            address = re.sub(r"(?i)^mailto:", "", value)
            value = f"{self.parameters['CN']} <{address}>" if self.parameters.get("CN") else address
        kinds = self.parameters.get("TYPE", "") if self.name in {"TEL", "EMAIL", "ADR"} else ""
        return f"{value} ({kinds.lower().replace(',', ', ')})" if kinds else value


def load(source: Source) -> Loaded:
    text, note = decode(source.content())
    if not re.match(r"\s*BEGIN:V(?:CALENDAR|CARD)", text, re.IGNORECASE):
        raise DocumentUnreadable("it is damaged, or not what its suffix says")
    writer = Writer()
    title = ""
    write_entries(writer, text, has_lines=True)
    if calendar := re.search(r"^X-WR-CALNAME:(.*)$", text, re.MULTILINE):
        title = calendar[1]
    yield source.document(
        writer.text, title=title, outline=tuple(writer.outline), places=tuple(writer.places), note=note
    )


def write_entries(writer: Writer, text: str, *, has_lines: bool) -> None:
    """`has_lines` where the lines of the text are those of a file."""
    for number, entry in _entries(text):
        named = next((line.read() for line in entry if line.name in {"SUMMARY", "FN"}), "")
        if has_lines:
            writer.place(line=number)
        writer.block(" ".join(named.split()), level=2)
        told = [(line, said) for line in entry if line.name in _NAMED and (said := line.read().strip()) != named]
        writer.block("\n".join(f"{_NAMED[line.name]}: {said}" for line, said in told if said))


def _entries(text: str) -> Iterator[tuple[int, list[_Line]]]:
    """The lines of each event, task or person, and the line of the file in which it begins."""
    entry: list[_Line] | None = None
    inside: list[str] = []
    for number, written in _lines(text):
        if (found := _LINE.fullmatch(written)) is None:
            continue
        name, value = found["name"].upper(), found["value"].strip()
        if name == "BEGIN":
            inside.append(value.upper())
            if value.upper() in _ENTRIES:
                entry, begins = [], number
        elif name == "END":
            if inside and inside.pop() in _ENTRIES and entry is not None:
                yield begins, entry
                entry = None
        elif entry is not None and inside[-1] in _ENTRIES:  # an alarm in it says nothing of its own
            parameters: dict[str, str] = {}
            for key, said in _PARAMETER.findall(found["parameters"]):
                known = parameters.get(key.upper(), "")
                parameters[key.upper()] = ",".join(filter(None, (known, said.strip('"'))))
            entry.append(_Line(name, parameters, value))


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Each line with those that go on with it, and its number."""
    parts: list[str] = []
    begins = 1
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
        if parts and parts[-1].endswith("=") and "QUOTED-PRINTABLE" in parts[0].partition(":")[0].upper():
            parts[-1] = parts[-1][:-1]
            parts.append(line)
        elif parts and line[:1] in {" ", "\t"}:
            parts.append(line[1:])
        else:
            if parts:
                yield begins, "".join(parts)
            parts, begins = [line] if line else [], number
    if parts:
        yield begins, "".join(parts)
