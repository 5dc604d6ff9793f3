"""What the follower has read of the logs lately, in memory, so that the feed need not read it.

Every partition's newest stretch is kept in its order, at most 50,000 entries and 16 MiB of
log in all; the oldest go first. What a reader lacks here is in Redis.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from typing import TYPE_CHECKING

import msgspec

from roster import keys
from roster.records.entry import BIND, CANARY, Op
from roster.records.position import Position
from roster.records.replies import LogEntry, parse_log_entry
from service.feed.line import ArrivalOrder
from service.feed.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from roster.records.replies import Tail

ENTRIES_MAX = 50_000
BYTES_MAX = 16 * 1024 * 1024
LOST_MAX = 2 * ENTRIES_MAX

_MARK, _OP, _LIST, _AT_MS = slice(6, 10), 10, 11, slice(34, 40)


class FeedEntry(msgspec.Struct, gc=False, eq=False):
    """One entry of a log, and what has been made of it for those who read the feed.

    `data` is the entry as a tail has it, behind its seq and its mark; `shown` its JSON for
    maintainers, but for the position; `about` the documents that it is about. These two are None
    until somebody needs them.

    There are 50,000: were the collector to look through them, all would wait for 90 ms.
    """

    partition: int
    history: int
    data: bytes
    shown: bytes | None = None
    about: tuple[bytes, ...] | None = None

    @property
    def place(self) -> Position:
        """Where in the logs it stands."""
        data = self.data
        return Position(self.partition, self.history, int.from_bytes(data[:6]), data[_MARK])

    @property
    def mark(self) -> bytes:
        """Its position's."""
        return self.data[_MARK]

    @property
    def entry(self) -> LogEntry:
        """All that the log says."""
        return parse_log_entry(self.place, self.data[10:])

    @property
    def list(self) -> int:
        """The list's code."""
        return self.data[_LIST]

    @property
    def is_reset(self) -> bool:
        """Whether a list's first load ended here."""
        return self.data[_OP] == Op.RESET

    @property
    def at_ms(self) -> int:
        """When it was applied."""
        return int.from_bytes(self.data[_AT_MS])


class _Stretch:
    """The newest entries of one partition, without a gap: behind `start`, up to `end`."""

    def __init__(self, start: Position) -> None:
        self.start = self.end = start
        self.entries: list[FeedEntry] = []

    def index(self, place: Position) -> int | None:
        """How many entries lie before or at `place`, or None where it is not on this stretch."""
        at = place.seq - self.start.seq
        if place.history != self.start.history or not 0 <= at <= len(self.entries):
            return None
        mark = self.entries[at - 1].mark if at else self.start.mark
        return at if mark == place.mark else None

    def drop(self, count: int) -> None:
        self.start = self.entries[count - 1].place
        del self.entries[:count]


class LostEntries:
    """What was read of logs that are lost, until somebody has written it down.

    `entries` are by partition; `rewound` those that were seen to be so.
    """

    def __init__(self) -> None:
        """Nothing is lost."""
        self.entries: dict[int, list[FeedEntry]] = {}
        self.rewound: set[int] = set()

    def see(self, number: int, read: Sequence[FeedEntry]) -> None:
        """Note that a partition is rewound, and what of its log is gone.

        Where too much waits to be written already, that is not kept.
        """
        self.rewound.add(number)
        if read and sum(map(len, self.entries.values())) + len(read) <= LOST_MAX:
            self.entries.setdefault(number, []).extend(read)


