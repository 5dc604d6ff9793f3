"""Changes as the store applies them: packed, and several of a partition in one call."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import msgspec

from roster.keys import PARTITION
from roster.records.entry import Op

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LARGEST_CALL = 64
"""How many changes one call applies: others wait meanwhile, for about 2 ms."""
HEAD = struct.Struct(">14sBBHI6s8sB")
"""What a change begins with; its last byte is the size of the provenance's tail."""


class Change(msgspec.Struct, frozen=True):
    """One change to one entry, packed; `revision` 0 lets the roster choose.

    A put without `content` puts back what is stored of an entry that was removed.

    `provenance` is `record.provenance_tail`; `lenient` is for what must not wait for memory
    (removals, suspensions, lifts, unbindings).
    """

    token: bytes
    list: int
    op: Op
    revision: int
    entry_hash: bytes
    content: bytes
    digest: bytes = bytes(8)
    provenance: bytes = b""
    lenient: bool = False

    @property
    def wire(self) -> bytes:
        """The bytes that `lua/changes.lua` reads."""
        head = HEAD.pack(
            self.token[2:],
            self.list,
            self.op,
            self.revision >> 32,
            self.revision & 0xFFFFFFFF,
            self.entry_hash,
            self.digest,
            len(self.provenance),
        )
        return head + self.provenance + self.content


def together(changes: Sequence[Change]) -> list[dict[int, Change]]:
    """The changes that one call may apply, by their index; those of a partition keep their order.

    Where memory is short only what is lenient goes through, so it does not share a call.
    """
    groups: list[dict[int, Change]] = []
    latest: dict[int, dict[int, Change]] = {}
    for index, change in enumerate(changes):
        partition = change.token[PARTITION]
        group = latest.get(partition)
        if group is None or len(group) == LARGEST_CALL or _lenient(group) != change.lenient:
            group = latest[partition] = {}
            groups.append(group)
        group[index] = change
    return groups


def _lenient(group: Mapping[int, Change]) -> bool:
    return next(iter(group.values())).lenient
