"""CSV read by column, held to CSV read row by row."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hypothesis import example, given, settings
from hypothesis import strategies as st

from loader.columns.sheets import LINE_MAX_BYTES, Block, Encoding, Layout
from loader.files.blocks import cut
from loader.files.csv_sheets import csv_sheet
from tests.loader.rowwise import csv_rows

if TYPE_CHECKING:
    from collections.abc import Iterable

HEADER = ("list", "entry_id", "name")
HAN, WIDE = "张".encode(), b"x" * 80
Cells = list[tuple[int, type, list[str]]]


def quoted(cell: bytes) -> bytes:
    return b'"' + cell.replace(b'"', b'""') + b'"'


def joined(cells: Iterable[bytes]) -> bytes:
    return b",".join(cells)


pieces = st.sampled_from([b"a", b"b", b",", b'"', b"\n", b"\r\n", HAN, b" ", b"", WIDE])
cells = st.lists(pieces, max_size=4).map(b"".join)
plain = cells.map(lambda cell: re.sub(rb'[",\r\n]', b"", cell))
sound = st.lists(st.one_of(plain, cells.map(quoted)), min_size=3, max_size=3).map(joined)
of_any_width = st.lists(st.one_of(plain, cells.map(quoted), cells), max_size=5).map(joined)
junk = st.lists(
    st.sampled_from([b"a", b",", b'"', b'""', b"\n", b"\r", b"\0", b"\xff", b"\xef\xbb\xbf", HAN])
).map(b"".join)
rows_of_bytes = st.lists(st.one_of(sound, sound, sound, of_any_width, junk), max_size=8)


def told(rows: Iterable[tuple[int, list[str]]]) -> Cells:
    return [(line, type(row), list(row)) for line, row in rows]


@given(
    rows_of_bytes,
    st.sampled_from([b"\n", b"\r\n"]),
    st.booleans(),
    st.sampled_from(["utf-8", "gb18030"]),
)
@example([b'a,b,"c\n\nd"', b"a,b,c"], b"\n", False, "utf-8")
@example([b'a,b,"c', b'a,"b""",c', b'a,b,"c\nd"'], b"\r\n", True, "utf-8")
@example([b'a,b,c"d"', b'"a"b,c,d\n",e,f"', b'a"b,"c\nd",e"f'], b"\n", True, "utf-8")
@example([b'a,\xff,"c\nd"', b"\xff", b"a,b,c"], b"\n", True, "gb18030")
@settings(max_examples=600, deadline=None)
def test_a_block_has_the_rows_and_lines_that_it_has_row_by_row(
    rows: list[bytes], newline: bytes, ended: bool, encoding: Encoding
) -> None:
    data = newline.join(rows) + (newline if ended else b"")
    if encoding == "gb18030":
        data = data.replace(HAN, HAN.decode().encode(encoding))
    block, layout = Block(2, data), Layout("csv", encoding, HEADER)
    assert told(csv_sheet(block, layout).rows()) == told(csv_rows(block, layout))


@given(rows_of_bytes, st.integers(1, 60), st.integers(1, 30))
@settings(max_examples=300, deadline=None)
def test_wherever_a_file_is_cut_its_rows_are_the_same(
    rows: list[bytes], block_bytes: int, chunk_bytes: int
) -> None:
    data = b"\n".join(rows)
    chunks = [data[start : start + chunk_bytes] for start in range(0, len(data), chunk_bytes)]
    layout = Layout("csv", header=HEADER)
    found = [
        row
        for block in cut(chunks, 2, len(HEADER), block_bytes)
        for row in csv_sheet(block, layout).rows()
    ]
    assert told(found) == told(csv_rows(Block(2, data), layout))


def test_a_row_with_a_fault_leaves_its_neighbours_alone() -> None:
    good = b'"sx","(2018)1/1","' + HAN + b'"\n'
    faults = [b'sx,"1,a\n', b"sx,1\n", b"sx,1,a,b\n", b"sx,\0,a\n", b"sx,\xff,a\n", b'sx,"1"a,b\n',
              b"sx,1,a\rb\n", b"sx,1," + b"x" * (LINE_MAX_BYTES + 1) + b"\n"]  # fmt: skip
    data = b"".join(good * 3 + fault for fault in faults) + good
    sheet = csv_sheet(Block(2, data), Layout("csv", header=HEADER))
    assert list(sheet.odd) == [3 + 4 * index for index in range(len(faults))]
    assert sheet.lines.tolist() == list(range(2, 2 + 4 * len(faults) + 1))


def test_lines_behind_cells_of_several_lines_keep_their_numbers() -> None:
    lines = [b'sx,1,"a\r\nb\r\n\r\nc"', b"", b"sx,2,b", b'sx,3,"""\n"', b"sx,4", b"sx,5,c"]
    sheet = csv_sheet(Block(2, b"\r\n".join(lines)), Layout("csv", header=HEADER))
    assert sheet.lines.tolist() == [2, 7, 8, 10, 11]
    rows = [cells for _, cells in sheet.rows()]
    assert rows[0] == ["sx", "1", "a\r\nb\r\n\r\nc"]
    assert rows[2] == ["sx", "3", '"\n']
    assert list(sheet.odd) == [3]
    assert rows[3] == ["sx", "4"]
