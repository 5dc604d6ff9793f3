"""Restarts lose nothing: draining, workers replaced under load, and slow starts."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.servers import eventually
from tests.service.apps import bearer
from tests.service.served import LISTED, Served
from tests.service.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers import Server
    from tests.service.served import Running

RATE = 300
ROUNDS = 2
LONG_ROUNDS = 20
PUT: dict[str, Any] = {
    "op": "put",
    "list": "sx",
    "entry_id": "e",
    "revision": 1_514_764_800_000,
    "document": LISTED,
    "entry": {},
}


@pytest.fixture
def service(valkey: Server, short_folder: Path) -> Served:
    made = Served(valkey, short_folder, drain_s="2", redis_timeout_ms="500")
    made.cover()
    return made


def test_a_process_that_ends_says_so_and_serves_on(service: Served) -> None:
    with service.running() as running, running.connect() as caller, running.connect() as idle:
        assert caller.ask(caller.check())[1].get("connection") != "close"
        assert idle.ask(idle.check())[0] == 200
        running.process.send_signal(signal.SIGTERM)
        eventually(lambda: running.readyz()[0] == 503)
        status, told = running.readyz()
        assert (status, told["conditions"]["draining"]["ok"]) == (503, False)
        status, headers, body = caller.ask(caller.check())
        assert (status, json.loads(body)["decision"]) == (200, "allow")
        assert headers["connection"] == "close"
        assert caller.answer()[0] == 0
        with running.connect() as newcomer:
            assert newcomer.ask(newcomer.check())[0] == 200
        status, headers, _ = idle.ask(idle.check())
        assert (status, headers["connection"]) == (200, "close")
        running.process.wait(10)


def test_an_instance_that_is_told_twice_ends_at_once(valkey: Server, short_folder: Path) -> None:
    patient = Served(valkey, short_folder, drain_s="60")
    patient.cover()
    with patient.running() as running:
        running.process.send_signal(signal.SIGTERM)
        eventually(lambda: running.readyz()[0] == 503)
        running.process.send_signal(signal.SIGTERM)
        running.process.wait(10)


def test_who_has_sent_half_a_request_holds_up_no_end(valkey: Server, short_folder: Path) -> None:
    service = Served(valkey, short_folder)
    service.cover()
    with service.running() as running, running.connect() as slow, running.connect() as quick:
        slow.send(slow.check()[:40])
        assert quick.ask(quick.check())[0] == 200
        running.process.send_signal(signal.SIGTERM)
        assert slow.answer()[0] == 408  # as ever, 10 s after its first byte
        running.process.wait(5)
        assert "cut off" not in running.log


def test_a_long_poll_ends_with_an_empty_page(service: Served) -> None:
    with service.running() as running:
        answers: list[httpx.Response] = []
        query = {"after": position(running), "wait_ms": "30000"}

        def poll() -> None:
            with running.client() as client:
                answers.append(client.get("/v1/changes", params=query, timeout=40))

        thread = threading.Thread(target=poll)
        thread.start()
        eventually(lambda: open_connections(running) > 0)
        begun = time.monotonic()
        running.end()
        thread.join(10)
        assert time.monotonic() - begun < 8
        (answer,) = answers
        assert answer.status_code == 200
        assert answer.json()["changes"] == []
        assert answer.json()["position"]


def test_an_open_change_is_finished(service: Served, tmp_path: Path) -> None:
    """It waits for a process that is stopped, and is answered, though its own process ends."""
    with service.running() as running, service.running() as other:
        os.kill(other.process.pid, signal.SIGSTOP)
        try:
            answers: list[httpx.Response] = []

            def change() -> None:
                body: dict[str, Any] = {"changes": [PUT], "wait": "all", "timeout_ms": 3_500}
                with running.client() as client:
                    answers.append(client.post("/v1/changes", json=body))

            thread = threading.Thread(target=change)
            thread.start()
            eventually(lambda: open_connections(running) > 0)
            running.end()
            thread.join(10)
        finally:
            os.kill(other.process.pid, signal.SIGCONT)
        (answer,) = answers
        assert answer.status_code == 200
        assert answer.json()["results"][0]["outcome"] == "applied"


def position(running: Running) -> str:
    with running.client() as client:
        text: str = client.get("/v1/changes", params={"after": "now"}).json()["position"]
    return text


def open_connections(running: Running) -> int:
    """Established TCP connections to it, as the kernel counts them."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    port = f"{running.port:04X}"
    return sum(row[1].endswith(f":{port}") and row[3] == "01" for row in rows)


