"""The documents that come along: the manual of this package, a library to begin with."""

import shutil
from importlib.resources import as_file, files
from pathlib import Path


def copy_guide(data_dir: Path) -> Path:
    """Copy them to where another installation of the package replaces them; return the folder."""
    copy = data_dir / "sample"
    with as_file(files("rag_graph") / "sample") as folder:
        shutil.copytree(folder, copy, dirs_exist_ok=True)
    return copy
