"""What a benchmark ran on: the machine, its programs, and the state of the code."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

import msgspec

from roster.embedded.binary import find_binary

ROOT = Path(__file__).resolve().parents[2]


class Machine(msgspec.Struct, frozen=True):
    """Everything that a figure depends on besides the benchmark itself."""

    cpu: str
    cores: int
    kernel: str
    python: str
    server: str
    commit: str

    def __str__(self) -> str:
        """In one line."""
        on = f"{self.cpu}, {self.cores} cores, Linux {self.kernel}, Python {self.python}"
        return f"{on}, {self.server}, commit {self.commit}"


def machine() -> Machine:
    """The one that this runs on."""
    server = find_binary(os.environ.get("CLEARWAY_REDIS_SERVER"))
    return Machine(
        cpu=_cpu(),
        cores=len(os.sched_getaffinity(0)),
        kernel=platform.release(),
        python=platform.python_version(),
        server=f"{server.product} {'.'.join(map(str, server.version))}",
        commit=_commit(),
    )


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def _commit() -> str:
    """As git names it, with `-dirty` where files differ from it; `unknown` outside a clone."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        said = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return said.stdout.strip()
