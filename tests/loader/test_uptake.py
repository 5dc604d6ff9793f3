"""What writes whole files ends when the service has taken it up, or was waited for long enough."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from loader.jobs import session
from loader.jobs.undo_report import undone_text
from loader.jobs.verify import verification_text
from roster import keys
from roster.records.position import Position
from roster.storage.processes import NOTHING, Process, Processes
from tests.loader.loads import Roster, row, settings_for
from tests.loader.test_undo import undo
from tests.loader.test_verify import lose
from tests.rosters import opened

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server

ENDS = [Position(number, 1, 5, b"mark") for number in range(keys.PARTITIONS)]
APPLIED = b"".join(position.wire for position in ENDS)


def process(name: str, applied: bytes, *, fresh_ms: int = 3_000, beat: int = 1) -> Process:
    return Process(name, "there", fresh_ms, applied, beat=beat)


async def test_a_process_is_waited_for_until_it_has_applied_everything(valkey: Server) -> None:
    async with opened(valkey) as store:
        mine, theirs = Processes(store.nodes), Processes(store.nodes)
        assert await session.late(mine, ENDS) == 0
        await theirs.announce(process("ahead", APPLIED))
        assert await session.late(mine, ENDS) == 0
        await theirs.announce(process("behind", APPLIED[:-14] + bytes(14)))
        waiting = asyncio.create_task(session.late(mine, ENDS))
        done, _ = await asyncio.wait({waiting}, timeout=0.1)
        assert not done
        await theirs.announce(process("behind", APPLIED, beat=2))
        assert await waiting == 0


async def test_a_process_that_has_left_or_died_is_waited_for_no_longer(
    valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "TAKEN_UP_S", 60.0)
    async with opened(valkey) as store:
        mine, theirs = Processes(store.nodes), Processes(store.nodes)
        await theirs.announce(process("dead", NOTHING, fresh_ms=-400))
        await theirs.announce(process("left", NOTHING))
        await theirs.leave("left", 2)
        assert await session.late(mine, ENDS) == 0


def test_a_load_says_who_has_not_taken_it_up_in_time(
    valkey: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "TAKEN_UP_S", 0.1)
    roster = Roster(settings_for(valkey, tmp_path), tmp_path)
    silent = process("silent", NOTHING, fresh_ms=60_000)
    with roster.opened() as held:
        held.run(Processes(held.store.nodes).announce(silent))
    summary = roster.load([row(1)])
    assert summary.notes == ["one process of the service had not taken it up after 0 s"]
    with roster.opened() as held:
        processes = Processes(held.store.nodes)
        held.run(processes.announce(replace(silent, id="another")))
    assert roster.load([row(2)], day=2).notes[0].startswith("2 processes of the service")


def test_a_repair_and_an_undo_say_who_has_not_taken_them_up_in_time(
    valkey: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "TAKEN_UP_S", 0.1)
    late = "one process of the service had not taken it up after 0 s"
    roster = Roster(settings_for(valkey, tmp_path), tmp_path)
    rows = [row(1), row(2, 2)]
    roster.load(rows)
    with roster.opened() as held:
        silent = process("silent", NOTHING, fresh_ms=60_000)
        held.run(Processes(held.store.nodes).announce(silent))
    assert roster.verify(rows, repair=True).notes == []
    lose(roster, 1)
    verdict = roster.verify(rows, repair=True)
    assert (verdict.repaired, verdict.notes) == (1, [late])
    assert late in verification_text(verdict)
    roster.load(rows[:1], day=2)
    assert undo(roster, 3, dry_run=True).notes == []
    undone = undo(roster, 3)
    assert (undone.put_back, undone.notes) == (1, [late])
    assert late in undone_text(undone)
