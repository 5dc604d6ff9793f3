"""A partition's packed rows as the buckets that the merge takes: grouped, without duplicates."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

import msgspec

from loader.packing import (
    CONTENT_SIZE,
    DIGEST,
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

_RECORD = struct.Struct(">12sBI")
_ONE_PLAIN = struct.Struct(">12sBIH")
_PLAIN_BYTES = HEAD_BYTES + REGISTER_BYTES
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
    places = [row[:PLACE_BYTES] for row in rows]
    at, end = 0, len(rows)
    while at < end:
        number = places[at][:2]
        maker = _BucketMaker(provenance, found)
        while at < end and (place := places[at])[:2] == number:
            following = at + 1
            while following < end and places[following] == place:
                following += 1
            maker.add(rows[at:following])
            at = following
        yield Bucket(int.from_bytes(number), maker.tally().json(), b"".join(maker.parts))


class _BucketMaker:
    """One bucket's records and what they count."""

    def __init__(self, provenance: bytes, found: Rows) -> None:
        self.parts: list[bytes] = []
        self._provenance = provenance
        self._found = found
        # By list: entries, their digest, people; of people with plainly listed entries only.
        self._plain: dict[int, list[int]] = {}
        self._plain_people = 0
        self._tally = Tally()

    def add(self, rows: list[bytes]) -> None:
        """One person's rows."""
        for row in rows:
            if row[PRESENT_AT] != LISTED or row[PROVENANCE_SIZE_AT] != PLAIN_PROVENANCE_BYTES:
                self._add_any(rows)
                return
        if len(rows) == 1:
            self._add_one(rows[0])
        elif len({row[LIST_AT : HASH.stop] for row in rows}) == len(rows):
            self._add_plain(rows)
        else:
            self._add_any(rows)

    def _add_one(self, row: bytes) -> None:
        field, provenance = row[2:PLACE_BYTES], self._provenance
        size = len(row) - PLACE_BYTES + len(provenance) + COUNT.size
        self.parts += (_ONE_PLAIN.pack(field, PLAIN, size, 1), row[PLACE_BYTES:], provenance)
        counted = self._counted(row[LIST_AT])
        counted[0] += 1
        counted[1] ^= _U64.unpack_from(row, DIGEST.start)[0]
        counted[2] += 1
        self._plain_people += row[LIST_AT] < RESTRICTING_BELOW
        self._found.fields.append(field)

    def _add_plain(self, rows: list[bytes]) -> None:
        """Rows in the order of a record already, as they are sorted and alike."""
        field, count = rows[0][2:PLACE_BYTES], len(rows)
        record = b"".join(
            [row[PLACE_BYTES:HEAD_BYTES] for row in rows]
            + [row[HEAD_BYTES:_PLAIN_BYTES] for row in rows]
            + [row[_PLAIN_BYTES:] for row in rows]
        )
        size = len(record) + count * len(self._provenance) + COUNT.size
        self.parts += (_ONE_PLAIN.pack(field, PLAIN, size, count), record)
        self.parts.append(self._provenance * count)
        last = -1
        for row in rows:
            code = row[LIST_AT]
            counted = self._counted(code)
            counted[0] += 1
            counted[1] ^= _U64.unpack_from(row, DIGEST.start)[0]
            counted[2] += code != last
            last = code
        self._plain_people += rows[0][LIST_AT] < RESTRICTING_BELOW
        self._found.fields.append(field)

    def _counted(self, code: int) -> list[int]:
        counted = self._plain.get(code)
        if counted is None:
            counted = self._plain[code] = [0, 0, 0]
        return counted

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
                digest = _U64.unpack_from(row, DIGEST.start)[0]
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
        for code, (count, digest, people) in self._plain.items():
            tally.added[code] = tally.added.get(code, 0) + count
            tally.digests[code] = tally.digests.get(code, 0) ^ digest
            _add(tally.counts, f"n:{code}:{State.ACTIVE}", count)
            _add(tally.counts, f"p:{code}", people)
            _add(tally.counts, "ever", count)
        _add(tally.counts, "people", self._plain_people)
        for code, digest in tally.digests.items():
            self._found.digests[code] = self._found.digests.get(code, 0) ^ digest
        self._found.people += tally.counts["people"]
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
