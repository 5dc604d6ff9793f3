"""Partitions made anew, from images or from scans, and caught up with their logs."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import structlog

from roster.errors import Unavailable
from roster.filter import TokenFilter
from roster.storage.images import build
from service.following.partition import Partition

if TYPE_CHECKING:
    from roster.records.position import Position
    from roster.records.replies import Image, Tail
    from service.following.catching_up import LogReader

REPLAYED_MOST = 1_000
"""Entries behind an image that are read in any case; more only where a scan reads more people."""

log = structlog.get_logger("clearway.rebuild")


class Rebuilder:
    """Makes the partitions of one process."""

    def __init__(self, reader: LogReader) -> None:
        """Reads with `reader`, so much at a time."""
        self._reader = reader

    async def made(self, numbers: list[int]) -> list[Partition]:
        """These partitions as their images or a scan have them; their logs may go on."""
        tails = await self._reader.tails(dict.fromkeys(numbers))
        images = [self._opened(each) for each in await self._reader.images(numbers)]
        starts = {each.position.partition: each.position for each in images if each is not None}
        reached = await self._reader.tails(dict(starts)) if starts else {}
        return [
            await self._one(tails[number], image, reached.get(number))
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
            asked: dict[int, Position | None] = {number: made[number].position for number in behind}
            tails = await self._reader.tails(asked)
            behind = [number for number in behind if not _caught_up(made[number], tails[number])]
        return list(made.values())

    async def _one(self, tail: Tail, image: Partition | None, reached: Tail | None) -> Partition:
        here = tail.position
        partition = image if image and reached and _worth(image, reached) else None
        if partition is None:
            partition = Partition(await self._scanned(tail), here)
            partition.image = tail.image
            partition.changes = _since(tail)
        partition.witnessed = not tail.rewound
        partition.note(tail)
        return partition

    async def _scanned(self, tail: Tail) -> TokenFilter:
        """The filter of everybody who is there; it has read the log up to the tail.

        Raises Unavailable where an older state has come back during the scan.
        """
        here, store = tail.position, self._reader.store
        if not (here.seq or tail.covered):
            return TokenFilter()
        made = await build(store, here.partition)
        if not (await store.log(here, 1)).continues:
            raise Unavailable("the log changed while a filter was made from it")
        return made

    @staticmethod
    def _opened(image: Image | None) -> Partition | None:
        """The image's partition; None where there is none, or it is damaged."""
        if image is None:
            return None
        try:
            token_filter = TokenFilter.from_bytes(image.bits)
        except (ValueError, struct.error):
            log.warning("image damaged", partition=image.header.position.partition)
            return None
        partition = Partition(token_filter, image.header.position)
        partition.image = image.header
        return partition


def _since(tail: Tail) -> float:
    """How many changes the log has beyond the image."""
    image, here = tail.image, tail.position
    known = image.position.seq if image and image.position.history == here.history else 0
    return float(here.seq - known)


def _worth(image: Partition, reached: Tail) -> bool:
    """Whether the log still reaches back to the image, and is read sooner than a scan."""
    behind = reached.position.seq - image.position.seq
    return reached.continues and behind <= REPLAYED_MOST + image.filter.count


def _caught_up(partition: Partition, tail: Tail) -> bool:
    if not tail.continues or partition.outdated_by(tail):
        raise Unavailable("the log changed while a filter was made from it")
    partition.take(tail)
    return partition.position.seq >= tail.position.seq
