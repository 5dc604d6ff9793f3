from __future__ import annotations

from tests.benchmarks.ran import figures


def test_a_flood_harms_nobody() -> None:
    """How fast it is says something of the machine only; that it lives, and is right, not."""
    size = ("--people", "500", "--seconds", "2", "--calm-s", "1", "--connections", "600")
    lenient = ("--share", "0", "--limit-ms", "20000", "--back-s", "20", "--referred", "100")
    found = figures("flood", *size, *lenient)
    assert found["flood: answered"] > 0
    assert found["flood: removals"] > 0
    assert found["flood: somebody listed, allowed"] == 0
    assert found["flood: other statuses, connections lost"] == 0
