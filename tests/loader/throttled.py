"""Groups of processes that get little time: by the kernel's quota, or stopped again and again."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

_V1 = {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "50000"}
_PLACES = {
    "/sys/fs/cgroup": {"cpu.max": "50000 100000"},
    "/sys/fs/cgroup/cpu": _V1,
    "/sys/fs/cgroup/cpu,cpuacct": _V1,
}
_TURN_S = 0.05


@contextmanager
def half_a_core() -> Iterator[list[str]]:
    """What to put before a command, so that it has half a core; skips where that cannot be had."""
    group = next(filter(None, map(_made, _PLACES)), None)
    if group is None:
        pytest.skip("no group can be made here")
    try:
        yield ["sh", "-c", f'echo $$ > {group}/cgroup.procs; exec "$@"', "sh"]
    finally:
        group.rmdir()


def _made(place: str) -> Path | None:
    group = Path(place) / f"clearway-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError:
        return None
    with suppress(OSError):  # files that the kernel has not made cannot be opened so
        for name, text in _PLACES[place].items():
            with (group / name).open("r+") as file:
                file.write(text)
        return group
    group.rmdir()
    return None


@contextmanager
def half_the_time(process_group: int) -> Iterator[None]:
    """Nothing; all processes of the group stand still for every second twentieth of a second."""
    ended = threading.Event()

    def stop_and_go() -> None:
        while not ended.is_set():
            for how in (signal.SIGSTOP, signal.SIGCONT):
                with suppress(ProcessLookupError):
                    os.killpg(process_group, how)
                ended.wait(_TURN_S)

    thread = threading.Thread(target=stop_and_go)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
