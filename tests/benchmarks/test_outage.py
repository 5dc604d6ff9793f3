from __future__ import annotations

import json
import subprocess
import sys

from tests.source import ROOT


def test_a_stopped_redis_denies_nobody_and_the_service_recovers() -> None:
    size = ("--people", "500", "--seconds", "1", "--connections", "2")
    lenient = ("--share", "0", "--refer-ms", "5000", "--recovery-s", "15")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "outage", *size, *lenient, "--json"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout[done.stdout.index("{") :])["missed"] == []
