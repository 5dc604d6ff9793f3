"""Commands that speak HTTP before a service that is silent, or not there: told soon, and where."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

import clearway
from tests.faults import test_unreachable
from tests.servers import free_port
from tests.service.served import LISTED, Served
from tests.source import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.servers import Server

TOLD_S, DEAD_S = 10.0, 3.0
START_S = 15.0
"""How long interpreters may take to start, on a machine that other tests keep busy; before, the
commands waited for 40 s and more."""
DOCUMENT = ("--type", "resident_id", "--number", "-")
BY_HAND = (*DOCUMENT, "--list", "sx", "--entry-id", "e1")
COMMANDS = {
    "check": ["check", *DOCUMENT, "--mode", "air"],
    "find": ["find", *DOCUMENT],
    "remove": ["remove", *BY_HAND],
    "suspend": ["suspend", *BY_HAND],
    "resume": ["resume", *BY_HAND],
    "reinstate": ["reinstate", *BY_HAND],
    "push": ["push", "-"],
    "status": ["status"],
    "audit": ["audit"],
}
CHANGE = {"op": "remove", "list": "sx", "entry_id": "e1", "document": LISTED, "reason": "settled"}
NO_SERVER = {"demo", "generate", "sign"}
GO_ON = {"serve", "watch"}
"""These wait for a server, and say so in the log."""


def run(
    url: str, command: list[str], key: str = "cw_0123456789ab_" + "k" * 43
) -> tuple[float, subprocess.CompletedProcess[str]]:
    """How long a command took, and what came of it."""
    plain = {name: text for name, text in os.environ.items() if not name.startswith("CLEARWAY_")}
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, str(ROOT / "clearway.py"), *command],
        cwd=ROOT,
        env=plain | {"CLEARWAY_URL": url, "CLEARWAY_API_KEY": key, "LC_ALL": "C.UTF-8"},
        input=json.dumps(CHANGE) if command[0] == "push" else LISTED["number"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    taken_s = time.monotonic() - began
    assert "Traceback" not in done.stderr
    assert LISTED["number"] not in done.stdout + done.stderr
    return taken_s, done


def all_run(url: str, *key: str) -> Mapping[str, tuple[float, subprocess.CompletedProcess[str]]]:
    with ThreadPoolExecutor(len(COMMANDS)) as threads:
        found = threads.map(lambda command: run(url, command, *key), COMMANDS.values())
        return dict(zip(COMMANDS, found, strict=True))


def test_every_command_is_in_one_of_these_tables() -> None:
    to_redis = {
        command[0] for command in (test_unreachable.COMMANDS | test_unreachable.OTHERS).values()
    }
    assert set(clearway.COMMANDS) == set(COMMANDS) | to_redis | NO_SERVER | GO_ON


def test_every_command_says_that_the_service_is_silent() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        for name, (taken_s, done) in all_run(url).items():
            assert taken_s < TOLD_S + START_S, name
            assert done.returncode == 1, name
            assert url in done.stderr, name
            assert "no answer in time" in done.stderr, name


@pytest.mark.parametrize("name", ["push", "status"])
def test_a_port_on_which_nobody_listens_is_told_at_once(name: str) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    taken_s, done = run(url, COMMANDS[name])
    assert taken_s < DEAD_S + START_S
    assert (done.returncode, done.stdout) == (1, "")
    assert url in done.stderr
    assert "Connection refused" in done.stderr


def test_every_command_ends_though_redis_is_silent_behind_the_service(
    make_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = make_server()
    service = Served(server, tmp_path)
    service.cover()
    with service.running() as running:
        server.pause()
        try:
            found = all_run(running.url, service.key)
        finally:
            server.resume()
    for name, (taken_s, done) in found.items():
        assert taken_s < TOLD_S + START_S, name
        if name == "check":  # the filters answer for who is on no list
            assert (done.returncode, done.stdout) == (0, "allow\n")
        else:
            assert done.returncode == 1, name
            assert "503" in done.stderr, name
            assert running.url in done.stderr, name
