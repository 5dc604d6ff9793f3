"""The CRC that ends a DUMP payload, of many texts at once.

It is CRC-64 of David T. Jones (http://www0.cs.ucl.ac.uk/staff/d.jones/crcnote.pdf), reflected,
from 0 and with nothing added at the end. So zeros before a text change nothing: every text is
laid out behind as many as make it whole chunks, and all chunks go side by side through tables
that take eight bytes a step. A CRC is linear: the chunks' are joined by a table that moves one
over the length of a chunk.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from loader.pieces import Numbers, Octets

Words = NDArray[np.uint64]

CHUNK_BYTES = 504
"""Whole words, and no power of two: columns that far apart would share the cache's few lines."""
_POLYNOMIAL = 0x95AC9329AC4BC9B5
"""0xad93d23594c935a9, its bits reflected."""
_WORD_BYTES = 8


def crcs(chunks: Octets, counts: Numbers) -> Words:
    """The CRC of each text, of so many chunks (at least one), which follow one another."""
    alone = np.zeros(len(chunks) // CHUNK_BYTES, np.uint64)
    for column in chunks.view("<u8").reshape(len(alone), -1).T:
        alone = _moved(alone ^ column, _tables(_WORD_BYTES))
    starts = np.cumsum(counts) - counts
    found: Words = alone[starts]
    for nth in range(1, int(counts.max())):
        more = np.flatnonzero(counts > nth)
        found[more] = _moved(found[more], _tables(CHUNK_BYTES)) ^ alone[starts[more] + nth]
    return found


def _moved(found: Words, tables: Words) -> Words:
    """The CRCs after more zeros, as many as the tables are for."""
    parts = found.astype("<u8", copy=False).view("<u2").reshape(-1, 4)
    moved: Words = tables[0].take(parts[:, 0])
    for nth in range(1, 4):
        moved ^= tables[nth].take(parts[:, nth])
    return moved


@cache
def _tables(zeros: int) -> Words:
    """What each value of each two bytes of a CRC becomes after so many zeros."""
    bits = np.uint64(1) << np.arange(64, dtype=np.uint64)
    for _ in range(8 * zeros):
        bits = (bits >> np.uint64(1)) ^ (bits & np.uint64(1)) * np.uint64(_POLYNOMIAL)
    tables = np.zeros((4, 1), np.uint64)
    for bit in bits.reshape(4, 16).T:
        tables = np.concatenate([tables, tables ^ bit[:, None]], axis=1)
    return tables
