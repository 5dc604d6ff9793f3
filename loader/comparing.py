"""A partition that Redis holds already beside the file: what the merge would do to it.

What Redis holds is read and compared here (`settled.py`). Who may differ goes to Redis with
their rows, dry, for the guards' numbers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from loader.buckets import People, Rows
from loader.entry_columns import Held, held_of
from loader.partition import CALL_BYTES, Job, Sum, calls_of, in_turn, near
from loader.pieces import Bools, Numbers, Octets
from loader.settled import Settled, places_of, settle
from loader.spill import read_spill
from loader.unusual import Tally
from loader.watching import Watching
from roster.keys import BUCKETS
from roster.merging import MIXED, NOTHING, SOME, Bucket, Fate, How, Merging, Stand
from roster.record import pack_load
from roster.store import Store

Call = list[Bucket]

PEOPLE_MAX = 256
"""In one call, where Redis looks at each of them: it must take a few ms."""
NUMBER_BYTES = 2
HEAD = struct.Struct(">12sBI")
"""What stands before a record in a bucket's rows."""
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[bytes, list[Call]]).decode


class Partition(NamedTuple):
    """One partition: where it is, what is to become of it, and where its rows are."""

    store: Store
    job: Job
    folder: Path

    def keep(self, fields: bytes, calls: list[Call]) -> None:
        """Nothing; the merge finds it: fields of people on a list, calls that change something."""
        self._path.write_bytes(_encode((fields, calls)))

    def kept(self) -> tuple[bytes, list[Call]]:
        """What a preview has kept."""
        return _decode(self._path.read_bytes())

    @property
    def _path(self) -> Path:
        return self.folder / f"{self.job.partition:02d}.kept"

    def people(self, rows: Rows) -> tuple[People, list[Tally]]:
        """The file's people, and what each bucket's records count."""
        people = People(read_spill(self.folder, self.job.partition), pack_load(self.job.load))
        return people, people.count(rows)


class Preview(msgspec.Struct):
    """What a partition's merge would do.

    `unmoved` are the fates of those who need no merge; `stand` is how the partition stood
    before it was read.
    """

    partition: int
    stand: Stand | None
    fates: dict[int, Fate]
    unmoved: dict[int, Fate]
    exceptions: dict[bytes, bool]
    digests: dict[int, int]
    people: int
    duplicates: int


async def preview(here: Partition) -> Preview:
    """What the merge would do; nothing of the roster is written."""
    job, rows = here.job, Rows()
    people, tallies = here.people(rows)
    merging = Merging(here.store, job.snapshot)
    watching = Watching(merging, job.partition)
    if job.snapshot.lists and not job.dry_run:
        await watching.begin()
    parts = people.parts()
    named = np.unique(numbers_of(places_of(parts))).tolist()
    held = await _read(here, range(BUCKETS) if job.snapshot.lists else named)
    settled = settle(parts, held, job.snapshot)
    unmoved, total = Sum(settled.fates), Sum(settled.fates, settled.exceptions)
    changing: list[Call] = []
    calls = _calls(job, people, tallies, held, settled)
    dry = ((call, How(0, kept=near(job.kept, call), dry=True)) for call in calls)
    async for call, merged in in_turn(merging, job.partition, dry):
        total.add(merged)
        if merged.touched:
            changing.append(list(call))
        else:
            unmoved.add_fates(merged.fates)
    here.keep(rows.fields, changing)
    return Preview(
        partition=job.partition,
        stand=watching.stand,
        fates=total.fates,
        unmoved=unmoved.fates,
        exceptions=total.exceptions,
        digests=rows.digests,
        people=rows.people,
        duplicates=rows.duplicates,
    )


async def _read(here: Partition, numbers: Sequence[int]) -> Held:
    """The records of these buckets, some at a time."""
    replies: list[list[bytes]] = []
    job = here.job
    for at in range(0, len(numbers), job.call_buckets):
        some = numbers[at : at + job.call_buckets]
        replies += await here.store.records(job.partition, some)
    return held_of(numbers, replies)


def _calls(
    job: Job, people: People, tallies: list[Tally], held: Held, settled: Settled
) -> Iterator[Call]:
    """The calls with those who may change: whole buckets where Redis holds nothing yet."""
    filled = frozenset(numbers_of(held.places).tolist())
    parts = people.parts()
    numbers = numbers_of(places_of(parts))
    new = ~np.isin(numbers, list(filled)) & bool(job.snapshot.lists)
    whole = (
        Bucket(number, tallies[number].json(), rows)
        for number, rows in people.chosen(settled.changing & new).buckets()
    )
    yield from calls_of(whole, job.call_buckets)
    yield from some_of(people, settled.changing & ~new, settled.lacking)


def some_of(people: People, which: Bools, lacking: Octets) -> Iterator[Call]:
    """The calls with these people of the file, and with others of whom it has nothing."""
    rows = dict(people.chosen(which).buckets())
    counts = np.bincount(numbers_of(places_of(people.parts())[which]), minlength=BUCKETS)
    counts += np.bincount(numbers_of(lacking), minlength=BUCKETS)
    for place in lacking:
        number = int.from_bytes(place[:NUMBER_BYTES].tobytes())
        nothing = HEAD.pack(place[NUMBER_BYTES:].tobytes(), MIXED, len(NOTHING)) + NOTHING
        rows[number] = rows.get(number, b"") + nothing
    call, size, records = Call(), 0, 0
    for number in sorted(rows):
        if call and (records + counts[number] > PEOPLE_MAX or size > CALL_BYTES):
            yield call
            call, size, records = Call(), 0, 0
        call.append(Bucket(number, SOME, rows[number]))
        size, records = size + len(rows[number]), records + counts[number]
    if call:
        yield call


def numbers_of(places: Octets) -> Numbers:
    """The bucket of each place."""
    return places[:, 0].astype(np.int64) << 8 | places[:, 1]
