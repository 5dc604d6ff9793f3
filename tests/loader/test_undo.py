"""What undoing a load puts back, and what it leaves alone."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from loader.jobs.guard import Limit, Limits
from loader.jobs.intake import Files
from loader.jobs.undo import Undoing
from loader.jobs.undo_report import StepWriter, Undone, diff_file, undone_text
from roster import keys
from roster.errors import LoadRefused
from roster.records.change import Change
from roster.records.content import unpack_content
from roster.records.entry import Op, Provenance, Registers, State
from roster.records.record import provenance_tail
from roster.redis.calls import Wait
from roster.settings import read_settings
from roster.storage.histories import UndoNote, undo_notes
from roster.storage.retention import purge_histories
from roster.times import DAY_MS
from tests.loader.loads import ID_KEY, TOKENISER, Roster, number, row, token
from tests.servers import DEADLINE_S, eventually
from tests.service.served import Served
from tests.source import ROOT
from tests.terminals import terminal

if TYPE_CHECKING:
    from pathlib import Path

    from loader.jobs.session import Session
    from tests.servers import Server


def notes(roster: Roster) -> list[UndoNote]:
    """What every load has noted."""
    with roster.opened() as session:
        (names,) = session.run(session.store.nodes.on_partitions([(0, ("KEYS", "*:h:*"))]))
        hashes = [
            session.run(session.store.nodes.on_partitions([(0, ("HKEYS", n))])) for n in names
        ]
        nonces = {f[5:].decode() for (found,) in hashes for f in found if f[:5] == b"undo:"}
        return [
            each
            for nonce in sorted(nonces)
            for partition in range(keys.PARTITIONS)
            for each in session.run(undo_notes(session.store, partition, nonce))
        ]


async def known_courts(session: Session) -> dict[bytes, str]:
    await session.dictionary.refresh()
    return session.dictionary.courts


def states(note: UndoNote) -> tuple[str, str]:
    before, left = Registers(*note.before.registers), Registers(*note.left.registers)
    return before.state.name, left.state.name


def test_a_load_notes_how_each_entry_was_that_it_changes(roster: Roster) -> None:
    roster.load([row(n, n) for n in range(1, 6)])
    assert notes(roster) == []
    roster.load(
        [row(1, 1), row(2, 2, 1_550_000_000_000, court="上海市徐汇区人民法院"),
         row(3, 3, 1_550_000_000_000, state="removed"), row(4, 4, state="suspended"), row(6, 6)],
        day=2,
    )  # fmt: skip
    found = {note.token: note for note in notes(roster)}
    assert {each: states(note) for each, note in found.items()} == {
        token(2): ("ACTIVE", "ACTIVE"),
        token(3): ("ACTIVE", "REMOVED"),
        token(4): ("ACTIVE", "SUSPENDED"),
        token(5): ("ACTIVE", "ABSENT"),
        token(6): ("UNKNOWN", "ACTIVE"),
    }
    assert found[token(2)].before.registers == (1_500_000_000_000, 0, 0, 0, 0)
    with roster.opened() as session:
        courts = session.run(known_courts(session))
    assert unpack_content(found[token(2)].before.content, courts).court == "北京市朝阳区人民法院"


ANY = Limits(*(Limit("1000000", 1_000_000) for _ in range(3)))
WAIT = Wait(aof=False, replicas=0, timeout_ms=1000)
TAIL = provenance_tail(Provenance("api", "test"))
EDITED = 1_577_000_000_000
"""Just before the second file."""


def undo(
    roster: Roster, number: int = 2, *, dry_run: bool = False, diff: Path | None = None
) -> Undone:
    with roster.opened() as session, diff_file(diff) as file:
        writer = StepWriter(session.lists, session.dictionary.courts, file)
        return Undoing(session, number, lambda *_: None, writer).run(dry_run=dry_run)


def figures(undone: Undone) -> tuple[int, int, int, int]:
    return undone.put_back, undone.removed, undone.changed_back, undone.stays


def edit(roster: Roster, n: int, op: Op) -> None:
    """As the service does it now, to the nth person's entry."""
    entry_hash = TOKENISER.entry_hash(1, f"(2018)京0105执{n}号/1")
    revision = time.time_ns() // 1_000_000
    change = Change(token(n), 1, op, revision, entry_hash, b"\0\0\1x\0", provenance=TAIL)
    with roster.opened() as session:
        session.run(session.store.apply([change], WAIT))


