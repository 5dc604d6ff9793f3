"""What is told of a load that takes its time, where there is no terminal."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from loader.jobs.reading import progress
from tests.servers import eventually

if TYPE_CHECKING:
    import pytest


def test_a_line_tells_the_phase_how_much_and_the_percentage(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = ""

    def tells(line: str) -> bool:
        nonlocal said
        said += capsys.readouterr().err
        return line in said

    with progress(0.01) as told:
        eventually(lambda: tells("preparing\n"))
        told("reading", 12_300_000, 150_000_000)
        eventually(lambda: tells("reading: 12.3 of 150.0 MB (8 %)\n"))
        told("reading", 12_300_000, None)
        eventually(lambda: tells("reading: 12.3 MB\n"))
        told("merging", 12, 64)
        eventually(lambda: tells("merging: 12 of 64 (18 %)\n"))


def test_what_is_short_tells_nothing_and_ends_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    began_s = time.monotonic()
    with progress() as told:
        told("reading", 1, 2)
    assert time.monotonic() - began_s < 5
    assert capsys.readouterr().err == ""
