"""What is known of processes from without, as metrics: by the operating system, by each other."""

from __future__ import annotations

import os
import resource
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from service.metrics.families import PREFIX, Family, Kind, Over, gauge

if TYPE_CHECKING:
    from collections.abc import Iterator

_SELF = Path("/proc/self")
_START = 19
"""The place of `starttime` behind the name of the command (proc_pid_stat(5))."""


def running_families() -> Iterator[Family]:
    """Processor time, memory, files, and when it started."""
    text = "Processor time."
    yield _one("cpu_seconds_total", text, time.process_time(), kind="counter")
    pages = (_SELF / "statm").read_text(encoding="ascii").split()
    size, resident = (int(each) * resource.getpagesize() for each in pages[:2])
    yield _one("virtual_memory_bytes", "Memory that is mapped.", size)
    yield _one("resident_memory_bytes", "Memory that is held.", resident)
    yield _one("open_fds", "Open files.", len(list((_SELF / "fd").iterdir())))
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield _one("max_fds", "Files that may be open, in one process.", most, over="min")
    text = "When it started, since 1970; the oldest of several."
    yield _one("start_time_seconds", text, started_at_s(), over="min")


def silent_workers(number: int) -> Family:
    """So many are ready and say nothing."""
    text = "Processes that are ready and do not say what they have counted."
    return gauge("workers_silent", text, float(number))


@cache
def started_at_s() -> float:
    """When this process was started, in seconds since 1970."""
    stat = (_SELF / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
    up_s = int(stat.split()[_START]) / os.sysconf("SC_CLK_TCK")
    return round(time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + up_s, 2)


def _one(name: str, text: str, value: float, *, kind: Kind = "gauge", over: Over = "sum") -> Family:
    return Family(f"{PREFIX}process_{name}", kind, text, over).of([((), value)])
