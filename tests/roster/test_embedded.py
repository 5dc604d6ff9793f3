"""The embedded server: one for all commands of a folder, whoever dies first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from roster.embedded import embedded, locks
from roster.embedded.embedded import Embedded, EmbeddedOptions, acquire
from roster.errors import EmbeddedError
from tests.servers import REDIS7, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

USER = """
import sys
from pathlib import Path
from roster.embedded.embedded import EmbeddedOptions, acquire
with acquire(EmbeddedOptions(data_dir=Path(sys.argv[1]))) as embedded:
    print(embedded.pid, embedded.socket, flush=True)
    sys.stdin.read()
"""

HOLDER = """
import sys
from tests.loader.lease_holder import hold
hold(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


class User:
    """Another command with the same data folder, in a process of its own."""

    def __init__(self, folder: Path, **env: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **env},
        )

    def sees(self) -> list[str]:
        """The server's pid and socket."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().split(maxsplit=1)

    def end(self) -> None:
        self.process.communicate(timeout=30)

    def kill(self) -> None:
        self.process.kill()
        self.end()


@contextmanager
def users(count: int, folder: Path) -> Iterator[list[User]]:
    started = [User(folder) for _ in range(count)]
    try:
        yield started
    finally:
        for user in started:
            user.end()


def options(folder: Path) -> EmbeddedOptions:
    return EmbeddedOptions(data_dir=folder)


def running(folder: Path) -> bool:
    lock = locks.take_if_free(folder / "server.lock")
    if lock is not None:
        os.close(lock)
    return lock is None


def client(server: Embedded) -> redis.Redis:
    return redis.Redis(unix_socket_path=str(server.socket), protocol=2, retry=Retry(NoBackoff(), 0))


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def test_the_data_outlives_the_server(short_folder: Path) -> None:
    with acquire(options(short_folder)) as first, client(first) as connection:
        connection.set("k", "v")
    assert not running(short_folder)
    with acquire(options(short_folder)) as second, client(second) as connection:
        assert connection.get("k") == b"v"
        assert second.socket == short_folder / "valkey.sock"


def test_the_last_user_ends_it_not_the_first(short_folder: Path) -> None:
    first, second = acquire(options(short_folder)), acquire(options(short_folder))
    assert first.pid == second.pid
    first.close()
    first.close()
    second.ensure()
    second.close()
    assert not running(short_folder)


def test_commands_that_start_together_share_one_server(short_folder: Path) -> None:
    with users(4, short_folder) as started:
        assert len({tuple(user.sees()) for user in started}) == 1
    assert not running(short_folder)


def test_a_crashed_server_is_started_again_with_its_data(short_folder: Path) -> None:
    with acquire(options(short_folder)) as server, client(server) as connection:
        connection.set("k", "v")
        crashed = server.pid
        kill(crashed)
        eventually(lambda: not running(short_folder))
        server.ensure()
        assert server.pid != crashed
        assert connection.get("k") == b"v"


def test_a_user_restarts_what_another_user_started(short_folder: Path) -> None:
    with users(1, short_folder) as (starter,):
        starter.sees()
        with acquire(options(short_folder)) as server:
            kill(server.pid)
            server.ensure()
            starter.end()
            server.ensure()
    assert not running(short_folder)


def test_a_killed_commands_server_is_found_and_ended_by_the_next(short_folder: Path) -> None:
    user = User(short_folder)
    pid, _ = user.sees()
    user.kill()
    assert running(short_folder)
    with acquire(options(short_folder)) as server:
        assert server.pid == int(pid)
    assert not running(short_folder)


def test_a_second_is_never_started_beside_a_silent_one(
    short_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_ANSWER_TIMEOUT_S", 0.05)
    with acquire(options(short_folder)) as server:
        os.kill(server.pid, signal.SIGSTOP)
        try:
            with pytest.raises(EmbeddedError, match="silent"):
                acquire(EmbeddedOptions(data_dir=short_folder, timeout_s=0.3))
        finally:
            os.kill(server.pid, signal.SIGCONT)
        server.ensure()
        assert len(processes(short_folder)) == 1


def processes(folder: Path) -> list[Path]:
    """The processes that work in this folder; only servers do."""
    return [link for link in Path("/proc").glob("[0-9]*/cwd") if works_in(link, folder)]


def works_in(link: Path, folder: Path) -> bool:
    try:
        return link.readlink() == folder
    except OSError:  # it has ended, or is another user's
        return False


def test_a_forks_copy_ends_nothing(short_folder: Path) -> None:
    script = USER.replace("    sys.stdin.read()", FORK)
    done = subprocess.run(
        [sys.executable, "-c", script, str(short_folder)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "still there"
    assert not running(short_folder)


FORK = """
    import os
    if (child := os.fork()) == 0:
        embedded.close()
        os._exit(0)
    os.waitpid(child, 0)
    embedded.ensure()
    print("still there")
