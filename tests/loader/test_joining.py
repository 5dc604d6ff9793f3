"""Whoever a load leaves on a list is told to every process, whatever stored the entry before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roster import keys
from roster.storage.snapshots import Snapshot, SnapshotMerge
from tests.loader.loads import Roster, row, settings_for, token

if TYPE_CHECKING:
    from pathlib import Path

    from roster.records.position import Position
    from tests.servers import Server

AIR = 5


def killed_first_load(valkey: Server, roster: Roster) -> dict[int, Position | None]:
    """Two people stored on a list that is not covered, and told to nobody: where the logs end."""
    roster.load([row(1, list="ndrc-air"), row(2, 2, list="ndrc-air", state="suspended")])
    with valkey.client() as link:
        for name, log in zip(keys.META, keys.LOG, strict=True):
            link.hset(name, "covered", b"")
            link.delete(log)
            link.hset(name, "seq", 0)
            link.hset(name, "mark", bytes(4))
    with roster.opened() as session:
        tails = session.run(session.store.tails(dict.fromkeys(range(64)), {}))
    return {number: tail.position for number, tail in tails.items()}


def told(roster: Roster, since: dict[int, Position | None]) -> set[bytes]:
    """Whom a process that follows from there adds to its filters."""
    with roster.opened() as session:
        tails = session.run(session.store.tails(since, {}))
    return {one for tail in tails.values() for one in tail.joining}


def test_a_partial_file_tells_also_whom_a_killed_first_load_had_stored(
    valkey: Server, tmp_path: Path
) -> None:
    roster = Roster(settings_for(valkey, tmp_path), tmp_path)
    since = killed_first_load(valkey, roster)
    rows = [row(1, list="ndrc-air"), row(2, 2, list="ndrc-air", state="suspended")]
    summary = roster.load(rows, partial=True)
    assert summary.added + summary.changed == 0
    assert {token(1), token(2)} <= told(roster, since)


def test_the_same_partial_file_of_a_list_that_is_covered_tells_nothing_anew(
    valkey: Server, tmp_path: Path
) -> None:
    roster = Roster(settings_for(valkey, tmp_path), tmp_path)
    roster.load([row(1)])
    with roster.opened() as session:
        tails = session.run(session.store.tails(dict.fromkeys(range(64)), {}))
    since: dict[int, Position | None] = {n: tail.position for n, tail in tails.items()}
    roster.load([row(1)], partial=True)
    assert told(roster, since) == set()


def test_a_full_file_of_another_list_keeps_whom_a_killed_first_load_had_stored_in_its_images(
    valkey: Server, tmp_path: Path
) -> None:
    roster = Roster(settings_for(valkey, tmp_path), tmp_path)
    killed_first_load(valkey, roster)
    roster.load([row(3, 3)], day=2)
    filters = roster.filters()
    assert all(one in filters[one[1]] for one in (token(1), token(2), token(3)))


async def test_a_snapshot_that_begins_names_the_roster(valkey: Server) -> None:
    from tests.rosters import opened

    async with opened(valkey) as store:
        await SnapshotMerge(store, Snapshot(bytes((AIR,)), 1, "n", 1)).begin(range(64))
        with valkey.client() as link:
            named = {link.hget(name, "roster") for name in keys.META}
            assert named == {link.get(keys.ROSTER)}
