import signal

import pytest
from hypothesis import settings


def pytest_configure() -> None:
    """A shell that starts us in the background has Ctrl-C ignored, and whatever we start would inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # An example takes as long as the machine needs.
    settings.register_profile("patient", settings(), deadline=None)
    settings.load_profile("patient")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
