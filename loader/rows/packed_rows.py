"""Rows as bytes that sort by person: what the scatter writes and the merge reads.

A packed row is a token's place (14 bytes: bucket, field), the header of a record's entry
(roster/records/record.py), its registers, its content and its provenance. The provenance of a plain
row is the load's, the same for all, and left out: its size in the header stands for it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np

from loader.columns.columns import (
    Bools,
    Column,
    Numbers,
    Octets,
    Pieces,
    concatenated,
    octets_of,
    windows,
)
from loader.columns.texts import longer_than
from roster.documents.tokeniser import SCHEME, Tokeniser
from roster.errors import LoadRefused
from roster.keys import PARTITIONS
from roster.records.bounds import ENTRY_ID_MAX
from roster.records.content import court_id
from roster.records.record import HEADER, REGISTER_BYTES, pack_load

PLACE_BYTES = 14
LIST_AT, PRESENT_AT = PLACE_BYTES, PLACE_BYTES + 1
HASH = slice(PLACE_BYTES + 2, PLACE_BYTES + 8)
DIGEST = slice(PLACE_BYTES + 8, PLACE_BYTES + 16)
CONTENT_SIZE = slice(PLACE_BYTES + 16, PLACE_BYTES + 18)
PROVENANCE_SIZE_AT = PLACE_BYTES + 18
HEAD_BYTES = PLACE_BYTES + HEADER.size
PLAIN_PROVENANCE_BYTES = len(pack_load(0))

LISTED, REMOVED, SUSPENDED, RESUMED = 1, 2, 4, 8
RAISED = {
    "": LISTED,
    "active": LISTED | RESUMED,
    "suspended": LISTED | SUSPENDED,
    "removed": REMOVED,
}
"""Which registers a row raises, as bits of the header."""

_COURTS_MAX = 200_000
FIXED_BYTES = HEAD_BYTES + REGISTER_BYTES
"""A row's place, header and first register: no row has less."""
ANYBODY = bytes(15)
"""In the place of a document that could not be read."""
KEPT_BYTES = 21
"""Of an entry as the merge takes it: place, list, entry hash."""
_ILLEGIBLE = "\ufffd".encode()
_ROWS_MAX = 1_024
_CHUNK = struct.Struct(">IQ")
"""How many rows follow, and the size of their rests; then all of `PackedRows`."""


class Context(msgspec.Struct, frozen=True):
    """What the packing of rows depends on, the same in every process.

    `codes` are the codes of the lists that the files may name. `courts` are names that
    Redis holds by their four bytes; `spelled` those whose four bytes another one has. `scheme`
    is the roster's.
    """

    key: bytes
    codes: dict[str, int]
    as_of: int
    load: int
    now_ms: int
    courts: dict[bytes, str]
    spelled: frozenset[str] = frozenset()
    scheme: int = SCHEME

    @property
    def tokeniser(self) -> Tokeniser:
        """A new one, of key and scheme."""
        return Tokeniser(self.key, self.scheme)

    def __repr__(self) -> str:
        """Without the key."""
        return f"<Context of load {self.load}>"


