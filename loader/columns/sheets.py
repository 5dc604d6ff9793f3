"""The rows of a block by column, with their lines, and those apart that are not whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec
import numpy as np

from loader.columns.columns import AHEAD_BYTES, SHORT_BYTES, Columns
from loader.columns.layout import UNFIT, Torn, spelled, whole
from loader.columns.pieces import Bools, Numbers, sizes_of
from roster.documents.spelling import trimmed


class Sheet(msgspec.Struct, frozen=True):
    """Rows; `odd` are those that are torn or of another width, whatever their cells here are."""

    columns: Columns
    lines: Numbers
    odd: Mapping[int, list[str]]

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.lines)

    @property
    def are_odd(self) -> Bools:
        """Which rows are."""
        marked = np.zeros(len(self), np.bool_)
        marked[list(self.odd)] = True
        return marked

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
        parts = [(cell if "\0" not in cell else _illegible(cell)).encode() for cell in cells]
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


def _illegible(cell: str) -> str:
    """A torn row's cell with NUL in it, as it says no entry id."""
    return trimmed(cell).replace("\0", "\ufffd")


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
