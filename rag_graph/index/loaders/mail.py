"""E-mail: EML, Outlook's MSG, mailboxes of many mails, and web pages that were saved as a mail (MHTML)."""

import email
import email.policy
import mailbox
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from email.header import decode_header, make_header
from email.message import Message
from typing import Final

import oxmsg

from rag_graph.errors import DocumentUnreadable
from rag_graph.index.encoding import decode
from rag_graph.index.loaders.agenda import write_entries
from rag_graph.index.loaders.base import Source, Writer, as_title
from rag_graph.index.loaders.html import write_html
from rag_graph.index.loading import Failure, Loaded

_POLICY: Final = email.policy.compat32
"""The newer one raises on headers that programs write all the same."""
_DEEPEST: Final = 10
"""Of messages in messages, as they are forwarded."""


def load(source: Source) -> Loaded:
    suffix = source.name.suffix.lower()
    if suffix == ".mbox":
        yield from _mailbox(source)
        return
    writer = Writer()
    if suffix == ".msg":
        subject, attached = _write_msg(writer, source)
    else:
        subject, attached = _write_eml(writer, source.content())
    # Of a page, the pictures and styles lie beside it.
    note = "" if suffix in {".mht", ".mhtml"} else _told(attached)
    yield source.written(writer, title=subject, note=note)


def _told(attached: Sequence[str]) -> str:
    return f"attachments were left out: {', '.join(attached)}" if attached else ""


def _mailbox(source: Source) -> Loaded:
    """Each mail is a document."""
    source.content()  # for its bound
    found = False
    with closing(mailbox.mbox(source.path, create=False)) as box:
        for number, key in enumerate(box.iterkeys(), start=1):
            found = True
            writer, attached = Writer(), list[str]()
            message = email.message_from_bytes(box.get_bytes(key), policy=_POLICY)
            _write_message(writer, message, attached)
            if not writer.text.strip():
                yield Failure(f"mail {number}", "there is no text in it", "no text")
                continue
            title = _header(message, "Subject") or f"Mail {number}"
            read = source.written(writer, title=title, note=_told(attached))
            yield replace(read, key=str(number))
    if not found:
        raise DocumentUnreadable("there is no mail in it", "no text")


def _write_eml(writer: Writer, content: bytes) -> tuple[str, list[str]]:
    message = email.message_from_bytes(content, policy=_POLICY)
    if not message.keys():
        raise ValueError("no headers")
    attached: list[str] = []
    _write_message(writer, message, attached)
    return _header(message, "Subject"), attached


def _write_message(writer: Writer, message: Message, attached: list[str], depth: int = 0) -> None:
    """Who wrote to whom, then each part that is shown; of several ways to say the same, the first that says it."""
    known = {name: _header(message, name) for name in ("From", "To", "Cc", "Date", "Subject")}
    writer.block("\n".join(f"{name}: {value}" for name, value in known.items() if value))
    waiting = [message]
    while waiting:
        part = waiting.pop()
        kind = part.get_content_type()
        inside = _inside(part)
        if kind == "message/rfc822" and inside and depth < _DEEPEST:  # forwarded, in the mail or as its attachment
            _write_message(writer, inside[0], attached, depth + 1)
        elif part.get_content_disposition() == "attachment":
            attached.append(as_title(part.get_filename() or "unnamed"))
        elif kind == "multipart/alternative":
            said = [one for one in inside if one.get_content_type() != "text/plain" or _text_of(one)[0].strip()]
            waiting += said[:1]
        elif part.is_multipart():
            waiting += reversed(inside)
        elif kind == "text/html":
            write_html(writer, _text_of(part)[0].encode())
        elif kind == "text/plain":
            text = _text_of(part)[0]
            is_flowed = str(part.get_param("format", "")).lower() == "flowed"
            writer.block(_unfolded(text, part.get_param("delsp")) if is_flowed else text)
        elif kind == "text/calendar":  # an invitation
            write_entries(writer, _text_of(part)[0], has_lines=False)
        elif depth or part is not message:
            attached.append(as_title(part.get_filename() or "unnamed"))


def _unfolded(text: str, joins: object) -> str:
    """Paragraphs whose lines a mail program has cut where they end with a space (RFC 3676)."""
    lines: list[str] = []
    above = None
    for line in text.splitlines():
        marks = line[: len(line) - len(line.lstrip(">"))]
        said = line[len(marks) :].removeprefix(" ")
        if lines and above == marks and lines[-1].endswith(" ") and said != "-- ":
            lines[-1] = (lines[-1][:-1] if str(joins).lower() == "yes" else lines[-1]) + said
        else:
            lines.append(f"{marks} {said}" if marks else said)
        above = marks if said != "-- " else None  # what a signature begins with is whole
    return "\n".join(lines)


def _inside(part: Message) -> list[Message]:
    held = part.get_payload()
    return [one for one in held if isinstance(one, Message)] if isinstance(held, list) else []


def _text_of(part: Message) -> tuple[str, str]:
    content = part.get_payload(decode=True)
    return decode(content if isinstance(content, bytes) else b"", declared=part.get_content_charset() or "")


def _header(message: Message, name: str) -> str:
    """What a header says; its bytes may be those of any encoding, though none is named."""
    said = next((value for known, value in message.raw_items() if known.lower() == name.lower()), "")
    written = decode(str(said).encode("utf-8", "surrogateescape"))[0]
    try:
        written = str(make_header(decode_header(written)))
    except (LookupError, ValueError):  # it names an encoding that nobody knows
        return " ".join(written.split())
    return " ".join(written.split())


def _write_msg(writer: Writer, source: Source) -> tuple[str, list[str]]:
    message = oxmsg.Message.load(str(source.path))
    people = ", ".join(f"{person.name} <{person.email_address}>".strip() for person in message.recipients)
    known = {"From": message.sender, "To": people, "Date": message.sent_date, "Subject": message.subject}
    writer.block("\n".join(f"{name}: {value}" for name, value in known.items() if value))
    if message.body:
        writer.block(message.body)
    elif message.html_body:
        write_html(writer, message.html_body.encode())
    return message.subject or "", [as_title(item.file_name or "unnamed") for item in message.attachments]
