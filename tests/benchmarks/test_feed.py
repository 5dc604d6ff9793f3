from __future__ import annotations

from tests.benchmarks.ran import figures


def test_nobody_listed_is_referred_for_polls_of_the_feed() -> None:
    size = ("--polls", "60", "--rate", "20", "--seconds", "2", "--rounds", "1")
    # What else this machine does says nothing about times.
    found = figures("feed", *size, "--ratio", "1e9")
    assert found["polls that failed"] == 0
    assert found["changes told a second"] > 20
