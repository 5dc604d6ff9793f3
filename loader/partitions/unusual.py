"""What the records of a partition count, and those whose rows are not alike, one by one.

Counts are as counts.lua counts them. Unusual are people who are removed, suspended, listed twice,
or of whom the file says why.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Sequence

import msgspec
import numpy as np

from loader.columns.columns import Numbers, Words
from loader.rows.packed_rows import (
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
from roster.keys import BUCKETS
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


def _zeros() -> Numbers:
    return np.zeros(BUCKETS, np.int64)


class Counts:
    """By bucket: counts by name, and of each list how many entries, of which digest together."""

    def __init__(self) -> None:
        self._named: dict[str, Numbers] = defaultdict(_zeros)
        self._entries: dict[int, Numbers] = defaultdict(_zeros)
        self._digests: dict[int, Words] = defaultdict(lambda: np.zeros(BUCKETS, np.uint64))

    def count(self, name: str, numbers: Numbers) -> None:
        """One more of that name for each of these buckets."""
        self._named[name] += np.bincount(numbers, minlength=BUCKETS)

    def add(self, code: int, numbers: Numbers, digests: Words) -> None:
        """One more entry of a list, of such a digest, for each of these buckets."""
        self._entries[code] += np.bincount(numbers, minlength=BUCKETS)
        np.bitwise_xor.at(self._digests[code], numbers, digests)

    def count_one(self, name: str, number: int) -> None:
        """One more of that name in a bucket."""
        self._named[name][number] += 1

    def add_one(self, code: int, number: int, digest: int = 0) -> None:
        """One more entry of a list in a bucket; its digest, if it is live."""
        self._entries[code][number] += 1
        self._digests[code][number] ^= np.uint64(digest)

    def people(self) -> int:
        """Those who are on a list that restricts."""
        return int(self._named[Field.PEOPLE].sum())

    def entries(self, which: slice | Numbers) -> dict[int, int]:
        """How many entries of each list these buckets have."""
        return {code: int(each[which].sum()) for code, each in sorted(self._entries.items())}

    def digests(self, which: slice = slice(None)) -> dict[int, int]:
        """The digest of each list in these buckets."""
        return {
            code: int(np.bitwise_xor.reduce(each[which]))
            for code, each in sorted(self._digests.items())
        }

    def json(self, which: slice) -> bytes:
        """What these buckets count together, for `merge_buckets` and `fill_buckets`."""
        counts = {name: int(each[which].sum()) for name, each in self._named.items()}
        digests = {code: f"{value:016x}" for code, value in self.digests(which).items() if value}
        counted = {
            "counts": {name: count for name, count in counts.items() if count},
            "digests": digests,
            "added": {code: count for code, count in self.entries(which).items() if count},
        }
        return msgspec.json.encode(counted)


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


def count(counts: Counts, number: int, rows: Sequence[bytes]) -> bool:
    """Whether these distinct rows of one person, in that bucket, say that they are on a list."""
    lists = set()
    for row in rows:
        code, state = row[LIST_AT], state_of(row[PRESENT_AT])
        counts.count_one(ListField.ENTRIES.of(code, state), number)
        if state is State.REMOVED:
            counts.add_one(code, number)
        else:
            counts.count_one(Field.EVER, number)
            lists.add(code)
            counts.add_one(code, number, _U64.unpack_from(row, DIGEST.start)[0])
    for code in lists:
        counts.count_one(ListField.PEOPLE.of(code), number)
    if any(code < RESTRICTING_BELOW for code in lists):
        counts.count_one(Field.PEOPLE, number)
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
