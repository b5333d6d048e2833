"""What a test needs beside Python packages: a person may lack it, CI has it."""

import os
import shutil
from typing import NoReturn

import pytest


def program(*names: str) -> str:
    """The path of the first of these programs that is here."""
    places = f"{os.environ.get('PATH', os.defpath)}{os.pathsep}/usr/sbin{os.pathsep}/sbin"
    found = next((path for name in names if (path := shutil.which(name, path=places))), None)
    return found or missing(f"{names[0]} is not installed")


def missing(reason: str) -> NoReturn:
    """Skip the test; with CI=true it fails, or what is never there would never be tested."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
