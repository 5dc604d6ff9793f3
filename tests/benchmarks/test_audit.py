from __future__ import annotations

from tests.benchmarks.ran import figures


def test_every_denial_asked_for_is_found() -> None:
    few, patient = (
        ("--denials", "2000", "--a-write", "200"),
        ("--limit-us", "1e6", "--limit-ms", "1e6"),
    )
    found = figures("audit", *few, *patient)
    assert found["blocks"] > 64
    assert found["memory a record"] > 0
