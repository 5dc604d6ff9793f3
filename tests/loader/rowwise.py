"""Lists read row by row, and in no hurry: what reading by column is held to."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np

from loader.columns.sheets import LINE_MAX_BYTES, Block, Layout, Sheet, Torn, sheet_of_cells, whole
from loader.files.sources import Source, SourceOptions, sheet_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Records = list[tuple[int, bytes | None]]
"""Rows by the index of their first line; None where it is torn."""


def csv_rows(block: Block, layout: Layout) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of each row; what cannot be read whole is `Torn`."""
    lines = block.data.split(b"\n")
    for index, record in grouped(lines, len(layout.header)):
        line = block.first_line + index
        if record is None:
            yield line, _torn(lines[index], layout.encoding)
        elif record.strip():
            yield line, _cells(record, layout.encoding)


def _cells(raw: bytes, encoding: str) -> list[str]:
    if len(raw) > LINE_MAX_BYTES:
        return Torn()
    try:
        text = raw.decode(encoding)
        (cells,) = csv.reader([text], strict=True)
    except (UnicodeDecodeError, csv.Error, ValueError):
        return _torn(raw, encoding)
    return Torn(cells) if b"\0" in raw else cells


def _torn(raw: bytes, encoding: str) -> Torn:
    if len(raw) > LINE_MAX_BYTES:
        return Torn()
    cells = raw.decode(encoding, "replace").split(",")
    return Torn(cell.strip('" \r') for cell in cells)


def grouped(lines: list[bytes], width: int) -> Records:
    """Which lines make one row: those between which the quotes are not closed."""
    records: Records = []
    index = 0
    while index < len(lines):
        line = lines[index]
        if line.count(b'"') % 2 == 0:
            records.append((index, line))
            index += 1
            continue
        after = _closing(lines, index)
        record = b"\n".join(lines[index:after]) if after else b""
        whole = after and _is_whole(record, width)
        records.append((index, record if whole else None))
        index = after if whole and after else index + 1
    return records


def _closing(lines: list[bytes], start: int) -> int | None:
    """The line after the one that closes the quotes."""
    if b"\0" in lines[start]:
        return None
    size = len(lines[start])
    for index in range(start + 1, len(lines)):
        size += len(lines[index]) + 1
        if size > LINE_MAX_BYTES:
            return None
        if lines[index].count(b'"') % 2:
            return index + 1
    return None


def _is_whole(record: bytes, width: int) -> bool:
    # Quotes and commas are single bytes in both encodings, never part of another character.
    try:
        rows = list(csv.reader([record.decode("latin-1")], strict=True))
    except csv.Error:
        return False
    return len(rows) == 1 and len(rows[0]) == width


def sheet_of_rows(rows: Sequence[list[str]], width: int) -> Sheet:
    """The rows by column; those that are torn or of another width are odd."""
    odd = {
        index: row
        for index, row in enumerate(map(whole, rows))
        if isinstance(row, Torn) or len(row) != width
    }
    cells = [[""] * width if index in odd else row for index, row in enumerate(rows)]
    return sheet_of_cells(list(zip(*cells, strict=True)), np.arange(len(rows)), odd)


def open_rows(path: str, options: SourceOptions) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of every row of a file, in one process."""
    with Source(path, options) as source:
        for block in source.blocks():
            yield from parse_block(block, source.layout)


def parse_block(block: Block, layout: Layout) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells (in the order of `layout.columns`) of the rows of one block.

    A row that cannot be read whole comes out as `Torn`, with what is legible of it.
    """
    return sheet_of(block, layout).rows()
