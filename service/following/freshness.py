"""How old the news of each partition is, and when it was last older than it may be.

Times are those of `boot_s`. Partitions lie on several servers, of which one may be lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from roster import keys
from roster.times import boot_s

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from roster.records.replies import Tail

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
        """Nothing; a poll that was sent at `sent_s` has been applied."""
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
    def stale(self) -> list[int]:
        """The partitions that are not fresh."""
        return [number for number in range(keys.PARTITIONS) if not self.fresh(number)]

    @property
    def all_stale(self) -> bool:
        """Whether no partition is fresh."""
        return not self._young(max(self._fresh_s), boot_s())

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
        """The same of all partitions as they are now."""
        return list(self._as_of_ms)

    def _young(self, at_s: float, now_s: float) -> bool:
        return (now_s - at_s) * 1000 <= self.fresh_ms
