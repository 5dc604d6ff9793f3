"""People whose rows are not alike: removed, suspended, listed twice, or told why."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import msgspec

from loader.packing import (
    CONTENT_SIZE,
    DIGEST,
    HASH,
    HEAD_BYTES,
    LIST_AT,
    LISTED,
    PLACE_BYTES,
    PRESENT_AT,
    REMOVED,
    SUSPENDED,
)
from roster.entry import RESTRICTING_BELOW, State
from roster.merging import MIXED, PLAIN, PLAIN_WITHOUT_REVISION
from roster.record import (
    COUNT,
    HEADER,
    REGISTER_BYTES,
    WITHOUT_REVISION,
    pack_record,
    split_record,
)

_RECORD = struct.Struct(">12sBI")
_U64 = struct.Struct(">Q")
_UNRAISED = bytes(REGISTER_BYTES)


class Tally(msgspec.Struct):
    """What the records of a bucket count, as roster.lua counts them."""

    counts: dict[str, int] = msgspec.field(default_factory=dict)
    digests: dict[int, int] = msgspec.field(default_factory=dict)
    added: dict[int, int] = msgspec.field(default_factory=dict)

    def json(self) -> bytes:
        """For `merge_buckets` and `fill_buckets`."""
        digests = {code: f"{value:016x}" for code, value in self.digests.items()}
        return msgspec.json.encode({"counts": self.counts, "digests": digests, "added": self.added})

    def count(self, name: str, by: int = 1) -> None:
        """Nothing; so many more of that name."""
        self.counts[name] = self.counts.get(name, 0) + by

    def join(self, other: Tally) -> None:
        """Nothing; what another bucket's records count is in it, too."""
        for name, by in other.counts.items():
            self.count(name, by)
        for code, entries in other.added.items():
            self.add(code, entries, other.digests.get(code, 0))

    def add(self, code: int, entries: int, digest: int) -> None:
        """Nothing; so many more entries of a list, of that digest together (0: none's)."""
        self.added[code] = self.added.get(code, 0) + entries
        if digest:
            self.digests[code] = self.digests.get(code, 0) ^ digest


def record_of(rows: list[bytes], provenance: bytes) -> bytes:
    """One person's record as the merge takes it: field, kind, size, record."""
    presents = {row[PRESENT_AT] for row in rows}
    kind = MIXED
    if presents == {LISTED}:
        kind = PLAIN
    elif presents == {LISTED | WITHOUT_REVISION}:
        kind = PLAIN_WITHOUT_REVISION
        rows = [row[:PRESENT_AT] + bytes((LISTED,)) + row[PRESENT_AT + 1 :] for row in rows]
    record = _record(rows, provenance)
    return _RECORD.pack(rows[0][2:PLACE_BYTES], kind, len(record)) + record


def stored_of(merged: bytes) -> bytes:
    """The record alone, as it is stored where Redis has nothing of its person.

    There no row is marked as without a revision, and no register is 0.
    """
    _, kind, _ = _RECORD.unpack_from(merged)
    record = merged[_RECORD.size :]
    (count,) = COUNT.unpack_from(record)
    end = COUNT.size + count * HEADER.size
    presents = record[COUNT.size + 1 : end : HEADER.size]
    registers = record[end : end + REGISTER_BYTES * sum(p.bit_count() for p in presents)]
    if kind != MIXED or (max(presents) < WITHOUT_REVISION and _UNRAISED not in registers):
        return record
    return pack_record(split_record(record))


def distinct(rows: list[bytes]) -> list[bytes]:
    """One row an entry, the highest revision's, in the order of a record."""
    best: dict[bytes, bytes] = {}
    for row in rows:
        name = row[LIST_AT : LIST_AT + 1] + row[HASH]
        if name not in best or _rank(row) > _rank(best[name]):
            best[name] = row
    return [best[name] for name in sorted(best)]


def count(tally: Tally, rows: Sequence[bytes]) -> bool:
    """Whether these distinct rows of one person say that they are on a list."""
    lists = set()
    for row in rows:
        code, state = row[LIST_AT], state_of(row[PRESENT_AT])
        tally.count(f"n:{code}:{state}")
        if state is State.REMOVED:
            tally.add(code, 1, 0)
        else:
            tally.count("ever")
            lists.add(code)
            tally.add(code, 1, _U64.unpack_from(row, DIGEST.start)[0])
    for code in lists:
        tally.count(f"p:{code}")
    if any(code < RESTRICTING_BELOW for code in lists):
        tally.count("people")
    return bool(lists)


def state_of(present: int) -> State:
    """The state of a row's entry, were the row all that is known."""
    if present & REMOVED:
        return State.REMOVED
    return State.SUSPENDED if present & SUSPENDED else State.ACTIVE


def _rank(row: bytes) -> tuple[bytes, bytes]:
    """The higher revision wins; with equal ones a removal, then the greater bytes."""
    return row[HEAD_BYTES : HEAD_BYTES + REGISTER_BYTES], row[PRESENT_AT:]


def _record(rows: Sequence[bytes], provenance: bytes) -> bytes:
    heads, registers, contents, provenances = [COUNT.pack(len(rows))], [], [], []
    for row in rows:
        at = HEAD_BYTES + REGISTER_BYTES * (row[PRESENT_AT] % WITHOUT_REVISION).bit_count()
        end = at + int.from_bytes(row[CONTENT_SIZE])
        heads.append(row[PLACE_BYTES:HEAD_BYTES])
        registers.append(row[HEAD_BYTES:at])
        contents.append(row[at:end])
        provenances.append(row[end:] or provenance)
    return b"".join(heads + registers + contents + provenances)
