"""File locks that the kernel releases, whatever way their holder dies."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from roster.errors import EmbeddedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

POLL_S = 0.01


def open_lock(path: Path) -> int:
    """A descriptor to lock by; children do not inherit it unless told to."""
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def try_exclusive(lock: int) -> bool:
    """Whether the lock is now ours alone; where it is not, a shared one of ours is lost too."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def share(lock: int) -> None:
    """Hold the lock together with others; wait for an exclusive holder."""
    fcntl.flock(lock, fcntl.LOCK_SH)


def take_if_free(path: Path) -> int | None:
    """A descriptor that holds the lock exclusively, or None while somebody else has it."""
    lock = open_lock(path)
    if try_exclusive(lock):
        return lock
    os.close(lock)
    return None


@contextmanager
def exclusive(path: Path, timeout_s: float) -> Iterator[None]:
    """Hold the lock alone within. Raises EmbeddedError when it is not to be had."""
    lock = open_lock(path)
    try:
        _wait_exclusive(lock, path, timeout_s)
        try:
            yield
        finally:  # also of a copy that a fork took along
            fcntl.flock(lock, fcntl.LOCK_UN)
    finally:
        os.close(lock)


def _wait_exclusive(lock: int, path: Path, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not try_exclusive(lock):
        if time.monotonic() > deadline:
            raise EmbeddedError(f"another command has held {path.name} for {timeout_s:g} s")
        time.sleep(POLL_S)
