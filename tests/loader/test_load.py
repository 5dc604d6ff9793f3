"""What a whole file makes of the roster."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from loader.jobs.intake import Files
from loader.partitions.partition import PartitionJob, merge, preview
from loader.rows.packed_rows import Context, Spill
from roster import keys
from roster.errors import LoadRefused
from roster.keys import PARTITIONS
from roster.records.change import Change
from roster.records.entry import Op, Provenance, State
from roster.records.record import provenance_tail
from roster.redis.calls import Wait
from roster.storage.counters import CounterStore
from roster.storage.lease import Lease
from roster.storage.snapshots import Snapshot, SnapshotMerge
from roster.times import parse_time
from tests.loader.loads import DAY, HEADER, ID_KEY, TOKENISER, Roster, number, row, token, write
from tests.loader.one_by_one import Packer, Reader, Row, packed_of

COLUMNS = HEADER.split(",")
NOW_MS = parse_time("2026-11-24")
CONTEXT = Context(bytes.fromhex(ID_KEY), {"sx": 1, "lift": 200}, 1_577_808_000_000, 3, NOW_MS, {})
ID = "(2018)京0105执1号/1"
TAIL = provenance_tail(Provenance("api", "test"))
WAIT = Wait(aof=False, replicas=0, timeout_ms=1000)


def test_what_is_loaded_is_what_the_file_says(roster: Roster) -> None:
    rows = [
        row(1, 1, 1_500_000_000_000, until="2099-12-31"),
        row(1, 2, 1_500_000_000_001, state="suspended"),
        row(1, 3, 1_500_000_000_002, list="xgl", case="", entry_id="2018-7"),
        row(2, 4, 1_500_000_000_003, state="removed"),
        row(3, 5, 1_500_000_000_004, state="active", name="Zhang San|张三", court=""),
    ]
    summary = roster.load(rows)
    assert (summary.rows, summary.people, summary.added) == (5, 2, 5)
    entries = roster.entries()
    first = entries[token(1), ID]
    assert first.content.until_ms == parse_time("2100-01-01")
    assert (first.content.case, first.content.court) == (ID[:-2], "北京市朝阳区人民法院")
    assert first.content.names == TOKENISER.names("张某某")
    assert (first.provenance.source, first.provenance.actor) == ("load", "list.csv")
    assert {(n[1], e.list): e.state for n, e in entries.items()} == {
        (ID, 1): State.ACTIVE,
        ("(2018)京0105执2号/1", 1): State.SUSPENDED,
        ("2018-7", 2): State.ACTIVE,
        ("(2018)京0105执4号/1", 1): State.REMOVED,
        ("(2018)京0105执5号/1", 1): State.ACTIVE,
    }
    assert [roster.count(name) for name in (b"n:1:1", b"n:1:2", b"n:1:3", b"n:2:1")] == [2, 1, 1, 1]
    assert [roster.count(name) for name in (b"people", b"p:1", b"p:2", b"ever")] == [2, 2, 1, 4]


def test_a_merge_into_a_roster_counts_like_a_first_load(roster: Roster) -> None:
    rows = [row(n, n, state="suspended" if n % 5 == 0 else "") for n in range(60)]
    roster.load(rows)
    first = [{k: v for k, v in m.items() if k[:2] in {b"n:", b"p:", b"d:"}} for m in roster.metas()]
    roster.load(rows[:1], day=2)
    roster.load(rows, day=3)
    again = [{k: v for k, v in m.items() if k[:2] in {b"n:", b"p:", b"d:"}} for m in roster.metas()]
    nothing = {b"0", bytes(8)}
    assert [{k: v for k, v in m.items() if v not in nothing} for m in again] == [
        {k: v for k, v in m.items() if v not in nothing} for m in first
    ]


def test_a_snapshot_ends_what_it_lacks_and_a_partial_file_ends_nothing(roster: Roster) -> None:
    roster.load([row(1), row(2, 2)])
    late = row(3, 3, 1_600_000_000_000)
    assert roster.load([late], partial=True).ended == 0
    summary = roster.load([row(1), late], day=2)
    assert (summary.ended, summary.unchanged, summary.added) == (1, 2, 0)
    assert sorted(roster.states().values()) == ["ABSENT", "ACTIVE", "ACTIVE"]


def test_a_late_row_of_a_partial_file_is_superseded_by_the_full_one(roster: Roster) -> None:
    roster.load([row(1)])
    summary = roster.load([row(3, 3, 1_400_000_000_000)], partial=True)
    assert (summary.superseded, summary.added) == (1, 0)
    assert sorted(roster.states().values()) == ["ABSENT", "ACTIVE"]


def test_a_name_in_the_lists_column_is_not_repeated(roster: Roster) -> None:
    with pytest.raises(LoadRefused) as refused:
        roster.load([row(1), row(2, list="Sanfeng")], lists=("sx",))
    assert "Sanfeng" not in str(refused.value)
    assert "(unprintable)" in str(refused.value)


def test_a_file_of_one_list_leaves_the_others_alone(roster: Roster) -> None:
    roster.load([row(1), row(1, 2, list="xgl")])
    assert roster.load([row(2, 3)], day=2, lists=("sx",)).ended == 1
    assert roster.states()[token(1), "(2018)京0105执2号/1"] == "ACTIVE"


def apply(roster: Roster, n: int, op: Op, revision: int) -> None:
    """As the service does it, to the nth person's first entry."""
    entry_hash, content = TOKENISER.entry_hash(1, ID), b"\0\0\1x\0"
    change = Change(token(n), 1, op, revision, entry_hash, content, provenance=TAIL)
    with roster.opened() as session:
        session.run(session.store.apply([change], WAIT))


