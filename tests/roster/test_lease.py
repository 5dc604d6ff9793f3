"""A lease with a thread of its own: kept whatever its process does, and known to be lost."""

from __future__ import annotations

import subprocess
import sys
from signal import SIGCONT, SIGSTOP

from roster.redis.connection import change_client
from roster.redis.nodes import open_nodes
from roster.redis.target import parse_target
from roster.storage.lease import HeartbeatLease
from tests.servers import Server, eventually
from tests.source import ROOT

KEY = "lease"
TTL_MS = 3_000
HOLDER = """
import sys
from tests.roster.test_lease import lease
with_ = lease(sys.argv[1])
assert with_.take() is None
print("taken", flush=True)
input()
print(with_.held(), flush=True)
with_.close()
"""


def lease(url: str) -> HeartbeatLease:
    return HeartbeatLease(open_nodes(parse_target(url), change_client), KEY, TTL_MS)


def test_a_lease_outlives_whatever_keeps_its_process_busy(valkey: Server) -> None:
    held = lease(valkey.url)
    assert held.take() is None
    with valkey.client() as client:
        began_ms = _now_ms(client)
        eventually(lambda: _now_ms(client) - began_ms > 2 * TTL_MS)
        assert client.exists(KEY)
        assert held.held()
        held.close()
        assert not client.exists(KEY)


def test_its_thread_does_nothing_while_it_is_at_rest(valkey: Server) -> None:
    held = lease(valkey.url)
    assert held.take() is None
    with valkey.client() as client, held.at_rest():
        eventually(lambda: not client.exists(KEY))
    held.close()


def test_two_at_once_cannot_have_it(valkey: Server) -> None:
    first, second = lease(valkey.url), lease(valkey.url)
    assert first.take() is None
    assert second.take() is not None
    second.close()
    assert first.held()
    first.close()
    third = lease(valkey.url)
    assert third.take() is None
    third.close()


def test_a_lease_that_somebody_else_has_is_lost(valkey: Server) -> None:
    held = lease(valkey.url)
    assert held.take() is None
    with valkey.client() as client:
        client.set(KEY, b"{}")
        eventually(lambda: not held.held())
        held.close()
        assert client.get(KEY) == b"{}"


def test_a_server_that_is_away_for_a_while_costs_no_lease(valkey: Server) -> None:
    held = lease(valkey.url)
    assert held.take() is None
    with valkey.client() as client:
        client.client_pause(TTL_MS // 2)
        began_ms = _now_ms(client)
        eventually(lambda: _now_ms(client) - began_ms > 2 * TTL_MS)
    assert held.held()
    held.close()


def test_who_stood_still_too_long_knows_it_before_anything_is_written(valkey: Server) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, valkey.url],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process, valkey.client() as client:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "taken\n"
        process.send_signal(SIGSTOP)
        eventually(lambda: not client.exists(KEY))
        process.send_signal(SIGCONT)
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "False\n"


def _now_ms(client: object) -> int:
    seconds, microseconds = client.time()  # type: ignore[attr-defined]
    return int(seconds * 1000 + microseconds // 1000)
