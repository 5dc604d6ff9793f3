"""What a load leaves on record: which files, when, for what, what it did, and who ran it."""

from __future__ import annotations

import getpass
import hashlib
import socket
import time
from typing import TYPE_CHECKING

import msgspec
import pytest
from msgspec.structs import replace

from loader.jobs.intake import Files
from roster import keys
from roster.errors import LoadRefused
from roster.records.entry import Op
from roster.records.record import load_of
from roster.storage.dictionary import KEPT_LOADS, LARGEST_LOAD, Dictionary, Load
from roster.storage.histories import histories
from roster.times import parse_time
from tests.loader.loads import DAY, Roster, row, token, write
from tests.servers import eventually

if TYPE_CHECKING:
    from tests.servers import Server


class OldLoad(msgspec.Struct, frozen=True):
    """What the version before reads of the same bytes."""

    actor: str
    received_at_ms: int
    applied_at_ms: int | None = None


def loads(roster: Roster) -> dict[int, Load]:
    with roster.opened() as session:
        return session.run(session.dictionary.all_loads())


def test_a_load_is_on_record_with_its_files_what_it_was_for_and_what_it_did(
    roster: Roster,
) -> None:
    before_ms = time.time_ns() // 1_000_000
    roster.load([row(1), row(2, 2), row(3, 3)])
    roster.load(
        [row(1), row(2, 2, 1_600_000_000_000, case="(2019)京0105执2号"), row(4, 4), "sx,,,,,,,,,,"],
        day=2,
    )
    (number, load), (first, _) = loads(roster).items()
    path = roster.folder / "list.csv"
    assert (number, first) == (2, 1)
    assert load.actor == "list.csv"
    assert load.kind == "load"
    assert load.lists == ("sx",)
    assert load.as_of == parse_time(DAY.format(2))
    assert not load.partial
    (file,) = load.files
    assert (file.name, file.sha256) == ("list.csv", hashlib.sha256(path.read_bytes()).digest())
    assert (file.format, file.encoding) == ("auto", "utf-8")
    assert load.did == {
        "sx": {"added": 1, "changed": 1, "ended": 1, "unchanged": 1, "superseded": 0}
    }
    assert sum(load.rejected.values()) == 1
    assert load.who == f"{getpass.getuser()}@{socket.gethostname()}"
    assert before_ms <= load.received_at_ms <= (load.applied_at_ms or 0)


def test_an_older_version_reads_the_loads_of_this_one_and_this_one_its(
    roster: Roster, valkey: Server
) -> None:
    roster.load([row(1)])
    with valkey.client() as link:
        old = msgspec.msgpack.decode(link.hget(keys.LOADS, "1"), type=OldLoad)
        link.hset(keys.LOADS, "2", msgspec.msgpack.encode(OldLoad("older.csv", 5, 6)))
        link.hset(keys.LOADS, "next", "2")
    assert old.actor == "list.csv"
    assert old.applied_at_ms is not None
    assert loads(roster)[2] == Load(actor="older.csv", received_at_ms=5, applied_at_ms=6)


def test_a_load_that_was_refused_after_it_began_is_on_record_as_not_applied(
    roster: Roster, valkey: Server
) -> None:
    with roster.opened() as session:
        load = Load(actor="list.csv", received_at_ms=1, kind="load", lists=("sx",), as_of=2)
        session.open_load(1, load)
        with pytest.raises(LoadRefused, match="another load has begun"):
            session.open_load(1, load)
    assert loads(roster)[1] == load


def test_a_dry_run_is_not_on_record(roster: Roster) -> None:
    roster.load([row(1)], dry_run=True)
    assert loads(roster) == {}


def test_the_last_loads_are_told_first_also_where_their_numbers_begin_anew(
    roster: Roster, valkey: Server
) -> None:
    with valkey.client() as link:
        link.hset(keys.LOADS, "next", LARGEST_LOAD - 1)
    for day in (1, 2, 3):
        roster.load([row(1)], day=day)
    assert list(loads(roster)) == [2, 1, LARGEST_LOAD]


def test_of_old_loads_only_what_entries_refer_to_is_kept(roster: Roster, valkey: Server) -> None:
    roster.load([row(1)])
    known = loads(roster)[1]
    with valkey.client() as link:
        link.hset(keys.LOADS, "next", KEPT_LOADS)
    roster.load([row(1)], day=2)
    assert loads(roster)[1] == known.brief()


def test_a_repair_is_on_record_as_one(roster: Roster, valkey: Server) -> None:
    roster.load([row(1), row(2, 2)])
    with valkey.client() as link:
        for name in link.keys("clearway:{*}:b:*"):
            link.delete(name)
    roster.verify([row(1), row(2, 2)], repair=True)
    number, load = next(iter(loads(roster).items()))
    assert (number, load.kind, load.lists) == (2, "repair", ("sx",))
    assert load.applied_at_ms is not None


def test_more_files_than_can_be_told_are_on_record_as_one(roster: Roster) -> None:
    paths = tuple(write(roster.folder / f"{n}.csv", [row(n, n)]) for n in range(1, 66))
    roster.load_files(Files(paths, ("sx",), as_of=parse_time(DAY.format(1))))
    assert [file.name for file in loads(roster)[1].files] == ["65 files"]


def test_what_a_file_ends_is_told_to_be_ended_by_its_load(roster: Roster) -> None:
    for day, name, rows in ((1, "a.csv", [row(1), row(2, 2)]), (2, "b.csv", [row(1)])):
        path = write(roster.folder / name, rows)
        roster.load_files(Files((path,), ("sx",), as_of=parse_time(DAY.format(day))))
    actors = {name[0]: entry.provenance.actor for name, entry in roster.entries().items()}
    assert actors == {token(1): "a.csv", token(2): "b.csv"}
    with roster.opened() as session:
        (told,) = session.run(histories(session.store, [token(2)]))
        assert [(each.op, load_of(each.provenance)) for each in told] == [(Op.ABSENT, 2)]


def test_who_has_read_of_a_load_that_had_not_ended_hears_that_it_has(roster: Roster) -> None:
    with roster.opened() as session:
        ours, theirs = session.dictionary, Dictionary(session.store.nodes)
        load = Load(actor="list.csv", received_at_ms=1, kind="load")
        session.run(ours.open_load(load))
        session.run(theirs.refresh())
        assert theirs.loads[1].applied_at_ms is None
        session.run(ours.write_load(1, replace(load, applied_at_ms=2)))
        session.run(ours.open_load(replace(load, actor="new.csv")))

        def has_heard() -> bool:
            session.run(theirs.learn_loads([None, 1, 2]))
            return theirs.loads[1].applied_at_ms == 2

        eventually(has_heard)
        assert theirs.loads[2].actor == "new.csv"
