"""What changes in a partition while a load compares it: whose records, by whom else."""

from __future__ import annotations

from typing import NamedTuple

from roster.keys import BUCKETS
from roster.merging import Merged, Merging, Stand
from roster.replies import MARK_BYTES

_COUNT_BYTES = 6
_AT_ONCE = 2_000


class Touched(NamedTuple):
    """People whose records may have changed: by place, and everybody of some buckets."""

    places: frozenset[bytes] = frozenset()
    buckets: frozenset[int] = frozenset()


class Watching:
    """One partition from a moment on; every write to it is accounted for or `touched` is None.

    Each write raises the partition's `writes`. It is one of this load's own, or has a log
    entry, or `apply` has counted it as one that changed nothing (one of an older version: has
    marked its bucket), or something else has happened.
    """

    def __init__(self, merging: Merging, partition: int, stand: Stand | None = None) -> None:
        """From `stand` on, where another process began."""
        self._merging = merging
        self._partition = partition
        self._own: list[Merged] = []
        self.stand = stand

    async def begin(self) -> None:
        """Nothing; the watch is from now on."""
        self.stand = await self._merging.watch(self._partition)

    def own(self, merged: Merged) -> None:
        """Nothing; this write was the load's own."""
        self._own.append(merged)

    async def touched(self) -> Touched | None:
        """Whose records others may have changed since it was last asked; None: it is not known."""
        before, own = self.stand, self._own
        now = await self._merging.watch(self._partition)
        self.stand, self._own = now, []
        if before is not None and not before.position.history:  # nothing was ever written
            before = before._replace(position=now.position._replace(seq=0, mark=bytes(MARK_BYTES)))
        if before is None or now.position.history != before.position.history:
            return None
        told = frozenset[int]().union(*(merged.told for merged in own))
        logged = now.position.seq - before.position.seq - len(told)
        unlogged = int.from_bytes(now.unlogged[:_COUNT_BYTES])
        if now.writes - before.writes - len(own) != logged + unlogged:
            return None
        places = await self._logged(before, now, told) if logged or not own else frozenset()
        if places is None:
            return None
        return Touched(places, _marked(now.unlogged[_COUNT_BYTES:]))

    async def _logged(
        self, before: Stand, now: Stand, own: frozenset[int]
    ) -> frozenset[bytes] | None:
        """The places in the log between; None where it does not go on from before."""
        places, position = set(), before.position
        while position.seq < now.position.seq:
            tail = await self._merging.store.log(position, _AT_ONCE)
            if not tail.continues or not tail.entries:
                return None
            places |= {each.place for each in tail.entries if each.position.seq not in own}
            position = tail.entries[-1].position
        same = now.position == before.position or position.seq > before.position.seq
        return frozenset(places) if same else None


def _marked(bits: bytes) -> frozenset[int]:
    """The numbers of the buckets whose bits are set."""
    if not any(bits):
        return frozenset()
    value = int.from_bytes(bits, "little")
    return frozenset(number for number in range(BUCKETS) if value >> number & 1)
