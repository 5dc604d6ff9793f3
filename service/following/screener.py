"""The filters of this process: whom they clear, how far they follow, how fresh they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from roster import keys
from roster.filter import TokenFilter
from roster.records.position import HighWater, Position, to_text
from roster.records.replies import MARK_BYTES
from service.following.freshness import Freshness
from service.following.trail import Trail

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from roster.records.replies import ImageHeader, Tail

EVERY = range(keys.PARTITIONS)
BULK = 100
"""From so many tokens on numpy adds them sooner than one by one."""


class Partition:
    """One partition's filter, the position that it includes, and what the last poll said.

    `witnessed` is False where the filter has not read all that a rewound roster has lost,
    `known` where nothing has been read yet: then everybody may be listed. `changes` is how many
    have come since its image.
    """

    def __init__(self, token_filter: TokenFilter, position: Position) -> None:
        """A filter that includes everything up to `position`."""
        self.filter = token_filter
        self.image: ImageHeader | None = None
        self.covered: frozenset[int] = frozenset()
        self.rewound = False
        self.witnessed = True
        self.known = True
        self.trail = Trail(position)
        self.changes = 0.0
        self.move(position)

    @classmethod
    def unknown(cls, number: int) -> Self:
        """A partition of which nothing has been read: its filter clears nobody."""
        everybody = TokenFilter()
        everybody.bitarray.setall(1)
        partition = cls(everybody, Position(number, 0, 0, bytes(MARK_BYTES)))
        partition.known = False
        return partition

    def move(self, position: Position) -> None:
        """Nothing; the filter includes `position` from now on."""
        self.position = position
        self.position_text = to_text([position])

    def outdated_by(self, tail: Tail) -> bool:
        """Whether it is to be made anew: the tail tells of another image, or of a reset."""
        return (tail.image is not None and tail.image != self.image) or self.reset_by(tail)

    def reset_by(self, tail: Tail) -> bool:
        """Whether it lacks people of a first load, of whom the log does not tell."""
        return not all(self._covers(reset) for reset in tail.resets)

    def take(self, tail: Tail) -> None:
        """Take in a tail that goes on from here."""
        joining = tail.joining
        if len(joining) < BULK:
            for token in joining:
                self.filter.add(token)
        else:
            self.filter.join_fields(b"".join(token[4:] for token in joining))
        if tail.logged:
            self.trail.extend(tail.logged)
            self.changes += tail.weight
            self.move(tail.last)
        self.note(tail)

    def go_on(self, tail: Tail) -> None:
        """Go on from a rewound log; the filter has all that is there now, and what it had."""
        if tail.continues:
            self.take(tail)
        else:
            self.trail.start(tail.position)
            self.move(tail.position)
            self.note(tail)
        self.image = tail.image  # another one than before is no reason to replace the filter

    def note(self, tail: Tail) -> None:
        """Remember what a tail says of the partition as a whole."""
        self.covered = frozenset(tail.covered)
        self.rewound = tail.rewound
        if tail.rewound and not (tail.lost and self.trail.has(tail.lost)):
            self.witnessed = False

    def _covers(self, reset: Position) -> bool:
        return self.image is not None and self.image.covers >= (reset.history, reset.seq)


class Screener:
    """The filters of all partitions; every method is synchronous and does no I/O."""

    def __init__(self, required: frozenset[int], fresh_ms: int, serve_stale_s: int) -> None:
        """`required` are codes of lists without which nobody is cleared.

        `loaded` says whether there are filters at all: of every server that answered when
        they were made first. `lists_known` is False until it has been read once which lists
        are disabled; `roster` is the roster's id once it is known, and it is `unremembered`
        where a backup that was restored before the start could not have been noticed.
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
        self.lists_known = True
        self.was_ready = False
        self.true_hits = 0
        self.false_hits = 0
        self._covered: frozenset[int] = frozenset()

    @property
    def age_ms(self) -> float:
        """How old the news is by which the least fresh partition is as fresh as it is."""
        return self.news.age_ms

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

    @property
    def expired(self) -> bool:
        """Whether there has been no news for so long that nobody at all may be cleared."""
        return self.news.all_expired

    def is_expired(self, number: int) -> bool:
        """Whether nobody of this partition may be cleared for that reason."""
        return self._partitions[number].known and self.news.expired(number)

    @property
    def fresh_as_of_ms(self) -> int:
        """Redis' time at the oldest news of a partition."""
        return min(self.news.as_of_all_ms)

    @property
    def covered(self) -> frozenset[int]:
        """The lists that every partition has in full, as far as they could be read."""
        return self._covered

    @property
    def lacking(self) -> frozenset[int]:
        """Required lists that are not covered."""
        return self.required - self._covered

    @property
    def ready(self) -> bool:
        """Whether checks are decided here at all; of a lost partition they may not be."""
        decided = self.loaded and self.lists_known
        return decided and not (self.wrong_key or self.lacking or self.expired)

    @property
    def rewound(self) -> bool:
        """Whether any partition is behind what had been acknowledged."""
        return any(partition.rewound for partition in self._partitions)

    @property
    def size_bytes(self) -> int:
        """The filters' size in memory."""
        return sum(partition.filter.size_bytes for partition in self._partitions)

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
            and self.required <= self._covered
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
        """Nothing; a partition has another filter from now on."""
        self._partitions[number] = partition
        self.filters[number] = partition.filter

    def join(self, tokens: Iterable[bytes]) -> None:
        """Nothing; these people may be listed, as the logs will tell."""
        for token in tokens:
            self._partitions[token[1]].filter.add(token)

    def polled(self, tails: Sequence[Tail], sent_s: float, *, listed: bool) -> None:
        """A poll of some partitions, sent at `sent_s` of `boot_s`, has been applied.

        `listed` says whether whoever changes something finds this process listed since then.
        """
        self.news.polled(tails, sent_s, listed=listed)
        self.look_at_lists()
        self.was_ready = self.was_ready or self.ready

    def look_at_lists(self) -> None:
        """Nothing; which lists are covered is as the partitions say now."""
        known = [each.covered for each in self._partitions if each.known]
        self._covered = frozenset.intersection(*known) if known else frozenset()

    def acknowledge(self, positions: Iterable[Position], applied_ms: int = 0) -> None:
        """Positions that are safe, applied then at the latest: Redis must never be behind them."""
        for position in positions:
            known = self.high_water.get(position.partition)
            if known is None or not known.position.includes(position):
                self.high_water[position.partition] = self._mark(position, applied_ms)
            elif not known.at_ms:
                self.high_water[position.partition] = self._mark(known.position)

    def recall(self, marks: Iterable[HighWater]) -> None:
        """The same, with what goes with them."""
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
