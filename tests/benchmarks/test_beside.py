from __future__ import annotations

import json
import subprocess
import sys

from tests.source import ROOT


def test_changes_beside_small_loads_are_not_lost_and_no_answer_is_wrong() -> None:
    size = ("--scale", "0.002", "--people", "40")
    # What else this machine does says nothing about times and referrals.
    lenient = ("--p99-ms", "1e9", "--referred", "100")
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks", "beside", *size, *lenient, "--json"],
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    figures = {each["name"]: each for each in json.loads(ran.stdout)["figures"]}
    assert figures["entries of the first load"]["value"] == 15_700
    assert figures["lost beside the reload"]["value"] == 0
