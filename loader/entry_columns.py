"""Entries of many people as columns: all that the merge law looks at but the contents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from loader.buckets import Parts
from loader.packing import HEAD_BYTES, LIST_AT, PLACE_BYTES
from loader.pieces import Bools, Numbers, Octets, sizes_of
from loader.table import FIXED_BYTES
from roster.merging import PLAIN_WITHOUT_REVISION
from roster.record import COUNT, HEADER, REGISTER_BYTES, WITHOUT_REVISION

Words = NDArray[np.uint64]

REGISTERS = 5
_KIND_AT, _RECORD_AT = 12, 17
_DIGEST_AT, _SIZE_AT = 8, 16
_48_BITS = (1 << 48) - 1


class Held(NamedTuple):
    """People as Redis holds them: `places` in shape (n, 14), the records one after the other."""

    places: Octets
    records: Octets
    sizes: Numbers


class Entries(NamedTuple):
    """Entries, each with the index of its person and its own among that person's.

    `names` are list and entry hash in one number; `registers` have shape (5, n), in ms.
    """

    people: Numbers
    ordinals: Numbers
    names: Words
    digests: Words
    sizes: NDArray[np.uint16]
    registers: NDArray[np.int64]
    without_revision: Bools

    @property
    def lists(self) -> Numbers:
        """The code of each entry's list."""
        return (self.names >> np.uint64(48)).astype(np.int64)


def held_of(numbers: Sequence[int], replies: Sequence[Sequence[bytes]]) -> Held:
    """The people of these buckets, of `Store.records`."""
    fields = b"".join(b"".join(reply[::2]) for reply in replies)
    records = [record for reply in replies for record in reply[1::2]]
    counts = np.fromiter(map(len, replies), np.int64, len(replies)) // 2
    places = np.empty((len(records), PLACE_BYTES), np.uint8)
    places[:, :2] = np.repeat(np.array(numbers, ">u2"), counts).view(np.uint8).reshape(-1, 2)
    places[:, 2:] = np.frombuffer(fields, np.uint8).reshape(-1, PLACE_BYTES - 2)
    return Held(places, np.frombuffer(b"".join(records), np.uint8), sizes_of(records))


def entries_held(held: Held) -> Entries:
    """The entries of records."""
    return _parsed(held.records, np.cumsum(held.sizes) - held.sizes)


def entries_told(parts: Parts) -> Entries:
    """The entries of a file's rows."""
    plain = parts.kinds > 0
    unusual = np.frombuffer(b"".join(parts.unusual), np.uint8)
    sizes = sizes_of(parts.unusual)
    starts = np.cumsum(sizes) - sizes
    odd = _parsed(unusual, starts + _RECORD_AT)
    unstated = unusual[starts + _KIND_AT] == PLAIN_WITHOUT_REVISION
    odd = odd._replace(
        people=np.flatnonzero(~plain)[odd.people],
        without_revision=odd.without_revision | unstated[odd.people],
    )
    both: Iterator[tuple[NDArray[Any], NDArray[Any]]] = zip(_plain(parts, plain), odd, strict=True)
    return Entries(*(np.concatenate(pair, axis=-1) for pair in both))


def _plain(parts: Parts, plain: Bools) -> Entries:
    """The entries of people whose rows are plain and alike."""
    people = np.repeat(np.arange(len(plain)), parts.counts)
    rows = np.flatnonzero(plain[people])
    people = people[rows]
    octets, at = parts.fixed.reshape(-1), rows * FIXED_BYTES
    registers = np.zeros((REGISTERS, len(rows)), np.int64)
    registers[0] = _register(octets, at + HEAD_BYTES)
    without = parts.kinds[people] == PLAIN_WITHOUT_REVISION
    ordinals = rows - parts.first[people]
    return Entries(people, ordinals, *_headers(octets, at + LIST_AT), registers, without)


def _parsed(octets: Octets, starts: Numbers) -> Entries:
    """The entries of the records that start there."""
    counts = _number(octets, starts, ">u2").astype(np.int64)
    first = np.cumsum(counts) - counts
    people = np.repeat(np.arange(len(starts)), counts)
    ordinals = np.arange(len(people)) - first[people]
    at = starts[people] + COUNT.size + HEADER.size * ordinals
    presents = octets[at + 1]
    raised = np.bitwise_count(presents % WITHOUT_REVISION).astype(np.int64)
    before = np.cumsum(raised) - raised
    after_heads = at + HEADER.size * (counts[people] - ordinals)
    register_at = after_heads + REGISTER_BYTES * (before - before[first[people]])
    registers = np.zeros((REGISTERS, len(people)), np.int64)
    for bit in range(REGISTERS):
        mine = np.flatnonzero(presents >> bit & 1)
        registers[bit, mine] = _register(octets, register_at[mine])
        register_at[mine] += REGISTER_BYTES
    without = presents >= WITHOUT_REVISION
    return Entries(people, ordinals, *_headers(octets, at), registers, without)


def _headers(octets: Octets, at: Numbers) -> tuple[Words, Words, NDArray[np.uint16]]:
    """Names, digests and sizes of contents of the headers that start there."""
    head = _number(octets, at, ">u8")
    names = head >> np.uint64(56) << np.uint64(48) | head & np.uint64(_48_BITS)
    return names, _number(octets, at + _DIGEST_AT, ">u8"), _number(octets, at + _SIZE_AT, ">u2")


def _register(octets: Octets, at: Numbers) -> NDArray[np.int64]:
    """The six bytes there; two of a header are before them."""
    return (_number(octets, at - 2, ">u8") & np.uint64(_48_BITS)).astype(np.int64)


def _number(octets: Octets, at: Numbers, kind: str) -> NDArray[Any]:
    """The big-endian numbers that start there, wherever that is."""
    dtype = np.dtype(kind)
    if not len(at):
        return np.empty(0, dtype.newbyteorder("="))
    everywhere = np.ndarray((len(octets) - dtype.itemsize + 1,), dtype, octets, strides=(1,))
    return everywhere[at].astype(dtype.newbyteorder("="))
