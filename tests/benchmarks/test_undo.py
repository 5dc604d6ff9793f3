from __future__ import annotations

from tests.benchmarks.ran import figures


def test_a_wrong_load_is_undone_and_the_right_list_is_there_again() -> None:
    found = figures("undo", "--scale", "0.0002", "--entries", "300")
    assert found["entries that it put back"] > 250  # some were removed or suspended before
    assert found["differs from the right list"] == 0
