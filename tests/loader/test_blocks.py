"""Blocks split into columns, held to the rows that they hold."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from loader.blocks import csv_columns, csv_rows
from loader.layout import LINE_MAX_BYTES, Block, Layout

LAYOUT = Layout("csv", header=("list", "entry_id", "name"))
pieces = st.sampled_from(["sx", "张三", ",", ",", ",", "\n", "\r\n", "\r", '"', "\0", " "])


@given(st.lists(pieces).map("".join))
@example("sx,1,张三\nsx,2,李四")
@example("sx,1,张三\n\nsx,2,李四\n")
@example("sx,1\nsx,2,李四,\n")
@example(",,\n" + "x" * (LINE_MAX_BYTES + 1) + ",,\n")
def test_columns_are_those_of_the_rows(text: str) -> None:
    block = Block(2, text.encode())
    columns = csv_columns(block, LAYOUT)
    if columns is not None:
        rows = list(csv_rows(block, LAYOUT))
        assert [line for line, _ in rows] == list(range(2, 2 + len(rows)))
        assert [cells for _, cells in rows] == list(map(columns.row, range(len(columns))))


def test_plain_rows_are_split_into_columns() -> None:
    columns = csv_columns(Block(2, "sx,1,张三\nsx,2,李四\n".encode()), LAYOUT)
    assert columns is not None
    assert list(map(columns.row, range(len(columns)))) == [["sx", "1", "张三"], ["sx", "2", "李四"]]


def test_neither_windows_nor_gb18030_make_plain_rows_slow() -> None:
    layout = Layout("csv", encoding="gb18030", header=LAYOUT.header)
    columns = csv_columns(Block(2, "sx,1,张三\r\nsx,2,𠀀\r".encode("gb18030")), layout)
    assert columns is not None
    assert list(map(columns.row, range(2))) == [["sx", "1", "张三"], ["sx", "2", "𠀀"]]