def put_listed(running: Running) -> None:
    answer = httpx.post(
        f"{running.url}/v1/changes", json={"changes": [PUT]}, headers=bearer(running.key)
    )
    assert answer.is_success


@pytest.mark.timeout(600)
@pytest.mark.parametrize("rounds", [ROUNDS, pytest.param(LONG_ROUNDS, marks=pytest.mark.soak)])
async def test_instances_are_replaced_one_by_one_and_nobody_notices(
    service: Served, rounds: int
) -> None:
    with ExitStack() as first, ExitStack() as second:
        stacks = [first, second]
        running = [await entered(stack, service) for stack in stacks]
        put_listed(running[0])
        traffic = Traffic([each.port for each in running], service.key, RATE)
        async with traffic.running():
            for number in range(rounds):
                place = number % 2
                await asyncio.to_thread(stacks[place].close)
                running[place] = await entered(stacks[place], service)
                traffic.ports[place] = running[place].port
                await enough(traffic, 200)
        assert set(traffic.told) == {"allow", "deny", "listed"}, traffic.told


async def entered(stack: ExitStack, service: Served) -> Running:
    return await asyncio.to_thread(stack.enter_context, service.running())


async def enough(traffic: Traffic, more: int) -> None:
    """Wait for so many more answers."""
    wanted = traffic.told.total() + more
    async with asyncio.timeout(30):
        while traffic.told.total() < wanted:  # noqa: ASYNC110 -- the answers ring no bell
            await asyncio.sleep(0.02)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("rounds", [ROUNDS, pytest.param(LONG_ROUNDS, marks=pytest.mark.soak)])
async def test_workers_are_replaced_one_by_one_and_nobody_notices(
    service: Served, rounds: int
) -> None:
    with service.running("--workers", "2") as running:
        put_listed(running)
        traffic = Traffic([running.port], service.key, RATE)
        async with traffic.running():
            for number in range(rounds):
                running.process.send_signal(signal.SIGHUP)
                done = 2 * (number + 1)
                await asyncio.to_thread(eventually, ended(running, done), 60)
        assert set(traffic.told) == {"allow", "deny", "listed"}, traffic.told


def ended(running: Running, count: int) -> Callable[[], bool]:
    return lambda: running.log.count("Finished server process") >= count


def test_workers_that_start_slowly_are_not_killed(valkey: Server, short_folder: Path) -> None:
    """An import that takes longer than uvicorn's supervisor would wait."""
    slow = short_folder / "slow"
    slow.mkdir()
    (slow / "sitecustomize.py").write_text(
        "import sys, time\nif '--multiprocessing-fork' in sys.orig_argv: time.sleep(7)\n"
    )
    service = Served(valkey, short_folder)
    service.cover()
    service.environ["PYTHONPATH"] = str(slow)
    with service.running("--workers", "3") as running:
        eventually(lambda: running.log.count("Application startup complete") == 3)
        assert "died" not in running.log
        assert running.log.count("Started server process") == 3


def test_a_worker_that_dies_is_started_again(service: Served) -> None:
    with service.running("--workers", "2") as running:
        eventually(lambda: running.log.count("Application startup complete") == 2)
        pid = int(running.log.partition("Started server process [")[2].partition("]")[0])
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: running.log.count("Application startup complete") == 3)
        assert running.ready()


def test_workers_end_with_their_supervisor(service: Served) -> None:
    with service.running("--workers", "2") as running:
        eventually(lambda: running.log.count("Application startup complete") == 2)
        running.end(signal.SIGKILL)
        eventually(lambda: running.log.count("Finished server process") == 2)


def test_a_service_before_an_empty_roster_says_what_it_lacks(
    valkey: Server, short_folder: Path
) -> None:
    with Served(valkey, short_folder).running(wait=False) as running:
        eventually(lambda: running.readyz()[0] != 0)
        assert running.readyz()[1]["conditions"]["covered"]["ok"] is False


def test_a_service_without_a_server_says_so(
    make_server: Callable[..., Server], short_folder: Path
) -> None:
    server = make_server()
    service = Served(server, short_folder)
    server.stop()
    with service.running(wait=False) as running:
        eventually(lambda: running.readyz()[0] != 0)
        assert running.readyz()[1]["ready"] is False
