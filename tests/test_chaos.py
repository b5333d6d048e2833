"""The chaos in small."""

from pathlib import Path

import anyio
import pytest

from tests.chaos import drive


@pytest.mark.anyio
async def test_no_word_is_lost_or_doubled_while_everything_breaks(tmp_path: Path) -> None:
    with anyio.fail_after(1_000):
        verdict = await drive(20, 15, tmp_path)
    assert verdict.wrong == []