def test_an_old_file_never_brings_a_removed_person_back(roster: Roster) -> None:
    roster.load([row(1), row(2, 2)])
    apply(roster, 1, Op.REMOVE, 1_600_000_000_000)
    summary = roster.load([row(1), row(2, 2)], again=True)
    assert (summary.superseded, summary.unchanged) == (1, 1)
    assert roster.states()[token(1), ID] == "REMOVED"


def test_a_reload_writes_only_what_changed(roster: Roster) -> None:
    rows = [row(n, n + 1) for n in range(300)]
    roster.load(rows)
    before = roster.count(b"seq")
    changed = [row(0, 1, 1_500_000_000_001, until="2099-01-01"), *rows[1:]]
    summary = roster.load(changed, day=2)
    assert (summary.records_written, summary.changed, summary.unchanged) == (1, 1, 299)
    a_note_of_each_partition = keys.PARTITIONS
    assert roster.count(b"seq") == before + 1 + a_note_of_each_partition
    assert roster.load(changed, day=3).records_written == 0


def test_rows_without_a_revision_count_as_edited_at_as_of_where_they_differ(roster: Roster) -> None:
    roster.load([row(1, revision=""), row(2, 2, revision="")])
    assert roster.entries()[token(1), ID].registers.listed_at == parse_time("2020-01-01")
    apply(roster, 2, Op.SUSPEND, parse_time("2020-01-01") + 1)
    summary = roster.load([row(1, revision="", until="2099-01-01"), row(2, 2, revision="")], day=2)
    assert (summary.changed, summary.unchanged) == (1, 1)
    entries = roster.entries()
    assert entries[token(1), ID].registers.listed_at == parse_time("2020-01-02")
    assert entries[token(2), "(2018)京0105执2号/1"].registers.listed_at == parse_time("2020-01-01")


def test_of_duplicates_the_higher_revision_wins(roster: Roster) -> None:
    first, second, third = (1_500_000_000_000 + ms for ms in (5, 6, 7))
    rows = [row(1, 1, first, until="2030-01-01"), row(1, 1, third)]
    rows += [row(1, 1, second, state="removed")]
    summary = roster.load(rows)
    assert summary.skipped == {"duplicate_in_file": 2}
    entry = roster.entries()[token(1), ID]
    assert (entry.state, entry.registers.listed_at, entry.content.until_ms) == (1, third, None)


