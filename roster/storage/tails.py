"""The calls that read a share of each log, so that no request reads more than a server can bear."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roster import keys
from roster.redis.calls import Call

if TYPE_CHECKING:
    from collections.abc import Mapping

    from roster.records.position import Known, Position

TAIL_ENTRIES = 2_048
"""At most in one poll: they cost a server some 2 us each."""
TAIL_BYTES = 1 << 20


def tail_calls(
    check_value: bytes,
    applied: Mapping[int, Position | None],
    high_water: Mapping[int, Known],
    limit: int,
) -> list[Call]:
    """What reads at most `limit` entries behind each position, and `TAIL_BYTES` in all."""
    most_bytes = TAIL_BYTES // max(1, len(applied))
    return [
        Call(
            partition,
            "tail",
            (keys.META[partition], keys.LOG[partition]),
            (
                check_value,
                position.wire if position else b"",
                high_water[partition].wire if partition in high_water else b"",
                limit,
                most_bytes,
            ),
        )
        for partition, position in applied.items()
    ]