def people(roster: Roster) -> dict[bytes, str]:
    return {name[0]: state for name, state in roster.states().items()}


GOOD = [row(1, 1), row(2, 2), row(3, 3), row(4, 4), row(5, 5, state="suspended"), row(7, 7)]
BAD = [
    row(1, 1), row(2, 2, EDITED, court="上海市徐汇区人民法院"), row(3, 3, EDITED, state="removed"),
    row(6, 6), row(7, 7, EDITED, state="suspended"),
]  # fmt: skip
"""Two are missing; one has another court, one is taken off, one is new, one is suspended."""


def load_both(roster: Roster) -> None:
    roster.load(GOOD)
    done = roster.load(BAD, day=2, limits=ANY)
    assert (done.added, done.changed, done.ended) == (1, 2, 3)


def test_what_a_load_did_is_undone_and_nothing_else(roster: Roster) -> None:
    roster.load(GOOD)
    before = {name: (e.state, e.content) for name, e in roster.entries().items()}
    roster.load(BAD, day=2, limits=ANY)
    after = roster.states()
    assert figures(undo(roster, dry_run=True)) == (3, 1, 2, 0)
    assert roster.states() == after
    undone = undo(roster)
    assert (figures(undone), undone.undo) == ((3, 1, 2, 0), 3)
    now = {name: (e.state, e.content) for name, e in roster.entries().items()}
    added = now.pop((token(6), "(2018)京0105执6号/1"))
    assert added[0] is State.ABSENT
    assert now == before
    assert roster.count(b"n:1:1") == 5
    assert [roster.count(name) for name in (b"n:1:2", b"n:1:3", b"n:1:4", b"people")] == [
        1,
        0,
        1,
        6,
    ]
    actors = {e.provenance.actor for name, e in roster.entries().items() if name[0] == token(4)}
    assert actors == {"undo of load 2"}
    reasons = {
        (e.state, e.provenance.reason)
        for e in roster.entries().values()
        if e.provenance.actor == "undo of load 2"
    }
    assert (State.ABSENT, "error") in reasons
    assert {reason for state, reason in reasons if state is not State.ABSENT} == {""}


def test_an_undo_done_again_says_the_same_and_changes_nothing(roster: Roster) -> None:
    load_both(roster)
    first = undo(roster)
    stored = roster.entries()
    again = undo(roster)
    assert (figures(again), again.undo) == (figures(first), first.undo)
    assert roster.entries() == stored


def test_what_was_changed_since_stays_and_is_listed_without_whose_it_is(roster: Roster) -> None:
    load_both(roster)
    edit(roster, 6, Op.SUSPEND)
    edit(roster, 4, Op.REMOVE)
    path = roster.folder / "diff.csv"
    undone = undo(roster, diff=path)
    assert figures(undone) == (2, 0, 2, 2)
    assert {(s.list, s.entry_id, s.case, s.court, s.what, s.now) for s in undone.staying} == {
        ("sx", f"(2018)京0105执{n}号/1", f"(2018)京0105执{n}号", "北京市朝阳区人民法院", what, now)
        for n, what, now in ((4, "put back", "removed"), (6, "removed", "suspended"))
    }
    assert people(roster)[token(6)] == "SUSPENDED"
    assert people(roster)[token(4)] == "REMOVED"
    text = undone_text(undone) + path.read_text(encoding="utf-8")
    assert not any(secret in text for n in range(8) for secret in (number(n), "张某某"))
    with path.open(encoding="utf-8") as file:
        told = sorted((each["entry_id"], each["what"]) for each in csv.DictReader(file))
    assert [what for _, what in told] == [
        "changed back", "put back", "stays", "put back", "stays", "changed back",
    ]  # fmt: skip


def test_a_removal_of_before_the_undo_that_arrives_after_it_frees_the_person(
    roster: Roster,
) -> None:
    load_both(roster)
    made_ms = time.time_ns() // 1_000_000
    undo(roster)
    entry_hash = TOKENISER.entry_hash(1, "(2018)京0105执4号/1")
    change = Change(token(4), 1, Op.REMOVE, made_ms, entry_hash, b"", provenance=TAIL)
    with roster.opened() as session:
        session.run(session.store.apply([change], WAIT))
    assert people(roster)[token(4)] == "REMOVED"


def test_the_wrong_file_loaded_again_does_not_bring_the_error_back(roster: Roster) -> None:
    load_both(roster)
    undo(roster)
    undone = roster.states()
    with pytest.raises(LoadRefused, match="was undone"):
        roster.load(BAD, day=2, limits=ANY)
    assert roster.states() == undone


