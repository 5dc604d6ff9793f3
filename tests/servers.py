"""Real servers for tests: one Valkey and one Redis 7.0 a session, emptied for each test.

A test that hurts a server makes one of its own with `make_server`. A server ends only the
process that it started.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from roster.embedded.binary import find_binary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

DEADLINE_S = 30.0
POLL_S = 0.01

REDIS7 = "/usr/bin/redis-server"


LISTENING = range(12_000, 32_000)
"""Below the ports that the kernel gives to connections."""
_given: set[int] = set()


def eventually(condition: Callable[[], bool], timeout_s: float = DEADLINE_S) -> None:
    """Wait for a condition; fail when it does not come true in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {timeout_s:g} s: {condition}")
        time.sleep(POLL_S)


def free_port() -> int:
    """A TCP port that is free, given to nobody else here, and that no connection gets meanwhile."""
    for _ in range(1_000):
        port = SystemRandom().choice(LISTENING)
        if port in _given:
            continue
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            _given.add(port)
            return port
    raise AssertionError("no port is free")


class Server:
    """A server with its data in a folder, on a Unix socket there; `settings` are its own."""

    def __init__(
        self,
        binary: str,
        folder: Path,
        settings: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.binary = binary
        self.folder = folder
        self.socket = folder / "s.sock"
        self.url = f"unix://{self.socket}"
        self._settings = {"port": "0", **(settings or {})}
        self._env = {"LC_ALL": "C"} if env is None else dict(env)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start, and wait until it answers; its data is what it was."""
        assert not self.running, "already started"
        config = self.folder / "server.conf"
        config.write_text("".join(f'{name} "{value}"\n' for name, value in self._lines().items()))
        self._process = subprocess.Popen(
            [self.binary, str(config)],
            cwd=self.folder,
            env=self._env,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        eventually(self._settled)
        assert self.running, (self.folder / "server.log").read_text()

    def stop(self) -> None:
        """End it in order; everything is on disk then."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power cut would."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Stop it where it stands: connections stay open, nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WNOWAIT)

    def resume(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def client(self, timeout_s: float = 10.0) -> redis.Redis:
        """A plain client, to look and to prepare; close it, or use it in `with`."""
        return redis.Redis(
            unix_socket_path=str(self.socket),
            socket_timeout=timeout_s,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            driver_info=None,
        )

    def empty(self) -> None:
        """Forget all data and functions."""
        with self.client() as client:
            client.flushall()
            client.function_flush("SYNC")

    def _lines(self) -> dict[str, str]:
        return {
            "unixsocket": str(self.socket),
            "dir": str(self.folder),
            "logfile": str(self.folder / "server.log"),
            "save": "",
            "appendonly": "yes",
            "appendfsync": "always",
            "hash-max-listpack-entries": "512",
            "hash-max-listpack-value": "8192",
            **self._settings,
        }

    def _settled(self) -> bool:
        """Whether it answers, or has ended."""
        if not self.running:
            return True
        with self.client(timeout_s=1) as client:
            try:
                return bool(client.ping())
            except (redis.RedisError, OSError):
                return False

    def _end(self, how: signal.Signals) -> None:
        """The server may be paused: only SIGKILL reaches it then, so it is let go on."""
        if self._process is None:
            return
        if self.running:
            os.kill(self.pid, how)
            os.kill(self.pid, signal.SIGCONT)
        try:
            self._process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(DEADLINE_S)
        self._process = None


@contextmanager
def _short() -> Iterator[Path]:
    """A folder whose sockets' paths fit into 107 bytes, which pytest's own do not always."""
    folder = Path(tempfile.mkdtemp(prefix="cw-", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _served(binary: str, env: Mapping[str, str] | None = None) -> Iterator[Server]:
    with _short() as folder:
        server = Server(binary, folder, env=env)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture
def short_folder() -> Iterator[Path]:
    with _short() as folder:
        yield folder


@pytest.fixture(scope="session")
def valkey_binary() -> str:
    return find_binary(None).path


@pytest.fixture(scope="session")
def redis7_binary() -> str:
    if not Path(REDIS7).exists():
        pytest.skip(f"no {REDIS7} here")
    return REDIS7


@pytest.fixture(scope="session")
def _valkey(valkey_binary: str) -> Iterator[Server]:
    with _served(valkey_binary) as server:
        yield server


@pytest.fixture(scope="session")
def _redis7(redis7_binary: str) -> Iterator[Server]:
    with _served(redis7_binary) as server:
        yield server


@pytest.fixture
def valkey(_valkey: Server) -> Server:
    """Our own Valkey, empty."""
    _valkey.empty()
    return _valkey


@pytest.fixture
def redis7(_redis7: Server) -> Server:
    """Debian's Redis 7.0, empty; skips where it is not installed."""
    _redis7.empty()
    return _redis7


@pytest.fixture(params=["valkey", "redis7"])
def any_server(request: pytest.FixtureRequest) -> Server:
    """Each of the servers in turn, empty."""
    server = request.getfixturevalue(request.param)
    assert isinstance(server, Server)
    return server


@pytest.fixture
def make_server(valkey_binary: str) -> Iterator[Callable[..., Server]]:
    """Starts servers of the test's own; arguments are `settings`, `env` and `binary`."""
    with ExitStack() as stack:

        def make(
            settings: Mapping[str, str] | None = None,
            env: Mapping[str, str] | None = None,
            binary: str = valkey_binary,
        ) -> Server:
            server = Server(binary, stack.enter_context(_short()), settings, env)
            stack.callback(server.stop)
            server.start()
            return server

        yield make


@pytest.fixture(scope="session")
def foreign_env() -> Iterator[Mapping[str, str]]:
    """An environment in which `strcoll` is not byte order; skips where it cannot be made."""
    if shutil.which("localedef") is None or not Path("/usr/share/i18n/locales/en_US").exists():
        pytest.skip("no localedef, or no sources of en_US here")
    with _short() as folder:
        made = folder / "en_US.UTF-8"
        subprocess.run(["localedef", "-i", "en_US", "-f", "UTF-8", made], check=True)
        yield {"LANG": "en_US.UTF-8", "LOCPATH": str(folder)}


@pytest.fixture(scope="session")
def _foreign_valkey(valkey_binary: str, foreign_env: Mapping[str, str]) -> Iterator[Server]:
    with _served(valkey_binary, foreign_env) as server:
        yield server


@pytest.fixture
def foreign_valkey(_foreign_valkey: Server) -> Server:
    """A Valkey started with LANG=en_US.UTF-8, empty."""
    _foreign_valkey.empty()
    return _foreign_valkey
