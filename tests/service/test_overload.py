"""More requests at once than a process can answer: the rest is refused, and nobody is referred."""

from __future__ import annotations

import json
import os
import signal
from contextlib import ExitStack
from selectors import EVENT_READ, DefaultSelector
from typing import TYPE_CHECKING

from service.server.admission import CONTENDED
from tests.service.served import CLEAR, LISTED, Served

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server

PUT = {
    "op": "put",
    "list": "sx",
    "entry_id": "e",
    "revision": 1_514_764_800_000,
    "document": LISTED,
    "entry": {},
}


def changes(op: str, number: int) -> bytes:
    change = PUT | {"op": op, "entry_id": f"other/{number}", "document": CLEAR}
    if op == "remove":
        del change["entry"]
    return json.dumps({"changes": [change]}).encode()


def test_what_is_too_much_is_refused_and_nobody_is_referred(
    valkey: Server, short_folder: Path
) -> None:
    service = Served(valkey, short_folder, redis_timeout_ms="250")
    service.cover()
    with service.running() as running, ExitStack() as stack:
        with running.connect() as caller:
            body = json.dumps({"changes": [PUT], "wait": "all"}).encode()
            assert caller.ask(caller.request("POST", "/v1/changes", body))[0] == 200
        callers = [stack.enter_context(running.connect()) for _ in range(1_200)]
        removers = [stack.enter_context(running.connect()) for _ in range(20)]
        probers = [stack.enter_context(running.connect()) for _ in range(20)]
        for caller in (*callers, *removers, *probers):  # all of them are known
            assert caller.ask(caller.request("GET", "/healthz"))[0] == 200
        os.kill(running.process.pid, signal.SIGSTOP)  # they all come within one moment
        for number, caller in enumerate(callers):
            caller.send(caller.check(LISTED if number % 2 else CLEAR))
        for number, caller in enumerate(removers):
            caller.send(caller.request("POST", "/v1/changes", changes("remove", number)))
        for caller in probers:
            caller.send(caller.request("GET", "/readyz"))
        os.kill(running.process.pid, signal.SIGCONT)
        answers = [caller.answer() for caller in callers]
        assert [caller.answer()[0] for caller in (*removers, *probers)] == [200] * 40
        for number, (status, headers, content) in enumerate(answers):
            told = json.loads(content)
            if status == 200:
                assert told["decision"] == ("deny" if number % 2 else "allow"), told
            else:
                assert status == 429
                assert 1 <= int(headers["retry-after"]) <= 2
        refused = [json.loads(content) for status, _, content in answers if status == 429]
        # Whoever waits unread may find a place yet: that any is turned away depends on the machine.
        assert len(refused) < 1_000
        assert len({each["retry_after_ms"] for each in refused}) >= len(refused) / 3
        for caller in callers:  # and all is well again
            assert caller.ask(caller.check())[0] == 200
        with running.client() as client:
            metric = f"clearway_refused_total {len(refused)}"
            assert metric in client.get("/metrics").text


def test_who_has_waited_unread_is_turned_away_and_counted(
    valkey: Server, short_folder: Path
) -> None:
    service = Served(valkey, short_folder, redis_timeout_ms="2000")
    service.cover()
    with service.running() as running, ExitStack() as stack, DefaultSelector() as heard:
        with running.connect() as caller:
            body = json.dumps({"changes": [PUT], "wait": "all"}).encode()
            assert caller.ask(caller.request("POST", "/v1/changes", body))[0] == 200
        callers = [stack.enter_context(running.connect()) for _ in range(CONTENDED + 40)]
        for caller in callers:
            assert caller.ask(caller.request("GET", "/healthz"))[0] == 200
            heard.register(caller.socket, EVENT_READ)
        valkey.pause()  # each keeps its place
        try:
            for caller in callers:
                caller.send(caller.check(LISTED))
            assert heard.select(20)
        finally:
            valkey.resume()
        statuses = [caller.answer()[0] for caller in callers]
        assert set(statuses) == {200, 429}
        with running.client() as client:
            told = client.get("/metrics").text.splitlines()
        count, check = statuses.count(429), 'method="POST",route="/v1/check"'
        assert f"clearway_refused_total {count}" in told
        assert f'clearway_requests_total{{{check},status="429"}} {count}' in told


def test_callers_who_are_slow_keep_no_place_from_others(valkey: Server, short_folder: Path) -> None:
    service = Served(valkey, short_folder)
    service.cover()
    with service.running() as running, ExitStack() as stack:
        slow = [stack.enter_context(running.connect()) for _ in range(700)]
        for number, each in enumerate(slow):
            rest = b" " * (3 << 20 if number == 0 else 70_000 if number % 9 == 0 else 200)
            path = "/v1/check" if number % 2 else "/v1/check/batch"
            each.send(each.request("POST", path, rest)[:-100])
        with running.connect() as caller:
            assert caller.ask(caller.check())[0] == 200
            for each in slow[:20]:
                each.send(b" " * 100)
                assert each.answer()[0] == 400
                assert each.ask(each.check())[0] == 200
            assert caller.ask(caller.check())[0] == 200


def test_who_asks_before_sending_a_body_is_told_to_go_on(
    valkey: Server, short_folder: Path
) -> None:
    service = Served(valkey, short_folder)
    service.cover()
    with service.running() as running, running.connect() as caller:
        whole = caller.check(CLEAR, "Expect: 100-continue")
        head, _, body = whole.partition(b"\r\n\r\n")
        caller.send(head + b"\r\n\r\n")
        assert caller.socket.recv(1_024) == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert caller.ask(body)[0] == 200


def test_requests_that_are_sent_without_waiting_are_answered_in_order(
    valkey: Server, short_folder: Path
) -> None:
    service = Served(valkey, short_folder)
    service.cover()
    with service.running() as running, running.connect() as caller:
        probe = caller.request("GET", "/readyz")
        mixed = [caller.check(), probe, caller.check(LISTED), caller.request("GET", "/nowhere")]
        caller.send(b"".join(mixed) * 20)
        assert [caller.answer()[0] for _ in range(80)] == [200, 200, 200, 404] * 20