def test_the_right_file_of_the_same_time_is_loaded_in_full_after_an_undo(roster: Roster) -> None:
    load_both(roster)
    undo(roster)
    right = [*GOOD[:3], row(6, 6), row(8, 8)]
    roster.load(right, day=2, limits=ANY)
    assert {each for each, state in people(roster).items() if state == "ACTIVE"} == {
        token(n) for n in (1, 2, 3, 6, 8)
    }
    assert roster.verify(right).equal


def test_the_undo_of_an_older_load_leaves_what_a_newer_one_did(roster: Roster) -> None:
    load_both(roster)
    roster.load([*BAD[:4], row(4, 4), row(9, 9)], day=3, limits=ANY)
    undone = undo(roster, 2)
    assert {s.entry_id for s in undone.staying} == {f"(2018)京0105执{n}号/1" for n in (4, 7)}
    states = people(roster)
    assert [states[token(n)] for n in (3, 4, 5, 6, 9)] == [
        "ACTIVE", "ACTIVE", "SUSPENDED", "ABSENT", "ACTIVE",
    ]  # fmt: skip


def test_a_partial_load_and_lifts_are_undone(roster: Roster) -> None:
    roster.load([row(1, 1), row(2, 2)])
    header = "list,entry_id,document_type,document_number,from,until"
    path = roster.folder / "lifts.csv"
    path.write_text(f"{header}\nlift,a,resident_id,{number(1)},2020-01-01,2999-01-01\n")
    roster.load_files(Files((str(path),)), partial=True)
    roster.load(
        [row(3, 3, 1_600_000_000_000), row(1, 1, EDITED, court="上海市徐汇区人民法院")],
        partial=True,
    )
    assert figures(undo(roster, 3)) == (0, 1, 1, 0)
    assert figures(undo(roster, 2)) == (0, 1, 0, 0)
    assert sorted(roster.states().values()) == ["ABSENT", "ABSENT", "ACTIVE", "ACTIVE"]


def test_the_undo_of_a_partial_load_leaves_a_list_that_was_loaded_since_loaded(
    roster: Roster,
) -> None:
    roster.load([row(1, 1), row(2, 2)], partial=True)
    roster.load([row(1, 1), row(3, 3)])
    assert figures(undo(roster, 1)) == (0, 1, 0, 1)
    assert {meta[b"covered"] for meta in roster.metas()} == {b"\1"}
    states = people(roster)
    assert [states[token(n)] for n in (1, 2, 3)] == ["ABSENT", "ABSENT", "ACTIVE"]


def test_after_the_undo_of_a_first_load_the_list_counts_as_never_loaded(roster: Roster) -> None:
    roster.load([row(n, n) for n in range(1, 30)])
    edit(roster, 3, Op.SUSPEND)
    with roster.opened() as session:
        (load,) = session.run(session.dictionary.all_loads()).values()
    assert load.first == ("sx",)
    undone = undo(roster, 1)
    assert figures(undone) == (0, 28, 0, 1)
    assert undone.never_loaded == ("sx",)
    assert {meta.get(b"covered", b"") for meta in roster.metas()} == {b""}
    assert [s.entry_id for s in undone.staying] == ["(2018)京0105执3号/1"]
    done = roster.load([row(n, n) for n in range(1, 20)])
    assert (done.added, done.ended) == (18, 0)
    assert {meta[b"covered"] for meta in roster.metas()} == {b"\1"}
    assert roster.count(b"n:1:1") == 18


def test_the_first_load_of_a_list_is_not_undone_under_a_later_one(roster: Roster) -> None:
    load_both(roster)
    with pytest.raises(LoadRefused, match="load 2 has said since"):
        undo(roster, 1)


def test_what_is_no_load_and_what_is_an_undo_is_refused(roster: Roster) -> None:
    load_both(roster)
    undo(roster)
    for wrong, why in ((9, "there is no load 9"), (3, "an undo itself")):
        with pytest.raises(LoadRefused, match=why):
            undo(roster, wrong, diff=roster.folder / "diff.csv")
    assert not list(roster.folder.glob("diff.csv*"))


