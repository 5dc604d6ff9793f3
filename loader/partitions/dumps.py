"""Redis hashes made here, as the payloads that RESTORE takes.

A payload is what DUMP gives (https://redis.io/docs/latest/commands/dump/): the type, the value
as in an RDB file, the version of that format, a CRC-64. The value is a listpack
(https://github.com/antirez/listpack/blob/master/listpack.md) of field, value, field, value. All
hashes are laid out at once: tables say which bytes stand where.
"""

from __future__ import annotations

from collections.abc import Callable

import anycrc
import numpy as np

from loader.columns.pieces import Numbers, Octets, Pieces, put
from roster.keys import FIELD_BYTES

_HASH_LISTPACK = 16
"""The type, in Redis 7.0 and whatever came after it."""
_VERSION = 10
"""Of the RDB format, Redis 7.0's: newer servers take it."""
_END = bytes((255, *_VERSION.to_bytes(2, "little")))
"""A listpack's last byte, then the version."""
_crc = anycrc.Model("CRC64-REDIS").calc
"""CRC-64 of David T. Jones (http://www0.cs.ucl.ac.uk/staff/d.jones/crcnote.pdf), reflected."""
_HEAD_BYTES, _LENGTH_BYTES = 6, 5
_COUNT_MAX = 65_535
"""In the head of a listpack: so many elements, or more."""
_FIELD_HEAD = 0x80 | FIELD_BYTES
_FIELD_ELEMENT_BYTES = 1 + FIELD_BYTES + 1
_BACK_MAX = (127, 16_382, 2_097_150, 268_435_454)
"""How long an element may be, for its length to fit behind it in one, two, three, four bytes."""
Written = Callable[[Octets, Numbers], None]


def payloads(counts: Numbers, fields: Octets, sizes: Numbers, write: Written) -> list[bytes]:
    """A payload for each hash, which has the next so many (at least one) fields and values.

    `write` puts all values, of these sizes, at places of an array.
    """
    heads, backs = _heads(fields, sizes), _backs(sizes)
    elements = heads.sizes + sizes + backs.sizes
    first = np.cumsum(counts) - counts
    packed = np.add.reduceat(elements, first)
    begins = _begins(packed, counts)
    totals = begins.sizes + packed + len(_END)
    ends = np.cumsum(totals)
    starts = ends - totals
    into = np.empty(int(ends[-1]), np.uint8)
    put(into, starts, begins)
    before = np.cumsum(elements) - elements
    places = before + np.repeat(starts + begins.sizes - before[first], counts)
    put(into, places, heads)
    places += heads.sizes
    write(into, places)
    put(into, places + sizes, backs)
    for nth, octet in enumerate(_END, -len(_END)):
        into[ends + nth] = octet
    return [
        _checked(into.data[at:end]) for at, end in zip(starts.tolist(), ends.tolist(), strict=True)
    ]


def _checked(text: memoryview) -> bytes:
    """The text with its CRC."""
    return b"".join((text, _crc(text).to_bytes(8, "little")))


def _begins(packed: Numbers, counts: Numbers) -> Pieces:
    """What stands before the elements: type, length of the listpack, the listpack's head."""
    totals = _HEAD_BYTES + packed + 1
    sizes = 1 + (totals >= 1 << 6) + 3 * (totals >= 1 << 14)
    table = np.zeros((len(counts), 1 + _LENGTH_BYTES + _HEAD_BYTES), np.uint8)
    table[:, 2:6] = _octets(totals, ">u4")
    table[sizes == 2, 4] |= 0x40  # noqa: PLR2004 -- two bytes: the highest bits say so
    table[sizes == _LENGTH_BYTES, 1] = 0x80
    table[np.arange(len(counts)), _LENGTH_BYTES - sizes] = _HASH_LISTPACK
    table[:, 6:10] = _octets(totals, "<u4")
    table[:, 10:] = _octets(np.minimum(2 * counts, _COUNT_MAX), "<u2")
    starts = np.arange(0, table.size, table.shape[1]) + _LENGTH_BYTES - sizes
    return Pieces(table.reshape(-1), starts, sizes + 1 + _HEAD_BYTES)


def _heads(fields: Octets, sizes: Numbers) -> Pieces:
    """A field's whole element and what stands before its value."""
    table = np.empty((len(sizes), _FIELD_ELEMENT_BYTES + _LENGTH_BYTES), np.uint8)
    table[:, 0] = _FIELD_HEAD
    table[:, 1 : 1 + FIELD_BYTES] = fields
    table[:, 1 + FIELD_BYTES] = 1 + FIELD_BYTES
    head = table[:, _FIELD_ELEMENT_BYTES:]
    of = _value_head_sizes(sizes)
    head[:, 0] = np.select([of == 1, of == 2], [0x80 | sizes, 0xE0 | sizes >> 8], 0xF0)  # noqa: PLR2004 -- bytes
    head[:, 1:] = _octets(sizes, "<u4")
    starts = np.arange(0, table.size, table.shape[1])
    return Pieces(table.reshape(-1), starts, _FIELD_ELEMENT_BYTES + of)


def _value_head_sizes(sizes: Numbers) -> Numbers:
    return 1 + (sizes >= 1 << 6) + 3 * (sizes >= 1 << 12)


def _backs(sizes: Numbers) -> Pieces:
    """What stands behind each value: its element's length in sevens of bits."""
    lengths = sizes + _value_head_sizes(sizes)
    more = np.searchsorted(_BACK_MAX, lengths)
    table = np.empty((len(sizes), 1 + len(_BACK_MAX)), np.uint8)
    for nth in range(table.shape[1]):
        bits = lengths >> 7 * np.maximum(more - nth, 0) & 0x7F
        table[:, nth] = bits | 0x80 if nth else bits
    return Pieces(table.reshape(-1), np.arange(0, table.size, table.shape[1]), 1 + more)


def _octets(numbers: Numbers, kind: str) -> Octets:
    """The bytes of each number."""
    return np.ascontiguousarray(numbers.astype(kind)).view(np.uint8).reshape(len(numbers), -1)
