"""Many tokens at once, as a table of bytes, and where they stand in the filters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from roster.filter import positions_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from roster.filter import TokenFilter
    from roster.identity import Tokeniser

TOKEN_BYTES = 16
_PARTITION_BITS, _BUCKET_HIGH_BITS = 63, 3


def token_table(tokeniser: Tokeniser, numbers: Iterable[bytes]) -> NDArray[np.uint8]:
    """The tokens of these document numbers in UTF-8, shape (n, 16)."""
    joined = b"".join(tokeniser.many("token", numbers))
    table = np.frombuffer(joined, np.uint8).reshape(-1, TOKEN_BYTES).copy()
    table[:, 0] = 0
    table[:, 1] &= _PARTITION_BITS
    table[:, 2] &= _BUCKET_HIGH_BITS
    return table


def in_filters(table: NDArray[np.uint8], filters: Sequence[TokenFilter]) -> list[bool]:
    """Whether each token may have been added to its partition's filter; shape (n, 16)."""
    sizes = np.array([each.bits_per_slice for each in filters], np.uint64)
    slices = filters[0].num_slices
    partitions = table[:, 1]
    places = positions_of(table[:, 4:], sizes[partitions], slices).tolist()
    bits_of = [each.bitarray for each in filters]
    found = []
    for partition, row in zip(partitions.tolist(), places, strict=True):
        bits = bits_of[partition]
        for place in row:  # half of all who are not there end with the first
            if not bits[place]:
                found.append(False)
                break
        else:
            found.append(True)
    return found
