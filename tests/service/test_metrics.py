"""What /metrics shows is what the manual tells; several workers count as one."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from roster.storage.counters import BY_LOAD, CounterStore
from roster.times import now_ms, parse_time
from service.metrics.counters import BOUNDS_S, Histogram
from service.metrics.families import Family, counter, gauge, histogram, lasting, render, together
from service.routes import roster_metrics
from service.routes.ops import NAMES
from tests.rosters import opened
from tests.servers import eventually
from tests.service.apps import bearer, running, settings_for, started
from tests.service.served import CLEAR, Served
from tests.source import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.servers import Server

PERSON = {"type": "resident_id", "number": "110105180001010010"}
FLIGHT = {"document": PERSON, "journey": {"mode": "air"}}
ENTRY = {"list": "sx", "entry_id": "e", "document": PERSON}
PUT = {"op": "put", "revision": 1_514_764_800_000, "entry": {}, **ENTRY}
SAMPLE = re.compile(r"(clearway_\w+)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
MANUAL = (ROOT / "docs/operations.md").read_text(encoding="utf-8")


def shown(text: str) -> dict[str, str]:
    """The type of every metric, by its name."""
    return dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))


def value(text: str, metric: str, **labels: str) -> float:
    """The sum of this metric's samples that have these labels."""
    found = [SAMPLE.fullmatch(line) for line in text.splitlines() if not line.startswith("#")]
    matching = [
        float(each[3])
        for each in found
        if each is not None
        and each[1] == f"clearway_{metric}"
        and labels.items() <= dict(LABEL.findall(each[2] or "")).items()
    ]
    assert matching, metric
    return sum(matching)


def told() -> dict[str, tuple[str, set[str]]]:
    """Type and labels of every metric in the manual's tables."""
    section = MANUAL.split("\n## Metrics\n", 1)[1].split("\n## ", 1)[0]
    found = {}
    for names, kinds in re.findall(
        r"^\| (`clearway_[^|]+) \| ([a-z, ]+) \|", section, re.MULTILINE
    ):
        each = re.findall(r"`(clearway_\w+)(?:\{([\w,]+)\})?`", names)
        types = kinds.split(", ") if ", " in kinds else [kinds] * len(each)
        for (name, labels), kind in zip(each, types, strict=True):
            found[name] = kind, set(filter(None, labels.split(",")))
    return found


