"""The merge of a partition that Redis holds already: only of people whom the file may change.

The preview has read what Redis holds (`comparing.py`): a person who is settled was merged,
without effect, at the moment of that reading. All others go to Redis with their rows; the
merge law takes them as they are at that moment, whatever has happened since the preview.

What a full snapshot states beyond that is its floor: from one moment on, the claim, an older
`put` of an entry that nobody knows counts as absent. So whoever was touched by somebody else
between the reading and the claim (`watching.py`) goes to Redis with the rows, too; the claim
is made when nothing has happened since the last of them was sent. A partition to which
something happened that cannot be accounted for is merged whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from loader import imaging
from loader.buckets import People, Rows
from loader.comparing import HEAD, NUMBER_BYTES, Call, Partition, Preview, numbers_of, some_of
from loader.packing import PLACE_BYTES
from loader.partition import Done, Sum, calls_of, in_turn, merge_whole, near
from loader.settled import match, places_of
from loader.watching import Touched, Watching
from roster.keys import BUCKETS
from roster.merging import SOME, Bucket, How, Merging, Stand
from roster.position import Position

_TRIES = 20


async def merge(here: Partition, begun: Position, previewed: Preview) -> Done:
    """What the merge did: only the people whom the preview or somebody else changes.

    A full snapshot's partition is finished with an image up to its log's end.
    """
    fields, calls = here.kept()
    merge_ = _Merge(here, previewed)
    if not await merge_.bring(calls):
        fields = await merge_.bring_all()
    if here.job.snapshot.lists:
        await imaging.finish(merge_.merging, begun, fields, merge_.total)
    else:
        await imaging.told(here.store, here.job.partition, merge_.total)
    return merge_.total.done(here.job, previewed.people, previewed.duplicates)


class _Merge:
    """A partition's merge after its preview."""

    def __init__(self, here: Partition, previewed: Preview) -> None:
        self._here = here
        self._job = here.job
        self.merging = Merging(here.store, here.job.snapshot)
        self.total = Sum(previewed.unmoved, previewed.exceptions)
        self._watching = Watching(self.merging, here.job.partition, previewed.stand)
        self._moved = Sum()
        self._people: People | None = None

    async def bring(self, calls: Sequence[Call]) -> bool:
        """Whether everybody is merged now; False where that cannot be known."""
        if not self._job.snapshot.lists:
            await self._merge(calls, upto=0)
            return True
        done = _named(calls)
        for _ in range(_TRIES):
            touched = await self._watching.touched()
            if touched is None:
                return False
            again = list(self._again(touched, done))
            if not calls and not again:
                if await self._claim(self._watching.stand):
                    return True
                continue
            await self._merge(calls, upto=0)
            await self._merge(again, upto=0, again=True)
            calls, done = [], Touched()
        return await self._claim_at_last()

    async def _claim_at_last(self) -> bool:
        """The claim while changes keep coming; those from before it are merged after it."""
        await self._claim(None)
        touched = await self._watching.touched()
        if touched is None:
            return False
        await self._merge(list(self._again(touched, Touched())), upto=BUCKETS, again=True)
        return True

    async def _claim(self, stand: Stand | None) -> bool:
        """Whether the floor is stated, of this moment: nothing has happened since `stand`."""
        how = How(upto=BUCKETS, seen=stand.writes if stand else None)
        claimed = await self.merging.merge(self._job.partition, (), how)
        if claimed is not None:
            self._watching.own(claimed)
        return claimed is not None

    async def _merge(self, calls: Iterable[Call], *, upto: int, again: bool = False) -> None:
        job = self._job
        hows = ((call, How(upto, kept=near(job.kept, call))) for call in calls)
        async for call, merged in in_turn(self.merging, job.partition, hows):
            self._watching.own(merged)
            for field in _fields(call):
                self.total.exceptions.pop(field, None)
            fates = merged.fates
            if again:
                fates = {code: fate.once_more() for code, fate in fates.items()}
            self.total.add(merged._replace(fates=fates))
            self._moved.add_fates(fates)

    def _again(self, touched: Touched, done: Touched) -> Iterator[Call]:
        """The calls with people who were touched, but for those whom a call to come has."""
        buckets = touched.buckets
        left = [
            place
            for place in touched.places - done.places
            if int.from_bytes(place[:NUMBER_BYTES]) not in buckets | done.buckets
        ]
        if not left and not buckets:
            return
        if self._people is None:
            self._people, _ = self._here.people(Rows())
        people = self._people
        places = places_of(people.parts())
        whole = np.isin(numbers_of(places), list(buckets))
        rows = dict(people.chosen(whole).buckets())
        found = (Bucket(number, b"", rows.get(number, b"")) for number in sorted(buckets))
        yield from calls_of(found, self._job.call_buckets)
        wanted = np.frombuffer(b"".join(left), np.uint8).reshape(-1, PLACE_BYTES)
        at = match(wanted, places)
        which = np.zeros(len(places), np.bool_)
        which[at[at >= 0]] = True
        yield from some_of(people, which, wanted[at < 0])

    async def bring_all(self) -> bytes:
        """The fields of everybody whom the file has on a list; the whole partition is merged."""
        total = Sum()
        rows = await merge_whole(self.merging, self._job, self._here.folder, total)
        for code, fate in self._moved.fates.items():
            total.add_fates({code: fate._replace(superseded=0).once_more()})
        total.told += self.total.told
        total.written += self.total.written
        total.size_bytes += self.total.size_bytes
        self.total = total
        return rows.fields


def _fields(call: Sequence[Bucket]) -> Iterator[bytes]:
    """The fields of the people whom a call names."""
    for bucket in call:
        at = 0
        while at < len(bucket.rows):
            field, _, size = HEAD.unpack_from(bucket.rows, at)
            yield field
            at += HEAD.size + size


def _named(calls: Sequence[Call]) -> Touched:
    """Whom these calls speak for."""
    buckets = [bucket for call in calls for bucket in call]
    return Touched(
        frozenset(b.number.to_bytes(2) + field for b in buckets for field in _fields((b,))),
        frozenset(bucket.number for bucket in buckets if bucket.tally != SOME),
    )
