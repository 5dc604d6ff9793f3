"""People whose rows are not alike: removed, suspended, listed twice, or told why."""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Sequence

import msgspec

from loader.partitions.counts import Counts
from loader.rows.packing import (
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
from roster.records.entry import RESTRICTING_BELOW, State
from roster.records.meta import Field, ListField
from roster.records.record import (
    COUNT,
    HEADER,
    REGISTER_BYTES,
    WITHOUT_REVISION,
    pack_record,
    split_record,
)
from roster.storage.snapshots import MIXED, PLAIN, PLAIN_WITHOUT_REVISION

_RECORD = struct.Struct(">12sBI")
_U64 = struct.Struct(">Q")
_UNRAISED = bytes(REGISTER_BYTES)


class Counted(msgspec.Struct):
    """The buckets of what unusual people's entries count, by name; and their digests by list."""

    names: dict[str, list[int]] = msgspec.field(default_factory=lambda: defaultdict(list))
    removed: dict[int, list[int]] = msgspec.field(default_factory=lambda: defaultdict(list))
    listed: dict[int, list[tuple[int, int]]] = msgspec.field(
        default_factory=lambda: defaultdict(list)
    )

    def put(self, counts: Counts) -> None:
        """All of it is counted there."""
        for name, numbers in self.names.items():
            counts.count(name, numbers)
        for code, numbers in self.removed.items():
            counts.add(code, numbers)
        for code, entries in self.listed.items():
            counts.add(code, *zip(*entries, strict=True))


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


def count(counted: Counted, number: int, rows: Sequence[bytes]) -> bool:
    """Whether these distinct rows of one person, in that bucket, say that they are on a list."""
    lists = set()
    for row in rows:
        code, state = row[LIST_AT], state_of(row[PRESENT_AT])
        counted.names[ListField.ENTRIES.of(code, state)].append(number)
        if state is State.REMOVED:
            counted.removed[code].append(number)
        else:
            counted.names[Field.EVER].append(number)
            lists.add(code)
            counted.listed[code].append((number, _U64.unpack_from(row, DIGEST.start)[0]))
    for code in lists:
        counted.names[ListField.PEOPLE.of(code)].append(number)
    if any(code < RESTRICTING_BELOW for code in lists):
        counted.names[Field.PEOPLE].append(number)
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
