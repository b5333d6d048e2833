from collections.abc import Callable

import pytest

from tests.http.encodings import STREAMS, WHOLES, Encode, golden, native, native_lines
from tests.http.recorded import RESETS, RUNS

ENCODINGS = {**STREAMS, **WHOLES}


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("protocol", ENCODINGS)
def test_every_protocol_tells_every_run_as_recorded(protocol: str, run: str) -> None:
    assert b"".join(ENCODINGS[protocol](RUNS[run])) == golden(protocol, run).read_bytes()


def test_no_transcript_is_left_of_a_run_or_protocol_that_is_gone() -> None:
    known = {golden(protocol, run).name for protocol in ENCODINGS for run in RUNS}
    assert {path.name for path in golden("", "").parent.iterdir()} == known


@pytest.mark.parametrize("cut", range(len(RESETS) + 1))
@pytest.mark.parametrize("encode", [native, native_lines])
def test_a_protocol_that_resumes_anywhere_encodes_the_tail_as_the_tail_of_the_encoding(
    encode: Callable[..., list[bytes]], cut: int
) -> None:
    assert encode(RESETS[cut:], first=cut + 1) == encode(RESETS)[cut:]


@pytest.mark.parametrize("cut", range(len(RESETS) + 1))
@pytest.mark.parametrize("protocol", STREAMS)
def test_what_a_protocol_has_said_at_any_cut_is_the_beginning_of_what_it_says(protocol: str, cut: int) -> None:
    encode: Encode = STREAMS[protocol]
    assert encode(RESETS[:cut]) == encode(RESETS)[:cut]
