"""The rows of a block of CSV by column: quoted or not, in either encoding."""

from __future__ import annotations

import csv
from collections.abc import Sequence

import msgspec
import numpy as np

from loader.columns.columns import AHEAD_BYTES, SHORT_BYTES, Bools, Columns, Numbers, Octets
from loader.columns.sheets import LINE_MAX_BYTES, Block, Layout, Sheet, Torn, padded, sheet_of
from loader.columns.texts import utf8_of
from loader.files.blocks import FEED, QUOTE, RETURN, Marks, Spans, judged, marks_of, spans_of, unfit


class _RowBounds(msgspec.Struct, frozen=True):
    """The rows of some lines: their first and last lines, which are good, and which are blank.

    `ends` are those of the cells of these, in shape (good rows, columns), and `doubled` is where
    two quotes stand for one.
    """

    firsts: Numbers
    lasts: Numbers
    good: Bools
    blank: Bools
    ends: Numbers
    doubled: Numbers


def csv_sheet(block: Block, layout: Layout, wanted: Sequence[str] = ()) -> Sheet:
    """The block's rows; blank lines are none.

    Where some columns are wanted, doubled quotes stay as they are in others.
    """
    data, broken = utf8_of(block.data, layout.encoding)
    text = padded(data if data.endswith(b"\n") else data + b"\n")
    octets = np.frombuffer(text, np.uint8)[AHEAD_BYTES - 1 : 1 - SHORT_BYTES]
    marks, width = marks_of(octets), max(1, len(layout.header))
    spans = spans_of(marks, width, last=True)
    rows = _rows(marks, spans, width, broken)
    begins = marks.begins(rows.firsts)
    odd = _odd(block, layout.encoding, rows, np.flatnonzero(~rows.good & ~rows.blank), spans)
    columns = _columns(text, octets, begins[rows.good], rows)
    if len(rows.doubled):
        here = [name in wanted or not wanted for name in layout.header or ("",)]
        columns = _single(columns, rows, np.array(here))
    return sheet_of(columns, block.first_line + rows.firsts, rows.good, odd)


def _rows(marks: Marks, spans: Spans, width: int, broken: Sequence[int]) -> _RowBounds:
    inside = np.zeros(marks.lines + 1, np.int8)
    inside[spans.firsts + 1] = 1
    inside[spans.lasts + 1] -= 1
    firsts = np.flatnonzero(np.cumsum(inside[:-1], dtype=np.int8) == 0)
    lasts = np.append(firsts[1:] - 1, marks.lines - 1)
    first_marks, bases = marks.firsts(firsts), marks.bases(firsts)
    sizes = np.append(first_marks[1:], len(marks.at)) - first_marks
    each = np.repeat(bases, sizes) if bases.any() else 0
    bad, doubled = judged(marks, each)
    real = (marks.kinds != QUOTE) & (marks.open == each)
    good = np.add.reduceat(real, first_marks, dtype=np.int64) == width
    if bad.any():
        good &= ~np.logical_or.reduceat(bad, first_marks)
    good &= ~_hold(firsts, np.array([*broken, *spans.torn.tolist()], np.int64))
    begins, ends = marks.begins(firsts), marks.ends(lasts)
    good &= ends - begins <= LINE_MAX_BYTES
    good &= ~_hold(begins, unfit(marks.octets))
    blank = marks.octets[begins + (marks.octets[begins] == RETURN)] == FEED
    good &= ~blank
    if not good.all():
        real &= np.repeat(good, sizes)
    return _RowBounds(firsts, lasts, good, blank, marks.at[real].reshape(-1, width), doubled)


def _hold(begins: Numbers, places: Numbers) -> Bools:
    """Which rows, by where they begin, hold one of these places."""
    held = np.zeros(len(begins), np.bool_)
    if len(places):
        held[np.searchsorted(begins, places, "right") - 1] = True
    return held


def _columns(text: bytes, octets: Octets, begins: Numbers, rows: _RowBounds) -> Columns:
    """The cells of good rows, without their quotes."""
    behind = np.ascontiguousarray(rows.ends.T)
    starts = np.empty_like(behind)
    starts[1:] = behind[:-1] + 1
    starts[0] = begins
    behind[-1] -= octets[behind[-1] - 1] == RETURN
    quoted = octets[starts] == QUOTE
    if quoted.any():
        starts += quoted
        behind -= quoted
    return Columns(text, starts + (AHEAD_BYTES - 1), behind - starts)


def _single(columns: Columns, rows: _RowBounds, wanted: Bools) -> Columns:
    """The cells with one quote where two stand for it, in some columns."""
    ends = rows.ends.reshape(-1)
    places = np.unique(np.searchsorted(ends, rows.doubled))
    places = places[places < len(ends)]
    places = places[wanted[places % len(wanted)]]
    starts, sizes, parts, at = columns.starts, columns.sizes, [columns.text], len(columns.text)
    for row, column in zip(*map(np.ndarray.tolist, np.divmod(places, len(starts))), strict=True):
        start, size = int(starts[column, row]), int(sizes[column, row])
        cell = columns.text[start : start + size].replace(b'""', b'"')
        starts[column, row], sizes[column, row] = at, len(cell)
        parts.append(cell)
        at += len(cell)
    return Columns(b"".join((*parts, bytes(SHORT_BYTES))), starts, sizes)


def _odd(
    block: Block, encoding: str, rows: _RowBounds, which: Numbers, spans: Spans
) -> dict[int, list[str]]:
    """The cells of some rows, read one by one; blank ones are left out."""
    if not len(which):
        return {}
    lines, torn = block.data.split(b"\n"), set(spans.torn.tolist())
    odd: dict[int, list[str]] = {}
    for index in which.tolist():
        first, last = int(rows.firsts[index]), int(rows.lasts[index])
        raw = b"\n".join(lines[first : last + 1])
        if first in torn:
            odd[index] = _torn(raw, encoding)
        elif raw.strip():
            odd[index] = csv_cells(raw, encoding)
    return odd


def csv_cells(raw: bytes, encoding: str) -> list[str]:
    """The cells of one CSV row, which may be quoted; `Torn` where it cannot be read whole."""
    if len(raw) > LINE_MAX_BYTES:
        return Torn()
    try:
        text = raw.decode(encoding)
        (cells,) = csv.reader([text], strict=True)
    except (UnicodeError, csv.Error, ValueError):
        return _torn(raw, encoding)
    return Torn(cells) if b"\0" in raw else cells


def _torn(raw: bytes, encoding: str) -> Torn:
    if len(raw) > LINE_MAX_BYTES:
        return Torn()
    cells = raw.decode(encoding, "replace").split(",")
    return Torn(cell.strip('" \r') for cell in cells)
