"""Liveness, readiness, figures, metrics, and the API's description."""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from roster.errors import WrongKey
from roster.storage.counters import HOUR_MS, CounterStore, bucket, bucket_ms
from service.app import create_app
from service.openapi import documented
from service.openapi.openapi import ROUTES, document
from service.routes import pages
from service.routes.ops import UNREAD, conditions
from tests.rosters import opened
from tests.service.apps import bearer, make_key, running, settings_for, started

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.servers import Server

PERSON = {"type": "resident_id", "number": "110105180001010010"}
FLIGHT = {"document": PERSON, "journey": {"mode": "air"}}
NAMES = {
    "clearway_checks_total",
    "clearway_refers_total",
    "clearway_check_duration_seconds",
    "clearway_removal_lag_seconds",
    "clearway_last_change_timestamp_seconds",
    "clearway_filter_hits_total",
    "clearway_fresh_age_seconds",
    "clearway_people",
    "clearway_entries",
}


async def until(condition: Callable[[], Any]) -> None:
    """Wait for a coroutine's truth, for ten seconds at most."""
    async with asyncio.timeout(10):
        while not await condition():  # noqa: ASYNC110 -- the service rings no bell for it
            await asyncio.sleep(0.02)


async def test_a_process_lives_before_it_is_ready(valkey: Server, tmp_path: Path) -> None:
    async with running(settings_for(valkey, tmp_path)) as client:
        assert (await client.get("/healthz")).status_code == 200
        answer = await client.get("/readyz")
        assert answer.status_code == 503
        assert "retry-after" in answer.headers
        assert answer.json()["ready"] is False

        async def told() -> dict[str, Any]:
            found: dict[str, Any] = (await client.get("/readyz")).json()["conditions"]
            return found

        async def is_read() -> bool:
            return bool((await told())["loaded"]["ok"])

        await until(is_read)
        assert (await told())["covered"] == {"ok": False, "detail": "not fully loaded: sx"}


async def test_lists_that_nobody_could_read_are_not_called_unloaded(
    valkey: Server, tmp_path: Path
) -> None:
    async with started(settings_for(valkey, tmp_path)) as (app, _):
        app.state.service.screener.loaded = False
        told = conditions(app.state.upkeep)["covered"]
        assert (told.ok, told.detail) == (False, UNREAD)


async def test_who_asks_without_a_key_or_a_scope_gets_nothing(
    valkey: Server, tmp_path: Path
) -> None:
    settings = settings_for(valkey, tmp_path)
    async with running(settings) as client:
        weak = bearer(await make_key(settings, ["check"]))
        for path in ("/v1/roster", "/metrics"):
            nobody = await client.get(path, headers={"authorization": ""})
            assert nobody.status_code == 401
            answer = await client.get(path, headers=weak)
            assert answer.status_code == 403
            assert answer.json()["scope"] == "ops"


async def test_a_revoked_key_stops_within_a_second(valkey: Server, tmp_path: Path) -> None:
    settings = settings_for(valkey, tmp_path)
    async with started(settings) as (app, client):
        text = await make_key(settings, ["ops"])
        assert (await client.get("/v1/roster", headers=bearer(text))).status_code == 200
        store = app.state.service.access._store
        await store.revoke(text.split("_")[1], 1)
        revoked_at = time.monotonic()

        async def refused() -> bool:
            return (await client.get("/v1/roster", headers=bearer(text))).status_code == 401

        await until(refused)
        assert time.monotonic() - revoked_at < 1


async def test_the_figures_have_the_shape_that_is_documented(
    valkey: Server, tmp_path: Path
) -> None:
    async with running(settings_for(valkey, tmp_path)) as client:
        await client.post("/v1/check", json=FLIGHT)
        answer = (await client.get("/v1/roster")).json()
        found = msgspec.convert(answer, documented.RosterAnswer)
        assert found.decisions["air"]["refer"] == 1
        assert set(found.lists) == {
            *("sx", "xgl", "ndrc-rail-conduct", "ndrc-rail", "ndrc-air", "lift", "bind"),
        }
        assert found.lists["sx"].covered is False
        assert [process.host for process in found.processes]


async def test_a_removal_is_counted_with_its_lag(valkey: Server, tmp_path: Path) -> None:
    async with running(settings_for(valkey, tmp_path)) as client:
        entry = {"list": "sx", "entry_id": "e", "document": PERSON}
        put = {"op": "put", "revision": 1_514_764_800_000, "entry": {}, **entry}
        answer = await client.post("/v1/changes", json={"changes": [put]})
        assert answer.json()["results"][0]["outcome"] == "applied"
        assert (await client.get("/v1/roster")).json()["people"] == 1
        remove = {"op": "remove", "reason": "performed", **entry}
        await client.post("/v1/changes", json={"changes": [remove]})
        told = (await client.get("/v1/roster")).json()
        assert told["people"] == 0
        assert told["entries"] == {"active": 0, "suspended": 0, "removed": 1, "absent": 0}
        assert told["lists"]["sx"]["last_removed_at"] is not None
        assert told["removal_lag_ms"]["count"] == 1
        assert 0 < told["removal_lag_ms"]["service"]["max"] < 5_000


