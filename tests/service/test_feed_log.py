"""What the follower tells the feed, and what the feed keeps of it."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from roster.records.entry import Content, Op
from roster.records.position import Position
from service.feed.log import FeedEntry
from service.following.share import Listener
from tests.service.parts import process
from tests.service.test_screening import LISTED

if TYPE_CHECKING:
    from roster.records.replies import Tail
    from tests.servers import Server


def test_the_collector_need_not_look_through_what_is_kept() -> None:
    """There are 50,000 of them: all would wait for it."""
    kept = FeedEntry(3, 1, bytes(5) + b"\7mark" + bytes(30))
    kept.shown, kept.about = b"{}", (b"token",)
    assert not gc.is_tracked(kept)
    assert kept.place == Position(3, 1, 7, b"mark")


async def test_the_follower_tells_every_entry_that_it_reads_once(valkey: Server) -> None:
    told: list[tuple[Position, Tail]] = []
    listener = Listener(lambda asked, tail: told.append((asked, tail)))
    async with process(valkey, listener=listener) as parts:
        await parts.cover()
        await parts.follower.poll()
        told.clear()
        made = []
        for revision in range(10, 14):
            made.append((await parts.change(LISTED, Op.PUT, revision, Content("e"))).position)
            await parts.follower.poll()
    number = made[0].partition
    here = [(asked, tail) for asked, tail in told if tail.position.partition == number]
    assert [entry.position for _, tail in here for entry in tail.entries] == made
    assert all(asked.seq + len(tail.logged) == tail.last.seq for asked, tail in here if tail.logged)
