"""Runs a benchmark, or what `make bench` runs: the peers at moderate size, and the nation.

    python -m benchmarks [NAME] [OPTIONS]

NAME is audit, beside, checks, feed, flood, identity, load, national, openloop, outage, overload,
peers, removal, rolling, scale, shapes, steps, undo or workers.

Each has `--help`. Without a name, the status is 1 where one of the two misses a limit.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BENCHMARKS = (
    "audit", "beside", "checks", "feed", "flood", "identity", "load", "national", "openloop",
    "outage", "overload", "peers", "removal", "rolling", "scale", "shapes", "steps", "undo",
    "workers",
)  # fmt: skip
USUAL = ("peers", "national")
_ROOT = Path(__file__).resolve().parent.parent


def run(name: str, *options: str) -> int:
    """The exit status of a benchmark in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *options], cwd=_ROOT, check=False
    ).returncode


def main(arguments: list[str]) -> int:
    """The exit status of what the arguments name."""
    if not arguments:
        return max([run(name) for name in USUAL])
    name, *options = arguments
    if name in BENCHMARKS:
        return run(name, *options)
    print(__doc__, file=sys.stderr)
    return 0 if name in ("-h", "--help") else 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
