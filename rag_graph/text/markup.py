"""What of a text is markup and not read: Markdown's, MyST's and reStructuredText's marks, HTML's tags; and its code.

Rules, no parser: passages are cut out of documents, so that what opens or closes a mark may be missing.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from rag_graph.text.sentences import ASIDE, Sentence, sentences

_HTML = (
    r"a|abbr|article|aside|b|big|blockquote|body|br|button|center|code|col|dd|details|div|dl|dt|em|figcaption|figure|font"
    r"|footer|form|h[1-6]|head|header|hr|html|i|iframe|img|kbd|label|li|link|main|mark|meta|nav|ol|p|path|picture|pre|q|s"
    r"|script|section|small|source|span|strike|strong|style|sub|summary|sup|svg|table|tbody|td|tfoot|th|thead|title|tr|tt"
    r"|u|ul|video"
)
"""Other words in angle brackets are placeholders, as in `restore <snapshot>`, and are read."""

_OPTIONS = (
    "maxdepth|caption|hidden|glob|titlesonly|members|undoc-members|inherited-members|show-inheritance|noindex|alt|target"
    "|width|height|align|name|class|linenos|emphasize-lines|language|lines|start-after|end-before|literal"
)
"""Of directives, which say how something is to be shown."""
_URL = r'\((?:[^\s()]|\([^\s()]*\))*(?:\s+"[^"]*")?\)'
_MARKUP = re.compile(
    rf"""
      <!--(?:(?!<!--).)*?-->
    | (?::[\w.+-]+(?::[\w.+-]+)*:|\{{[\w:.+-]+\}})`[~!]?(?P<role>[^`<]+?)(?:\s*<[^<>`]*>)?`
    | `(?P<linked>[^`<]+?)\s*<[^<>`\s]+>`__?
    | ^[ \t]*\.\.[ ][\w:-]+::
    | ^[ \t]+:(?:{_OPTIONS}):[^\n]*$
    | ^[ \t>]*(?:`{{3,}}|~{{3,}})(?:\{{[^\n]*)?$
    | (?P<ticks>`+)(?:(?!\n[ \t]*\n).)+?(?<!`)(?P=ticks)(?!`)
    | !\[[^\[\]]*\]{_URL}
    | \[(?P<text>(?:[^\[\]]|\[[^\[\]]*\])+)\](?:{_URL}|\[[^\[\]\n]*\])
    | ^[ \t]*(?:\[(?!\^)[^\[\]\n]+\]:[ \t]+\S+|\.\.[ ]_[^\n]*:)[^\n]*$
    | </?(?:{_HTML})(?:\s[^<>]*)?/?>
    | (?<![\w*])\*\*(?=\S)(?P<strong>[^*\n]+(?:\n[^*\n]+)*?)(?<=\S)\*\*(?!\w)
    """,
    re.VERBOSE | re.MULTILINE | re.DOTALL | re.IGNORECASE,
)
_READ = ("role", "linked", "text", "strong")
"""What is read of a mark; of the others nothing is, but for code in a line, which stands as it is."""

_FENCE = re.compile(r"^[ \t>]*(?P<fence>`{3,}|~{3,})[ \t]*(?P<info>[^`\n]*)$", re.MULTILINE)
_LITERAL = re.compile(
    r"^(?P<indent>[ \t]*)(?:\.\.[ ](?P<directive>[\w:-]+)::[ \t]*(?P<info>[^\n]*)\n(?:[ \t]+:[\w-]+:[^\n]*\n)*"
    r"|(?!\.\.[ ])[^\n]*::[ \t]*\n)(?:[ \t]*\n)*"
    r"(?P<code>(?P=indent)(?P<deeper>[ \t]+)\S[^\n]*(?:\n(?:[ \t]*(?=\n)|(?P=indent)(?P=deeper)[^\n]*))*)",
    re.MULTILINE,
)
_LITERAL_DIRECTIVES = frozenset(
    (
        *("code", "code-block", "code-cell", "console", "doctest", "example", "highlight", "parsed-literal", "prompt"),
        *("run", "sourcecode", "testcode"),
    )
)
"""By the last part of their names, as in `click:example`."""
_UNDERLINE = re.compile(r"[ \t]*\n[ \t]*([=\-~^\"'*+#_])\1{2,}[ \t]*(?:\n|$)")


@dataclass(frozen=True, slots=True)
class CodeBlock:
    """A block of code: its lines are `text[start:end]`; `text[outer:after]` holds what opens and closes it, too."""

    start: int
    end: int
    outer: int
    after: int
    language: str = ""


def code_blocks(text: str) -> list[CodeBlock]:
    """The blocks of code in a text: those in fences, and the literal blocks of reStructuredText."""
    found = list(_fenced(text)) if "```" in text or "~~~" in text else []
    found += [
        block for block in _literal(text) if not any(it.outer < block.end and block.start < it.after for it in found)
    ]
    return sorted(found, key=lambda block: block.start)


def _fenced(text: str) -> Iterator[CodeBlock]:
    opened: re.Match[str] | None = None
    asides = 0
    for match in _FENCE.finditer(text):
        if opened is None:
            if underlines(text, match):
                continue
            if ASIDE.match(match["info"]) or match["info"].startswith("{eval-rst}"):
                asides += 1
            elif asides and not match["info"]:
                asides -= 1
            else:
                opened = match
        elif match["fence"].startswith(opened["fence"]) and not match["info"].strip():
            language = re.match(r"[\w+-]*", opened["info"])
            start = min(opened.end() + 1, match.start())
            end = max(start, match.start() - 1)
            yield CodeBlock(start, end, opened.start(), match.end(), language[0] if language else "")
            opened = None
    if opened is not None:  # cut off in the middle
        start = min(opened.end() + 1, len(text))
        yield CodeBlock(start, len(text), opened.start(), len(text))


def _literal(text: str) -> Iterator[CodeBlock]:
    at = 0
    while "::" in text and (match := _LITERAL.search(text, at)):
        start, end = match.start("code"), match.start("code") + len(match["code"].rstrip())
        directive, info = match["directive"], match["info"] or ""
        if directive and directive.rpartition(":")[2] not in _LITERAL_DIRECTIVES:
            at = text.index("\n", match.start()) + 1  # it may hold another
            continue
        language = info if re.fullmatch(r"[\w+-]*", info) else ""
        yield CodeBlock(start, end, match.start() if directive else start, end, language)
        at = end


def underlines(text: str, fence: re.Match[str]) -> bool:
    """Whether what looks like a fence are waves that underline a heading, as in reStructuredText, and open no code."""
    if fence["fence"][0] != "~" or fence["info"].strip():
        return False
    above = max(0, text.rfind("\n", 0, fence.start("fence")))
    line = text[text.rfind("\n", 0, above) + 1 : above].strip()
    return 0 < len(line) <= len(fence["fence"])


def blanked(text: str) -> str:
    """The text with a space for each sign of markup, so that what is left stands where it stood."""
    said = list(text)
    for start, end in _marks(text):
        said[start:end] = [char if char == "\n" else " " for char in text[start:end]]
    return "".join(said)


def unmarked(text: str) -> str:
    """The text without its markup."""
    kept, at = [], 0
    for start, end in _marks(text):
        kept.append(text[at:start])
        at = max(at, end)
    return "".join([*kept, text[at:]])


def is_underlined(text: str, end: int) -> bool:
    """Whether what ends there is underlined, as headings are in reStructuredText and may be in Markdown."""
    return _UNDERLINE.match(text, end) is not None


def document_sentences(text: str) -> list[Sentence]:
    """The sentences of a document: of code each line, and of what is underlined it is told that it is a heading."""
    blocks = [block for block in code_blocks(text) if block.start < block.end]
    begins = [block.outer for block in blocks]
    found = []
    for item in sentences(text):
        before = bisect_left(begins, item.end)  # blocks that begin before the sentence's end
        if item.kind == "prose" and is_underlined(text, item.end):
            found.append(Sentence(item.start, item.end, "heading"))
        elif not before or blocks[before - 1].after <= item.start:
            found.append(Sentence(item.start, item.end) if item.kind == "code" else item)
    for block in blocks:
        lines = re.compile(r"\S[^\n]*").finditer(text, block.start, block.end)
        found += (Sentence(line.start(), line.start() + len(line[0].rstrip()), "code") for line in lines)
    return sorted(found, key=lambda item: item.start)


def _marks(text: str) -> Iterator[tuple[int, int]]:
    at = 0
    for block in code_blocks(text):
        yield from _marks_between(text, at, block.outer)
        yield block.outer, block.start
        yield block.end, block.after
        at = block.after
    yield from _marks_between(text, at, len(text))


def _marks_between(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    for match in _MARKUP.finditer(text, start, end):
        if match["ticks"]:
            continue
        read = match.lastgroup
        if read not in _READ:
            yield match.span()
            continue
        yield match.start(), match.start(read)
        yield from _marks_between(text, *match.span(read))
        yield match.end(read), match.end()
