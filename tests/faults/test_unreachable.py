"""Commands before a Redis that cannot be reached: told where and why, and soon."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest

from tests.faults.clusters import HOST, running_cluster, running_sentinels
from tests.servers import Server, free_port
from tests.source import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

TOLD_S = 10.0
START_S = 5.0
"""How long the interpreter may take to start, on a machine that other tests keep busy."""
ID_KEY = "5a" * 32
COMMANDS = {
    "keys": ["keys", "list"],
    "create": ["keys", "create", "--name", "n", "--scopes", "check"],
    "lists": ["lists"],
    "disable": ["lists", "disable", "sx", "--reason", "r"],
    "accept": ["accept", "--reason", "r"],
    "load": ["load", "-", "--list", "sx", "--as-of", "2020-01-01T00:00:00Z"],
    "verify": ["verify", "-", "--list", "sx"],
}

OTHERS = {
    "loads": ["loads"],
    "undo": ["undo", "1"],
    "restored": ["restored"],
    "rotate": ["keys", "rotate", "0123456789ab"],
    "revoke": ["keys", "revoke", "0123456789ab"],
    "enable": ["lists", "enable", "sx"],
    "functions": ["functions"],
}
"""Those that begin as the ones above do."""


def told(url: str, folder: Path, command: list[str]) -> str:
    """What the command says, when it has ended with status 1 in time."""
    plain = {name: text for name, text in os.environ.items() if not name.startswith("CLEARWAY_")}
    own = {"REDIS_URL": url, "ID_KEY": ID_KEY, "DATA_DIR": str(folder)}
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, str(ROOT / "clearway.py"), *command],
        cwd=ROOT,
        env={**plain, **{f"CLEARWAY_{name}": text for name, text in own.items()}},
        input="entry_id,document_type,document_number\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert time.monotonic() - began < TOLD_S + START_S
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


@contextmanager
def stopped(make_server: Callable[..., Server]) -> Iterator[int]:
    port = free_port()
    server = make_server({"port": str(port), "bind": HOST})
    server.pause()
    try:
        yield port
    finally:
        server.resume()


def all_told(
    url: str, folder: Path, commands: Mapping[str, list[str]] = MappingProxyType(COMMANDS)
) -> list[str]:
    """What each command says; they run at the same time."""
    with ThreadPoolExecutor() as threads:
        return list(threads.map(lambda command: told(url, folder, command), commands.values()))


def test_every_command_says_that_the_server_is_silent(
    make_server: Callable[..., Server], tmp_path: Path
) -> None:
    with stopped(make_server) as port:
        for said in all_told(f"redis://{HOST}:{port}", tmp_path, COMMANDS | OTHERS):
            assert f"{HOST}:{port}: no answer in time" in said


@pytest.mark.parametrize("name", ["keys", "load"])
def test_a_command_says_that_nobody_listens(tmp_path: Path, name: str) -> None:
    port = free_port()
    said = told(f"redis://{HOST}:{port}", tmp_path, COMMANDS[name])
    assert f"{HOST}:{port}: Connection refused" in said


@pytest.mark.parametrize("name", ["keys", "load"])
def test_a_command_says_that_there_is_no_such_socket(tmp_path: Path, name: str) -> None:
    said = told(f"unix://{tmp_path}/none.sock", tmp_path, COMMANDS[name])
    assert f"{tmp_path}/none.sock: No such file or directory" in said


@pytest.mark.parametrize("name", ["keys", "load"])
def test_a_command_says_that_there_is_no_such_host(tmp_path: Path, name: str) -> None:
    said = told("redis://no-such-host.invalid:6379", tmp_path, COMMANDS[name])
    assert "no-such-host.invalid:6379: " in said


def test_every_command_says_that_there_is_no_such_database(
    make_server: Callable[..., Server], tmp_path: Path
) -> None:
    port = free_port()
    make_server({"port": str(port), "bind": HOST})
    for said in all_told(f"redis://{HOST}:{port}/99", tmp_path):
        assert "CLEARWAY_REDIS_URL names a database that its server does not have" in said


def test_the_service_does_not_start_on_a_database_that_is_not_there(
    make_server: Callable[..., Server], tmp_path: Path
) -> None:
    port = free_port()
    make_server({"port": str(port), "bind": HOST})
    serve = ["serve", "--port", str(free_port())]
    said = told(f"redis://{HOST}:{port}/99", tmp_path, serve)
    assert "CLEARWAY_REDIS_URL names a database that its server does not have" in said


@pytest.mark.parametrize("password", ["", "us:wrong@"])
def test_a_command_says_that_it_was_not_let_in(
    make_server: Callable[..., Server], tmp_path: Path, password: str
) -> None:
    port = free_port()
    server = make_server({"port": str(port), "bind": HOST})
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "us", "on", ">right", "~*", "+@all")
        client.execute_command("ACL", "SETUSER", "default", "resetpass", ">right")
    try:
        said = told(f"redis://{password}{HOST}:{port}", tmp_path, COMMANDS["keys"])
    finally:
        server.kill()
    assert f"{HOST}:{port}: it said {'WRONGPASS' if password else 'NOAUTH'}" in said
    assert "wrong" not in said


def test_a_command_says_which_sentinels_are_silent(
    make_server: Callable[..., Server], tmp_path: Path
) -> None:
    with ExitStack() as stack:
        silent, gone = stack.enter_context(stopped(make_server)), free_port()
        url = f"redis+sentinel://{HOST}:{silent},{HOST}:{gone}/roster"
        said = told(url, tmp_path, COMMANDS["load"])
    assert f"{HOST}:{silent}: no answer in time" in said
    assert f"{HOST}:{gone}: Connection refused" in said


def test_a_command_says_that_the_primary_is_silent_or_not_known(
    valkey_binary: str, tmp_path: Path
) -> None:
    with running_sentinels(valkey_binary) as sentinels:
        unknown = sentinels.url.replace("/roster", "/nobody")
        assert "no service nobody" in told(unknown, tmp_path, COMMANDS["keys"])
        for member in sentinels.members:
            member.server.pause()
        port = sentinels.members[0].port
        said = told(sentinels.url, tmp_path, COMMANDS["load"])
        assert f"{HOST}:{port}, the primary that it names, no answer in time" in said
        for member in sentinels.members:
            member.server.resume()


def test_a_command_says_which_node_of_a_cluster_is_silent(
    valkey_binary: str, tmp_path: Path
) -> None:
    with running_cluster(valkey_binary, {"cluster-node-timeout": "60000"}) as cluster:
        lost = cluster.members[1]
        lost.server.pause()
        said = told(cluster.url, tmp_path, COMMANDS["load"])
        lost.server.resume()
    assert f"{HOST}:{lost.port}: no answer in time" in said
