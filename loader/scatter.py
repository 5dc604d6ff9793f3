"""Blocks of list files to packed rows, put aside by partition; rejects with line and reason."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import msgspec
import numpy as np

from loader.alike import Alike, Counts, endings_in, endings_of
from loader.layout import Block, Layout
from loader.packing import LIST_AT, Context, Packer
from loader.pieces import Bools
from loader.quick import Judged, Quick
from loader.rows import Reader, Reject, Row, Skip
from loader.sheets import Sheet
from loader.sources import sheet_of
from loader.spill import Spill, written
from loader.table import Packed, packed_of
from roster.entry import RESTRICTING_BELOW
from roster.errors import LoadRefused
from roster.tokeniser import Tokeniser

BAD_CHECK_DIGIT = "bad_check_digit"
ANYBODY = bytes(14)
"""In the place of a kept entry: whose document could not be read."""
_ANYBODY_BYTES = 21
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

    `kept` are the entries of rejected rows, which still count as present: partition and
    place of the document (`ANYBODY` alone where it is not legible), list, entry hash.
    `unknown` are names of lists that no roster has, as far as they may be repeated; a reject
    that names none of the roster's is of the list "".
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
        self._packer = Packer(context)
        self._spill = Spill(folder, worker)
        self._rejects_path = folder / f"{worker}.rejects"
        self._rejects: TextIO | None = None
        self._readers: dict[tuple[tuple[str, ...], str | None], tuple[Reader, Quick]] = {}
        self._names = {code: name for name, code in context.codes.items()}
        self._liftable = {n for n, code in context.codes.items() if code < RESTRICTING_BELOW}
        self.found = Scattered()

    def read(self, piece: Piece) -> int:
        """How many rows the piece has; they are put aside."""
        reader, quick = self._reader(piece.layout.columns, piece.default_list)
        sheet = sheet_of(piece.block, piece.layout)
        if not len(sheet):
            return 0
        judged = quick.pack_columns(sheet.columns, sheet.are_odd)
        self._put_aside(judged.packed, _endings(piece, sheet, judged.odd)[~judged.odd])
        self._warn(judged)
        self._read_slowly(piece, reader, sheet.rows(np.flatnonzero(judged.odd)))
        self.found.rows[piece.file] += len(judged.odd)
        return len(judged.odd)

    def _read_slowly(
        self, piece: Piece, reader: Reader, numbered: Iterable[tuple[int, list[str]]]
    ) -> None:
        """Nothing; these rows are put aside one by one, or rejected."""
        slow, numbers = [], []
        for line, cells in numbered:
            read = reader.read(line, cells)
            token, row = self._slow(piece, read)
            if row and isinstance(read, Row):
                slow.append((token, row))
                numbers.append(read.number)
        if slow:
            self._put_aside(packed_of(slow), endings_of(numbers))

    def _warn(self, judged: Judged) -> None:
        for code in judged.packed.fixed[judged.warned, LIST_AT].tolist():
            self.found.warned[BAD_CHECK_DIGIT] += 1
            self.found.warned_of[self._names[code]] += 1

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
        self.found.courts.update(self._packer.courts)
        return self.found

    def abandon(self) -> None:
        """Nothing; the rejects' file is closed, whether or not all was read."""
        if self._rejects is not None:
            with suppress(OSError):
                self._rejects.close()

    def _reader(self, columns: Sequence[str], default: str | None) -> tuple[Reader, Quick]:
        key = tuple(columns), default
        if key not in self._readers:
            self._readers[key] = (
                Reader(columns, default, self._context.now_ms),
                Quick(columns, default, self._context, self._packer),
            )
        return self._readers[key]

    def _slow(self, piece: Piece, read: Row | Reject | Skip) -> tuple[bytes, bytes]:
        """The row's token and bytes, empty for one that is not loaded."""
        if isinstance(read, Skip):
            self.found.skipped[read.reason] += 1
            self.found.skipped_of[self._known(read.list)] += 1
        elif isinstance(read, Reject):
            self._reject(piece, read)
        elif read.list not in self._context.codes:
            self._unknown(read.list)
        elif not self._liftable.issuperset(read.lifts):
            given = read.list, read.entry_id, read.number
            self._reject(piece, Reject(read.line, "lifts", "malformed", *given))
        else:
            if not read.valid:
                self.found.warned[BAD_CHECK_DIGIT] += 1
                self.found.warned_of[read.list] += 1
            return self._packer.pack(read)
        return b"", b""

    def _known(self, name: str | None) -> str:
        return name if name in self._context.codes else ""

    def _unknown(self, name: str) -> None:
        printable = _LIST_NAME.fullmatch(name)  # anything else may be somebody's name
        if len(self.found.unknown) < _LISTS_MAX:
            self.found.unknown[name if printable else "(unprintable)"] += 1

    def _reject(self, piece: Piece, reject: Reject) -> None:
        self.found.rejected[reject.reason] += 1
        self.found.rejected_of[self._known(reject.list)] += 1
        told = piece.file, piece.name, reject.line, reject.field, reject.reason
        with written("the data folder"):
            if self._rejects is None:
                self._rejects = self._rejects_path.open("w", encoding="utf-8", newline="")
            csv.writer(self._rejects).writerow(told)
        code = self._context.codes.get(reject.list or "")
        if code is None or reject.entry_id is None:
            return
        self.found.kept.add(_kept(self._packer.tokeniser, reject, code))
        if len(self.found.kept) > _KEPT_MAX:
            raise LoadRefused(f"more than {_KEPT_MAX} rows are rejected")


def _endings(piece: Piece, sheet: Sheet, odd: Bools) -> Counts:
    """The last digits of the numbers of rows that are not `odd`."""
    names = piece.layout.columns
    place = names.index("document_number") if "document_number" in names else None
    return endings_in(sheet.columns.column(place), ~odd)


def _kept(tokeniser: Tokeniser, reject: Reject, code: int) -> bytes:
    name = bytes((code,)) + tokeniser.entry_hash(code, reject.entry_id or "")
    return (tokeniser.token(reject.number)[1:] if reject.number else ANYBODY) + name


def kept_in(partition: int, kept: Iterable[bytes]) -> bytes:
    """The kept entries that may be in this partition, as the merge takes them."""
    anybody = [name for name in kept if name.startswith(ANYBODY) and len(name) == _ANYBODY_BYTES]
    here = [name[1:] for name in kept if len(name) > _ANYBODY_BYTES and name[0] == partition]
    return b"".join(anybody + here)


def reject_rows(folder: Path) -> Iterator[list[str]]:
    """File, line, field and reason of every reject, in the order of files and lines."""
    found: list[list[str]] = []
    for path in folder.glob("*.rejects"):
        with path.open(encoding="utf-8", newline="") as file:
            found += csv.reader(file)
    found.sort(key=lambda row: (int(row[0]), int(row[2])))
    return (row[1:] for row in found)
