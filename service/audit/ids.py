"""Names of decisions that the audit keeps: they say where it has them, to find each at once."""

from __future__ import annotations

import time
from typing import NamedTuple

from roster.keys import PARTITIONS

_BYTES = 17
_PARTITION, _SECOND = 12, slice(13, 17)


class Place(NamedTuple):
    """A decision's name in bytes, its person's partition, and the second in which it was given."""

    id: bytes
    partition: int
    ms: int


def lasting(decision_id: str, token: bytes) -> str:
    """The name of a decision about this person that is recorded now."""
    return f"{decision_id}{token[1]:02x}{int(time.time()):08x}"


def place_of(decision_id: str) -> Place | None:
    """Where the audit would have it; None where it is no name of a recorded decision."""
    try:
        found = bytes.fromhex(decision_id)
    except ValueError:
        return None
    if len(found) != _BYTES or found[_PARTITION] >= PARTITIONS or found.hex() != decision_id:
        return None
    return Place(found, found[_PARTITION], int.from_bytes(found[_SECOND]) * 1000)
