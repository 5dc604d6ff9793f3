"""As many workers as the processors that a container may use, not as the machine has."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from loader.jobs.cores import cores
from tests.loader.throttled import half_a_core
from tests.source import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MANY = frozenset(range(32))
V2 = "31 23 0:28 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = "33 32 0:29 {} /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
OTHER = "40 32 0:37 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
DISK = "23 1 8:1 / / rw,relatime - ext4 /dev/root rw\n"
HYBRID = "41 32 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
V1_AT = "sys/fs/cgroup/cpu,cpuacct/"
QUOTA, PERIOD = "cpu.cfs_quota_us", "cpu.cfs_period_us"


def made(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def v1(folder: str, quota: str, period: str = "100000") -> dict[str, str]:
    return {f"{V1_AT}{folder}{QUOTA}": quota + "\n", f"{V1_AT}{folder}{PERIOD}": period + "\n"}


def v2(folder: str, text: str) -> dict[str, str]:
    return {f"sys/fs/cgroup/{folder}cpu.max": text + "\n"}


def proc(groups: str, mounts: str) -> dict[str, str]:
    return {"proc/self/cgroup": groups, "proc/self/mountinfo": DISK + mounts}


@pytest.fixture(autouse=True)
def many_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: MANY)


@pytest.mark.parametrize(
    ("files", "allowed"),
    [
        ({}, 32),
        (proc("0::/\n", V2), 32),
        (proc("0::/\n", V2) | v2("", "max 100000"), 32),
        (proc("0::/\n", V2) | v2("", "400000 100000"), 4),
        (proc("0::/a/b\n", V2) | v2("a/b/", "150000 100000"), 2),
        (proc("0::/a/b\n", V2) | v2("a/b/", "50000 100000"), 1),
        (proc("0::/a/b\n", V2) | v2("a/b/", "max 100000") | v2("a/", "300000 100000"), 3),
        (proc("0::/a/b\n", V2) | v2("a/b/", "800000 100000") | v2("a/", "30000 10000"), 3),
        (proc("0::/a/b\n", V2) | v2("a/other/", "10000 100000"), 32),
        (proc("0::/../../x\n", V2) | v2("", "200000 100000"), 2),
        (proc("4:cpu,cpuacct:/\n", V1.format("/")) | v1("", "-1"), 32),
        (proc("4:cpu,cpuacct:/a\n", V1.format("/")) | v1("a/", "250000"), 3),
        (proc("4:cpu,cpuacct:/a/b\n", V1.format("/")) | v1("a/b/", "-1") | v1("a/", "50000"), 1),
        (proc("4:cpu,cpuacct:/docker/c\n", V1.format("/docker/c")) | v1("", "200000"), 2),
        (proc("4:cpu,cpuacct:/docker/c/d\n", V1.format("/docker/c")) | v1("d/", "200000"), 2),
        (proc("4:cpu,cpuacct:/elsewhere\n", V1.format("/docker/c")) | v1("", "200000"), 2),
        (proc("5:memory:/m\n4:cpu,cpuacct:/a\n0::/u\n", OTHER + V1.format("/") + HYBRID)
         | v1("a/", "100000"), 1),
        (proc("4:cpu,cpuacct:/a:b c\n", V1.format("/")) | v1("a:b c/", "200000", "50000"), 4),
    ],
)  # fmt: skip
def test_the_tightest_quota_of_the_groups_counts(
    tmp_path: Path, files: dict[str, str], allowed: int
) -> None:
    assert cores(made(tmp_path, files)) == allowed


def test_no_more_than_the_affinity_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5})
    assert cores(made(tmp_path, proc("0::/\n", V2) | v2("", "900000 100000"))) == 2
    assert cores(made(tmp_path, proc("0::/\n", V2) | v2("", "100000 100000"))) == 1


def test_a_real_group_with_half_a_core_has_one() -> None:
    with half_a_core() as before:
        program = "from loader.jobs.cores import cores; print(cores())"
        said = subprocess.check_output([*before, sys.executable, "-c", program], cwd=ROOT)
    assert said == b"1\n"
