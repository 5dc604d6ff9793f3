"""How many processors this process may use: those of its affinity, as far as its groups let it.

The groups' files are those of https://docs.kernel.org/admin-guide/cgroup-v2.html (`cpu.max`) and
of https://docs.kernel.org/scheduler/sched-bwc.html (`cpu.cfs_quota_us`, `cpu.cfs_period_us`).
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_UNLIMITED = {"", "max", "-1"}


def cores(root: Path = Path("/")) -> int:
    """At least one; a share of one counts as one. `root` is where `proc` and `sys` are."""
    allowed = len(os.sched_getaffinity(0))
    return max(1, math.ceil(min([allowed, *map(_limit, _groups(root))])))


def _groups(root: Path) -> Iterator[Path]:
    """The folders of the groups that this process is in, with those around them."""
    paths = dict(_paths(_read(root / "proc/self/cgroup")))
    for line in _read(root / "proc/self/mountinfo").splitlines():
        mount, _, kind = line.partition(" - ")
        version, *_, options = kind.split(" ")
        if version == "cgroup2" or (version == "cgroup" and "cpu" in options.split(",")):
            inside, point = mount.split(" ")[3:5]
            folder = root / point.lstrip("/")
            here = PurePosixPath(paths.get(version, inside))
            # Seen from another namespace the path may lie outside of what is mounted.
            within = here.relative_to(inside) if here.is_relative_to(inside) else "."
            group = folder / within
            yield from [group, *(above for above in group.parents if above.is_relative_to(folder))]


def _paths(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            yield "cgroup2", path
        elif "cpu" in controllers.split(","):
            yield "cgroup", path


def _limit(group: Path) -> float:
    """How many processors' time a group may have."""
    quota, _, period = _read(group / "cpu.max").partition(" ")
    if not quota:
        quota, period = (_read(group / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    return math.inf if quota.strip() in _UNLIMITED else int(quota) / int(period)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
