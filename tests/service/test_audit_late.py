"""Whoever was denied after their removal had been decided is told of, by list and court."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from roster.errors import Unavailable
from roster.records.audited import DeniedLate
from roster.records.content import court_id
from roster.storage.audit import SKEW_MS, next_blocks
from roster.storage.late import counted
from roster.times import format_ms
from service.audit import ledger
from tests.service.audited import recorded
from tests.service.rosters import LISTED, OTHER, PASSPORT, Desk, desk, edit

if TYPE_CHECKING:
    from pathlib import Path

    from roster.redis.nodes import Nodes
    from roster.storage.audit import StoredBlock
    from roster.storage.late import Removal
    from tests.servers import Server

COURT, ANOTHER = "北京市朝阳区人民法院", "上海市浦东新区人民法院"


@pytest.fixture(autouse=True)
def not_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "AFTER_S", 3_600)


def now() -> str:
    """A moment that lies between what was before and what comes after."""
    at_ms = time.time_ns() // 1_000_000
    while time.time_ns() // 1_000_000 < at_ms + 2:
        pass
    return format_ms(at_ms + 1)


def put(court: str = COURT, **more: Any) -> dict[str, Any]:  # noqa: ANN401 -- JSON
    return edit("put", entry={"court": court}, **more)


async def late(api: Desk) -> list[Any]:
    """All late denials, once every removal was looked up."""
    async with asyncio.timeout(20):
        while api.service.ledger.waiting:
            await api.service.ledger.close()
            await asyncio.sleep(0.005)
    return await recorded(api.client, api.service, late="true")


async def counts(api: Desk) -> Any:  # noqa: ANN401 -- JSON
    return (await api.client.get("/v1/roster")).json()["late_denials"]


async def test_a_denial_after_the_decision_is_told_with_how_late_it_was(
    valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        await api.change(put(), wait="all")
        early = await api.check(LISTED)
        decided_at = now()
        answer = await api.check(LISTED)
        assert [early["decision"], answer["decision"]] == ["deny", "deny"]
        removal = edit("remove", 20, decided_at=decided_at, reason="performed")
        applied = (await api.change(removal))["results"][0]["applied_at"]
        assert (await api.change(removal))["results"][0]["outcome"] == "duplicate"
        (told,) = await late(api)
        assert {name: told[name] for name in ("kind", "decision_id", "list", "entry_id")} == {
            "kind": "late_denial", "decision_id": answer["decision_id"], "list": "sx",
            "entry_id": "e/1",
        }  # fmt: skip
        assert (told["decided_at"], told["applied_at"]) == (decided_at, applied)
        assert told["court"] == COURT
        assert await counts(api) == {"sx": {COURT: 1}}
        metrics = (await api.client.get("/metrics")).text
        assert f'clearway_late_denials{{list="sx",court="{COURT}"}} 1' in metrics


async def test_a_late_denial_is_found_by_its_decision_however_late(
    valkey: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.routes.audit.DAY_MS", -3_600_000)
    monkeypatch.setattr("service.audit.pages.FEWEST", 1)
    monkeypatch.setattr("service.audit.pages.ALONE", 1)
    async with desk(valkey, tmp_path) as api:
        await api.change(put(), put(ANOTHER, entry_id="e/2"), wait="all")
        decided_at = now()
        names = [(await api.check(LISTED))["decision_id"] for _ in range(2)]
        await api.service.audit.flush()
        await api.change(
            *(edit("remove", 20, entry_id=each, decided_at=decided_at) for each in ("e/1", "e/2"))
        )
        assert len(await late(api)) == 4
        for name in names:
            found = await recorded(api.client, api.service, decision=name, late="true")
            assert {each["decision_id"] for each in found} == {name}
            assert {each["entry_id"] for each in found} == {"e/1", "e/2"}


async def test_a_removal_that_came_in_time_or_says_no_time_has_none(
    valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        await api.change(put(), put(document=OTHER, entry_id="e/2"), wait="all")
        for person in (LISTED, OTHER):
            assert (await api.check(person))["decision"] == "deny"
        await api.change(
            edit("remove", 20, decided_at=now()),
            edit("remove", 20, document=OTHER, entry_id="e/2"),
        )
        assert await late(api) == []
        assert await counts(api) == {}


async def test_several_courts_are_counted_apart_and_a_bound_document_counts(
    valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        bind = {"op": "bind", "entry_id": "b/1", "revision": 5, "documents": [LISTED, PASSPORT]}
        await api.change(put(), put(ANOTHER, entry_id="e/2"), bind, wait="all")
        decided_at = now()
        for person in (PASSPORT, LISTED, PASSPORT):
            assert (await api.check(person))["decision"] == "deny"
        await api.change(edit("remove", 20, decided_at=decided_at))
        assert len(await late(api)) == 3
        await api.change(edit("remove", 20, entry_id="e/2", decided_at=decided_at))
        assert len(await late(api)) == 6
        assert await counts(api) == {"sx": {COURT: 3, ANOTHER: 3}}


async def test_what_is_looked_up_again_is_not_counted_again(
    valkey: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk(valkey, tmp_path) as api:
        removals: list[Removal] = []
        ledger = api.service.ledger
        removed = ledger.removed
        monkeypatch.setattr(ledger, "removed", removals.append)
        await api.change(put(), wait="all")
        decided_at = now()
        await api.check(LISTED)
        await api.change(edit("remove", 20, decided_at=decided_at))
        for _ in range(2):
            (removal,) = removals
            removed(removal)
            assert len(await late(api)) == 1
        assert await counts(api) == {"sx": {COURT: 1}}


async def denied_then_removed(api: Desk, *people: Any) -> None:  # noqa: ANN401 -- JSON
    """Each is denied once after their removal was decided."""
    each = [{"document": person, "entry_id": f"e/{at}"} for at, person in enumerate(people)]
    await api.change(*(put(**about) for about in each), wait="all")
    decided_at = now()
    for person in people:
        assert (await api.check(person))["decision"] == "deny"
    await api.change(*(edit("remove", 20, decided_at=decided_at, **about) for about in each))


def apart(api: Desk, monkeypatch: pytest.MonkeyPatch) -> ledger.Ledger:
    """A ledger of the removals to come at which nobody else works."""
    service = api.service
    own = ledger.Ledger(service.audit, service.changes_store, service.dictionary)
    monkeypatch.setattr(service.ledger, "removed", own.removed)
    return own


async def test_what_waits_in_several_partitions_is_looked_up_before_the_end(
    valkey: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "BYTES_PER_S", 1e-6)
    monkeypatch.setattr(ledger, "END_S", 20)
    async with desk(valkey, tmp_path) as api:
        people = (LISTED, OTHER, PASSPORT)
        own = apart(api, monkeypatch)
        await denied_then_removed(api, *people)
        assert own.waiting == len(people)
        await own.close()
        assert own.waiting == 0
        assert len(await recorded(api.client, api.service, late="true")) == len(people)


@pytest.mark.parametrize("silent", [True, False])
async def test_the_end_waits_for_no_silent_redis(
    silent: bool,
    valkey: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def documents(*_: object) -> tuple[bytes, ...]:
        if silent:
            await asyncio.Event().wait()
        raise Unavailable("Redis did not answer in time")

    async with desk(valkey, tmp_path) as api:
        own = apart(api, monkeypatch)
        await denied_then_removed(api, LISTED)
        left: list[int] = []
        log = SimpleNamespace(warning=lambda _, count: left.append(count))
        monkeypatch.setattr(ledger, "log", log)
        monkeypatch.setattr(ledger, "documents", documents)
        monkeypatch.setattr(ledger, "END_S", 0.2)
        await own.close()
        assert (own.waiting, left) == (1, [1])


async def test_what_is_above_the_bound_is_counted(
    valkey: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "QUEUE_MAX", 1)
    async with desk(valkey, tmp_path) as api:
        await denied_then_removed(api, LISTED)
        await api.service.ledger.tick()
        await denied_then_removed(api, OTHER, PASSPORT)
        assert (api.service.ledger.waiting, api.service.ledger.overlooked) == (1, 2)
        metrics = (await api.client.get("/metrics")).text
        assert "clearway_late_overlooked_total 2" in metrics


async def test_a_decision_of_long_ago_reads_what_is_kept(
    valkey: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []

    async def noted(nodes: Nodes, after: StoredBlock, at_most: int) -> list[StoredBlock]:
        begun.append(after.ms)
        return await next_blocks(nodes, after, at_most)

    monkeypatch.setattr("roster.storage.late.next_blocks", noted)
    async with desk(valkey, tmp_path) as api:
        await api.change(put(), wait="all")
        await api.check(LISTED)
        at_ms = time.time_ns() // 1_000_000
        await api.change(edit("remove", 20, decided_at="1970-01-02T00:00:00Z"))
        assert len(await late(api)) == 1
        keep_ms = api.service.changes_store.keep_ms
    assert begun
    assert min(begun) >= at_ms - keep_ms - 2 * SKEW_MS


async def test_courts_that_another_process_has_named_are_told_by_name(
    valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        bind = {"op": "bind", "entry_id": "b/1", "revision": 5, "documents": [LISTED, PASSPORT]}
        await api.change(put(), bind, wait="all")
        decided_at = now()
        await api.check(PASSPORT)
        await api.change(edit("remove", 20, decided_at=decided_at))
        known = api.service.dictionary
        known.courts.clear()
        (told,) = await late(api)
        assert await counts(api) == {"sx": {COURT: 1}}
        known.courts.clear()
        denial = DeniedLate(b"", "", "sx", "e/1", court_id(told["court"]), bytes(16), 0, 0, 0)
        assert await counted([denial], known) == {("sx", COURT): 1}
