"""Which files a path stands for, and what a file gives: its documents with their headings and places, or why not."""

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from pathspec import GitIgnoreSpec

from rag_graph.documents import Heading, Metadata, Place
from rag_graph.errors import LibraryError, Unreadable
from rag_graph.text.controls import inert_line

MAX_FILE_BYTES = 64 * 1024 * 1024
"""A file that is read as a whole; JSON Lines are read line by line and have no limit."""
MAX_LINE_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class LoadedDocument:
    """A document as its file gives it; `key` tells it from the others of that file."""

    title: str
    text: str
    key: str = ""
    metadata: Metadata = field(default_factory=dict)
    outline: tuple[Heading, ...] = ()
    places: tuple[Place, ...] = ()
    """Where each page, slide, sheet or chapter begins, in order; of a text, where its first line is."""
    note: str = ""
    """What people should know of how it was read, such as that its encoding was guessed."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What could not be indexed, and why: in words for people, and of which kind that is."""

    uri: str
    reason: str
    kind: Unreadable = "damaged"


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file that may hold documents, and the folder from which its path is shown.

    `held_at` is where its bytes are until they take their place, if that is elsewhere; `uri` how people know it, if not
    by its path.
    """

    path: Path
    root: Path
    size: int
    held_at: Path | None = None
    uri: str = ""

    @property
    def content(self) -> Path:
        return self.held_at or self.path


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A file of a folder that is of no kind that can be read, or a file or folder that nobody means to ask about.

    `suffix` is its kind; `reason` is "" for an unknown kind.
    """

    suffix: str
    reason: str = ""


Loaded = Iterator[LoadedDocument | Failure]

_FOLDERS_LEFT_OUT = {
    "node_modules": "installed packages",
    "site-packages": "installed packages",
    "bower_components": "installed packages",
    "__pycache__": "compiled code",
    "__MACOSX": "hidden files",
}
_LOCK_FILES = frozenset(
    (
        *(
            "package-lock.json",
            "npm-shrinkwrap.json",
            "yarn.lock",
            "pnpm-lock.yaml",
            "bun.lock",
            "poetry.lock",
            "uv.lock",
        ),
        *(
            "pdm.lock",
            "Pipfile.lock",
            "Cargo.lock",
            "composer.lock",
            "Gemfile.lock",
            "go.sum",
            "flake.lock",
            "mix.lock",
        ),
    )
)
_MINIFIED = (".min.js", ".min.css", ".min.mjs", ".js.map", ".css.map", ".bundle.js")
_IGNORE_FILES = (".gitignore", ".ragignore")
_MAX_IGNORE_BYTES = 1 << 20
_Ignored = tuple[Path, str, GitIgnoreSpec]


def find_files(root: Path, *, every_kind: bool = False) -> Iterator[FoundFile | Failure | PassedOver]:
    """The files of a folder, or the file itself; with `every_kind` also those that we cannot read ourselves.

    In folders, hidden files are passed over in silence, and what `.gitignore` and `.ragignore` name is told as such.
    """
    try:
        root = root.resolve(strict=True)
    except (OSError, RuntimeError) as exc:
        message = f"There is no file or folder {str(root)!r}. Its documents leave the library by: rag-graph remove PATH"
        raise LibraryError(message) from exc
    if root.is_file():
        if every_kind or is_known(root):
            yield from _found(root, root.parent)
        else:
            yield Failure(inert_line(root.name), unknown_kind(root), "unknown kind")
        return
    if not root.is_dir():
        yield Failure(inert_line(root.name), "it is neither a file nor a folder", "unreadable")
        return
    yield from _walk(root, every_kind=every_kind)


