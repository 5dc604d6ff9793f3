"""A load that swells on the hour, as when the railway opens its sales."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from locust import LoadTestShape

from benchmarks.users.hours import Hours

if TYPE_CHECKING:
    from argparse import Namespace

    from locust import User


class OnTheHour(LoadTestShape):
    """Bursts, made of locust's own `--users`, `--spawn-rate` and `--run-time`."""

    use_common_options: ClassVar[bool] = True

    def __init__(self, options: Namespace) -> None:
        """As the options say."""
        super().__init__()  # type: ignore[no-untyped-call]
        self._rate = options.spawn_rate or 100.0
        self._run_time_s = options.run_time or float("inf")
        self._hours = Hours(
            options.num_users or 1, options.burst_times, options.hour_s, options.burst_s
        )

    def tick(self) -> tuple[int, float] | tuple[int, float, list[type[User]] | None] | None:
        """How many users there are now, and how many more a second."""
        second: float = self.get_run_time()  # type: ignore[no-untyped-call]
        if second >= self._run_time_s:
            return None
        return self._hours.users_at(second), self._rate
