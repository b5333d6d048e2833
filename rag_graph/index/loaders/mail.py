"""E-mail: EML, and Outlook's MSG."""

import email
import email.policy

import oxmsg

from rag_graph.index.loaders.base import Source, Writer, as_title
from rag_graph.index.loaders.html import write_html
from rag_graph.index.loading import Loaded


def load(source: Source) -> Loaded:
    writer = Writer()
    if source.name.suffix.lower() == ".msg":
        subject, attached = _write_msg(writer, source)
    else:
        subject, attached = _write_eml(writer, source.content())
    note = f"attachments were left out: {', '.join(attached)}" if attached else ""
    yield source.written(writer, title=subject, note=note)


def _write_eml(writer: Writer, content: bytes) -> tuple[str, list[str]]:
    message = email.message_from_bytes(content, policy=email.policy.default)
    if not message.keys():
        raise ValueError("no headers")
    writer.block(
        "\n".join(f"{name}: {message[name]}" for name in ("From", "To", "Cc", "Date", "Subject") if message[name])
    )
    body = message.get_body(("plain", "html"))
    if body is not None:
        held = body.get_content()
        if body.get_content_type() == "text/html":
            write_html(writer, held.encode() if isinstance(held, str) else held)
        else:
            writer.block(held)
    return str(message["Subject"] or ""), [
        as_title(part.get_filename() or "unnamed") for part in message.iter_attachments()
    ]


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
