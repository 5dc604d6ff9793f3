"""Blocks of list files to packed rows, put aside by partition; rejects with line and reason.

What cannot be told in one row is counted: a placeholder is in very many rows, and the ID numbers
that a spreadsheet rounds end in zeros.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from loader.columns.cells import FAULT, FAULTS, NO_SUCH_LIST, REJECTED, SOUND
from loader.columns.columns import Bools, Column, Columns, Numbers, Octets
from loader.columns.digits import CARD_DIGITS
from loader.columns.sheets import Block, Layout, Sheet
from loader.rows.packed_rows import (
    HASH,
    LIST_AT,
    PLACE_BYTES,
    Context,
    Courts,
    PackedRows,
    Spill,
    read_spill,
    written,
)
from loader.rows.packer import BlockPacker, PackedBlock
from roster.errors import LoadRefused
from roster.keys import BUCKETS, PARTITIONS

ENTRIES_MAX = 1_000
"""Entries of one number: nobody has more."""
ENDINGS_FROM, ENDINGS_MAX = 1_000, 0.02
"""From so many rows on this part of their ID numbers may end alike (by nature one in 1,100)."""
_ENDING = 3
_ENDINGS = 11**_ENDING
_ZERO, _X = ord("0"), ord("X") - ord("0")
BAD_CHECK_DIGIT = "bad_check_digit"
_KEPT_MAX = 1_000_000
_LISTS_MAX = 256
_LIST_NAME = re.compile("[a-z][a-z-]{0,31}")


class Repeats(msgspec.Struct):
    """Rows by partition and bucket; ID numbers by list and last three digits, last their rows."""

    buckets: Numbers = msgspec.field(
        default_factory=lambda: np.zeros(PARTITIONS * BUCKETS, np.int64)
    )
    endings: dict[int, Numbers] = msgspec.field(default_factory=dict)

    def add(self, other: Repeats) -> None:
        """Count for both."""
        self.buckets += other.buckets
        for code, counts in other.endings.items():
            self._ended(code, counts)

    def count(self, packed: PackedRows, endings: Numbers) -> None:
        """Count these rows; `endings` as from `endings_in`."""
        places = packed.partitions * np.int64(BUCKETS)
        places += packed.fixed[:, 0] * np.int64(256) + packed.fixed[:, 1]
        self.buckets += np.bincount(places, minlength=len(self.buckets))
        for code in np.unique(packed.fixed[:, LIST_AT]).tolist():
            which = (packed.fixed[:, LIST_AT] == code) & (endings >= 0)
            if which.any():
                self._ended(code, _counted(endings[which], packed.fixed[which, 2:10]))

    def _ended(self, code: int, counts: Numbers) -> None:
        self.endings[code] = self.endings.get(code, 0) + counts

    def too_many_alike(self) -> Iterator[tuple[int, int, int]]:
        """Lists in which too many ID numbers end alike: the code, how many, and of how many."""
        for code, counts in sorted(self.endings.items()):
            most, total = int(counts[:-1].max()), int(counts[:-1].sum())
            if counts[-1] >= ENDINGS_FROM and most > max(total, ENDINGS_FROM) * ENDINGS_MAX:
                yield code, most, total

    def most_entries(self, folder: Path) -> int:
        """The most entries of one number, where that may be more than `ENTRIES_MAX`; else 0."""
        full = np.flatnonzero(self.buckets > ENTRIES_MAX)
        partitions = np.unique(full // BUCKETS).tolist()
        return max((_most(read_spill(folder, each).fixed) for each in partitions), default=0)


def _counted(endings: Numbers, places: Octets) -> Numbers:
    """How often each occurs (once for a person, where it matters), and last of how many rows."""
    counts = np.bincount(endings, minlength=_ENDINGS)
    if counts.max() > len(endings) * ENDINGS_MAX / 2:
        _, first = np.unique(np.ascontiguousarray(places).view(np.uint64), return_index=True)
        counts = np.bincount(endings[first], minlength=_ENDINGS)
    return np.append(counts, len(endings))


def _most(rows: Octets) -> int:
    """The most entries that one person has among packed rows; doubles count once."""
    if not len(rows):
        return 0
    names = np.hstack((rows[:, :PLACE_BYTES], rows[:, LIST_AT, None], rows[:, HASH]))
    entries = np.unique(_whole(names)).view(np.uint8).reshape(-1, names.shape[1])
    return int(np.unique(_whole(entries[:, :PLACE_BYTES]), return_counts=True)[1].max())


def _whole(table: Octets) -> NDArray[np.void]:
    """Each line of a table as one value."""
    return np.ascontiguousarray(table).view(f"V{table.shape[1]}").reshape(-1)


def endings_in(numbers: Column, which: Bools) -> Numbers:
    """The last three digits of those cells that are as long as an ID number; -1 for others."""
    found = np.full(len(numbers), -1, np.int64)
    chosen = np.flatnonzero(which & (numbers.sizes == CARD_DIGITS))
    if len(chosen):
        digits = numbers.chosen(chosen).windows(CARD_DIGITS - _ENDING, _ENDING) - np.uint8(_ZERO)
        digits[digits == _X] = 10
        digits[digits > 10] = 0  # noqa: PLR2004 -- another document's
        found[chosen] = digits.astype(np.int64) @ np.array((121, 11, 1))
    return found


class Piece(msgspec.Struct, frozen=True):
    """A block of one of the files."""

    file: int
    name: str
    layout: Layout
    default_list: str | None
    block: Block


class ScatterResult(msgspec.Struct):
    """What a process has read: rows by list and file, rejects and the rest by reason and list.

    `kept` are the entries of rejected rows, as `kept_of` has them; `unknown` are names of
    lists that no roster has, as far as they may be repeated. A reject that names none of the
    roster's is of the list "".
    """

    rows: Counter[int] = msgspec.field(default_factory=Counter)
    lists: Counter[str] = msgspec.field(default_factory=Counter)
    unknown: Counter[str] = msgspec.field(default_factory=Counter)
    rejected: Counter[str] = msgspec.field(default_factory=Counter)
    warned: Counter[str] = msgspec.field(default_factory=Counter)
    skipped: Counter[str] = msgspec.field(default_factory=Counter)
    rejected_of: Counter[str] = msgspec.field(default_factory=Counter)
    warned_of: Counter[str] = msgspec.field(default_factory=Counter)
    skipped_of: Counter[str] = msgspec.field(default_factory=Counter)
    alike: Repeats = msgspec.field(default_factory=Repeats)
    courts: set[str] = msgspec.field(default_factory=set)
    kept: set[bytes] = msgspec.field(default_factory=set)

    def add(self, other: ScatterResult) -> None:
        """Speak for both."""
        for name in self.__struct_fields__:
            mine, theirs = getattr(self, name), getattr(other, name)
            (mine.add if name == "alike" else mine.update)(theirs)

    @property
    def names(self) -> list[str]:
        """The lists that rows are of, rejected ones and others that are not loaded too."""
        return sorted({*self.lists, *self.rejected_of, *self.skipped_of})

    def rows_of(self, name: str) -> int:
        """All rows of a list; those of no list ("") are measured by all that there are."""
        counts = self.lists, self.rejected_of, self.skipped_of
        return sum(count[name] for count in counts) if name else self.rows.total()


class Scatter:
    """Reads blocks in one process."""

    def __init__(self, context: Context, folder: Path, worker: int) -> None:
        """Rows go to the folder's spill, rejects to a file in it."""
        self._context = context
        self._courts = Courts(context)
        self._spill = Spill(folder, worker)
        self._rejects_path = folder / f"{worker}.rejects"
        self._rejects: TextIO | None = None
        self._quicks: dict[tuple[tuple[str, ...], str | None], BlockPacker] = {}
        self._names = {code: name for name, code in context.codes.items()}
        self.found = ScatterResult()

    def read(self, piece: Piece, sheet: Sheet) -> int:
        """How many rows the piece has, whose `sheet` this is; they are put aside."""
        if not len(sheet):
            return 0
        columns, torn = sheet.legible()
        judged = self._quick(piece.layout.columns, piece.default_list).judge(columns, torn)
        sound = judged.faults == SOUND
        self._put_aside(judged.packed, _endings(piece.layout, columns, sound))
        self._count("warned", BAD_CHECK_DIGIT, judged.packed.fixed[judged.warned, LIST_AT])
        if not sound.all():
            self._refuse(piece, sheet.lines, judged)
        self.found.rows[piece.file] += len(sheet)
        return len(sheet)

    def _count(self, what: str, reason: str, codes: Octets) -> None:
        """Count rows of these lists that are rejected, skipped or warned of."""
        for code, rows in Counter(codes.tolist()).items():
            getattr(self.found, what)[reason] += rows
            getattr(self.found, f"{what}_of")[self._names.get(code, "")] += rows

    def _put_aside(self, packed: PackedRows, endings: Numbers) -> None:
        self._spill.add(packed)
        self.found.alike.count(packed, endings)
        for code, rows in enumerate(np.bincount(packed.fixed[:, LIST_AT]).tolist()):
            if rows:
                self.found.lists[self._names[code]] += rows

    def close(self) -> ScatterResult:
        """What was found; everything is on disk."""
        self._spill.close()
        with written("the data folder"):
            if self._rejects is not None:
                self._rejects.close()
        self.found.courts.update(self._courts)
        return self.found

    def abandon(self) -> None:
        """Close the rejects' file, whether or not all was read."""
        if self._rejects is not None:
            with suppress(OSError):
                self._rejects.close()

    def _quick(self, columns: Sequence[str], default: str | None) -> BlockPacker:
        key = tuple(columns), default
        if key not in self._quicks:
            self._quicks[key] = BlockPacker(columns, default, self._context, self._courts)
        return self._quicks[key]

    def _refuse(self, piece: Piece, lines: Numbers, judged: PackedBlock) -> None:
        """Count what is not loaded, and write it down if it is rejected."""
        for fault in np.unique(judged.faults).tolist():
            if fault not in {SOUND, FAULT["list", NO_SUCH_LIST]}:
                what = "rejected" if REJECTED[fault] else "skipped"
                self._count(what, FAULTS[fault][1], judged.codes[judged.faults == fault])
        for name in judged.unknown:
            self._unknown(name)
        self._write(piece, lines, judged.faults)
        self.found.kept.update(judged.kept)
        if len(self.found.kept) > _KEPT_MAX:
            raise LoadRefused(f"more than {_KEPT_MAX} rows are rejected")

    def _unknown(self, name: str) -> None:
        printable = _LIST_NAME.fullmatch(name)  # anything else may be somebody's name
        if len(self.found.unknown) < _LISTS_MAX:
            self.found.unknown[name if printable else "(unprintable)"] += 1

    def _write(self, piece: Piece, lines: Numbers, faults: Octets) -> None:
        rows = np.flatnonzero(REJECTED[faults])
        about = zip(lines[rows].tolist(), faults[rows].tolist(), strict=True)
        rejects = [(piece.file, piece.name, line, *FAULTS[fault]) for line, fault in about]
        with written("the data folder"):
            if self._rejects is None and rejects:
                self._rejects = self._rejects_path.open("w", encoding="utf-8", newline="")
            if self._rejects is not None:
                csv.writer(self._rejects).writerows(rejects)


def _endings(layout: Layout, columns: Columns, which: Bools) -> Numbers:
    """The last digits of the numbers of these rows."""
    names = layout.columns
    place = names.index("document_number") if "document_number" in names else None
    return endings_in(columns.column(place), which)[which]


def reject_rows(folder: Path) -> Iterator[list[str]]:
    """File, line, field and reason of every reject, in the order of files and lines."""
    found: list[list[str]] = []
    for path in folder.glob("*.rejects"):
        with path.open(encoding="utf-8", newline="") as file:
            found += csv.reader(file)
    found.sort(key=lambda row: (int(row[0]), int(row[2])))
    return (row[1:] for row in found)
