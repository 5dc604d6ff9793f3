"""Blocks of audit records, each bound to the one before by a keyed hash: the chain of a process.

A process numbers its blocks through all partitions. Each states its process, number and partition,
and time, partition and hash of the block before; its own hash is keyed with what only holders of
the ID key can make. So a block that is missing, changed, moved or put in shows in the next one.
"""

from __future__ import annotations

import hmac
import struct
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from roster import keys
from roster.records.audited import AuditKind, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roster.records.audited import AuditRecord, Written

VERSION = 1
TAG_BYTES = 16
ORIGIN = bytes(TAG_BYTES)
"""What the first block of a process has in the place of the hash before."""
_HEAD = struct.Struct(">B6sIBIHHQBQ16s")
ID_BYTES = 11
"""So many bytes name a block: version, process, number."""


class AuditBlock(NamedTuple):
    """A block; the time, partition and tag `before` are those of the block numbered one less.

    `number` counts the blocks of the process, `seq` those in this partition, both from 0.
    """

    process: str
    number: int
    partition: int
    seq: int
    kinds: int
    size: int
    at_ms: int
    before_partition: int
    before_ms: int
    before: bytes
    tag: bytes
    body: bytes

    @property
    def closes(self) -> bool:
        """Whether its process ended in order with it."""
        return bool(self.kinds & AuditKind.CLOSED.bit)

    def records(self) -> list[tuple[int, AuditRecord]]:
        """When each of its records happened, and the record; raises ValueError."""
        try:
            return unpack(self.body, self.at_ms)
        except msgspec.MsgspecError as exc:
            raise ValueError("a record of another version") from exc


class Head(NamedTuple):
    """How many blocks a process has sealed, the hash of the last, and when that was."""

    blocks: int
    tag: str
    at_ms: int = 0


NOTHING = Head(0, ORIGIN.hex())
"""Of a process that has sealed none."""


class Chain:
    """What one process has sealed so far."""

    def __init__(self, process: str, key: bytes) -> None:
        """`process` is 12 hexadecimal digits, never used before; `key` the tokeniser's for this."""
        self.process = process
        self.key = key
        self._number = 0
        self._before = (0, 0, ORIGIN)
        self._seqs = [0] * keys.PARTITIONS

    @property
    def seqs(self) -> tuple[int, ...]:
        """How many blocks it has sealed in each partition."""
        return tuple(self._seqs)

    @property
    def head(self) -> Head:
        """How far it has come."""
        return Head(self._number, self._before[2].hex(), self._before[1])

    def seal(self, partition: int, records: Sequence[Written], now_ms: int) -> bytes:
        """The next block's bytes; a clock that steps back does not make it older than the last."""
        now_ms = max(now_ms, self._before[1])
        kinds = 0
        for each in records:
            kinds |= each.kind.bit
        head = _HEAD.pack(
            VERSION,
            bytes.fromhex(self.process),
            self._number,
            partition,
            self._seqs[partition],
            kinds,
            len(records),
            now_ms,
            *self._before,
        )
        data = head + pack(records, now_ms)
        tag = _tag(data, self.key)
        self._number += 1
        self._seqs[partition] += 1
        self._before = (partition, now_ms, tag)
        return data + tag


def read(data: bytes, key: bytes, partition: int) -> AuditBlock:
    """The block of these bytes that lie there; raises ValueError where no process sealed it so."""
    whole, tag = data[:-TAG_BYTES], data[-TAG_BYTES:]
    if len(whole) < _HEAD.size or not hmac.compare_digest(_tag(whole, key), tag):
        raise ValueError("not as it was sealed")
    version, process, *rest = _HEAD.unpack_from(whole)
    if version != VERSION:
        raise ValueError("a block of another version")
    block = AuditBlock._make((process.hex(), *rest, tag, whole[_HEAD.size :]))
    if block.partition != partition:
        raise ValueError("moved from another partition")
    return block


def claimed(data: bytes) -> tuple[str, int] | None:
    """Process and number that bytes which are no sound block say of themselves."""
    if len(data) < _HEAD.size:
        return None
    _, process, number, *_ = _HEAD.unpack_from(data)
    return process.hex(), number


def kinds_of(data: bytes) -> int:
    """The bits of the kinds in a block, unproven; 0 where that cannot be read."""
    return int(_HEAD.unpack_from(data)[5]) if len(data) >= _HEAD.size else 0


def _tag(data: bytes, key: bytes) -> bytes:
    return blake2b(data, digest_size=TAG_BYTES, key=key).digest()
