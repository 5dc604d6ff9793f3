"""A private Valkey for a laptop, a test or the demo, shared by all commands of a data folder.

Three files in the folder carry the sharing, each under a lock that dies with its holder:

  start.lock   exclusive, for a moment: somebody joins, starts the server, or leaves
  users.lock   shared by every user; who can have it exclusively is the last
  server.lock  exclusive, inherited by the server: held exactly as long as it lives, so a
               second one is never started on the same data, whoever was killed

A user killed with -9 leaves the server running; the next one finds it, and ends it.
"""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

import msgspec
import redis

from roster.embedded import locks
from roster.embedded.binary import find_binary
from roster.embedded.server_files import (
    log_tail,
    open_log,
    prepare_socket,
    private_folder,
    socket_path,
    write_configuration,
)
from roster.embedded.server_process import (
    Trouble,
    TroubleTimer,
    client,
    holder,
    stands_still,
    terminate,
    trouble,
)
from roster.embedded.server_settings import put_right, rewrite_if_quiet
from roster.errors import EmbeddedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

STOP_TIMEOUT_S = 30.0
_STARTS_MAX = 3
_ANSWER_TIMEOUT_S = 1.0
_SHUTDOWN_TIMEOUT_S = 2.0
_STILL_S = 2.5  # then a server that a signal has stopped is waited for no longer


class EmbeddedOptions(msgspec.Struct, frozen=True):
    """Where the data is, and which server binary to run (`CLEARWAY_REDIS_SERVER`), if told.

    `timeout_s` is how long the server may take until it answers; it reads its data first.
    """

    data_dir: Path
    server: str | None = None
    timeout_s: float = 120.0


def acquire(options: EmbeddedOptions) -> Embedded:
    """The data folder's server, running and answering; raises EmbeddedError.

    Close it, or use it in `with`: the last user's `close` ends the server.
    """
    embedded = Embedded(options)
    try:
        embedded.ensure()
    except BaseException:
        with suppress(EmbeddedError):  # the first error says why
            embedded.close()
        raise
    return embedded


