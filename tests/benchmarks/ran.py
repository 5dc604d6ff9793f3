"""A benchmark run as a person types it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from tests.source import ROOT


def ran(*words: str) -> Any:  # noqa: ANN401 -- JSON is whatever it is
    """What `python -m benchmarks` prints as JSON; it must end with status 0."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *words, "--json"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def figures(*words: str) -> dict[str, float]:
    """Each figure's value by its name."""
    return {each["name"]: each["value"] for each in ran(*words)["figures"]}