def _walk(root: Path, *, every_kind: bool) -> Iterator[FoundFile | Failure | PassedOver]:
    failures: list[OSError] = []
    ignored = [*_ignored_above(root)]
    if _why_left_out(root, ignored, is_folder=True):  # somebody named it all the same
        ignored = []
    for folder, names, files in os.walk(root, onerror=failures.append):
        here = Path(folder)
        ignored = [known for known in ignored if here.is_relative_to(known[0])] + [*_ignored_in(here)]
        entered = []
        for name in sorted(name for name in names if not name.startswith(".")):
            if reason := _why_left_out(here / name, ignored, is_folder=True):
                yield PassedOver("", reason)
            else:
                entered.append(name)
        # In place: `os.walk` goes on by this very list.
        names[:] = entered
        for name in sorted(name for name in files if not name.startswith(".")):
            path = here / name
            if reason := _why_left_out(path, ignored, is_folder=False):
                yield PassedOver(suffix_of(path), reason)
            else:
                yield from _file(path, root, every_kind=every_kind)
    for failure in failures:
        if Path(failure.filename) == root:
            raise LibraryError(f"The folder {str(root)!r} cannot be read; check its permissions.") from failure
        yield Failure(_relative(Path(failure.filename), root), "the folder cannot be read", "unreadable")


def _file(path: Path, root: Path, *, every_kind: bool) -> Iterator[FoundFile | Failure | PassedOver]:
    if every_kind or is_known(path):
        yield from _found(path, root)
    elif not path.is_symlink() and path.is_file():
        yield PassedOver(suffix_of(path))


def _why_left_out(path: Path, ignored: Sequence[_Ignored], *, is_folder: bool) -> str:
    if is_folder:
        if path.name in _FOLDERS_LEFT_OUT:
            return _FOLDERS_LEFT_OUT[path.name]
        if (path / "pyvenv.cfg").is_file():
            return "installed packages"
    elif path.name in _LOCK_FILES:
        return "lock files"
    elif path.name.endswith(_MINIFIED):
        return "minified code"
    why = ""
    for folder, name, spec in ignored:  # the nearest one that names it decides
        found = spec.check_file(path.relative_to(folder).as_posix() + ("/" if is_folder else ""))
        if found.include is not None:
            why = f"named in {name}" if found.include else ""
    return why


def _ignored_above(root: Path) -> Iterator[_Ignored]:
    """What the folders above ignore, up to the root of their repository; outside of one, nothing."""
    repository = next((folder for folder in (root, *root.parents) if (folder / ".git").exists()), None)
    if repository is not None and repository != root:
        for folder in reversed(root.parents):
            if folder.is_relative_to(repository):
                yield from _ignored_in(folder)


def _ignored_in(folder: Path) -> Iterator[_Ignored]:
    for name in _IGNORE_FILES:
        path = folder / name
        try:
            if path.is_file() and path.stat().st_size <= _MAX_IGNORE_BYTES:
                yield folder, name, GitIgnoreSpec.from_lines(path.read_text("utf-8", "replace").splitlines())
        except (OSError, ValueError):  # one that cannot be read names nothing
            continue


def hash_of(blocks: Iterable[bytes]) -> str:
    """By it a file is known to be the one that was indexed."""
    digest = hashlib.blake2b(digest_size=16)
    for block in blocks:
        digest.update(block)
    return digest.hexdigest()


def suffix_of(path: Path) -> str:
    """The kind of a file, as people are told it."""
    return inert_line(path.suffix.lower())[:20]


def kind_of(name: Path) -> str | None:
    """The module of `index/loaders` that reads files of this name; None where none does."""
    if not name.suffix and name.name.upper() in _PLAIN_NAMES:
        return "markup"
    return KINDS.get(name.suffix.lower())


def is_known(path: Path) -> bool:
    kind = kind_of(path)
    return kind is not None and (kind != "ocr" or find_spec("rapidocr") is not None)


def unknown_kind(path: Path) -> str:
    """Why a file cannot be read whose kind is not known, and what helps."""
    suffix = path.suffix.lower()
    if KINDS.get(suffix) == "ocr":
        return f"files {suffix_of(path)} are pictures: install rag-graph[ocr] to read them"
    if not suffix:
        return "files without a suffix cannot be read; give text the suffix .txt"
    advice = next((advice for advice, suffixes in _ADVICE.items() if suffix in suffixes.split()), "")
    return f"files {suffix_of(path)} cannot be read{advice and '; ' + advice}"


_LINK_OUT = "it is a link out of the folder; name its target to index it"


