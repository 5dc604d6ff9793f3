from __future__ import annotations

from typing import TYPE_CHECKING

from loader.jobs.guard import Limits, parse_limit
from loader.partitions import imaging
from roster import keys
from tests.loader.loads import Roster, row, token

if TYPE_CHECKING:
    import pytest

    from tests.servers import Server

LEAST = 3


def behind(valkey: Server) -> int:
    """How many entries of all logs no image holds."""
    with valkey.client() as link:
        ends = (int(link.hget(keys.META[n], "seq") or 0) for n in range(keys.PARTITIONS))
        images = (link.get(keys.IMAGE[n]) or bytes(10) for n in range(keys.PARTITIONS))
        return sum(end - int.from_bytes(data[4:10]) for end, data in zip(ends, images, strict=True))


def known(roster: Roster, people: range) -> bool:
    filters = roster.filters()
    return all(token(n) in filters[token(n)[1]] for n in people)


def test_a_load_ends_with_images_that_hold_it(valkey: Server, roster: Roster) -> None:
    roster.load([row(n, n + 1) for n in range(100)])
    limits = Limits(additions=parse_limit("1000"))
    assert roster.load([row(n, n + 1) for n in range(1_000)], day=2, limits=limits).added == 900
    assert behind(valkey) == 0
    assert known(roster, range(1_000))


def test_a_partial_file_that_told_much_ends_with_images_that_hold_it(
    valkey: Server, roster: Roster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imaging, "TOLD_LEAST", LEAST)
    roster.load([row(n, n + 1) for n in range(100)])
    roster.load([row(n, n + 1) for n in range(1_000)], partial=True)
    assert behind(valkey) < LEAST * keys.PARTITIONS
    roster.load([row(n, n + 1, until="2099-01-01") for n in range(2_000, 3_000)], partial=True)
    assert behind(valkey) < LEAST * keys.PARTITIONS
    assert known(roster, range(100))


def test_a_repair_ends_with_images_that_hold_it(valkey: Server, roster: Roster) -> None:
    roster.load([row(n, n + 1) for n in range(100)])
    assert roster.verify([row(n, n + 1) for n in range(500)], ("sx",), repair=True).repaired
    with valkey.client() as link:
        assert sum(link.xlen(keys.LOG[number]) for number in range(keys.PARTITIONS)) >= 400
    assert behind(valkey) == 0
    assert known(roster, range(500))
