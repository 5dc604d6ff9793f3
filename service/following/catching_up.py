"""Brings a process' partitions up to their logs' ends, a share at a time, each as it comes.

What one poll does is bounded: a backlog of any length is worked off by polls that each get
somewhere, and a partition that has caught up does not wait for one that has not.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from roster.errors import Unavailable
from roster.redis.calls import NOWHERE
from roster.storage.images import join, scan
from roster.storage.store import TAIL_ENTRIES
from service.following.rebuild import Rebuilder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from roster.records.position import Position
    from roster.records.replies import Image, Polled, Tail
    from roster.redis.calls import Listing
    from roster.storage.store import Store
    from service.following.partition import Partition
    from service.following.screener import Screener

LEAST = 64
"""Entries at a time: one of each partition."""
AT_ONCE = 16
"""Images at a time: 3 MB of a national roster."""
OnTail = Callable[["Position", "Tail"], None]

SLICE_S = 0.5
"""After so long a poll ends with what it has got, and the next one goes on at once."""
TAKE_IMAGE_FROM = 2_000
"""Entries that a newer image spares reading: then it is taken first."""


class LogReader:
    """Reads logs and images with the high-water marks of one process; raises Unavailable.

    How much at a time: less after a time-out, then more again.
    """

    def __init__(self, store: Store, screener: Screener) -> None:
        """Reads from `store`."""
        self.store = store
        self._screener = screener
        self._entries = TAIL_ENTRIES

    @property
    def at_once(self) -> int:
        """How many partitions to take on together: their images come in one go."""
        return max(1, AT_ONCE * self._entries // TAIL_ENTRIES)

    async def tails(self, asked: Mapping[int, Position | None]) -> dict[int, Tail]:
        """A share of what stands behind each of these positions."""
        return (await self.poll(asked, NOWHERE)).tails

    async def poll(self, asked: Mapping[int, Position | None], listing: Listing) -> Polled:
        """As `tails`, from servers that list this process before."""
        limit = max(1, self._entries // max(1, len(asked)))
        try:
            polled = await self.store.poll(asked, self._screener.high_water, limit, listing)
        except Unavailable:
            self._less()
            raise
        self._entries = min(TAIL_ENTRIES, self._entries + LEAST)
        return polled

    async def images(self, numbers: Sequence[int]) -> list[Image | None]:
        """These partitions' images."""
        try:
            return await self.store.images(numbers)
        except Unavailable:
            self._less()
            raise

    def _less(self) -> None:
        self._entries = max(LEAST, self._entries // 4)


class CatchUp:
    """Applies tails to the partitions of one process; raises Unavailable."""

    def __init__(self, store: Store, screener: Screener, on_tail: OnTail) -> None:
        """Reads from `store`, brings the partitions of `screener` up to date.

        `on_tail` is told of every tail that is applied, and from which position it goes on.
        """
        self._screener = screener
        self._reader = LogReader(store, screener)
        self._rebuilder = Rebuilder(self._reader)
        self._astray: set[int] = set()
        self._from: dict[int, Position | None] = {}
        self._on_tail = on_tail

    async def begin(self, numbers: Sequence[int]) -> None:
        """Make the filters of these partitions; what was made before a failure is kept."""
        known = self._screener.partitions
        while missing := [number for number in numbers if not known[number].known]:
            some = missing[: self._reader.at_once]
            for number, made in zip(some, await self._rebuilder.made(some), strict=True):
                self._screener.replace(number, made)

    async def poll(self, numbers: Sequence[int], listing: Listing) -> Polled:
        """As `tails`, from servers that list this process before."""
        asked = self._asked(numbers)
        self._from |= asked
        return await self._reader.poll(asked, listing)

    async def tails(self, numbers: Sequence[int]) -> dict[int, Tail]:
        """A share of the logs of these partitions, and where they end."""
        return (await self.poll(numbers, NOWHERE)).tails

    async def apply(self, tails: dict[int, Tail]) -> set[int]:
        """The partitions that have everything up to these tails now.

        The others have got nearer, and their next tails go on from there.
        """
        until = time.monotonic() + SLICE_S
        goals = {number: tail.position for number, tail in tails.items()}
        await self._take(tails, until)
        while behind := [number for number in goals if not self._reached(goals[number])]:
            if time.monotonic() > until:
                break
            await self._take(await self.tails(behind[: self._reader.at_once]), until)
        newer = [number for number, tail in tails.items() if self._outdated(number, tail)]
        while newer and time.monotonic() < until:
            some, newer = newer[: self._reader.at_once], newer[self._reader.at_once :]
            await self._replace(some)
        self._screener.look_at_lists()  # before others are told of the positions
        return set(goals) - set(behind)

    def _asked(self, numbers: Sequence[int]) -> dict[int, Position | None]:
        return {number: self._screener.partitions[number].position for number in numbers}

    def _reached(self, goal: Position) -> bool:
        """Whether everything up to there is applied; not what has another history behind it."""
        here = self._screener.partitions[goal.partition].position
        return goal.partition not in self._astray and here.includes(goal)

    def _outdated(self, number: int, tail: Tail) -> bool:
        """Whether there is another image now: people who left the roster are not in it.

        A rewound partition keeps its filter: it may be the only witness of what was lost.
        """
        partition = self._screener.partitions[number]
        return not partition.rewound and partition.outdated_by(tail)

    async def _take(self, tails: dict[int, Tail], until: float) -> None:
        """Take in what goes on from here, and make anew some of what does not."""
        lost: list[int] = []
        for number, tail in tails.items():
            partition = self._screener.partitions[number]
            asked = partition.position
            if tail.acknowledged:
                self._screener.acknowledge([tail.acknowledged])
            if asked != self._from[number]:
                continue  # while a slot moves, two shares follow it: the other was faster
            if tail.continues and not partition.reset_by(tail) and not _spared(partition, tail):
                partition.take(tail)
            elif tail.rewound:
                await self._keep(number, tail)
            else:
                lost.append(number)
                self._astray.add(number)
                continue
            self._astray.discard(number)
            self._on_tail(asked, tail)
            await asyncio.sleep(0)  # with much to take in, checks come in between
        while lost:
            some, lost = lost[: self._reader.at_once], lost[self._reader.at_once :]
            before = [self._screener.partitions[number].position for number in some]
            await self._replace(some)
            for asked in before:
                self._on_tail(asked, tails[asked.partition])
            if time.monotonic() > until:
                break  # the others stay behind

    async def _replace(self, numbers: list[int]) -> None:
        """Make partitions anew; until they have caught up, the old ones go on screening.

        A new one that lagged behind would clear people whom the old one knew.
        """
        made = await self._rebuilder.caught_up(numbers)
        for number, partition in zip(numbers, made, strict=True):
            partition.trail.follow(self._screener.partitions[number].trail)
            self._screener.replace(number, partition)
            self._astray.discard(number)

    async def _keep(self, number: int, tail: Tail) -> None:
        """Go on from a rewound log with the filter from before: the only witness of what was lost.

        What the log has got since then, this process has never read.
        """
        partition = self._screener.partitions[number]
        await join(partition.filter, await scan(self._reader.store, number))
        partition.go_on(tail)


def _spared(partition: Partition, tail: Tail) -> bool:
    """Whether a newer image holds much that would have to be read."""
    if tail.image is None or tail.image == partition.image:
        return False
    image = tail.image.position
    ahead = image.seq - partition.position.seq
    return image.history == partition.position.history and ahead >= TAKE_IMAGE_FROM
