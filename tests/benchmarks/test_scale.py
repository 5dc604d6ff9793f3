from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest

from benchmarks.plot import Series, nice, plot
from tests.benchmarks.ran import ran

if TYPE_CHECKING:
    from pathlib import Path

SVG = "{http://www.w3.org/2000/svg}"


def test_small_lists_are_measured_into_a_table_and_a_plot(tmp_path: Path) -> None:
    given = ("--sizes", "0.002,0.004", "--growth", "100", "--out", str(tmp_path))
    loads = ran("scale", *given)["loads"]
    assert [load["entries"] for load in loads] == [2_000, 4_000]
    assert all(load["seconds"] > 0 and load["valkey_mib"] > 0 for load in loads)
    rows = [line for line in (tmp_path / "scale.md").read_text().splitlines() if "|" in line]
    assert [row.split("|")[1].strip() for row in rows[2:]] == ["2,000", "4,000"]
    assert ET.parse(tmp_path / "scale.svg").getroot().tag == f"{SVG}svg"


def test_a_plot_rises_where_its_values_rise() -> None:
    drawn = ET.fromstring(plot("<title>", "sizes", [Series("a & b", [1, 2, 4], [1.0, 2.0, 3.0])]))
    points = [(float(c.get("cx", "")), float(c.get("cy", ""))) for c in drawn.iter(f"{SVG}circle")]
    assert points == sorted(points)
    assert [y for _, y in points] == sorted((y for _, y in points), reverse=True)
    # Sizes are logarithmic: each doubling is as wide as the other.
    assert points[1][0] - points[0][0] == pytest.approx(points[2][0] - points[1][0], abs=0.2)


@pytest.mark.parametrize(("value", "most"), [(0.9, 1), (1, 2), (3.5, 4), (130, 200), (4.9, 8)])
def test_an_axis_ends_at_a_round_number(value: float, most: float) -> None:
    assert nice(value) == most
