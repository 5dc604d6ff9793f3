"""How many users a load has that swells on the hour."""

from __future__ import annotations

from typing import NamedTuple


class Hours(NamedTuple):
    """So many users, and so many times as many in the first seconds of every hour.

    A run begins in the middle of one.
    """

    users: int
    times: float
    hour_s: float
    burst_s: float

    def users_at(self, second: float) -> int:
        """How many there are at some second of the run."""
        on_the_hour = (second + self.hour_s / 2) % self.hour_s < self.burst_s
        return round(self.users * self.times) if on_the_hour else self.users
