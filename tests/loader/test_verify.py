"""Whether the roster equals the file, what differs, and what a repair does."""

from __future__ import annotations

import time

import pytest

from roster.errors import LoadRefused
from roster.records.entry import Op
from roster.times import parse_time
from tests.loader.loads import TOKENISER, Roster, number, row, token
from tests.loader.test_load import ID, apply

NOW_MS = time.time_ns() // 1_000_000


def kinds(verdict: object) -> dict[str, int]:
    each = verdict.lists["sx"]  # type: ignore[attr-defined]
    counts = {name: getattr(each, name) for name in ("missing", "extra", "different", "newer")}
    return {name: count for name, count in counts.items() if count}


def test_a_roster_equals_the_file_that_was_loaded(roster: Roster) -> None:
    rows = [row(n, n + 1, state="suspended" if n % 9 == 0 else "") for n in range(100)]
    rows += [row(1, 200, revision=""), row(1, 201, state="removed"), row(2, 202, revision="")]
    roster.load(rows)
    verdict = roster.verify(rows)
    assert verdict.equal
    assert verdict.lists["sx"].file == verdict.lists["sx"].roster
    assert verdict.differences == []


def test_differences_are_told_by_kind_and_entry_never_by_whose_they_are(roster: Roster) -> None:
    roster.load([row(1), row(2, 2), row(3, 3)])
    other = [row(1, until="2099-01-01"), row(2, 2), row(4, 4)]
    verdict = roster.verify(other)
    assert not verdict.equal
    assert kinds(verdict) == {"missing": 1, "extra": 1, "different": 1}
    told = {(one.kind, one.entry_id) for one in verdict.differences}
    assert told == {
        ("different", ID),
        ("extra", "(2018)京0105执3号/1"),
        ("missing", "(2018)京0105执4号/1"),
    }
    assert not any(number(n) in str(verdict) for n in range(5))


@pytest.mark.parametrize("op", [Op.REMOVE, Op.SUSPEND])
def test_what_is_newer_in_the_roster_stays_and_is_told(roster: Roster, op: Op) -> None:
    roster.load([row(1, state="active"), row(2, 2)])
    apply(roster, 1, op, NOW_MS)
    before = roster.states()
    verdict = roster.verify([row(1, state="active"), row(2, 2)], repair=True)
    assert kinds(verdict) == {"newer": 1}
    assert not verdict.equal
    assert verdict.repaired == 0
    assert roster.states() == before


def lose(roster: Roster, n: int) -> None:
    """As a fault of the server would: a record is gone."""
    with roster.opened() as session:
        place = token(n)
        name = f"clearway:{{{place[1]:02d}}}:b:{place[2] << 8 | place[3]:04x}"
        nodes = session.store.nodes
        session.run(nodes.on_partitions([(place[1], ("HDEL", name, place[4:]))]))


def test_a_repair_merges_again_what_differs(roster: Roster) -> None:
    rows = [row(n, n + 1) for n in range(50)]
    roster.load(rows)
    lose(roster, 7)
    assert kinds(roster.verify(rows)) == {"missing": 1}
    verdict = roster.verify(rows, repair=True)
    assert verdict.repaired == 1
    assert kinds(verdict) == {}
    assert roster.states()[token(7), "(2018)京0105执8号/1"] == "ACTIVE"
    assert all(token(n) in roster.filters()[token(n)[1]] for n in range(50))


def test_a_repair_ends_what_the_file_lacks(roster: Roster) -> None:
    roster.load([row(1), row(2, 2)])
    verdict = roster.verify([row(1)], repair=True)
    assert verdict.equal
    assert roster.states()[token(2), "(2018)京0105执2号/1"] == "ABSENT"


def test_a_rejected_row_is_no_difference(roster: Roster) -> None:
    roster.load([row(1), row(2, 2)])
    verdict = roster.verify([row(1, until="?"), row(2, 2)])
    assert kinds(verdict) == {}
    assert verdict.rejected == {"bad_date": 1}


def test_an_empty_roster_cannot_be_verified_without_an_as_of(roster: Roster) -> None:
    with pytest.raises(LoadRefused, match="nothing was ever loaded here"):
        roster.verify([row(1)])


def test_the_digest_is_that_of_an_independent_reading(roster: Roster) -> None:
    roster.load([row(1)])
    (entry,) = roster.entries().values()
    assert entry.entry_hash == TOKENISER.entry_hash(1, ID)
    assert roster.verify([row(1)]).lists["sx"].file == entry.digest.hex()
    assert entry.registers.listed_at == 1_500_000_000_000
    assert entry.content.from_ms == parse_time("2018-03-01")