async def test_every_metric_of_the_contract_is_there(valkey: Server, tmp_path: Path) -> None:
    async with running(settings_for(valkey, tmp_path)) as client:
        await client.post("/v1/check", json=FLIGHT)
        answer = await client.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert set(re.findall(r"^# TYPE (\S+)", answer.text, re.MULTILINE)) >= NAMES
        assert 'clearway_checks_total{mode="air",decision="refer"} 1' in answer.text
        assert 'clearway_refers_total{reason="not_covered"} 1' in answer.text
        assert 'clearway_entries{list="sx",state="active"} 0' in answer.text
        for line in answer.text.splitlines():
            assert re.fullmatch(r"#.*|clearway_\w+(\{[^}]*\})? [-+0-9.e]+(inf|nan)?", line), line


async def test_decisions_survive_a_restart(valkey: Server, tmp_path: Path) -> None:
    settings = settings_for(valkey, tmp_path)
    async with running(settings) as client:
        await client.post("/v1/check", json=FLIGHT)
    async with running(settings) as client:
        told = (await client.get("/v1/roster")).json()
        assert told["decisions"]["air"]["refer"] == 1


async def test_a_service_with_another_key_does_not_start(valkey: Server, tmp_path: Path) -> None:
    async with running(settings_for(valkey, tmp_path)) as client:
        entry = {"op": "put", "list": "sx", "entry_id": "e", "revision": 1, "entry": {}}
        await client.post("/v1/changes", json={"changes": [{**entry, "document": PERSON}]})
    other = settings_for(valkey, tmp_path, id_key="cd" * 32)
    with pytest.raises((WrongKey, BaseExceptionGroup)):
        async with running(other):
            pass


async def test_a_lag_is_told_to_within_two_per_cent(valkey: Server) -> None:
    now_ms = 500_000 * HOUR_MS
    async with opened(valkey) as store:
        tallies = CounterStore(store.nodes)
        for lag_ms in range(1, 1_001):
            tallies.lagged("service", lag_ms, now_ms)
        tallies.lagged("service", 5_000, now_ms - 25 * HOUR_MS)
        await tallies.flush(now_ms)
        told = (await tallies.lags(["service"], now_ms))["service"]
        assert told.count == 1_000
        assert told.p50 == pytest.approx(500, rel=0.021)
        assert told.p99 == pytest.approx(990, rel=0.021)
        assert told.max == pytest.approx(1_000, rel=0.021)


async def test_flushes_at_once_send_nothing_twice(valkey: Server) -> None:
    now_ms = 500_000 * HOUR_MS
    async with opened(valkey) as store:
        tallies = CounterStore(store.nodes)
        tallies.count("air", "allow", 7)
        tallies.lagged("service", 5, now_ms, 3)
        await asyncio.gather(*(tallies.flush(now_ms) for _ in range(4)))
        assert (await tallies.decisions())["air"]["allow"] == 7
        assert (await tallies.lags(["service"], now_ms))["service"].count == 3


def test_buckets_hold_what_belongs_in_them() -> None:
    for lag_ms in (0, 0.05, 0.1, 1, 17.3, 1_000, 86_400_000):
        number = bucket(lag_ms)
        assert lag_ms <= bucket_ms(number) * 1.000_1
        assert number == 0 or lag_ms > bucket_ms(number - 1) * 0.999_9


async def test_every_route_is_described(valkey: Server, tmp_path: Path) -> None:
    app = create_app(settings_for(valkey, tmp_path))
    described = {route.path for route in ROUTES}
    served = {route.path for route in app.routes if not route.path.startswith("/schema")}
    assert served - {"/"} == described


def test_the_description_refers_to_nothing_that_is_not_in_it() -> None:
    text = msgspec.json.encode(document()).decode()
    told = document()["components"]["schemas"]
    assert document()["openapi"] == "3.1.0"
    assert set(re.findall(r'"#/components/schemas/([^"]+)"', text)) <= set(told)
    for name, schema in told.items():
        if name in {"Check", "BatchShape", "ChangesShape", "Document"}:
            assert schema["additionalProperties"] is False


async def test_the_page_loads_nothing_from_elsewhere(valkey: Server, tmp_path: Path) -> None:
    async with running(settings_for(valkey, tmp_path)) as client:
        page = await client.get("/schema")
        assert page.status_code == 200
        assert "default-src 'self'" in page.headers["content-security-policy"]
        loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        local = [path for path in loaded if not path.startswith("data:")]
        assert local
        for path in local:
            assert path.startswith("/schema/")
            assert (await client.get(path)).status_code == 200
        answer = await client.get("/schema/openapi.json")
        assert answer.json()["openapi"] == "3.1.0"


async def test_the_description_is_made_once(
    valkey: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = "/schema/openapi.json"
    async with running(settings_for(valkey, tmp_path)) as client:
        first = (await client.get(path)).content
        assert first == msgspec.json.encode(document())
        monkeypatch.setattr(pages, "document", pytest.fail)
        assert (await client.get(path)).content == first
