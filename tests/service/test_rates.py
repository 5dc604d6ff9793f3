"""A key's rate counts for the service: however many workers there are, they count together."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roster.settings import read_settings
from roster.storage.api_keys import ApiKey
from service.server.workers import shared
from service.web.rates import LOOKED_AT, PLACES, SIZE, Rates, TokenBucket
from tests.service.apps import make_key
from tests.service.served import Served

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server
    from tests.service.served import Caller, Running

BOOT_S = 5_000_000.0
"""A machine that has run for two months: the clock's numbers are no small ones."""


def key(number: int = 1, rate: float = 10.0, burst: int = 30) -> ApiKey:
    fixed = {
        "id": f"{number:012x}",
        "hash": b"",
        "created_ms": 0,
        "name": "a",
        "scopes": ("check",),
    }
    return ApiKey(rate=rate, burst=burst, **fixed)  # type: ignore[arg-type]


def test_a_rate_fills_up_with_time_and_no_further() -> None:
    rates, airline = Rates(), key()
    assert rates.take(airline, 30, BOOT_S) == 0
    assert rates.take(airline, 1, BOOT_S) == pytest.approx(0.1, abs=1e-6)
    assert rates.take(airline, 10, BOOT_S + 1) == 0
    assert rates.take(airline, 31, BOOT_S + 100) == 0, "more than it holds is given when it is full"
    assert rates.take(airline, 1, BOOT_S + 100) == pytest.approx(0.2, abs=1e-6)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 40)), max_size=60))
def test_one_time_says_what_a_bucket_would(asked: list[tuple[int, int]]) -> None:
    """All times are exact in binary: else one may round to where the other just lacks a check."""
    rates, bucket, now_s = Rates(), TokenBucket(8, 30, BOOT_S), BOOT_S
    for eighths, checks in asked:
        now_s += eighths / 8
        assert rates.take(key(rate=8), checks, now_s) == bucket.take(checks, now_s)


def test_what_is_lacking_for_rounding_only_is_given() -> None:
    rates, airline, later_s = Rates(), key(), BOOT_S + 1.1
    assert (later_s - BOOT_S) * 10 < 11, "of this clock's numbers 1.1 s are a little less"
    assert rates.take(airline, 30, BOOT_S) == 0
    assert rates.take(airline, 11, later_s) == 0
    assert rates.take(airline, 1, later_s) == pytest.approx(0.1, abs=1e-6)


def test_those_who_share_a_memory_count_together() -> None:
    memory = shared(SIZE)
    workers = [Rates(memory) for _ in range(4)]
    given_ = [workers[n % 4].take(key(), 1, BOOT_S) == 0 for n in range(100)]
    assert given_ == [True] * 30 + [False] * 70
    assert workers[2].take(key(), 5, BOOT_S + 0.5) == 0
    assert workers[1].take(key(), 1, BOOT_S + 0.5) > 0


def test_keys_count_apart_also_where_they_lie_together() -> None:
    rates = Rates()
    keys = [key(7 + n * PLACES) for n in range(LOOKED_AT)]
    for now_s in (BOOT_S, BOOT_S + 3):
        for each in keys:
            assert rates.take(each, 30, now_s) == 0
            assert rates.take(each, 1, now_s) > 0


def test_a_place_is_anothers_once_its_key_has_paid() -> None:
    rates = Rates()
    for generation in range(3):
        now_s = BOOT_S + generation * 60
        for n in range(LOOKED_AT):
            each = key(7 + (generation * LOOKED_AT + n) * PLACES)
            assert rates.take(each, 30, now_s) == 0
            assert rates.take(each, 1, now_s) > 0


def test_a_key_on_other_terms_begins_anew() -> None:
    rates = Rates()
    assert rates.take(key(rate=0.001), 30, BOOT_S) == 0
    assert rates.take(key(rate=0.001), 1, BOOT_S + 1) > 900
    assert rates.take(key(rate=5), 30, BOOT_S + 1) == 0


def by_worker(running: Running, stack: ExitStack, workers: int) -> dict[str, list[Caller]]:
    """Connections to each of so many workers; who answers is told by the ids of decisions."""
    found: dict[str, list[Caller]] = {}
    for _ in range(2_000):
        if len(found) == workers:
            return found
        caller = stack.enter_context(running.connect())
        told = json.loads(caller.ask(caller.check())[2])
        found.setdefault(told["decision_id"][:16], []).append(caller)
    raise AssertionError("not all of them were met")


@pytest.mark.timeout(120)
def test_four_workers_give_a_key_its_rate_and_no_more(valkey: Server, short_folder: Path) -> None:
    workers, rate, burst, seconds = 4, 200.0, 100, 2.0
    service = Served(valkey, short_folder)
    service.cover()
    made = make_key(read_settings(service.settings), ("check",), rate=rate, burst=burst)
    limited = asyncio.run(made)
    with service.running("--workers", str(workers)) as running, ExitStack() as stack:
        callers = [each[0] for each in by_worker(running, stack, workers).values()]
        for caller in callers:
            caller.key = limited
        found: list[int] = []
        begun = time.monotonic()
        while time.monotonic() < begun + seconds:
            for caller in callers:
                caller.send(caller.check() * 10)
            found += [caller.answer()[0] for caller in callers for _ in range(10)]
        most = burst + rate * (time.monotonic() - begun)
    assert set(found) == {200, 429}
    assert found[:40] == [200] * 40
    # Each worker by itself would give it four times as much.
    assert burst < found.count(200) <= 1.2 * most