@pytest.mark.parametrize(
    "broken", [row(1, until="yesterday"), row(1, document_number="1101**********0020")]
)
def test_a_rejected_row_counts_as_present(roster: Roster, broken: str) -> None:
    roster.load([row(1), row(2, 2)])
    rejects = roster.folder / "rejects.csv"
    summary = roster.load([broken, row(2, 2)], day=2, rejects=rejects)
    assert sum(summary.rejected.values()) == 1
    assert summary.ended == 0
    assert set(roster.states().values()) == {"ACTIVE"}
    head, told = csv.reader(rejects.read_text().splitlines())
    assert head == ["file", "line", "field", "reason"]
    assert told[1] == "2"
    assert number(1) not in rejects.read_text()


def test_a_dry_run_says_what_would_change_and_changes_nothing(roster: Roster) -> None:
    roster.load([row(1), row(2, 2)])
    before = roster.metas()
    summary = roster.load([row(1), row(3, 3), row(4, 4)], day=2, dry_run=True)
    assert summary.records_written == 0
    assert summary.lists == {
        "sx": {"added": 2, "changed": 0, "ended": 1, "unchanged": 1, "superseded": 0}
    }
    assert roster.metas() == before


def test_the_filter_holds_everybody_who_is_left(roster: Roster) -> None:
    roster.load([row(n, n + 1) for n in range(50)])
    apply(roster, 60, Op.PUT, int(time.time() * 1000))
    roster.load([row(n, n + 1) for n in range(40)], day=2)
    filters = roster.filters()
    assert len(filters) == PARTITIONS
    assert sum(token_filter.count for token_filter in filters) == 41
    assert all(token(n) in filters[token(n)[1]] for n in (*range(40), 60))


def test_any_number_of_processes_gives_the_same_roster(roster: Roster) -> None:
    rows = [row(n, n + 1, state="suspended" if n % 7 == 0 else "") for n in range(500)]
    roster.load(rows, jobs=2)
    assert roster.verify(rows).equal
    assert roster.count(b"people") == 500


def spilled(roster: Roster, rows: list[str]) -> Path:
    folder = roster.folder / "spill"
    folder.mkdir()
    spill, packer = Spill(folder, 0), Packer(CONTEXT)
    reader = Reader(COLUMNS, None, NOW_MS)
    for cells in csv.reader(rows):
        read = reader.read(1, cells)
        assert isinstance(read, Row)
        place, packed = packer.pack(read)
        spill.add(packed_of([(place, packed)]))
    spill.close()
    return folder


def test_a_change_between_the_preview_and_the_merge_is_not_lost(roster: Roster) -> None:
    roster.load([row(1), row(2, 2)])
    folder = spilled(roster, [row(1)])
    partition = token(1)[1]
    snapshot = Snapshot(b"\1", parse_time("2020-01-02"), "nonce", 10**11)
    job = PartitionJob(partition, snapshot, 3)
    with roster.opened() as session:
        store = session.store
        session.run(preview(store, job, folder))
        late = Change(token(1), 1, Op.PUT, 5, b"latest", b"\0\0\1y\0", bytes(8), TAIL)
        session.run(store.apply([late], WAIT))
        (begun,) = session.run(SnapshotMerge(store, snapshot).begin([partition]))
        session.run(merge(store, job, folder, begun.position))
    entries = {entry_id: e.state for (_, entry_id), e in roster.entries().items()}
    assert entries["y"] is State.ABSENT  # older than the file, which does not have it
    assert entries[ID] is State.ACTIVE


def test_a_second_load_says_so_and_stops(roster: Roster) -> None:
    with roster.opened() as session:
        session.take_lease()
        with pytest.raises(LoadRefused, match="another load is under way"):
            roster.load([row(1)])
    assert roster.load([row(1)]).added == 1


def test_the_lease_of_a_dead_process_is_taken_over(roster: Roster) -> None:
    code = (
        "import os,sys;from tests.loader.lease_holder import hold;hold(*sys.argv[1:]);os._exit(9)"
    )
    arguments = [sys.executable, "-c", code, roster.settings.redis_url or ""]
    assert subprocess.run(arguments, check=False).returncode == 9
    with roster.opened() as session:
        lease = Lease(session.store.nodes, keys.LOAD, 30_000)
        assert session.run(lease.take()) is None


