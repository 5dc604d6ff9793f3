"""The embedded server as a process: whether it can be spoken to, who it is, and its end."""

from __future__ import annotations

import os
import signal
import time
from contextlib import closing, suppress
from enum import Enum
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry


class Trouble(Enum):
    """Why the server does not answer, and for how many seconds on end that may be so.

    A server that reads its data says so; one that is just starting has no socket yet.
    """

    READING = float("inf")
    SILENT = 6.0
    NO_WAY_IN = 3.0


class TroubleTimer:
    """How long the same trouble has lasted."""

    def __init__(self) -> None:
        """Nothing has been seen yet."""
        self._trouble: Trouble | None = None
        self._since = 0.0

    def again(self) -> None:
        """Forget what was seen: another server starts."""
        self._trouble = None

    def too_long(self, trouble: Trouble) -> bool:
        """Whether this trouble, which is there now, has lasted for longer than it may."""
        now = time.monotonic()
        if trouble is not self._trouble:
            self._trouble, self._since = trouble, now
        return now - self._since > trouble.value


def client(socket: Path, timeout_s: float) -> redis.Redis:
    """A client of the server; it fails at once where there is none."""
    return redis.Redis(
        unix_socket_path=str(socket),
        socket_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        driver_info=None,
    )


def trouble(socket: Path, timeout_s: float) -> Trouble | None:
    """Why the server does not answer; None where it does."""
    with closing(client(socket, timeout_s)) as asked:
        try:
            asked.ping()
        except redis.exceptions.BusyLoadingError:
            return Trouble.READING
        except (redis.exceptions.TimeoutError, TimeoutError):
            return Trouble.SILENT
        except (redis.exceptions.ConnectionError, OSError):
            return Trouble.NO_WAY_IN
        except redis.RedisError:
            return Trouble.READING  # it says that it cannot, for the moment
    return None


def holder(folder: Path) -> int | None:
    """The process of the server that has the folder's data; None where that is not certain.

    It has inherited `server.lock`, which the kernel shows (proc(5), /proc/PID/fd).
    """
    try:
        pid = int((folder / "valkey.pid").read_text())
        lock = (folder / "server.lock").stat()
        opened = list(Path(f"/proc/{pid}/fd").iterdir())
    except (OSError, ValueError):
        return None
    for link in opened:
        with suppress(OSError):
            if os.path.samestat(link.stat(), lock):
                return pid
    return None


def terminate(folder: Path) -> bool:
    """Whether the folder's server was told to end, in order, without a word through its socket."""
    pid = holder(folder)
    if pid is None:
        return False
    try:
        os.kill(pid, signal.SIGTERM)
    except OSError:
        return False
    return True


def stands_still(folder: Path) -> bool:
    """Whether the folder's server was stopped by a signal (proc(5), /proc/PID/stat)."""
    pid = holder(folder)
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] in {"T", "t"}