class Embedded:
    """A share in a data folder's server."""

    def __init__(self, options: EmbeddedOptions) -> None:
        """Join the folder's users; `acquire` also starts the server."""
        self._folder = private_folder(options.data_dir)
        self._options = options
        self._started: subprocess.Popen[bytes] | None = None
        self._joined_by = os.getpid()
        self._right = False
        self._log_bytes = 0
        with self._turn():
            self._users: int | None = locks.open_lock(self._folder / "users.lock")
            locks.share(self._users)

    @property
    def socket(self) -> Path:
        """The server's Unix socket."""
        return socket_path(self._folder)

    @property
    def url(self) -> str:
        """The socket as CLEARWAY_REDIS_URL would name it."""
        return f"unix://{quote(os.fsencode(self.socket))}"

    @property
    def pid(self) -> int:
        """The server's process; raises EmbeddedError where none has ever run."""
        try:
            return int((self._folder / "valkey.pid").read_text())
        except (OSError, ValueError) as exc:
            raise EmbeddedError("the embedded server has left no process id") from exc

    def ensure(self, *, renew: bool = False) -> None:
        """Make sure that the server answers; start it again if it had crashed.

        Blocks while the server reads its data. Raises EmbeddedError when it cannot be started,
        or does not answer in time. One whose socket is gone is ended first if `renew` says so:
        whoever still has a connection to it loses that.
        """
        deadline = time.monotonic() + self._options.timeout_s
        process, starts, waiting = None, 0, TroubleTimer()
        while (trouble := self._trouble()) is not None:
            if process is not None and process.poll() is not None:
                if process.returncode >= 0 or starts == _STARTS_MAX:
                    raise EmbeddedError(self._report("the embedded server ended at once"))
                process = None  # it was killed, as the memory's guard or an operator would
            if process is None and (process := self._start_if_dead()) is not None:
                starts += 1
                waiting.again()
            if time.monotonic() > deadline:
                raise EmbeddedError(self._report("the embedded server is silent"))
            if waiting.too_long(trouble):
                self._give_up(trouble, renew=renew)
                waiting.again()
            time.sleep(locks.POLL_S)

    def put_right(self) -> None:
        """Set the server as a load found it, if that load was killed. Blocks briefly.

        Raises EmbeddedError where the server does not answer.
        """
        with self._asked() as client:
            put_right(client)

    def rewrite_if_quiet(self) -> None:
        """Have a log that has doubled rewritten, if little is written just now.

        To be called every few seconds. Raises EmbeddedError where the server does not answer.
        """
        with self._asked() as client:
            self._log_bytes = rewrite_if_quiet(client, self._log_bytes)

    def close(self) -> None:
        """Give this share up; the last one ends the server.

        Raises EmbeddedError if the server does not end.
        """
        if self._users is None:
            return
        users, self._users = self._users, None
        try:
            if self._joined_by == os.getpid():  # a fork's copy is not a share of its own
                self._leave(users)
        finally:
            os.close(users)

    def __enter__(self) -> Self:
        """The share itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Give the share up."""
        self.close()

    def _leave(self, users: int) -> None:
        try:
            with self._turn():
                if locks.try_exclusive(users):
                    self._stop()
        finally:
            if self._started is not None and self._started.poll() is None:
                self._started.returncode = 0  # it serves others now; Popen would warn of it

    def _turn(self) -> AbstractContextManager[None]:
        return locks.exclusive(self._folder / "start.lock", self._options.timeout_s)

    def _trouble(self) -> Trouble | None:
        """Why it does not answer, None where it does; the first time it is put right, too."""
        found = trouble(self.socket, _ANSWER_TIMEOUT_S)
        if found is None and not self._right:
            try:
                self.put_right()
            except EmbeddedError:
                return Trouble.SILENT
            self._right = True
        return found

    @contextmanager
    def _asked(self) -> Iterator[redis.Redis]:
        """A client; within, a server that does not answer raises EmbeddedError."""
        with closing(client(self.socket, _ANSWER_TIMEOUT_S)) as asked:
            try:
                yield asked
            except (redis.RedisError, OSError) as exc:
                raise EmbeddedError(self._report("the embedded server is silent")) from exc

    def _give_up(self, trouble: Trouble, *, renew: bool) -> None:
        """Tell the server to end, to be started again; raises EmbeddedError where it may not.

        Its log says nothing of this: it is well.
        """
        with self._turn():
            if renew and trouble is Trouble.NO_WAY_IN and terminate(self._folder):
                return
        pid = holder(self._folder)
        who = "the embedded server" + (f" (process {pid})" if pid else "")
        if trouble is Trouble.SILENT:
            raise EmbeddedError(f"{who} at {self.socket} is silent: no answer in time")
        raise EmbeddedError(
            f"{who} runs, but nothing leads to it: its socket {self.socket} is gone. It ends "
            "with the last command that uses its data folder, and the next one starts it again"
        )

    def _start_if_dead(self) -> subprocess.Popen[bytes] | None:
        """The process that we started, or None while another server has the data."""
        with self._turn():
            lock = locks.take_if_free(self._folder / "server.lock")
            if lock is None:
                return None
            try:
                self._reap()
                self._started = self._start(lock)
            finally:  # ours only: the server has its own
                os.close(lock)
        return self._started

    def _start(self, lock: int) -> subprocess.Popen[bytes]:
        """A server in a session of its own, so that the terminal's Ctrl-C does not reach it."""
        binary = find_binary(self._options.server)
        config = write_configuration(self._folder, prepare_socket(self._folder))
        log = open_log(self._folder)
        try:
            return subprocess.Popen(  # noqa: S603 -- found by find_binary
                [binary.path, str(config)],
                cwd=self._folder,
                env={"LC_ALL": "C"},  # none of our secrets; and Lua's `<` is strcoll
                pass_fds=(lock,),
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                umask=0o077,
            )
        finally:
            os.close(log)

    def _stop(self) -> None:
        """End the server that has the data; ask again if it was busy."""
        began = time.monotonic()
        while (lock := locks.take_if_free(self._folder / "server.lock")) is None:
            waited_s = time.monotonic() - began
            still = waited_s > _STILL_S and stands_still(self._folder)
            if still or waited_s > STOP_TIMEOUT_S:
                raise EmbeddedError(self._report("the embedded server does not end"))
            self._shut_down()
            time.sleep(locks.POLL_S)
        os.close(lock)
        self._reap()

    def _reap(self) -> None:
        """Wait for a server of ours that has let go of its lock, so that it leaves no zombie."""
        if self._started is not None:
            self._started.wait(STOP_TIMEOUT_S)

    def _shut_down(self) -> None:
        """Ask once; the answer is a closed connection, or a refusal while it is busy.

        One that cannot be asked is told by a signal, which means the same.
        """
        if trouble(self.socket, _ANSWER_TIMEOUT_S) in {Trouble.SILENT, Trouble.NO_WAY_IN}:
            terminate(self._folder)
            return
        asked = client(self.socket, _SHUTDOWN_TIMEOUT_S)
        with closing(asked), suppress(redis.RedisError, OSError):
            asked.shutdown()

    def _report(self, what: str) -> str:
        tail = log_tail(self._folder)
        return f"{what} ({self._folder}); its log ends: {tail}" if tail else what
