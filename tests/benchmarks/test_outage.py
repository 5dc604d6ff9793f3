from __future__ import annotations

from tests.benchmarks.ran import figures


def test_a_stopped_redis_denies_nobody_and_the_service_recovers() -> None:
    size = ("--people", "500", "--seconds", "1", "--connections", "2")
    lenient = ("--share", "0", "--refer-ms", "5000", "--recovery-s", "15")
    found = figures("outage", *size, *lenient)
    assert found["people on no list who were denied"] == 0
    assert found["not referred then, or not denied else"] == 0
    assert found["somebody listed, asked while Redis is stopped"] > 0