class Courts(dict[str, bytes]):
    """The four bytes of every court that a process has met, but those to be spelled out."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._known: Mapping[bytes, str] = context.courts
        self._spelled = context.spelled

    def __missing__(self, court: str) -> bytes:
        """Four bytes, or none; raises LoadRefused where there are more courts than exist."""
        if len(self) > _COURTS_MAX:
            raise LoadRefused(f"more than {_COURTS_MAX} different courts: not a list")
        identifier = court_id(court)
        if court in self._spelled or self._known.get(identifier, court) != court:
            identifier = b""
        self[court] = identifier
        return identifier

    def get(self, court: str, _default: object = None) -> bytes:
        """As `pack_content` asks."""
        return self[court]


def fixed_of(parts: Iterable[bytes]) -> Octets:
    """The fixed parts of rows as a table."""
    return np.frombuffer(bytearray().join(parts), np.uint8).reshape(-1, FIXED_BYTES)


class PackedRows(msgspec.Struct, frozen=True):
    """Some rows: `fixed` in shape (n, `FIXED_BYTES`), the rest of each, and its partition."""

    fixed: Octets
    rests: Pieces
    partitions: Octets

    def chosen(self, which: Bools | Numbers) -> PackedRows:
        """Some of them only, or in another order."""
        return PackedRows(self.fixed[which], self.rests.chosen(which), self.partitions[which])


def entry_hashes(ids: Column, codes: Octets, tokeniser: Tokeniser) -> Octets:
    """The hashes of entries of these lists, in shape (n, 6)."""
    found = np.empty((len(ids), 6), np.uint8)
    for code in np.flatnonzero(np.bincount(codes)).tolist():
        mine = np.flatnonzero(codes == code)
        chosen = ids if len(mine) == len(ids) else ids.chosen(mine)
        found[mine] = octets_of(tokeniser.many("entry", chosen.cut(), bytes((0, code))))
    return found


def digests(texts: Pieces, tokeniser: Tokeniser) -> Octets:
    """The digests of these texts, in shape (n, 8)."""
    found = np.empty((len(texts.sizes), 8), np.uint8)
    for size in np.flatnonzero(np.bincount(texts.sizes)).tolist():
        same = np.flatnonzero(texts.sizes == size)
        inputs = windows(texts.source, size)[texts.starts[same]].tolist()
        found[same] = octets_of(tokeniser.many("digest", inputs))
    return found


def are_legible(ids: Column) -> Bools:
    """Which of these say which entry a row is of."""
    legible: Bools = (ids.sizes > 0) & ~longer_than(ids, ENTRY_ID_MAX)
    if _ILLEGIBLE in ids.text:
        legible &= np.array([_ILLEGIBLE not in cell for cell in ids.cut()], np.bool_)
    return legible


def kept_of(ids: Column, codes: Octets, tokens: Octets, tokeniser: Tokeniser) -> list[bytes]:
    """Partition and place of each document (of tokens of zeros `ANYBODY`), list and entry hash."""
    table = np.hstack((tokens[:, 1:], codes[:, None], entry_hashes(ids, codes, tokeniser)))
    names: list[bytes] = table.view(f"V{table.shape[1]}").reshape(-1).tolist()
    return names


def kept_in(partition: int, kept: Iterable[bytes]) -> bytes:
    """The kept entries that may be in this partition, as the merge takes them."""
    return b"".join(name[1:] for name in kept if name[0] == partition or name.startswith(ANYBODY))


@contextmanager
def written(what: str) -> Iterator[None]:
    """What is written within; raises LoadRefused where the disk is full, or fails otherwise."""
    try:
        yield
    except OSError as exc:
        raise LoadRefused(f"{what} cannot be written: {exc.strerror}") from exc


class Spill:
    """One process' rows, partition by partition."""

    def __init__(self, folder: Path, worker: int) -> None:
        """The files are the folder's; `worker` tells them from other processes' ones."""
        self._folder = folder
        self._worker = worker
        self._waiting: list[list[tuple[bytes, bytes, bytes]]] = [[] for _ in range(PARTITIONS)]
        self._counts = [0] * PARTITIONS

    def add(self, packed: PackedRows) -> None:
        """Put rows aside; at most `_ROWS_MAX` of each partition are in memory still."""
        order = np.argsort(packed.partitions, kind="stable")
        sorted_, rests = packed.chosen(order), concatenated([packed.rests.chosen(order)])
        bounds = np.searchsorted(sorted_.partitions, np.arange(PARTITIONS + 1)).tolist()
        ends, octets = [0, *np.cumsum(rests.sizes).tolist()], bytes(rests.source)
        for partition, (at, end) in enumerate(pairwise(bounds)):
            if at < end:
                mine = octets[ends[at] : ends[end]]
                part = sorted_.fixed[at:end].tobytes(), rests.sizes[at:end].tobytes(), mine
                self._waiting[partition].append(part)
                self._counts[partition] += end - at
                if self._counts[partition] > _ROWS_MAX:
                    self._write(partition)

    def close(self) -> None:
        """Write what is still in memory."""
        for partition, count in enumerate(self._counts):
            if count:
                self._write(partition)

    def _write(self, partition: int) -> None:
        fixed, sizes, rests = map(b"".join, zip(*self._waiting[partition], strict=True))
        head = _CHUNK.pack(self._counts[partition], len(rests))
        path = self._folder / f"{self._worker}-{partition:02d}.rows"
        with written("the data folder"), path.open("ab") as file:
            file.write(b"".join((head, fixed, sizes, rests)))
        self._waiting[partition], self._counts[partition] = [], 0


def read_spill(folder: Path, partition: int) -> PackedRows:
    """The rows of a partition that all processes have put aside."""
    fixed, sizes, rests = [], [], []
    for path in folder.glob(f"*-{partition:02d}.rows"):
        with path.open("rb") as file:
            while head := file.read(_CHUNK.size):
                count, size = _CHUNK.unpack(head)
                fixed.append(file.read(count * FIXED_BYTES))
                sizes.append(file.read(count * np.int64().itemsize))
                rests.append(file.read(size))
    numbers = np.frombuffer(b"".join(sizes), np.int64)
    pieces = Pieces(b"".join(rests), np.cumsum(numbers) - numbers, numbers)
    return PackedRows(fixed_of(fixed), pieces, np.full(len(numbers), partition, np.uint8))
