"""Blocks of list files to packed rows, put aside by partition; rejects with line and reason."""

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

from loader.columns.columns import Columns
from loader.columns.faults import FAULT, FAULTS, NO_SUCH_LIST, REJECTED, SOUND
from loader.columns.layout import Block, Layout
from loader.columns.pieces import Bools, Numbers, Octets
from loader.rows.alike import Alike, Counts, endings_in
from loader.rows.packing import LIST_AT, Context, Courts
from loader.rows.quick import Judged, Quick
from loader.rows.spill import Spill, written
from loader.rows.table import Packed
from loader.sheets.sources import sheet_of
from roster.errors import LoadRefused

BAD_CHECK_DIGIT = "bad_check_digit"
_KEPT_MAX = 1_000_000
_LISTS_MAX = 256
_LIST_NAME = re.compile("[a-z][a-z-]{0,31}")


class Piece(msgspec.Struct, frozen=True):
    """A block of one of the files."""

    file: int
    name: str
    layout: Layout
    default_list: str | None
    block: Block


class Scattered(msgspec.Struct):
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
    alike: Alike = msgspec.field(default_factory=Alike)
    courts: set[str] = msgspec.field(default_factory=set)
    kept: set[bytes] = msgspec.field(default_factory=set)

    def add(self, other: Scattered) -> None:
        """Nothing; it speaks for both."""
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
        self._quicks: dict[tuple[tuple[str, ...], str | None], Quick] = {}
        self._names = {code: name for name, code in context.codes.items()}
        self.found = Scattered()

    def read(self, piece: Piece) -> int:
        """How many rows the piece has; they are put aside."""
        sheet = sheet_of(piece.block, piece.layout)
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
        """Nothing; so many rows of these lists are rejected, skipped or warned of."""
        for code, rows in Counter(codes.tolist()).items():
            getattr(self.found, what)[reason] += rows
            getattr(self.found, f"{what}_of")[self._names.get(code, "")] += rows

    def _put_aside(self, packed: Packed, endings: Counts) -> None:
        self._spill.add(packed)
        self.found.alike.count(packed, endings)
        for code, rows in enumerate(np.bincount(packed.fixed[:, LIST_AT]).tolist()):
            if rows:
                self.found.lists[self._names[code]] += rows

    def close(self) -> Scattered:
        """What was found; everything is on disk."""
        self._spill.close()
        with written("the data folder"):
            if self._rejects is not None:
                self._rejects.close()
        self.found.courts.update(self._courts)
        return self.found

    def abandon(self) -> None:
        """Nothing; the rejects' file is closed, whether or not all was read."""
        if self._rejects is not None:
            with suppress(OSError):
                self._rejects.close()

    def _quick(self, columns: Sequence[str], default: str | None) -> Quick:
        key = tuple(columns), default
        if key not in self._quicks:
            self._quicks[key] = Quick(columns, default, self._context, self._courts)
        return self._quicks[key]

    def _refuse(self, piece: Piece, lines: Numbers, judged: Judged) -> None:
        """Nothing; what is not loaded is counted, and told of if it is rejected."""
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
        told = [(piece.file, piece.name, line, *FAULTS[fault]) for line, fault in about]
        with written("the data folder"):
            if self._rejects is None and told:
                self._rejects = self._rejects_path.open("w", encoding="utf-8", newline="")
            if self._rejects is not None:
                csv.writer(self._rejects).writerows(told)


def _endings(layout: Layout, columns: Columns, which: Bools) -> Counts:
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
