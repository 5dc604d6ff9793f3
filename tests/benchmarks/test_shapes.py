from __future__ import annotations

from tests.benchmarks.ran import figures

SHAPES = ("party", "zxgk", "parquet")


def test_small_lists_of_several_shapes_are_read_and_loaded() -> None:
    given = ("--rows", "400", "--runs", "1", "--shapes", ",".join(SHAPES))
    anything = ("--ratio", "--spread", "--other-day", "--bytes-a-person", "--again-s")
    found = figures("shapes", *given, *(word for each in anything for word in (each, "1e9")))
    for name in SHAPES:
        assert found[f"{name}: CPU of reading a row"] > 0
        assert found[f"{name}: first load"] > 0
        assert found[f"{name}: with 0.2 % changed, of the first load"] > 0
        assert found[f"{name}: loader's memory"] > 0
    assert found["slowest shape over fastest"] >= 1
