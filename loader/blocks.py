"""Text files cut into blocks of whole rows, and the rows of such a block.

Cutting is for one process that reads, parsing for many. A quoted CSV cell may hold line
breaks, so both must agree where a row ends; `_Grouping` decides it for both. A stray
quote costs its own row only, never the rest of the file.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from loader.columns import Columns, columns_of
from loader.layout import LINE_MAX_BYTES, Block, Layout, Torn
from loader.utf8 import is_utf8

BLOCK_BYTES = 1 << 20
"""Packing by column costs 3 ms a block whatever its size: half of this takes 15 % more CPU."""


def cut(
    chunks: Iterable[bytes], first_line: int, width: int | None, block_bytes: int = BLOCK_BYTES
) -> Iterator[Block]:
    """Blocks of whole rows; `width` is the number of cells of a CSV row, None if it is none.

    A line longer than `LINE_MAX_BYTES` comes out as one that no parser accepts, so that
    memory stays bounded whatever the file is.
    """
    pending: list[bytes] = []
    size = 0
    for chunk in chunks:
        pending.append(chunk)
        size += len(chunk)
        if size >= block_bytes:
            data = b"".join(pending)
            end = _end(data, width)
            if end:
                yield Block(first_line, data[:end])
                first_line += data.count(b"\n", 0, end)
            rest = data[end:]
            # NUL makes a line malformed; what follows of this one is added to it.
            pending = [b"\0" if len(rest) > LINE_MAX_BYTES and b"\n" not in rest else rest]
            size = len(pending[0])
    if data := b"".join(pending):
        yield Block(first_line, data)


def csv_rows(block: Block, layout: Layout) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of each row; what cannot be read whole is `Torn`."""
    text = _plain(block.data, layout.encoding)
    lines = text.split("\n") if text is not None else []
    if text is None or max(map(len, lines)) > LINE_MAX_BYTES:
        yield from _careful_rows(block, layout)
        return
    for line, row in enumerate(lines, block.first_line):
        if row:
            yield line, row.split(",")


def csv_columns(block: Block, layout: Layout) -> Columns | None:
    """The cells of a block by column; None where its rows are not all plain and of one width."""
    width = len(layout.header)
    if layout.form != "csv" or layout.dialect or width == 1:
        return None
    data = _plain_utf8(block.data, layout.encoding)
    if not data:
        return None
    if not data.endswith(b"\n"):
        data += b"\n"
    octets = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero((octets == ord(",")) | (octets == ord("\n")))
    lines = octets[ends] == ord("\n")
    if len(lines) % width or not _is_regular(lines.reshape(-1, width)):
        return None
    if np.diff(ends[width - 1 :: width], prepend=-1).max() > LINE_MAX_BYTES:
        return None
    return columns_of(data, ends.reshape(-1, width))


def _is_regular(lines: NDArray[np.bool_]) -> bool:
    return bool(lines[:, -1].all() and not lines[:, :-1].any())


def csv_cells(raw: bytes, encoding: str) -> list[str]:
    """The cells of one CSV row, which may be quoted; `Torn` where it cannot be read whole."""
    if len(raw) > LINE_MAX_BYTES:
        return Torn()
    try:
        text = raw.decode(encoding)
        (cells,) = csv.reader([text], strict=True)
    except (UnicodeDecodeError, csv.Error, ValueError):
        return _torn(raw, encoding)
    return Torn(cells) if b"\0" in raw else cells


def _plain(data: bytes, encoding: str) -> str | None:
    """The text, if commas and line feeds are all that shapes it."""
    if b'"' in data or b"\0" in data:
        return None
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        return None
    if "\r" in text:
        text = text.replace("\r\n", "\n").removesuffix("\r")
    return None if "\r" in text else text


def _plain_utf8(data: bytes, encoding: str) -> bytes | None:
    """As `_plain`, in UTF-8."""
    if encoding == "utf-8" and not any(each in data for each in (b'"', b"\0", b"\r")):
        return data if is_utf8(data) else None
    text = _plain(data, encoding)
    return None if text is None else text.encode()


def _careful_rows(block: Block, layout: Layout) -> Iterator[tuple[int, list[str]]]:
    lines = block.data.split(b"\n")
    for index, record in _group(lines, len(layout.header), last=True).records:
        line = block.first_line + index
        if record is None:
            yield line, _torn(lines[index], layout.encoding)
        elif record.strip():
            yield line, csv_cells(record, layout.encoding)


def _torn(raw: bytes, encoding: str) -> Torn:
    if len(raw) > LINE_MAX_BYTES:
        return Torn()
    cells = raw.decode(encoding, "replace").split(",")
    return Torn(cell.strip('" \r') for cell in cells)


class _Grouping(msgspec.Struct):
    """Rows by the index of their first line (None: torn), and how many lines are decided."""

    records: list[tuple[int, bytes | None]]
    decided: int


def _end(data: bytes, width: int | None) -> int:
    """Where the last whole row of the data ends."""
    end = data.rfind(b"\n") + 1
    if width is None or data.find(b'"', 0, end) < 0:
        return end
    lines = data[: end - 1].split(b"\n")
    undecided = lines[_group(lines, width, last=False).decided :]
    return end - sum(map(len, undecided)) - len(undecided)


def _group(lines: list[bytes], width: int, *, last: bool) -> _Grouping:
    """Which lines make one row: those between which the quotes are not closed.

    Without `last`, more lines may follow, so a row that is open at the end is undecided.
    """
    records: list[tuple[int, bytes | None]] = []
    index = 0
    while index < len(lines):
        line = lines[index]
        if line.count(b'"') % 2 == 0:
            records.append((index, line))
            index += 1
            continue
        after = _closing(lines, index)
        if after is None and not last:
            break
        record = b"\n".join(lines[index:after]) if after else b""
        whole = after and _is_whole(record, width)
        records.append((index, record if whole else None))
        index = after if whole and after else index + 1
    return _Grouping(records, index)


def _closing(lines: list[bytes], start: int) -> int | None:
    """The line after the one that closes the quotes; 0 if none may; None if it may follow."""
    if b"\0" in lines[start]:
        return 0
    size = len(lines[start])
    for index in range(start + 1, len(lines)):
        size += len(lines[index]) + 1
        if size > LINE_MAX_BYTES:
            return 0
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
