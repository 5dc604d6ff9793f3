"""Cells as places in a block's bytes, held to the cells themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loader.columns import columns as columns_
from loader.columns.columns import SHORT_BYTES, Column
from tests.loader.rowwise import sheet_of_rows

cells = st.one_of(
    st.sampled_from(
        ["", "a", "b", "张三", "x" * 63, "x" * 64, "x" * 65, "x" * 64 + "y", "x" * 200]
    ),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30),
)
rows_of_cells = st.integers(1, 3).flatmap(
    lambda width: st.lists(st.lists(cells, min_size=width, max_size=width), min_size=1)
)


def column_of(texts: list[str]) -> Column:
    return sheet_of_rows([[text] for text in texts], 1).columns.column(0)


@given(rows_of_cells)
@example([[""]])
@example([["", ""], ["x" * 65, "é"]])
def test_every_cell_is_found_again(rows: list[list[str]]) -> None:
    found = sheet_of_rows(rows, len(rows[0])).columns
    assert list(map(list, found.rows(np.arange(len(found))))) == rows
    for index, texts in enumerate(zip(*rows, strict=True)):
        column = found.column(index)
        assert column.texts() == list(texts) == list(map(column.at, range(len(column))))
        assert column.cut() == [text.encode() for text in texts]


@given(st.lists(cells, min_size=1, max_size=60))
@example(["x" * SHORT_BYTES, "x" * (SHORT_BYTES + 1), "x" * SHORT_BYTES])
def test_distinct_cells_are_all_texts_once(texts: list[str]) -> None:
    some, which = column_of(texts).distinct()
    assert sorted(some.texts()) == sorted(set(texts))
    assert [some.texts()[index] for index in which.tolist()] == texts


def test_cells_that_all_meet_in_one_slot_stay_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns_, "_FACTORS", np.zeros(SHORT_BYTES // 8, np.uint64))
    texts = [str(n % 40) for n in range(100)]
    some, which = column_of(texts).distinct()
    assert [some.texts()[index] for index in which.tolist()] == texts


def test_a_column_that_there_is_not_is_empty() -> None:
    assert sheet_of_rows([["a"], ["b"]], 1).columns.column(None).texts() == ["", ""]