@pytest.mark.parametrize("after_s", [0.8, 1.3])
def test_a_killed_load_leaves_a_consistent_roster_and_can_be_repeated(
    roster: Roster, after_s: float
) -> None:
    rows = [row(n, n + 1) for n in range(3000)]
    path = write(roster.folder / "killed.csv", rows)
    env = os.environ | {
        "CLEARWAY_REDIS_URL": roster.settings.redis_url or "",
        "CLEARWAY_DATA_DIR": str(roster.settings.data_dir),
        "CLEARWAY_ID_KEY": ID_KEY,
    }
    command = [sys.executable, "-m", "clearway", "load", path, "--list", "sx"]
    loading = subprocess.Popen(
        [*command, "--as-of", "2020-01-01", "--jobs", "2"], env=env, stdout=subprocess.DEVNULL
    )
    try:
        loading.wait(after_s)
    except subprocess.TimeoutExpired:
        loading.send_signal(signal.SIGKILL)
        loading.wait()
    assert set(roster.states().values()) <= {"ACTIVE"}
    roster.load_files(Files((path,), ("sx",), as_of=parse_time("2020-01-01")))
    assert roster.verify(rows).equal
    assert roster.count(b"n:1:1") == 3000


def test_two_files_are_one_snapshot(roster: Roster) -> None:
    paths = [write(roster.folder / f"{n}.csv", [row(n, n)]) for n in (1, 2)]
    summary = roster.load_files(Files(tuple(paths), ("sx",), as_of=parse_time("2020-01-01")))
    assert (summary.rows, summary.added) == (2, 2)


def test_spills_are_gone_afterwards(roster: Roster) -> None:
    left = roster.settings.data_dir / "load-left"
    left.mkdir(parents=True)
    roster.load([row(1)])
    assert list(roster.settings.data_dir.glob("load-*")) == []


def test_removals_that_a_load_brings_are_in_the_removal_lag(roster: Roster) -> None:
    gone = row(2, 2, 1_600_000_000_000, state="removed")
    roster.load([row(1), row(2, 2), row(3, 3)])
    path = roster.folder / "decided.csv"
    lines_ = [f"{HEADER},decided_at", f"{row(1)},", f"{gone},2020-09-13"]
    path.write_text("\n".join(lines_) + "\n", encoding="utf-8")
    roster.load_files(Files((str(path),), ("sx",), as_of=parse_time(DAY.format(2))))
    with roster.opened() as session:
        now_ms = time.time_ns() // 1_000_000
        found = session.run(CounterStore(session.store.nodes).lags(("service", "source"), now_ms))
    assert (found["service"].count, found["source"].count) == (2, 1)
    assert found["source"].p50 > found["service"].p50


def test_a_term_that_ends_before_it_begins_is_a_bad_date(roster: Roster) -> None:
    path = roster.folder / "terms.csv"
    columns = "list,entry_id,document_type,document_number,from,until"
    lines_ = [
        f"sx,e{n},resident_id,{number(n)},2021-01-01,{until}"
        for n, until in enumerate(
            ["2020-01-01", "2021-01-01", "2020-12-31T23:00:00+08:00", "2022-01-01"]
        )
    ]
    path.write_text("\n".join([columns, *lines_]) + "\n", encoding="utf-8")
    as_of = parse_time(DAY.format(1))
    summary = roster.load_files(Files((str(path),), ("sx",), as_of=as_of))
    assert (summary.added, summary.rejected) == (2, {"bad_date": 2})


def test_a_lift_of_a_list_that_there_is_not_is_malformed(roster: Roster) -> None:
    path = roster.folder / "lifts.csv"
    columns = "list,entry_id,document_type,document_number,until,lifts"
    lines_ = [
        f"lift,l{n},resident_id,{number(n)},2099-01-01,{lifts}"
        for n, lifts in enumerate(['"sx,xgl"', "nolist", "sx|xgl", ""])
    ]
    path.write_text("\n".join([columns, *lines_]) + "\n", encoding="utf-8")
    as_of = parse_time(DAY.format(1))
    summary = roster.load_files(Files((str(path),), ("lift",), as_of=as_of))
    assert (summary.added, summary.rejected) == (2, {"malformed": 2})
