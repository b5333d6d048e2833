"""Makes the page's modules one file: `python -m tests.web.bundle`, after any change of them.

Fifty modules over the six connections that a browser opens take a phone on a slow network nine times there and back.
The question box is not among them: it is there before the rest, by modules of its own.
"""

import subprocess
import tempfile
from pathlib import Path

from tests.needed import missing, program

WEB = Path(__file__).parents[2] / "rag_graph" / "web"
BUNDLE = WEB / "bundle.js"
ESBUILD = "esbuild@0.28.2"
BANNER = """\
/*! Made of the modules beside it by `python -m tests.web.bundle`: change those, and make it again.
It holds marked and DOMPurify, whose licences are vendor/marked.LICENSE and vendor/dompurify.LICENSE. */"""
APART = ("./start.js", "./vendor/highlight.min.js", "./vendor/katex/katex.min.js")
"""What comes before the rest, and what only some answers need."""


def bundled(folder: Path) -> str:
    """The modules as one; `folder` is where the bundler may be installed."""
    npm = program("npm")
    install = [npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), ESBUILD]
    installed = subprocess.run(install, capture_output=True, timeout=300, check=False)
    if installed.returncode:
        missing(f"{ESBUILD} cannot be installed: {installed.stderr!r}")
    esbuild = str(folder / "node_modules" / ".bin" / "esbuild")
    command = [esbuild, "main.js", "--bundle", "--format=esm", "--minify"]
    command += [
        "--charset=utf8",
        "--legal-comments=inline",
        f"--banner:js={BANNER}",
        *(f"--external:{name}" for name in APART),
    ]
    made = subprocess.run(command, cwd=WEB, capture_output=True, text=True, timeout=300, check=True)
    return made.stdout


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        BUNDLE.write_text(bundled(Path(folder)))
