"""The fields of a partition's `meta` hash: what they are called, and what they say.

The Lua functions write them. Which of them, and why: docs/architecture.md, Fields of meta.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum, auto
from functools import cache
from typing import NamedTuple

import msgspec

from roster.records.entry import Op, State
from roster.records.position import Position, from_wire

_CODES = range(256)


class Field(StrEnum):
    """What a partition has one of."""

    CHECK = auto()
    ROSTER = auto()
    HISTORY = auto()
    SEQ = auto()
    MARK = auto()
    COVERED = auto()
    IMAGE = auto()
    ACK = auto()
    ACCEPTED = auto()
    REWOUND = auto()
    LOST = auto()
    LOST_MS = auto()
    LOST_LISTS = auto()
    KEPT = auto()
    LOST_IN = auto()
    PEOPLE = auto()
    EVER = auto()
    WRITES = auto()
    SEAL_WRITES = auto()
    SEAL_BASE = auto()
    SEALED = auto()
    UNLOGGED = auto()


class ListField(StrEnum):
    """What a partition has one of for each list: the name begins so."""

    MADE_GOOD = "r"
    BEGUN = "b"
    MERGED_TO = "m"
    MERGE_CALLS = "k"
    BEGUN_IN = "h"
    FLOOR = "f"
    LOADED = "w"
    FORGOTTEN = "g"
    FORGOTTEN_EDIT = "ge"
    ENTRIES = "n"
    PEOPLE = "p"
    DIGEST = "d"
    CHANGED = "t"

    @cache
    def of(self, *numbers: int) -> str:
        """The whole name, of a list's code and, where there is one, a state or an op."""
        return ":".join((self, *(str(int(number)) for number in numbers)))


class Stamp(NamedTuple):
    """Which load of a list has begun last; 0 and `""` where none has."""

    as_of_ms: int
    nonce: str


class Meta(msgspec.Struct, frozen=True):
    """One partition's fields as Redis holds them; what is not there is 0 or empty."""

    held: Mapping[bytes, bytes]

    @property
    def covered(self) -> bytes:
        """The codes of the lists that were loaded in full."""
        return self._bytes(Field.COVERED)

    @property
    def rewound(self) -> bool:
        """Whether something acknowledged is lost here."""
        return self._bytes(Field.REWOUND) == b"1"

    @property
    def lost_ms(self) -> int:
        """When the furthest change that was lost was applied, as far as anybody knows."""
        return self._number(Field.LOST_MS)

    @property
    def lost_lists(self) -> bytes:
        """The codes of the lists that were covered when that was lost."""
        return self._bytes(Field.LOST_LISTS)

    def lost(self, partition: int) -> Position | None:
        """The furthest position that is known to be lost; None where that is not known."""
        return self._of_this_rewind(partition, Field.LOST)

    def kept(self, partition: int) -> Position | None:
        """Where the log that was left ends; None where that is not known."""
        return self._of_this_rewind(partition, Field.KEPT)

    @property
    def accepted_ms(self) -> int:
        """When the partition was last accepted as it was."""
        return self._number(Field.ACCEPTED)

    @property
    def people(self) -> int:
        """How many people have a live entry on a list that restricts."""
        return self._number(Field.PEOPLE)

    @property
    def ever(self) -> int:
        """How many entries were ever listed."""
        return self._number(Field.EVER)

    @property
    def live_lists(self) -> frozenset[int]:
        """The codes of the lists that have active or suspended entries."""
        return frozenset(code for code in _CODES if self.live(code))

    @property
    def last_begun_ms(self) -> int:
        """The newest `as_of` of any load that has begun."""
        return max(self.begun(code).as_of_ms for code in _CODES)

    def position(self, partition: int) -> Position | None:
        """The log's end; None where this partition was never written."""
        mark = self._bytes(Field.MARK)
        ends = self._number(Field.HISTORY), self._number(Field.SEQ)
        return Position(partition, *ends, mark) if mark else None

    def entries(self, code: int, state: State) -> int:
        """How many entries of a list are in a state."""
        return self._number(ListField.ENTRIES.of(code, state))

    def live(self, code: int) -> int:
        """How many entries of a list are active or suspended."""
        return self.entries(code, State.ACTIVE) + self.entries(code, State.SUSPENDED)

    def people_on(self, code: int) -> int:
        """How many people have a live entry on a list."""
        return self._number(ListField.PEOPLE.of(code))

    def digest(self, code: int) -> int:
        """The digests of a list's live entries, combined by XOR."""
        return int.from_bytes(self._bytes(ListField.DIGEST.of(code)))

    def floor_ms(self, code: int) -> int:
        """The `as_of` of the last full file of a list."""
        return self._number(ListField.FLOOR.of(code))

    def forgotten_ms(self, code: int) -> int:
        """The newest revision of a list's tombstones that were dropped."""
        return self._number(ListField.FORGOTTEN.of(code))

    def made_good_ms(self, code: int) -> int:
        """The `as_of` of the full file of a list that came after the loss."""
        return self._number(ListField.MADE_GOOD.of(code))

    def changed_ms(self, code: int, op: Op) -> int:
        """When an op was last applied to a list."""
        return self._number(ListField.CHANGED.of(code, op))

    def begun(self, code: int) -> Stamp:
        """The newest load of a list that has begun."""
        as_of, _, nonce = self._bytes(ListField.BEGUN.of(code)).decode().partition(":")
        return Stamp(int(as_of or 0), nonce)

    def _of_this_rewind(self, partition: int, name: str) -> Position | None:
        wire, since = self._bytes(name), self._number(Field.LOST_IN)
        is_known = self.rewound and wire and since == self._number(Field.HISTORY)
        return from_wire(partition, wire) if is_known else None

    def _bytes(self, name: str) -> bytes:
        return self.held.get(name.encode(), b"")

    def _number(self, name: str) -> int:
        return int(self.held.get(name.encode(), 0))
