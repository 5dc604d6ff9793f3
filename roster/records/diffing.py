"""What a dry merge answers where it is asked whose records it would change, and into what."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHANGED = struct.Struct(">14sII")


class Changed(NamedTuple):
    """A person whose record changes: where it is, before and after; `b""` is no record."""

    place: bytes
    before: bytes
    after: bytes


def changed(joined: bytes) -> Iterator[Changed]:
    """Each of them, of the reply's bytes."""
    at = 0
    while at < len(joined):
        place, before, after = _CHANGED.unpack_from(joined, at)
        middle = at + _CHANGED.size + before
        yield Changed(place, joined[middle - before : middle], joined[middle : middle + after])
        at = middle + after
