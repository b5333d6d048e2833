"""The garbage collector of a process that streams: rarer collections, over what was made since the start.

A full collection over everything that LangChain imports pauses all streams of the process for 200 ms and more.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

THRESHOLDS = (20_000, 20, 10)
"""With 50 and 100, what runs leave in cycles waited an hour for the oldest generation: 5 MB a minute at 14 runs/s."""


@contextmanager
def calm_collector() -> Iterator[None]:
    """Exempt what exists now from collection, and collect more rarely, until the end of the block."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
