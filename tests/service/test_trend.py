"""What the status page draws: checks over time, removals by the hour, loads, servers, the key."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from loader.jobs.load_records import refused
from loader.jobs.manifest import Manifest
from roster.storage.counters import HOUR_MS, CounterStore
from roster.times import now_ms
from service.background.trend import quantile_ms
from service.openapi.documented import RosterAnswer
from service.openapi.trends import KeyAnswer, TrendAnswer
from tests.loader.loads import Roster, row
from tests.rosters import opened
from tests.service.apps import bearer, make_key, running, settings_for, started

if TYPE_CHECKING:
    from tests.servers import Server

FLIGHT = {
    "document": {"type": "resident_id", "number": "110105180001010010"},
    "journey": {"mode": "air"},
}
BOUNDS_S = (0.001, 0.002, 0.01)


@pytest.mark.parametrize(
    ("counts", "share", "expected"),
    [
        ([0, 0, 0, 0], 0.5, None),
        ([2, 0, 0, 0], 0.5, 0.5),
        ([1, 1, 0, 0], 1.0, 2.0),
        ([0, 0, 4, 0], 0.25, 4.0),
        ([0, 0, 0, 3], 0.5, 10.0),
    ],
)
def test_a_quantile_lies_in_its_bucket(
    counts: list[int], share: float, expected: float | None
) -> None:
    assert quantile_ms(counts, BOUNDS_S, share) == expected


async def test_checks_are_told_by_the_seconds_in_which_they_came(
    valkey: Server, tmp_path: Path
) -> None:
    async with started(settings_for(valkey, tmp_path)) as (app, client):
        for _ in range(3):
            await client.post("/v1/check", json=FLIGHT)
        await app.state.upkeep.trend.note()
        await client.post("/v1/check", json=FLIGHT)
        told = msgspec.convert((await client.get("/v1/trend")).json(), TrendAnswer)
    *_, before, now = told.checks
    assert (before.checks, before.requests, now.checks) == (3, 3, 1)
    assert before.p50_ms is not None
    assert before.p99_ms is not None
    assert 0 < before.p50_ms <= before.p99_ms
    assert told.process


async def test_removals_are_told_by_the_hour_and_leg(valkey: Server) -> None:
    now_ms = 500_000 * HOUR_MS
    async with opened(valkey) as store:
        counters = CounterStore(store.nodes)
        counters.lagged("source", 86_400_000, now_ms)
        counters.lagged("processes", 20, now_ms, 2)
        counters.lagged("service", 5, now_ms - 2 * HOUR_MS)
        counters.lagged("service", 5, now_ms - 24 * HOUR_MS)
        await counters.flush(now_ms)
        told = await counters.hourly(("source", "service", "processes"), now_ms)
    assert list(told) == [now_ms - 2 * HOUR_MS, now_ms]
    assert [lag.count for lag in told[now_ms].values()] == [1, 0, 2]
    assert told[now_ms]["source"].max == pytest.approx(86_400_000, rel=0.02)
    assert told[now_ms - 2 * HOUR_MS]["service"].count == 1


async def test_a_key_is_told_what_it_may_do_whatever_that_is(
    valkey: Server, tmp_path: Path
) -> None:
    settings = settings_for(valkey, tmp_path)
    text = await make_key(settings, ["list:remove@sx", "check"])
    async with running(settings) as client:
        answer = await client.get("/v1/key", headers=bearer(text))
        told = msgspec.convert(answer.json(), KeyAnswer)
        assert (told.name, told.scopes) == ("test", ["check", "list:remove@sx"])
        assert told.expires_at is None
        assert (await client.get("/v1/key", headers={"authorization": ""})).status_code == 401


async def test_the_last_load_of_each_list_is_told_with_where_its_rejects_lie(
    valkey: Server, tmp_path: Path
) -> None:
    roster = Roster(settings_for(valkey, tmp_path / "data"), tmp_path)
    rows = [row(1), row(2, 2), row(3, 3, **{"from": "soon"})]
    await asyncio.to_thread(roster.load, rows)
    async with running(roster.settings) as client:
        told = msgspec.convert((await client.get("/v1/roster")).json(), RosterAnswer)
    (last,) = told.last_loads.values()
    assert set(told.last_loads) == {"sx"}
    assert (last.load, last.kind, last.files) == (1, "load", ["list.csv"])
    assert (last.added, last.changed, last.ended) == (2, 0, 0)
    assert last.rejected == {"bad_date": 1}
    assert last.ended_at is not None
    assert last.rejects_file is not None
    rejects = await asyncio.to_thread(Path(last.rejects_file).read_text, encoding="utf-8")
    assert "bad_date" in rejects
    sx, ndrc, lift = (told.lists[name] for name in ("sx", "ndrc-air", "lift"))
    assert [each.rhythm_days for each in (sx, ndrc, lift)] == [7, 40, 0]
    assert "失信" in sx.title
    (server,) = told.redis
    assert server.kind == "valkey"
    assert server.used_bytes > 0
    assert server.version.count(".") == 2


async def test_a_file_that_was_refused_is_told_with_why(valkey: Server, tmp_path: Path) -> None:
    roster = Roster(settings_for(valkey, tmp_path / "data"), tmp_path)
    manifest = Manifest(as_of="2020-01-02", lists=("sx",))

    def refuse() -> None:
        roster.load([row(1)])
        with roster.opened() as session:
            load = refused("new.csv", manifest, now_ms(), "7 rows, not 8", session.lists.ids)
            session.run(session.dictionary.open_load(load))

    await asyncio.to_thread(refuse)
    async with running(roster.settings) as client:
        told = msgspec.convert((await client.get("/v1/roster")).json(), RosterAnswer)
        shown = (await client.get("/metrics")).text
    (found,) = told.refused.items()
    name, last = found
    assert (name, last.load, last.file, last.why) == ("sx", 2, "new.csv", "7 rows, not 8")
    assert last.as_of == "2020-01-01T16:00:00Z"
    assert told.last_loads["sx"].load == 1
    assert 'clearway_load_refused{list="sx"} 1\n' in shown
