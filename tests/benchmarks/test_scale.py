from __future__ import annotations

from typing import TYPE_CHECKING

from tests.benchmarks.ran import ran

if TYPE_CHECKING:
    from pathlib import Path


def test_small_lists_are_measured_into_a_table_and_a_plot(tmp_path: Path) -> None:
    given = ("--sizes", "0.002,0.004", "--growth", "100", "--write", str(tmp_path))
    loads = ran("scale", *given)["loads"]
    assert [load["entries"] for load in loads] == [2_000, 4_000]
    assert all(load["seconds"] > 0 and load["valkey_mib"] > 0 for load in loads)
    rows = [line for line in (tmp_path / "scale.md").read_text().splitlines() if "|" in line]
    assert [row.split("|")[1].strip() for row in rows[2:4]] == ["2,000", "4,000"]
    assert "million entries" in (tmp_path / "scale.svg").read_text()
