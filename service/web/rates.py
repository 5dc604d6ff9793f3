"""How much each key has asked for lately, counted together by all workers of one `serve`.

Each key has one time in memory that they share: when all that it has been given is paid for, at
its rate (the generic cell rate algorithm, ITU-T I.371). A check reads that time and moves it on,
without a lock and without asking anybody. Two workers that do so within the same microsecond count
the one and not the other: this is how far off it may be.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from roster.storage.api_keys import SANDBOX

if TYPE_CHECKING:
    from collections.abc import MutableSequence

    from roster.storage.api_keys import ApiKey

PLACES = 1 << 14
"""More than the keys of any roster that have a rate; twice as many are no harm."""
WIDTH = 4
"""A place holds a key's id, when it has paid, its rate and its burst."""
SIZE = PLACES * WIDTH
ROUNDING = 1e-6
"""Of a check: what is lacking by less is not."""
LOOKED_AT = 64
"""A key's place is one of so many in a row."""


class TokenBucket:
    """A token bucket: `rate` a second, at most `size` saved up."""

    def __init__(self, rate: float, size: float, now_s: float) -> None:
        """It starts full."""
        self.rate = rate
        self.size = size
        self._left = size
        self._at_s = now_s

    def take(self, amount: float, now_s: float) -> float:
        """0 when `amount` was there, else the seconds until it is.

        More than it can ever hold is given when it is full, and owed.
        """
        self._left = min(self.size, self._left + (now_s - self._at_s) * self.rate)
        self._at_s = now_s
        lacking = min(amount, self.size) - self._left
        if lacking > 0:
            return lacking / self.rate
        self._left -= amount
        return 0.0


class Rates:
    """The rates of one process's keys; `memory` is the same for all that count together."""

    def __init__(self, memory: MutableSequence[float] | None = None) -> None:
        """`memory` has `SIZE` numbers, 0 at first; without it a process counts alone."""
        self._memory = memory if memory is not None else _alone()
        self._places: dict[str, int] = {}

    def take(self, key: ApiKey, checks: int, now_s: float) -> float:
        """0 when the key may ask for so many checks now, else the seconds until it may.

        More than its burst is given when that is whole, and owed.
        """
        rate, burst = key.rate or 0.0, key.burst_checks
        memory, at = self._memory, self._place(key, now_s)
        paid_s = max(memory[at + 1], now_s)
        if (memory[at + 2], memory[at + 3]) != (rate, burst):  # new, or on other terms
            memory[at + 2], memory[at + 3] = rate, burst
            paid_s = now_s
        lacking = min(checks, burst) - (burst - (paid_s - now_s) * rate)
        if lacking > ROUNDING:
            return lacking / rate
        memory[at + 1] = paid_s + checks / rate
        return 0.0

    def _place(self, key: ApiKey, now_s: float) -> int:
        name = float(int(key.id.removeprefix(SANDBOX), 16))  # 48 bits: exact
        at = self._places.get(key.id)
        if at is not None and self._memory[at] == name:
            return at
        at = self._places[key.id] = self._found(name, now_s)
        if self._memory[at] != name:
            self._memory[at + 1], self._memory[at] = 0.0, name
        return at

    def _found(self, name: float, now_s: float) -> int:
        """The key's place, or one of nobody, or of who has paid: that says no more than none."""
        memory, first = self._memory, int(name) % PLACES
        row = [(first + step) % PLACES * WIDTH for step in range(LOOKED_AT)]
        for at in row:
            if memory[at] == name:
                return at
        return min(row, key=lambda at: max(memory[at + 1], now_s))


def _alone() -> array[float]:
    return array("d", bytes(8 * SIZE))
