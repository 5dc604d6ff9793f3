"""The embedded server lives, and nothing leads to it: its socket is gone, or it stands still."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from roster.embedded.embedded import Embedded, acquire
from roster.errors import EmbeddedError
from tests.roster.test_embedded import User, client, options, running

if TYPE_CHECKING:
    from collections.abc import Iterator

TOLD_S = 5.0
NOT_HUNG_S = 10.0


@contextmanager
def within(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


def lose_socket(server: Embedded) -> None:
    with client(server) as connection:
        connection.set("k", "v")
    server.socket.unlink()


def test_who_comes_is_told_soon_and_who_was_there_ends_the_server(short_folder: Path) -> None:
    with acquire(options(short_folder)) as first:
        pid = first.pid
        lose_socket(first)
        with within(TOLD_S), pytest.raises(EmbeddedError, match=r"socket .* is gone") as caught:
            acquire(options(short_folder))
        assert f"process {pid}" in str(caught.value)
        assert str(first.socket) in str(caught.value)
        assert running(short_folder)
        ending = time.monotonic()
    assert time.monotonic() - ending < TOLD_S
    assert not running(short_folder)
    with acquire(options(short_folder)) as again, client(again) as connection:
        assert connection.get("k") == b"v"


def test_a_server_that_a_killed_user_left_is_ended_and_the_next_one_starts_it(
    short_folder: Path,
) -> None:
    left = User(short_folder)
    _, socket = left.sees()
    left.kill()
    Path(socket.strip()).unlink()
    with within(TOLD_S), pytest.raises(EmbeddedError, match=r"socket .* is gone"):
        acquire(options(short_folder))
    assert not running(short_folder)
    with acquire(options(short_folder)) as again, client(again) as connection:
        assert connection.ping()


def test_whoever_is_cut_off_for_good_starts_the_server_again(short_folder: Path) -> None:
    with acquire(options(short_folder)) as server:
        pid = server.pid
        lose_socket(server)
        with within(NOT_HUNG_S):
            server.ensure(renew=True)
        assert server.pid != pid
        with client(server) as connection:
            assert connection.get("k") == b"v"


def test_a_stopped_server_is_told_soon_and_hangs_nobody(short_folder: Path) -> None:
    server = acquire(options(short_folder))
    pid = server.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        with within(NOT_HUNG_S), pytest.raises(EmbeddedError, match=f"{pid}.* is silent"):
            acquire(options(short_folder))
        with within(NOT_HUNG_S), pytest.raises(EmbeddedError, match="does not end"):
            server.close()
    finally:
        os.kill(pid, signal.SIGCONT)
    with acquire(options(short_folder)):
        pass
    assert not running(short_folder)