def _found(path: Path, root: Path) -> Iterator[FoundFile | Failure]:
    """No link is followed: inside the folder its target is found anyway, and outside nobody named it."""
    try:
        str(path).encode()
    except UnicodeEncodeError:  # Python reads the bytes that are no UTF-8 as lone surrogates, which nobody can store
        yield Failure(_relative(path, root), "its path is not UTF-8; rename it", "unreadable")
        return
    try:
        if path.is_symlink():
            target = path.resolve(strict=True)
            if not target.is_relative_to(root):
                yield Failure(_relative(path, root), _LINK_OUT, "unreadable")
            return
        status = path.stat()
    except (OSError, RuntimeError):
        yield Failure(_relative(path, root), "it is a link that leads nowhere, or cannot be read", "unreadable")
        return
    if stat.S_ISREG(status.st_mode):
        yield FoundFile(path, root, status.st_size)


def _relative(path: Path, root: Path) -> str:
    return inert_line(path.relative_to(root.parent).as_posix())


_PLAIN_NAMES = frozenset(
    (
        *("AUTHORS", "CHANGELOG", "CHANGES", "CONTRIBUTING", "COPYING", "COPYRIGHT", "DOCKERFILE", "FAQ", "HACKING"),
        *("HISTORY", "INSTALL", "LICENCE", "LICENSE", "MAINTAINERS", "MAKEFILE", "NEWS", "NOTICE", "README"),
        *("SECURITY", "THANKS", "TODO"),
    )
)
"""Of files without a suffix, those that hold text wherever they are."""
_ADVICE: Mapping[str, str] = {
    "save them as .docx": ".doc .dot .rtf .wpd .wps .pages .sxw",
    "save them as .pptx": ".ppt .pps .pot .key",
    "save them as .xlsx": ".numbers .sxc",
    "unpack them first": ".zip .tar .gz .tgz .bz2 .xz .7z .rar .zst",
    "convert them to .epub": ".mobi .azw .azw3 .fb2 .lit",
    "export them as .pdf": ".djvu .ps .eps .xps .one .vsd .vsdx .pub .ai",
    "convert them to .png": ".gif .heic .heif .avif",
    "export them as .csv": ".parquet .feather .sqlite .db .mdb .accdb .dta .sav .rds",
    "write down what is said in them": ".mp3 .m4a .wav .ogg .flac .mp4 .mkv .mov .avi .webm",
    "write them as text, by: man NAME | col -b > NAME.txt": ".1 .2 .3 .4 .5 .6 .7 .8 .man",
}
_SOURCE_CODE = (
    ".py .pyi .js .jsx .mjs .cjs .ts .tsx .java .kt .kts .scala .go .rs .c .h .cc .cpp .cxx .hpp .cs .swift .m .rb"
    " .php .pl .lua .r .jl .sh .bash .zsh .ps1 .sql .graphql .proto .tf .css .scss .less .vue .svelte .dart .ex .exs"
    " .erl .hs .clj .groovy .gradle .yaml .yml .toml .ini .cfg .conf .properties .xml .xsd .bib"
    " .diff .patch .bat .cmd .vb .f90 .zig .nim .cmake .mk .rss .atom .opml"
)
KINDS: Mapping[str, str] = {
    suffix: module
    for module, suffixes in {
        "markup": f".md .markdown .mdx .qmd .rmd .txt .text .log .rst .adoc .asciidoc .org .tex .textile .wiki .ipynb"
        f" {_SOURCE_CODE}",
        "html": ".html .htm .xhtml .epub",
        "pdf": ".pdf",
        "ooxml": ".docx .docm .pptx .pptm",
        "odf": ".odt .ott .odp .odg",
        "sheets": ".csv .tsv .tab .xlsx .xlsm .xlsb .xls .ods",
        "mail": ".eml .msg .mbox .mht .mhtml",
        "agenda": ".ics .vcf",
        "subtitles": ".srt .vtt",
        "drawing": ".svg",
        "json": ".json .jsonl .ndjson",
        "ocr": ".png .jpg .jpeg .tif .tiff .bmp .webp",
    }.items()
    for suffix in suffixes.split()
}
"""By suffix the module of `index/loaders` that reads it; known here, so that who only looks for files imports none."""
