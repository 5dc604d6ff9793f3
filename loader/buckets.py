"""A partition's packed rows as the buckets that the merge takes: grouped, without duplicates."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import groupby

import msgspec

from loader.packing import (
    CONTENT_SIZE,
    HASH,
    HEAD_BYTES,
    LIST_AT,
    LISTED,
    PLACE_BYTES,
    PLAIN_PROVENANCE_BYTES,
    PRESENT_AT,
    PROVENANCE_SIZE_AT,
    REMOVED,
    SUSPENDED,
)
from roster.entry import RESTRICTING_BELOW, State
from roster.merging import MIXED, PLAIN, PLAIN_WITHOUT_REVISION, Bucket
from roster.record import COUNT, REGISTER_BYTES, WITHOUT_REVISION, pack_load

_ONE = COUNT.pack(1)
_RECORD = struct.Struct(">12sBI")
_PLAINLY = (LISTED, LISTED | WITHOUT_REVISION)
_U64 = struct.Struct(">Q")


class Tally(msgspec.Struct):
    """What the records of a bucket or a partition count, as roster.lua counts them."""

    counts: dict[str, int] = msgspec.field(default_factory=dict)
    digests: dict[int, int] = msgspec.field(default_factory=dict)
    added: dict[int, int] = msgspec.field(default_factory=dict)

    def json(self) -> bytes:
        """For `merge_buckets`."""
        digests = {code: f"{value:016x}" for code, value in self.digests.items()}
        return msgspec.json.encode({"counts": self.counts, "digests": digests, "added": self.added})


class Rows(msgspec.Struct):
    """What a partition's rows amount to; `fields` are those of people who are on a list.

    `digests` are by list; `duplicates` were left out.
    """

    fields: list[bytes] = msgspec.field(default_factory=list)
    digests: dict[int, int] = msgspec.field(default_factory=dict)
    people: int = 0
    duplicates: int = 0


def buckets_of(rows: list[bytes], load: int, found: Rows) -> Iterator[Bucket]:
    """The buckets that have rows, in ascending order; `found` grows as they come.

    Sorts `rows`.
    """
    rows.sort()
    provenance = pack_load(load)
    for number, group in groupby(rows, key=_bucket):
        maker = _BucketMaker(provenance, found)
        for _, person in groupby(group, key=_place):
            maker.add(list(person))
        yield Bucket(int.from_bytes(number), maker.tally().json(), b"".join(maker.parts))


def _bucket(row: bytes) -> bytes:
    return row[:2]


def _place(row: bytes) -> bytes:
    return row[:PLACE_BYTES]


class _BucketMaker:
    """One bucket's records and what they count."""

    def __init__(self, provenance: bytes, found: Rows) -> None:
        self.parts: list[bytes] = []
        self._provenance = provenance
        self._found = found
        self._singles: dict[int, list[int]] = {}
        self._tally = Tally()

    def add(self, rows: list[bytes]) -> None:
        """One person's rows."""
        if len(rows) == 1 and rows[0][PRESENT_AT] in _PLAINLY:
            self._add_plain(rows[0])
        else:
            self._add_any(rows)

    def _add_plain(self, row: bytes) -> None:
        code, present = row[LIST_AT], row[PRESENT_AT]
        kind = PLAIN
        if present != LISTED:
            kind = PLAIN_WITHOUT_REVISION
            row = b"%b%c%b" % (row[:PRESENT_AT], LISTED, row[PRESENT_AT + 1 :])
        if row[PROVENANCE_SIZE_AT] == PLAIN_PROVENANCE_BYTES:
            row += self._provenance
        field = row[2:PLACE_BYTES]
        self.parts.append(_RECORD.pack(field, kind, len(row) - PLACE_BYTES + 2))
        self.parts.append(_ONE)
        self.parts.append(row[PLACE_BYTES:])
        single = self._singles.get(code)
        if single is None:
            single = self._singles[code] = [0, 0]
        single[0] += 1
        single[1] ^= _U64.unpack_from(row, 22)[0]
        self._found.fields.append(field)

    def _add_any(self, rows: list[bytes]) -> None:
        if len(rows) > 1:
            rows = self._distinct(rows)
        presents = {row[PRESENT_AT] for row in rows}
        kind = MIXED
        if presents == {LISTED}:
            kind = PLAIN
        elif presents == {LISTED | WITHOUT_REVISION}:
            kind = PLAIN_WITHOUT_REVISION
            rows = [row[:PRESENT_AT] + bytes((LISTED,)) + row[PRESENT_AT + 1 :] for row in rows]
        record = _record(rows, self._provenance)
        self.parts.append(_RECORD.pack(rows[0][2:PLACE_BYTES], kind, len(record)))
        self.parts.append(record)
        self._count(rows)

    def _distinct(self, rows: list[bytes]) -> list[bytes]:
        """One row an entry, the highest revision's, in the order of a record."""
        best: dict[bytes, bytes] = {}
        for row in rows:
            name = row[LIST_AT : LIST_AT + 1] + row[HASH]
            if name not in best or _rank(row) > _rank(best[name]):
                best[name] = row
        self._found.duplicates += len(rows) - len(best)
        return [best[name] for name in sorted(best)]

    def _count(self, rows: list[bytes]) -> None:
        tally, lists = self._tally, set()
        for row in rows:
            code, state = row[LIST_AT], state_of(row[PRESENT_AT])
            tally.added[code] = tally.added.get(code, 0) + 1
            _add(tally.counts, f"n:{code}:{state}")
            if state is not State.REMOVED:
                _add(tally.counts, "ever")
                lists.add(code)
                digest = _U64.unpack_from(row, 22)[0]
                tally.digests[code] = tally.digests.get(code, 0) ^ digest
        for code in lists:
            _add(tally.counts, f"p:{code}")
        if any(code < RESTRICTING_BELOW for code in lists):
            _add(tally.counts, "people")
        if lists:
            self._found.fields.append(rows[0][2:PLACE_BYTES])

    def tally(self) -> Tally:
        """All records' counts."""
        tally = self._tally
        for code, (count, digest) in self._singles.items():
            tally.added[code] = tally.added.get(code, 0) + count
            tally.digests[code] = tally.digests.get(code, 0) ^ digest
            for name in (f"n:{code}:{State.ACTIVE}", f"p:{code}", "ever"):
                _add(tally.counts, name, count)
            if code < RESTRICTING_BELOW:
                _add(tally.counts, "people", count)
        for code, digest in tally.digests.items():
            self._found.digests[code] = self._found.digests.get(code, 0) ^ digest
        self._found.people += tally.counts.get("people", 0)
        return tally


def state_of(present: int) -> State:
    """The state of a row's entry, were the row all that is known."""
    if present & REMOVED:
        return State.REMOVED
    return State.SUSPENDED if present & SUSPENDED else State.ACTIVE


def _add(counts: dict[str, int], name: str, by: int = 1) -> None:
    counts[name] = counts.get(name, 0) + by


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
