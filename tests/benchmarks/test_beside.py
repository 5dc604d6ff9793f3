from __future__ import annotations

from tests.benchmarks.ran import figures


def test_changes_beside_small_loads_are_not_lost_and_no_answer_is_wrong() -> None:
    size = ("--scale", "0.002", "--people", "40")
    # What else this machine does says nothing about times and referrals.
    found = figures("beside", *size, "--p99-ms", "1e9", "--referred", "100")
    assert found["entries of the first load"] == 15_700
    assert found["entries of the reload"] == 15_700
    assert found["lost beside the reload"] == 0
