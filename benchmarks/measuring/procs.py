"""What Linux says of processes: their CPU time, their memory, their children."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")
_UTIME, _STIME = 11, 12  # proc(5), counted from the field after the command's name
_SAMPLE_S = 0.2


def cpu_s(pid: int) -> float:
    """User and system time of all its threads; its children's apart."""
    fields = (_PROC / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[_UTIME]) + int(fields[_STIME])) / TICKS_PER_S


def tree(pid: int, without: int = 0) -> Iterator[int]:
    """The process and all that it started, but not `without` and what that started."""
    if pid == without:
        return
    yield pid
    for task in (_PROC / str(pid) / "task").glob("*/children"):
        with suppress(OSError):
            for child in task.read_text().split():
                yield from tree(int(child), without)


def tree_cpu_s(pid: int, without: int = 0) -> float:
    """The same of a whole tree; what has ended already is not counted."""
    total = 0.0
    for each in tree(pid, without):
        with suppress(OSError):
            total += cpu_s(each)
    return total


def pss_bytes(pid: int) -> int:
    """Its memory, with what it shares divided among those who share it."""
    for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


class PeakMemory:
    """Watches the memory of a tree of processes from a thread, five times a second."""

    def __init__(self, pid: int, without: int = 0) -> None:
        """Of `pid` and all that it starts, without `without`."""
        self.bytes = 0
        self._pid = pid
        self._without = without
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(_SAMPLE_S):
            total = 0
            for each in tree(self._pid, self._without):
                with suppress(OSError):
                    total += pss_bytes(each)
            self.bytes = max(self.bytes, total)
