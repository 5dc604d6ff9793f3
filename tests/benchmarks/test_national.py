from __future__ import annotations

import json
import subprocess
import sys

from tests.source import ROOT


def test_a_small_nation_gets_right_answers_only() -> None:
    size = ("--scale", "0.0005", "--checked", "1000", "--unlisted", "500", "--removed", "5")
    # A small roster's fixed costs say nothing about the nation's.
    lenient = ("--bytes-a-person", "1e9", "--ready-s", "60", "--load-s", "60")
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks", "national", *size, *lenient, "--json"],
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    figures = {each["name"]: each for each in json.loads(ran.stdout)["figures"]}
    assert figures["listed people asked about"]["value"] == 1000
    assert figures["brought back by the old file"]["value"] == 0
