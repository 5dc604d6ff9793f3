from __future__ import annotations

from tests.benchmarks.ran import figures


def test_a_small_nation_gets_right_answers_only() -> None:
    size = ("--scale", "0.0005", "--checked", "1000", "--unlisted", "500", "--removed", "5")
    # A small roster's fixed costs say nothing about the nation's.
    lenient = ("--bytes-a-person", "1e9", "--ready-s", "60", "--load-s", "60")
    found = figures("national", *size, *lenient)
    assert found["listed people asked about"] == 1000
    assert found["brought back by the old file"] == 0
