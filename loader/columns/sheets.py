"""The rows of a block by column, with their lines, and those apart that are not whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Literal

import msgspec
import numpy as np

from loader.columns.columns import AHEAD_BYTES, SHORT_BYTES, Bools, Columns, Numbers, sizes_of
from roster.documents.spelling import trimmed

COLUMNS = (
    "list",
    "entry_id",
    "document_type",
    "document_number",
    "document_issuer",
    "document_kind",
    "name",
    "revision",
    "updated_at",
    "state",
    "from",
    "until",
    "case",
    "court",
    "modes",
    "lifts",
    "cases",
    "kind",
    "decided_at",
    "reason",
)
"""Every column (docs/lists.md, Columns), in the order in which rows without a header have them."""
REQUIRED = ("entry_id", "document_type", "document_number")

_EXACT_BELOW = 1 << 53
LINE_MAX_BYTES = 1 << 20
"""A longer line is no row."""
UNFIT = "\ufffd"
"""What stands for a character that no text may hold."""

Encoding = Literal["utf-8", "gb18030"]
Form = Literal["csv", "json", "rows"]
Dialect = Literal["", "zxgk", "xycj"]


class Torn(list[str]):
    """A row that could not be read whole: the cells that are legible, if any."""


def whole(row: list[str]) -> list[str]:
    """The row, `Torn` where it holds what no text may: NUL, or half of a surrogate pair."""
    text = "".join(row)
    if text.isprintable():
        return row
    fit = [cell.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for cell in row]
    return Torn(fit) if fit != row or "\0" in text else row


def spelled(value: object, exact_below: int = _EXACT_BELOW) -> str:
    """A cell of a format that has types, as the text that a CSV would have.

    A float from `exact_below` on has lost digits: its text says so.
    """
    if value is None or value != value:  # noqa: PLR0124 -- NaN is how data frames say nothing
        return ""
    if isinstance(value, list):
        return "|".join(map(spelled, value))
    if isinstance(value, Decimal) and value == value.to_integral_value():
        return str(int(value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value)) if abs(value) < exact_below else f"{value:e}"
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


class Layout(msgspec.Struct, frozen=True):
    """How to read the blocks of one file; small, so that it travels to other processes.

    `header` are the file's own columns; `columns` those of the rows that come out.
    """

    form: Form
    encoding: Encoding = "utf-8"
    header: tuple[str, ...] = COLUMNS
    dialect: Dialect = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the sheets that its blocks are."""
        return self.header if self.form == "csv" and not self.dialect else COLUMNS


class Block(msgspec.Struct, frozen=True):
    """Whole rows of a file: as bytes, or (where the format is no text) already by column."""

    first_line: int
    data: bytes = b""
    sheet: Sheet | None = None


class Sheet(msgspec.Struct, frozen=True):
    """Rows; `odd` are those that are torn or of another width, whatever their cells here are."""

    columns: Columns
    lines: Numbers
    odd: Mapping[int, list[str]]

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.lines)

    def rows(self, which: Numbers | None = None) -> Iterator[tuple[int, list[str]]]:
        """Line number and cells of some rows, or of all."""
        which = np.arange(len(self)) if which is None else which
        if not len(which):
            return iter(())
        places = zip(which.tolist(), self.lines[which].tolist(), strict=True)
        rows = zip(places, self.columns.rows(which), strict=True)
        odd = self.odd
        return (
            (line, odd[index] if index in odd else list(cells)) for (index, line), cells in rows
        )

    def legible(self) -> tuple[Columns, Bools]:
        """All rows, and which of them are torn: those have what is legible of their cells."""
        torn = np.zeros(len(self), np.bool_)
        if not self.odd:
            return self.columns, torn
        width, cells = len(self.columns.starts), list[str]()
        for index, row in self.odd.items():
            torn[index] = row.__class__ is Torn or len(row) != width
            cells += [*row, *[""] * width][:width]
        # With NUL in it a cell says no entry id.
        cells = [trimmed(cell).replace("\0", UNFIT) if "\0" in cell else cell for cell in cells]
        parts = [cell.encode() for cell in cells]
        sizes = sizes_of(parts)
        found = Columns(
            b"".join((self.columns.text, b"\0".join(parts), bytes(SHORT_BYTES))),
            self.columns.starts.copy(),
            self.columns.sizes.copy(),
        )
        starts = len(self.columns.text) + np.cumsum(sizes + 1) - sizes - 1
        found.starts[:, list(self.odd)] = starts.reshape(-1, width).T
        found.sizes[:, list(self.odd)] = sizes.reshape(-1, width).T
        return found, torn


def padded(data: bytes) -> bytes:
    """A text as `Columns` takes it; a line feed is before it."""
    return b"".join((bytes(AHEAD_BYTES - 1), b"\n", data, bytes(SHORT_BYTES)))


def sheet_of(columns: Columns, lines: Numbers, good: Bools, odd: Mapping[int, list[str]]) -> Sheet:
    """The good rows, whose columns these are, and the odd ones among them; no others."""
    if good.all():
        return Sheet(columns, lines, {})
    kept = good.copy()
    kept[list(odd)] = True
    places = np.cumsum(kept) - 1
    starts = np.full((len(columns.starts), int(kept.sum())), AHEAD_BYTES)
    sizes = np.zeros_like(starts)
    starts[:, places[good]], sizes[:, places[good]] = columns.starts, columns.sizes
    found = {int(places[index]): cells for index, cells in odd.items()}
    return Sheet(Columns(columns.text, starts, sizes), lines[kept], found)


def sheet_of_cells(
    columns: Sequence[Sequence[object]], lines: Numbers, odd: Mapping[int, list[str]]
) -> Sheet:
    """Rows whose cells are values; those that hold NUL, or half of a surrogate pair, are torn."""
    try:
        return Sheet(_columns(columns, len(lines)), lines, odd)
    except ValueError:  # more NULs than cells, or no UTF-8
        rows = [whole(list(map(_text, row))) for row in zip(*columns, strict=True)]
    torn = {index: row for index, row in enumerate(rows) if row.__class__ is Torn}
    fit = [[cell.replace("\0", UNFIT) for cell in column] for column in zip(*rows, strict=True)]
    return Sheet(_columns(fit, len(lines)), lines, {**torn, **odd})


def _columns(columns: Sequence[Sequence[object]], count: int) -> Columns:
    stated = [any(column) or 0 in column for column in columns]
    parts = [_joined(column) for column, any_ in zip(columns, stated, strict=True) if any_]
    text = padded(b"".join(parts))
    ends = np.flatnonzero(np.frombuffer(text, np.uint8)[AHEAD_BYTES:-SHORT_BYTES] == 0)
    starts = np.full((len(columns), count), AHEAD_BYTES)
    sizes = np.zeros_like(starts)
    behind = np.append(np.zeros(1, np.int64), ends + 1)
    starts[stated] = behind[:-1].reshape(sum(stated), count) + AHEAD_BYTES
    sizes[stated] = np.diff(behind).reshape(sum(stated), count) - 1
    return Columns(text, starts, sizes)


def _joined(column: Sequence[object]) -> bytes:
    """The cells' texts, with NUL behind each."""
    try:
        text = "\0".join(column)  # type: ignore[arg-type]
    except TypeError:  # not all are texts
        text = "\0".join(map(_text, column))
    return text.encode() + b"\0"


def _text(cell: object) -> str:
    return cell if isinstance(cell, str) else spelled(cell)
