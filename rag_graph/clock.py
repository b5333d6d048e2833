"""The clock of runs."""

import time
from typing import Final

_EPOCH: Final = time.time() - time.monotonic()


def steady_time() -> float:
    """Seconds since the epoch, as it stood when this process started: a clock that is set later moves nothing.

    Else a machine's clock that jumps would end runs' keeping, and give steps times before their beginning.
    """
    return _EPOCH + time.monotonic()
