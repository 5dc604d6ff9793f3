"""Walks over packed bytes, and says where they are no such bytes.

What is stored may be damaged, or written by a version that is not out yet: that is one
person's misfortune, and must not become everybody's.
"""

from __future__ import annotations

import re
import struct
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, cast

import msgspec

from roster.errors import Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from roster.records.entry import NameToken

_MINUTE_MS = 60_000
_LAST_MS = 253_402_300_799_999
"""The last moment of the year 9999; the first of the year 1 lies nearer to 1970."""
_FIRST_MS = -62_135_596_800_000
_SIZE = struct.Struct(">H")
_TIME = re.compile(rb"[\x80-\xff]{0,7}[\x00-\x7f]", re.DOTALL)
"""The last byte's top bit is clear; seven bits are in each."""
NUMBER = 0x80
"""Marks a number where a text's size might stand."""
_NUMBER_BYTES = 8
_BROKEN = (struct.error, IndexError, ValueError, TypeError, OverflowError, msgspec.MsgspecError)


@contextmanager
def readable() -> Iterator[None]:
    """Nothing; raises Unreadable where what is read within is not what it should be."""
    try:
        yield
    except _BROKEN as exc:
        raise Unreadable("what the roster holds of this person cannot be read") from exc


class Reader:
    """Walks over packed bytes; raises IndexError and its like where they end too early."""

    def __init__(self, data: bytes, at: int) -> None:
        """Start at `at`."""
        self.data = data
        self.at = at

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        end = self.at + size
        if end > len(self.data):
            raise IndexError("the bytes end too early")
        part = self.data[self.at : end]
        self.at = end
        return part

    def number(self) -> int:
        """A number of one byte."""
        self.at += 1
        return self.data[self.at - 1]

    def text(self) -> str:
        """A text behind its size."""
        (size,) = _SIZE.unpack(self.take(2))
        return self.take(size).decode()

    def entry_id(self) -> str:
        """A number behind its size and a mark, or a text."""
        if not self.data[self.at] & NUMBER:
            return self.text()
        size = self.take(1)[0] & ~NUMBER
        if not 0 < size <= _NUMBER_BYTES:
            raise ValueError("no number")
        return str(int.from_bytes(self.take(size)))

    def time(self) -> int:
        """A time in ms: zigzag LEB128, whole minutes shorter (`record._time`)."""
        found = _TIME.match(self.data, self.at)
        if found is None:
            raise IndexError("a time without an end")
        self.at = found.end()
        return _moment(found[0])

    def names(self) -> tuple[NameToken, ...]:
        """Name tokens behind their number."""
        (count,) = self.take(1)
        tokens = struct.unpack(f">{count}I", self.take(4 * count))
        return cast("tuple[NameToken, ...]", tokens)


@lru_cache(maxsize=16_384)  # days are few, and whole ones are the rule
def _moment(packed: bytes) -> int:
    value = 0
    for byte in reversed(packed):
        value = value << 7 | byte & 0x7F
    value = -((value + 1) >> 1) if value & 1 else value >> 1
    ms = value >> 1 if value & 1 else (value >> 1) * _MINUTE_MS
    if not _FIRST_MS <= ms <= _LAST_MS:
        raise ValueError("no time")
    return ms
