"""A partition's rows as buckets, held to the records that its people should have."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.partitions.buckets import People, RowTotals
from loader.rows.packed_rows import LISTED, REMOVED, RESUMED, SUSPENDED
from roster.records.record import HEADER, WITHOUT_REVISION, pack_load, split_record
from tests.loader.loads import records
from tests.loader.one_by_one import packed_of

if TYPE_CHECKING:
    from collections.abc import Sequence

LOAD = 7
presents = st.sampled_from(
    [LISTED] * 6 + [LISTED | WITHOUT_REVISION, LISTED | RESUMED, LISTED | SUSPENDED, REMOVED]
)


@st.composite
def packed_rows(draw: st.DrawFn) -> bytes:
    """A row of one of few people, lists and entries, so that they meet."""
    place = bytes((0, draw(st.integers(0, 2)), *bytes(11), draw(st.integers(0, 2))))
    present, content = draw(presents), draw(st.binary(min_size=4, max_size=40))
    provenance = draw(st.sampled_from([b""] * 9 + [b"P" + bytes(12)]))
    registers = bytes(5) + bytes((draw(st.integers(1, 3)),))
    entry_hash = bytes(5) + bytes((draw(st.integers(0, 3)),))
    head = HEADER.pack(
        draw(st.sampled_from([1, 2, 200])), present, entry_hash,
        draw(st.binary(min_size=8, max_size=8)), len(content), len(provenance) or 3,
    )  # fmt: skip
    count = (present % WITHOUT_REVISION).bit_count()
    return place + head + registers * count + content + provenance


def expected(rows: Sequence[bytes]) -> dict[bytes, dict[bytes, tuple[bytes, bytes]]]:
    """Digest and content of each entry of each place, as the highest row says."""
    best: dict[bytes, dict[bytes, bytes]] = defaultdict(dict)
    for row in sorted(rows, key=lambda row: (row[33:39], row[15:])):
        best[row[:14]][row[14:15] + row[16:22]] = row
    return {
        place: {
            name: (row[22:30], row[33 + 6 * (row[15] % 32).bit_count() :][: row[31]])
            for name, row in entries.items()
        }
        for place, entries in best.items()
    }


@given(st.lists(packed_rows(), max_size=30))
@settings(deadline=None)
def test_every_record_holds_each_entry_of_its_person_once(rows: list[bytes]) -> None:
    packed = packed_of([(bytes(16), row) for row in rows])
    found, wanted = RowTotals(), expected(rows)
    held, counted = {}, 0
    people = People(packed, pack_load(LOAD))
    counts = people.count(found)
    for number, blob in people.buckets():
        added = msgspec.json.decode(counts.json(slice(number, number + 1)))["added"]
        counted += sum(added.values())
        for field, _, record in records(blob):
            entries = split_record(record)
            assert {e.provenance for e in entries} <= {pack_load(LOAD), b"P" + bytes(12)}
            held[number.to_bytes(2) + field] = {
                bytes((e.list,)) + e.entry_hash: (e.digest, e.content) for e in entries
            }
    assert held == wanted
    assert counted == sum(map(len, wanted.values())) == len(rows) - found.duplicates
