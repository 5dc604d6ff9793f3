from __future__ import annotations

from tests.benchmarks.ran import figures


def test_overload_refers_nobody() -> None:
    size = ("--people", "500", "--seconds", "1", "--connections", "4,64")
    found = figures("overload", *size, "--limit-ms", "5000", "--share", "0")
    for connections in (4, 64):
        assert found[f"{connections} connections: checks answered"] > 0
        assert found[f"{connections} connections: checks referred"] == 0
        assert found[f"{connections} connections: somebody listed, not denied or refused"] == 0
