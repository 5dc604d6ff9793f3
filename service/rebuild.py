"""Partitions made anew, from images or from scans, and caught up with their logs."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import structlog

from roster import keys
from roster.errors import Unavailable
from roster.filter import TokenFilter, capacity_for
from service.screener import Partition

if TYPE_CHECKING:
    from roster.replies import Image, Tail
    from roster.store import Store
    from service.screener import Screener

BUCKETS_A_CALL = 32
"""A call reads some 2,000 people of a national roster; look-ups wait meanwhile."""
_FIELD_BYTES = 12

log = structlog.get_logger("clearway.rebuild")


async def scan(store: Store, partition: int) -> bytes:
    """The joined fields of everybody in the partition who belongs in its filter."""
    fields = [
        await store.fields(partition, range(first, first + BUCKETS_A_CALL))
        for first in range(0, keys.BUCKETS, BUCKETS_A_CALL)
    ]
    return b"".join(fields)


async def build(store: Store, partition: int) -> TokenFilter:
    """A filter from everything that the partition holds now."""
    joined = await scan(store, partition)
    token_filter = TokenFilter(capacity_for(len(joined) // _FIELD_BYTES))
    token_filter.add_fields(joined)
    return token_filter


class Rebuilder:
    """Makes the partitions of one process."""

    def __init__(self, store: Store, screener: Screener) -> None:
        """Reads from `store`, with the high-water marks of `screener`."""
        self._store = store
        self._screener = screener

    async def made(self, numbers: list[int]) -> list[Partition]:
        """These partitions as their images or a scan have them; their logs may go on."""
        tails = await self._store.tails(dict.fromkeys(numbers), self._screener.high_water)
        images = await self._store.images(numbers)
        return [
            await self._one(tails[number], image)
            for number, image in zip(numbers, images, strict=True)
        ]

    async def caught_up(self, numbers: list[int]) -> list[Partition]:
        """These partitions with everything that their logs have.

        One that takes the place of a partition in use has to know all that that one knew.
        Raises Unavailable where a log does not go on, or is reset, meanwhile.
        """
        made = dict(zip(numbers, await self.made(numbers), strict=True))
        behind = list(numbers)
        while behind:
            asked = {number: made[number].position for number in behind}
            tails = await self._store.tails(asked, self._screener.high_water)
            behind = [number for number in behind if not _caught_up(made[number], tails[number])]
        return list(made.values())

    async def _one(self, tail: Tail, image: Image | None) -> Partition:
        here = tail.position
        partition = await self._of_image(image) if image is not None else None
        if partition is None:
            made = TokenFilter()
            if here.seq or tail.covered:
                made = await build(self._store, here.partition)
            partition = Partition(made, here)
            partition.image = tail.image
        partition.witnessed = not tail.rewound
        partition.note(tail)
        return partition

    async def _of_image(self, image: Image) -> Partition | None:
        """The image's partition; None where it is damaged, or the log begins behind it."""
        if not await self._goes_on(image):
            return None
        try:
            token_filter = TokenFilter.from_bytes(image.bits)
        except (ValueError, struct.error):
            log.warning("image damaged", partition=image.header.position.partition)
            return None
        partition = Partition(token_filter, image.header.position)
        partition.image = image.header
        return partition

    async def _goes_on(self, image: Image) -> bool:
        """Whether the log still reaches back to the image."""
        return (await self._store.log(image.header.position, 1)).continues


def _caught_up(partition: Partition, tail: Tail) -> bool:
    if not tail.continues or partition.outdated_by(tail):
        raise Unavailable("the log changed while a filter was made from it")
    partition.take(tail)
    return partition.position.seq >= tail.position.seq
