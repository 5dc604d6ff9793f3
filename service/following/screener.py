"""The filters of this process: whom they clear, how far they follow, how fresh they are.

Times are those of `boot_s`. Partitions lie on several servers, of which one may be lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from roster import keys
from roster.records.position import HighWater
from roster.times import boot_s
from service.following.partition import Partition

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from roster.records.position import Position
    from roster.records.replies import Tail

EVERY = range(keys.PARTITIONS)
_NEVER = float("-inf")


class Freshness:
    """What the polls of one process have told of each partition, and when.

    News is what a poll has brought; it makes fresh only where this process was listed
    before, as safely as a change has to be: else nobody waits for it.
    """

    def __init__(self, fresh_ms: float, serve_stale_s: float) -> None:
        """News is fresh for `fresh_ms`; after `serve_stale_s` without any nobody is cleared."""
        self.fresh_ms = fresh_ms
        self.serve_stale_s = serve_stale_s
        self._news_s = [_NEVER] * keys.PARTITIONS
        self._fresh_s = [_NEVER] * keys.PARTITIONS
        self._lapsed_s = [_NEVER] * keys.PARTITIONS
        self._as_of_ms = [0] * keys.PARTITIONS
        self._oldest_s = self._oldest_news_s = self._last_lapse_s = _NEVER

    def polled(self, tails: Iterable[Tail], sent_s: float, *, listed: bool) -> None:
        """Note that a poll that was sent at `sent_s` has been applied."""
        now_s = boot_s()
        for tail in tails:
            number = tail.position.partition
            self._news_s[number] = max(self._news_s[number], sent_s)
            self._as_of_ms[number] = tail.now_ms
            if listed:
                if not self._young(self._fresh_s[number], now_s):
                    self._lapsed_s[number] = self._last_lapse_s = now_s
                self._fresh_s[number] = max(self._fresh_s[number], sent_s)
        self._oldest_s = min(self._fresh_s)
        self._oldest_news_s = min(self._news_s)

    def fresh(self, number: int) -> bool:
        """Whether a partition's filter is known to hold every addition that it has to."""
        return self._young(self._fresh_s[number], boot_s())

    def sure(self, number: int, now_s: float) -> bool:
        """Whether a partition is fresh at this moment, and so new that it may clear people."""
        age_s = now_s - self._fresh_s[number]  # its last news is as new at least
        return age_s * 1000 <= self.fresh_ms and age_s <= self.serve_stale_s

    @property
    def all_fresh(self) -> bool:
        """Whether every partition is fresh."""
        return self._young(self._oldest_s, boot_s())

    def stale_since(self, since_s: float, numbers: Collection[int] = ()) -> bool:
        """Whether one of these partitions, or of all, was not fresh at a moment since then."""
        if self.all_fresh and self._last_lapse_s < since_s:
            return False
        return any(
            not self.fresh(number) or self._lapsed_s[number] >= since_s
            for number in numbers or range(keys.PARTITIONS)
        )

    def expired(self, number: int) -> bool:
        """Whether a partition has had no news for so long that nobody of it may be cleared."""
        return boot_s() - self._news_s[number] > self.serve_stale_s

    @property
    def some_expired(self) -> bool:
        """Whether there is such a partition."""
        return boot_s() - self._oldest_news_s > self.serve_stale_s

    @property
    def all_expired(self) -> bool:
        """Whether no partition has had news for so long."""
        return boot_s() - max(self._news_s) > self.serve_stale_s

    @property
    def age_ms(self) -> float:
        """How old the news is that makes the least fresh partition as fresh as it is."""
        return (boot_s() - self._oldest_s) * 1000

    @property
    def silence_ms(self) -> float:
        """How long ago the last poll was sent that brought news of any partition."""
        return (boot_s() - max(self._news_s)) * 1000

    def as_of_ms(self, number: int) -> int:
        """Redis' time at the last news of a partition."""
        return self._as_of_ms[number]

    @property
    def as_of_all_ms(self) -> list[int]:
        """Redis' time at the last news of every partition, as it is now."""
        return list(self._as_of_ms)

    def _young(self, at_s: float, now_s: float) -> bool:
        return (now_s - at_s) * 1000 <= self.fresh_ms