"""


def test_a_terminals_interrupt_does_not_reach_it(short_folder: Path) -> None:
    with acquire(options(short_folder)) as server:
        assert os.getsid(server.pid) == server.pid


def test_our_secrets_do_not_reach_it(
    short_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLEARWAY_ID_KEY", "00" * 32)
    spy, seen = tmp_path / "spy", tmp_path / "seen"
    version = "Valkey server v=9.0.0 sha=0"
    spy.write_text(f"#!/bin/sh\necho '{version}'\n[ $1 = --version ] || /usr/bin/env > {seen}\n")
    spy.chmod(0o700)
    with pytest.raises(EmbeddedError, match="ended at once"):
        acquire(EmbeddedOptions(data_dir=short_folder, server=str(spy)))
    environment = seen.read_text()
    assert "LC_ALL=C\n" in environment
    assert "CLEARWAY" not in environment


@pytest.mark.parametrize("binary", [None, REDIS7])
def test_it_is_set_up_to_keep_what_it_acknowledged(short_folder: Path, binary: str | None) -> None:
    if binary is not None and not Path(binary).exists():
        pytest.skip(f"no {binary} here")
    own = EmbeddedOptions(data_dir=short_folder, server=binary)
    with acquire(own) as server, client(server) as connection:
        settings = connection.config_get("*")
    expected = {
        "port": "0",
        "save": "",
        "appendonly": "yes",
        "appendfsync": "always",
        "maxmemory-policy": "noeviction",
        "hash-max-listpack-entries": "512",
        "hash-max-listpack-value": "8192",
        "unixsocketperm": "700",
        "rdbcompression": "no",
    }
    assert expected.items() <= settings.items()


def test_what_a_killed_load_left_is_put_right_by_the_next_user(short_folder: Path) -> None:
    with acquire(options(short_folder)) as first, client(first) as connection:
        connection.config_set("appendfsync", "everysec")
        with acquire(options(short_folder)):
            assert connection.config_get("appendfsync") == {"appendfsync": "always"}


@pytest.mark.parametrize(("alive", "percentage"), [(True, "0"), (False, "100")])
def test_the_log_is_rewritten_again_once_the_load_is_dead(
    short_folder: Path, alive: bool, percentage: str
) -> None:
    name = "auto-aof-rewrite-percentage"
    with acquire(options(short_folder)) as server, client(server) as connection:
        assert connection.config_get(name) == {name: "100"}
        loading = subprocess.Popen(
            [sys.executable, "-c", HOLDER, server.url], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert loading.stdout is not None
        assert loading.stdout.readline() == "held\n"
        connection.config_set(name, "0")
        if not alive:
            loading.kill()
            loading.wait()
        with acquire(options(short_folder)):
            assert connection.config_get(name) == {name: percentage}
        connection.config_set(name, "0")
        server.put_right()
        assert connection.config_get(name) == {name: percentage}
        loading.kill()
        loading.communicate()


def test_a_log_that_has_doubled_is_rewritten_in_a_quiet_moment(short_folder: Path) -> None:
    with acquire(options(short_folder)) as server, client(server) as connection:
        for _ in range(9):
            connection.set("big", bytes(8 << 20))
        server.rewrite_if_quiet()  # as much was written since the last look as there is
        persistence = connection.info("persistence")
        assert not persistence["aof_rewrite_in_progress"]
        assert persistence["aof_current_size"] > 64 << 20
        server.rewrite_if_quiet()
        eventually(lambda: connection.info("persistence")["aof_current_size"] < 16 << 20)


def test_one_killed_while_it_starts_is_started_again(
    short_folder: Path, tmp_path: Path, valkey_binary: str
) -> None:
    once, seen = tmp_path / "once", tmp_path / "seen"
    once.write_text(
        f"#!/bin/sh\n[ $1 = --version ] || [ -e {seen} ] || {{ touch {seen}; kill -9 $$; }}\n"
        f'exec {valkey_binary} "$@"\n'
    )
    once.chmod(0o700)
    with acquire(EmbeddedOptions(data_dir=short_folder, server=str(once))) as server:
        server.ensure()
    assert seen.exists()


def test_a_long_path_gets_a_short_socket_that_all_agree_on(short_folder: Path) -> None:
    folder = short_folder / ("long" * 30)
    with acquire(options(folder)) as server:
        assert len(os.fsencode(server.socket)) <= 107
        assert server.socket.parent.stat().st_mode & 0o077 == 0
        user = User(folder, TMPDIR=str(short_folder))
        assert user.sees() == [str(server.pid), f"{server.socket}\n"]
        user.end()
        server.ensure()
    server.socket.parent.rmdir()


def test_any_folder_name_will_do(short_folder: Path) -> None:
    folder = short_folder / os.fsdecode(b'two "words" \\ \xe5\xbc\xa0 \xff %41 #')
    with acquire(options(folder)) as server, client(server) as connection:
        assert connection.ping()
        assert (folder / "appendonlydir").is_dir()


def test_only_we_can_read_what_it_writes(short_folder: Path) -> None:
    folder = short_folder / "data"
    with acquire(options(folder)):
        modes = {path.name: path.stat().st_mode & 0o077 for path in folder.rglob("*")}
    assert folder.stat().st_mode & 0o077 == 0
    assert {name for name, mode in modes.items() if mode} <= {"valkey.conf"}


def test_a_missing_binary_names_the_setting(short_folder: Path) -> None:
    wrong = EmbeddedOptions(data_dir=short_folder, server="/nonexistent/valkey-server")
    with pytest.raises(EmbeddedError, match="CLEARWAY_REDIS_SERVER"):
        acquire(wrong)


def test_data_that_cannot_be_read_is_reported_at_once(short_folder: Path) -> None:
    with acquire(options(short_folder)) as server, client(server) as connection:
        connection.set("k", "v")
    (short_folder / "appendonlydir" / "appendonly.aof.manifest").write_text("nonsense\n")
    started = time.monotonic()
    with pytest.raises(EmbeddedError, match=r"ended at once.*its log ends: .*manifest"):
        acquire(options(short_folder))
    assert time.monotonic() - started < 10
    assert not running(short_folder)


def test_a_folder_that_cannot_be_made_is_reported(short_folder: Path) -> None:
    (short_folder / "file").touch()
    with pytest.raises(EmbeddedError, match="data folder"):
        acquire(options(short_folder / "file" / "data"))
