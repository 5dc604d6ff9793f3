"""Whatever bytes a decoder is given, it reads them or says so: short, and for as long as one likes.

`make soak ARGS=tests/test_decoders.py` goes on for ten minutes.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.decoders import DECODERS, ODD, cases, damaged, read

if TYPE_CHECKING:
    from collections.abc import Callable

BRIEF = 60
AT_ONCE = 5_000


@pytest.mark.parametrize("name", DECODERS)
def test_good_bytes_are_read(name: str) -> None:
    for data in DECODERS[name].good[:1]:
        DECODERS[name].read(data)


@pytest.mark.parametrize("name", DECODERS)
def test_any_bytes_are_read_or_refused(name: str) -> None:
    decoder = DECODERS[name]
    for data in (*ODD, *decoder.good):
        read(decoder, data)

    @settings(max_examples=BRIEF, database=None, suppress_health_check=list(HealthCheck))
    @given(damaged(decoder))
    def each(data: bytes) -> None:
        read(decoder, data)

    each()


def fuzz(done: list[int]) -> Callable[[], None]:
    """A test of many of all decoders; `done` grows with each."""

    @settings(
        max_examples=AT_ONCE,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases())
    def each(case: tuple[str, bytes]) -> None:
        name, data = case
        done.append(len(data))
        read(DECODERS[name], data)

    return each


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_any_bytes_are_read_or_refused_for_as_long_as_one_likes(soak_s: float) -> None:
    done: list[int] = []
    until = time.monotonic() + soak_s
    while time.monotonic() < until:
        fuzz(done)()
    print(f"\n{len(done):,} inputs, {sum(done) / 2**20:,.0f} MiB")  # noqa: T201 -- what a soak is for