def command(roster: Roster, *arguments: str) -> subprocess.Popen[str]:
    own = {
        "CLEARWAY_REDIS_URL": roster.settings.redis_url or "",
        "CLEARWAY_DATA_DIR": str(roster.settings.data_dir),
        "CLEARWAY_ID_KEY": ID_KEY,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "clearway", *arguments],
        env={**os.environ, **own}, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_an_undo_that_was_killed_is_completed_by_the_same_command(
    roster: Roster, valkey: Server
) -> None:
    rows = [row(n, n) for n in range(6_000)]
    roster.load(rows)
    before = {name: (e.state, e.content) for name, e in roster.entries().items()}
    roster.load([row(0, 0), row(7_000, 7_000)], day=2, limits=ANY)
    with command(roster, "undo", "2") as process, valkey.client() as client:
        eventually(lambda: int(client.hget(keys.META[1], "n:1:1") or 0) > 50)
        process.kill()
        process.communicate(timeout=DEADLINE_S)
    assert roster.count(b"n:1:4") > 0
    with command(roster, "undo", "2", "--json") as process:
        out, err = process.communicate(timeout=DEADLINE_S * 2)
    assert process.returncode == 0, err
    told = json.loads(out)
    assert (told["put_back"], told["removed"], told["stays"]) == (5_999, 1, 0)
    now = {name: (e.state, e.content) for name, e in roster.entries().items()}
    assert {name: each for name, each in now.items() if name[0] != token(7_000)} == before
    with roster.opened() as session:
        loads = session.run(session.dictionary.all_loads())
    assert [(load.kind, load.undoes) for load in loads.values()] == [
        ("undo", 2), ("load", None), ("load", None),
    ]  # fmt: skip


def test_no_undo_runs_beside_a_load(roster: Roster) -> None:
    load_both(roster)
    with roster.opened() as session:
        session.take_lease()
        with pytest.raises(LoadRefused, match="another load is under way"):
            undo(roster)


def test_a_service_allows_whom_an_undo_removed_and_denies_whom_it_put_back(
    valkey: Server, short_folder: Path
) -> None:
    service = Served(valkey, short_folder)
    roster = Roster(read_settings(service.settings), short_folder)
    roster.load([row(1, 1), row(2, 2)])
    roster.load([row(2, 2), row(3, 3)], day=2, limits=ANY)
    with service.running() as running, running.client() as client:

        def decisions() -> list[str]:
            items = [{"document": {"type": "resident_id", "number": number(n)}} for n in (1, 2, 3)]
            body = {"items": items, "journey": {"mode": "air"}}
            answer = client.post("/v1/check/batch", json=body).json()
            return [each["decision"] for each in answer["results"]]

        eventually(lambda: decisions() == ["allow", "deny", "deny"])
        undo(roster)
        eventually(lambda: decisions() == ["deny", "deny", "allow"])


def test_notes_go_with_the_histories_and_then_the_load_is_not_undone(roster: Roster) -> None:
    load_both(roster)
    with roster.opened() as session:
        store, now_ms = session.store, time.time_ns() // 1_000_000
        for partition in range(keys.PARTITIONS):
            session.run(purge_histories(store, partition, range(keys.BUCKETS), now_ms + 1))
        load = session.run(session.dictionary.all_loads())[2]
        old = replace(load, received_at_ms=now_ms - 91 * DAY_MS)
        session.run(session.dictionary.write_load(2, old))
    assert notes(roster) == []
    with pytest.raises(LoadRefused, match="not known"):
        undo(roster)


def test_an_undo_shows_on_a_terminal_what_it_is_of_and_asks(roster: Roster) -> None:
    load_both(roster)
    environ = {
        **os.environ, "CLEARWAY_REDIS_URL": roster.settings.redis_url or "", "LC_ALL": "C.UTF-8",
        "CLEARWAY_DATA_DIR": str(roster.settings.data_dir), "CLEARWAY_ID_KEY": ID_KEY,
        "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    for answer, status, elsewhere in (("n", 1, False), ("n", 1, True), ("y", 0, True)):
        with (
            (roster.folder / "log").open("wb") as log,
            terminal(
                environ, roster.folder, "undo", "2", stderr=log if elsewhere else None
            ) as typed,
        ):
            typed.answer("and remove what it added? [y/N]: ", answer)
            assert typed.end() == status, typed.shown
        assert "load 2 (list.csv) did:\nsx: " in typed.shown
        with roster.opened() as session:
            kinds = [each.kind for each in session.run(session.dictionary.all_loads()).values()]
        assert kinds.count("undo") == 1 - status
    for more in ("--yes", "--dry-run"):
        with terminal(environ, roster.folder, "undo", "2", more) as typed:
            assert typed.end() == 0, typed.shown
        assert "[y/N]" not in typed.shown
