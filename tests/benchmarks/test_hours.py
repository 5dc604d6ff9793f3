from __future__ import annotations

import pytest

from benchmarks.users.hours import Hours


@pytest.mark.parametrize(
    ("second", "users"),
    [(0, 20), (29.9, 20), (30, 100), (39.9, 100), (40, 20), (89.9, 20), (90, 100), (100, 20)],
)
def test_users_swell_in_the_first_seconds_of_every_hour(second: float, users: int) -> None:
    assert Hours(users=20, times=5.0, hour_s=60.0, burst_s=10.0).users_at(second) == users