class Screener:
    """The filters of all partitions; every method is synchronous and does no I/O."""

    def __init__(
        self,
        required: frozenset[int],
        fresh_ms: int,
        serve_stale_s: int,
        *,
        lists_known: bool = True,
    ) -> None:
        """`required` are codes of lists without which nobody is cleared.

        `loaded` says whether there are filters at all: of every server that answered when
        they were made first. `lists_known` is False until the disabled lists have been read;
        `roster` is its id once it is known, and it is `unremembered` where a backup that was
        restored before the start could not have been noticed.
        """
        self.required = required
        self.news = Freshness(fresh_ms, serve_stale_s)
        self._partitions = [Partition.unknown(number) for number in EVERY]
        self.partitions: Sequence[Partition] = self._partitions
        self.filters = [partition.filter for partition in self._partitions]
        self.loaded = False
        self.high_water: dict[int, HighWater] = {}
        self.roster = b""
        self.unremembered = False
        self.wrong_key = False
        self.lists_known = lists_known
        self.true_hits = 0
        self.false_hits = 0
        self.covered: frozenset[int] = frozenset()

    @property
    def fresh(self) -> bool:
        """Whether all filters are known to hold every addition that they have to."""
        return self.loaded and not self.wrong_key and self.news.all_fresh

    def is_fresh(self, number: int) -> bool:
        """Whether one partition's filter is."""
        return self.loaded and not self.wrong_key and self.news.fresh(number)

    def stale_since(self, since_s: float, numbers: Collection[int] = ()) -> bool:
        """Whether one of these partitions, or of all, was not fresh at a moment since then."""
        return self.wrong_key or not self.loaded or self.news.stale_since(since_s, numbers)

    def is_expired(self, number: int) -> bool:
        """Whether nobody of this partition may be cleared for that reason."""
        return self._partitions[number].known and self.news.expired(number)

    @property
    def lacking(self) -> frozenset[int]:
        """Required lists that are not covered."""
        return self.required - self.covered

    @property
    def ready(self) -> bool:
        """Whether checks are decided here at all; of a lost partition they may not be."""
        decided = self.loaded and self.lists_known
        return decided and not (self.wrong_key or self.lacking or self.news.all_expired)

    @property
    def rewound(self) -> bool:
        """Whether any partition is behind what had been acknowledged."""
        return any(partition.rewound for partition in self._partitions)

    @property
    def size_bytes(self) -> int:
        """The filters' size in memory."""
        return sum(each.size_bytes for each in self.filters)

    @property
    def false_hit_rate(self) -> float:
        """The share of checks of people on no list that still had to ask Redis, so far."""
        return self.false_hits / max(1, self.false_hits + self.cleared)

    cleared = 0

    def may_be_listed(self, token: bytes) -> bool:
        """False: certainly not on the roster, as far as this process has followed it."""
        return token in self._partitions[token[1]].filter

    def decides(self, number: int, now_s: float) -> bool:
        """Whether one partition's filter clears people at this moment: it is fresh and whole.

        One look for each check, with one reading of the clock.
        """
        partition = self._partitions[number]
        return (
            self.news.sure(number, now_s)
            and self.loaded
            and self.lists_known
            and not self.wrong_key
            and self.required <= self.covered
            and self.required <= partition.covered
            and (partition.witnessed or not partition.rewound)
        )

    def clears(self, token: bytes) -> bool:
        """Whether the filter that has the token's partition may say no, and says it."""
        return not self.may_be_listed(token) and self.speaks(token[1])

    def speaks(self, number: int) -> bool:
        """Whether a partition's filter may say that people are on no list, fresh or not."""
        partition = self._partitions[number]
        return (
            self.required <= partition.covered
            and not self.is_expired(number)
            and (partition.witnessed or not partition.rewound)
        )

    def silent(self, numbers: Iterable[int]) -> set[int]:
        """Those of these partitions of which that may not be said: see `speaks`."""
        partitions, required = self._partitions, self.required
        found = {
            number
            for number in numbers
            if (each := partitions[number]).rewound or not required <= each.covered
        }
        if self.news.some_expired:
            found.update(numbers)
        return {number for number in found if not self.speaks(number)}

    def replace(self, number: int, partition: Partition) -> None:
        """Give a partition another filter."""
        self._partitions[number] = partition
        self.filters[number] = partition.filter

    def join(self, tokens: Iterable[bytes]) -> None:
        """Add people who may be listed, as the logs will tell."""
        for token in tokens:
            self._partitions[token[1]].filter.add(token)

    def polled(self, tails: Sequence[Tail], sent_s: float, *, listed: bool) -> None:
        """Note that a poll of some partitions, sent at `sent_s`, has been applied.

        `listed` says whether whoever changes something finds this process listed since then.
        """
        self.news.polled(tails, sent_s, listed=listed)
        self.look_at_lists()

    def look_at_lists(self) -> None:
        """Note which lists are covered by what the partitions say now."""
        known = [each.covered for each in self._partitions if each.known]
        self.covered = frozenset.intersection(*known) if known else frozenset()

    def acknowledge(self, positions: Iterable[Position], applied_ms: int = 0) -> None:
        """Note positions that are safe, applied by then: Redis must never be behind them."""
        for position in positions:
            known = self.high_water.get(position.partition)
            if known is None or not known.position.includes(position):
                self.high_water[position.partition] = self._mark(position, applied_ms)
            elif not known.at_ms:
                self.high_water[position.partition] = self._mark(known.position)

    def recall(self, marks: Iterable[HighWater]) -> None:
        """Take marks from a file, but where a newer one is known."""
        for mark in marks:
            known = self.high_water.get(mark.position.partition)
            if known is None or not known.position.includes(mark.position):
                self.high_water[mark.position.partition] = mark

    def start_anew(self, roster: bytes) -> None:
        """Another roster is there: everybody is referred until its filters are here."""
        self.roster = roster
        self.high_water.clear()
        self.news = Freshness(self.news.fresh_ms, self.news.serve_stale_s)

    def _mark(self, position: Position, applied_ms: int = 0) -> HighWater:
        partition = self._partitions[position.partition]
        at_ms = applied_ms or partition.trail.applied_ms(position)
        return HighWater(position, at_ms, self.roster, bytes(sorted(partition.covered)))

    @property
    def applied(self) -> bytes:
        """Every partition's position, as `roster.processes` lists it."""
        return b"".join(partition.position.wire for partition in self._partitions)