def complaints(text: str) -> str:
    """What Prometheus' own tool says of metrics."""
    command = ["promtool", "check", "metrics"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


async def metrics(client: httpx.AsyncClient) -> str:
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    return answer.text


async def test_the_manual_tells_every_metric_that_is_shown(valkey: Server, tmp_path: Path) -> None:
    async with started(settings_for(valkey, tmp_path)) as (app, client):
        await client.post("/v1/changes", json={"changes": [PUT]})
        await client.post("/v1/check", json=FLIGHT)
        assert await app.state.service.follower.poll()
        app.state.service.canary.lag_ms = 1.0  # none is sent before the lists are there
        text = await metrics(client)
        types = shown(text)
        assert types == {name: kind for name, (kind, _) in told().items()}
        for line in text.splitlines():
            sample = SAMPLE.fullmatch(line)
            if sample is None:
                continue
            name = re.sub(r"_(bucket|sum|count)$", "", sample[1])
            name = name if name in types else sample[1]
            labels = {label for label, _ in LABEL.findall(sample[2] or "")}
            assert labels - {"le"} == told()[name][1], line


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
async def test_prometheus_reads_them(valkey: Server, tmp_path: Path) -> None:
    async with running(settings_for(valkey, tmp_path)) as client:
        await client.post("/v1/changes", json={"changes": [PUT]})
        await client.post("/v1/check", json=FLIGHT)
        text = await metrics(client)
    assert complaints(text) == ""


async def test_every_name_of_degraded_is_shown_and_is_in_the_manual(
    valkey: Server, tmp_path: Path
) -> None:
    async with running(settings_for(valkey, tmp_path)) as client:
        degraded = (await client.get("/readyz")).json()["degraded"]
        text = await metrics(client)
        assert degraded
        for name in NAMES:
            assert value(text, "degraded", name=name) == (name in degraded)
            assert re.search(rf"^\| `{name}[:`]", MANUAL, re.MULTILINE), name
        assert {each.partition(":")[0] for each in degraded} <= set(NAMES)
        assert value(text, "ready") == 0
        assert value(text, "condition", name="covered") == 0
        assert value(text, "condition", name="key") == 1


async def test_changes_are_counted_by_what_became_of_them(valkey: Server, tmp_path: Path) -> None:
    async with running(settings_for(valkey, tmp_path)) as client:
        for change in (PUT, PUT, {**PUT, "document": {"type": "passport", "number": "1"}}):
            await client.post("/v1/changes", json={"changes": [change]})
        text = await metrics(client)
        for outcome in ("applied", "duplicate", "rejected"):
            assert value(text, "changes_total", op="put", outcome=outcome) == 1


async def test_errors_of_redis_are_counted_by_their_code(
    make_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = make_server()
    async with started(settings_for(server, tmp_path)) as (app, client):
        with server.client() as link:
            link.execute_command("ACL", "SETUSER", "default", "-fcall", "-fcall_ro")
        assert not await app.state.service.follower.poll()
        text = await metrics(client)
        assert value(text, "redis_errors_total", code="NOPERM") >= 1
        assert not re.search(r'redis_errors_total{code="(?!NOPERM|NOFUNCTION)', text)


async def test_metrics_of_the_process_need_no_redis(
    make_server: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roster_metrics, "WITHIN_S", 0.05)
    server = make_server()
    async with running(settings_for(server, tmp_path)) as client:
        await metrics(client)  # the key is known now
        server.pause()
        text = await metrics(client)
        server.resume()
        assert value(text, "workers") == 1
        assert value(text, "process_resident_memory_bytes") > 10_000_000
        assert "clearway_people" not in text


async def test_what_loads_remove_does_not_hide_how_fast_a_court_is(
    valkey: Server, tmp_path: Path
) -> None:
    async with opened(valkey) as store:
        counted = CounterStore(store.nodes)
        for leg in ("source", "service"):
            counted.lagged(leg, 86_400_000, now_ms(), 1_935)
            counted.lagged(BY_LOAD + leg, 86_400_000, now_ms(), 1_935)
            counted.lagged(leg, 5, now_ms(), 2)
        await counted.flush(now_ms())
    async with running(settings_for(valkey, tmp_path)) as client:
        lag = (await client.get("/v1/roster")).json()["removal_lag_ms"]
        assert (lag["count"], lag["changes"]["count"], lag["loads"]["count"]) == (1_937, 2, 1_935)
        assert lag["changes"]["source"]["max"] < 6
        assert lag["loads"]["service"]["p50"] > 80_000_000
        text = await metrics(client)
        assert value(text, "load_removal_lag_seconds", leg="source", percentile="99") > 80_000
        assert value(text, "removal_lag_seconds_count", leg="service") == 0


def test_several_processes_become_one() -> None:
    durations = Histogram(BOUNDS_S)
    durations.add(0.003, 2)
    one = [
        counter("made_total", "Made.", "kind", values={"a": 2.0, "b": 1.0}),
        gauge("ready", "Ready.", 1.0, "min"),
        gauge("age_seconds", "Age.", 2.0, "max"),
        gauge("open", "Open.", 3.0),
        histogram("took_seconds", "Took.", {(): durations}),
    ]
    other = [
        counter("made_total", "Made.", "kind", values={"b": 4.0, "c": 1.0}),
        gauge("ready", "Ready.", 0.0, "min"),
        gauge("age_seconds", "Age.", 1.0, "max"),
        gauge("open", "Open.", 4.0),
        histogram("took_seconds", "Took.", {(): durations}),
    ]
    text = render(together([one, other])).decode()
    assert 'clearway_made_total{kind="b"} 5\n' in text
    assert 'clearway_made_total{kind="c"} 1\n' in text
    assert "clearway_ready 0\n" in text
    assert "clearway_age_seconds 2\n" in text
    assert "clearway_open 7\n" in text
    assert 'clearway_took_seconds_bucket{le="0.005"} 4\n' in text
    assert "clearway_took_seconds_sum 0.012\n" in text
    assert text.count("# TYPE") == 5
    ended = render(together([lasting(one), other])).decode()
    assert "clearway_open 4\n" in ended
    assert 'clearway_made_total{kind="a"} 2\n' in ended


def test_a_label_is_written_so_that_it_can_be_read() -> None:
    family = Family("clearway_x", "gauge", "X.").of([((("a", 'q"b\\s\nn'),), 1.5)])
    assert family.written().splitlines()[-1] == 'clearway_x{a="q\\"b\\\\s\\nn"} 1.5'


def pids(supervisor: int) -> set[int]:
    """Its workers."""
    asked = ["ps", "-o", "pid=,args=", "--ppid", str(supervisor)]
    listed = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
    return {int(line.split()[0]) for line in listed.splitlines() if "multiprocessing.spawn" in line}


class Scraped:
    """The metrics of a service, whichever worker answers: no counter ever falls."""

    def __init__(self, url: str, key: str) -> None:
        self._url, self._key = url, key
        self._seen: dict[str, float] = {}

    def text(self) -> str:
        """What a worker says; a connection of its own each time."""
        answer = httpx.get(f"{self._url}/metrics", headers=bearer(self._key), timeout=10)
        assert answer.status_code == 200
        types = shown(answer.text)
        for line in answer.text.splitlines():
            sample = SAMPLE.fullmatch(line)
            if sample is None or types.get(sample[1]) == "gauge":
                continue
            name, now = f"{sample[1]}{{{sample[2]}}}", float(sample[3])
            assert now >= self._seen.get(name, 0), name
            self._seen[name] = now
        return answer.text

    def workers(self) -> float:
        return value(self.text(), "workers")


def check(url: str, key: str) -> None:
    body: Any = {"document": CLEAR, "journey": {"mode": "air"}}
    assert httpx.post(f"{url}/v1/check", json=body, headers=bearer(key), timeout=10).is_success


def test_workers_count_as_one_also_when_they_are_replaced(
    valkey: Server, short_folder: Path
) -> None:
    served = Served(valkey, short_folder)
    served.cover()
    with served.running("--workers", "2") as service:
        scraped = Scraped(service.url, service.key)
        eventually(lambda: scraped.workers() == 2)
        for _ in range(20):
            check(service.url, service.key)
            scraped.text()
        assert value(scraped.text(), "checks_total", mode="air", decision="allow") == 20
        first = pids(service.process.pid)
        assert len(first) == 2
        service.process.send_signal(signal.SIGHUP)
        eventually(lambda: scraped.workers() > 0 and not first & pids(service.process.pid), 60)
        eventually(lambda: scraped.workers() == 2)
        assert value(scraped.text(), "checks_total", mode="air", decision="allow") == 20
        requests = {"method": "POST", "route": "/v1/check", "status": "200"}
        assert value(scraped.text(), "requests_total", **requests) == 20
        os.kill(pids(service.process.pid).pop(), signal.SIGKILL)
        eventually(lambda: scraped.workers() > 0 and len(pids(service.process.pid)) == 2, 60)
        eventually(lambda: scraped.workers() == 2)
        assert value(scraped.text(), "checks_total", mode="air", decision="allow") == 20


def test_a_worker_that_hangs_is_told_of(valkey: Server, short_folder: Path) -> None:
    served = Served(valkey, short_folder)
    served.cover()
    with served.running("--workers", "2") as service:
        scraped = Scraped(service.url, service.key)
        eventually(lambda: scraped.workers() == 2)
        assert value(scraped.text(), "workers_silent") == 0
        hung = pids(service.process.pid).pop()
        os.kill(hung, signal.SIGSTOP)
        try:
            eventually(lambda: value(scraped.text(), "workers_silent") == 1, 60)
            assert scraped.workers() == 1
        finally:
            os.kill(hung, signal.SIGCONT)
        eventually(lambda: scraped.workers() == 2)
        assert value(scraped.text(), "workers_silent") == 0


async def at_once(url: str, key: str, count: int) -> list[int]:
    """The statuses of so many who ask for the metrics at once, each with its own connection."""
    many = httpx.Limits(max_connections=count, max_keepalive_connections=0)
    link: Any = {"base_url": url, "headers": bearer(key), "limits": many, "timeout": 30}
    async with httpx.AsyncClient(**link) as client:
        answers = await asyncio.gather(*(client.get("/metrics") for _ in range(count)))
    return [each.status_code for each in answers]


def test_workers_answer_many_who_ask_at_once(valkey: Server, short_folder: Path) -> None:
    served = Served(valkey, short_folder)
    served.cover()
    with served.running("--workers", "2") as service:
        scraped = Scraped(service.url, service.key)
        eventually(lambda: scraped.workers() == 2)
        assert asyncio.run(at_once(service.url, service.key, 50)) == [200] * 50
        check(service.url, service.key)
        assert value(scraped.text(), "checks_total", mode="air", decision="allow") == 1


def test_requests_are_counted_by_route_and_status_and_no_path_is_kept(
    valkey: Server, short_folder: Path
) -> None:
    served = Served(valkey, short_folder)
    served.cover()
    with served.running() as service, service.client() as client:
        check(service.url, service.key)
        client.post("/v1/check", json={"document": CLEAR})
        client.post("/v1/check", json={}, headers=bearer("nobody"))
        client.get("/v1/110105187001010012")
        client.request("PROPFIND", "/v1/check/batch")
        client.head("/readyz")
        with service.connect() as caller:
            caller.send(b"no request at all\r\n\r\n")
            assert caller.answer()[0] == 400
        client.get("/metrics")
        text = client.get("/metrics").text
        assert "110105187001010012" not in text
        for method, route, status in (
            ("POST", "/v1/check", 200),
            ("POST", "/v1/check", 400),
            ("POST", "/v1/check", 401),
            ("GET", "other", 404),
            ("other", "/v1/check/batch", 405),
            ("HEAD", "/readyz", 200),
            ("other", "other", 400),
            ("GET", "/metrics", 200),
        ):
            labels = {"method": method, "route": route, "status": str(status)}
            assert value(text, "requests_total", **labels) == 1, labels
        assert value(text, "connections") >= 1
        assert value(text, "connections_max") > 8
        lags = "event_loop_lag_seconds_count"
        eventually(lambda: value(client.get("/metrics").text, lags) > 0)
        assert value(text, "process_start_time_seconds") > parse_time("2020-01-01") / 1000
