from __future__ import annotations

from typing import TYPE_CHECKING

from tests.benchmarks.ran import ran

if TYPE_CHECKING:
    from pathlib import Path


def test_each_worker_is_reached_and_measured(tmp_path: Path) -> None:
    size = ("--counts", "1,2", "--people", "500", "--distinct", "200", "--additions", "5")
    # What else this machine does says nothing about times.
    lenient = ("--ready-s", "1e9", "--addition-p99-ms", "1e9", "--worker-mb", "1e9")
    found = ran("workers", *size, "--seconds", "1", *lenient, "--write", str(tmp_path))
    one, two = found["rows"]
    assert (one["workers"], two["workers"]) == ("1", "2")
    assert one["RSS, MB"] > one["PSS, MB"] > 10
    assert two["all PSS, MB"] > two["PSS, MB"] > 10
    assert min(one["by all, p99 ms"], two["by all, p99 ms"]) > 0
    assert "all ready" in (tmp_path / "workers.svg").read_text()