class FeedLog:
    """The newest part of every partition's log.

    `version` rises with everything that a reader may want to see; `turns` wakes those who wait.
    `polls` are open for each key.
    `lost` is what was here of logs that have gone back.
    `gaps` counts how often a stretch had to begin anew. `binding` are partitions in which a
    binding was made or ended since.
    """

    def __init__(self, entries_max: int = ENTRIES_MAX, bytes_max: int = BYTES_MAX) -> None:
        """Empty; `take` fills it."""
        self.version = 0
        self.gaps = 0
        self.binding: set[int] = set()
        self.turns = Turns()
        self.polls: Counter[str] = Counter()
        self._limits = entries_max, bytes_max
        self._stretches: list[_Stretch | None] = [None] * keys.PARTITIONS
        self._ends: list[Position | None] = [None] * keys.PARTITIONS
        self._told_at = [float("-inf")] * keys.PARTITIONS
        self._chunks: deque[tuple[_Stretch, int, int]] = deque()
        self._count = self._bytes = 0
        self._short: set[int] = set()
        self._line: ArrivalOrder | None = None
        self._moved = asyncio.Event()
        self.lost = LostEntries()

    def is_polled(self) -> bool:
        """Whether anybody reads the feed now."""
        return bool(self.polls)

    def take(self, asked: Position, tail: Tail) -> None:
        """Keep what a poll has read behind `asked`."""
        number = tail.position.partition
        if tail.rewound:
            self.lost.see(number, self._gone(number, tail))
        self._ends[number] = tail.position
        self._told_at[number] = time.monotonic()
        read = [FeedEntry(number, asked.history, data) for data in tail.logged]
        stretch = self._stretches[number]
        known = _overlap(stretch, asked, read) if stretch is not None and tail.continues else None
        if stretch is None or known is None:
            stretch, known = self._begin(asked if tail.continues else tail.position), 0
            self._news()
        new = read[known:] if tail.continues else []
        if new:
            self._append(stretch, new)
        (self._short.discard if tail.position == stretch.end else self._short.add)(number)
        self._moved.set()
        self._moved = asyncio.Event()

    @property
    def age_ms(self) -> float:
        """How long ago the partition was read that was read longest ago."""
        return (time.monotonic() - min(self._told_at)) * 1000

    @property
    def ends(self) -> tuple[Position, ...] | None:
        """Where every log ended when it was last read; None until all have been."""
        ends = tuple(end for end in self._ends if end is not None)
        return ends if len(ends) == keys.PARTITIONS else None

    @property
    def line(self) -> ArrivalOrder | None:
        """What has been read, in order; None until something of every partition has been."""
        if self._line is None:
            places = [stretch.end for stretch in self._stretches if stretch is not None]
            if len(places) == keys.PARTITIONS:
                self._line = ArrivalOrder(places)
        return self._line

    @property
    def complete(self) -> bool:
        """Whether everything is here that the logs had when they were last read."""
        return not self._short

    def before(self, place: Position) -> int | None:
        """How many entries lie between `place` and what is here; None where that is not known."""
        stretch = self._stretches[place.partition]
        if stretch is None or place.history != stretch.start.history:
            return None
        return max(0, stretch.start.seq - place.seq) or None

    def after(self, place: Position, count: int) -> Sequence[FeedEntry] | None:
        """At most so many entries that follow `place`; None where Redis has to be asked."""
        stretch = self._stretches[place.partition]
        at = stretch.index(place) if stretch is not None else None
        if stretch is None or at is None:
            return None
        if at == len(stretch.entries):
            return () if self._ends[place.partition] == stretch.end else None
        return stretch.entries[at : at + count]

    def has_passed(self, places: Iterable[Position]) -> bool:
        """Whether all of these have been read."""
        stretches = self._stretches
        return all(
            (stretch := stretches[place.partition]) is not None and stretch.end.includes(place)
            for place in places
        )

    async def pass_by(self, places: Sequence[Position], timeout_s: float) -> None:
        """Wait until all of these have been read, or the time is up."""
        try:
            async with asyncio.timeout(timeout_s):
                while not self.has_passed(places):
                    await self._moved.wait()
        except TimeoutError:
            return

    def _gone(self, number: int, tail: Tail) -> Sequence[FeedEntry]:
        """What is here of a log that does not go on, and that nobody can read any more."""
        stretch = self._stretches[number]
        return () if tail.continues or stretch is None else stretch.entries

    def _begin(self, start: Position) -> _Stretch:
        """Begin this partition's stretch anew: there is a gap, or another history."""
        self.gaps += 1
        self._line = None
        old, made = self._stretches[start.partition], _Stretch(start)
        self._stretches[start.partition] = made
        if old is not None:
            left = deque(chunk for chunk in self._chunks if chunk[0] is not old)
            self._chunks = left
            self._count = sum(count for _, count, _ in left)
            self._bytes = sum(size for _, _, size in left)
        return made

    def _append(self, stretch: _Stretch, new: list[FeedEntry]) -> None:
        stretch.entries += new
        if self._line is not None:
            self._line.append(new)
        stretch.end = new[-1].place
        size = sum(len(kept.data) for kept in new)
        self._chunks.append((stretch, len(new), size))
        self._count += len(new)
        self._bytes += size
        lists = {kept.list for kept in new}
        if BIND in lists:
            self.binding.add(stretch.end.partition)
        if any(kept.is_reset for kept in new):
            self.gaps += 1  # a list's first load is told by nothing else
        while self._count > self._limits[0] or self._bytes > self._limits[1]:
            oldest, count, size = self._chunks.popleft()
            oldest.drop(count)
            self._count -= count
            self._bytes -= size
        if lists != {CANARY}:
            self._news()

    def _news(self) -> None:
        self.version += 1
        self.turns.wake()


def _overlap(stretch: _Stretch, asked: Position, read: list[FeedEntry]) -> int | None:
    """How many of the entries read are kept already; None where they do not go on from here."""
    at = stretch.index(asked)
    if at is None:
        return None
    known = stretch.entries[at:]
    same = all(old.data == new.data for old, new in zip(known, read, strict=False))
    return len(known) if same else None
