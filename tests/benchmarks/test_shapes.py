from __future__ import annotations

from tests.benchmarks.ran import figures

SHAPES = ("party", "zxgk", "parquet")


def test_small_lists_of_several_shapes_are_read_and_loaded() -> None:
    given = ("--rows", "400", "--runs", "1", "--ratio", "1e9", "--spread", "1e9")
    found = figures("shapes", *given, "--shapes", ",".join(SHAPES))
    for name in SHAPES:
        assert found[f"{name}: CPU of reading a row"] > 0
        assert found[f"{name}: first load"] > 0
    assert found["slowest shape over fastest"] >= 1
