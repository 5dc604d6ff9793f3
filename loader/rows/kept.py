"""The entries of rows that are rejected: whatever is wrong with a row, it counts as present."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from loader.columns.columns import Column
from loader.columns.pieces import Bools, Octets
from loader.columns.texts import longer_than
from loader.rows.hashing import entry_hashes
from roster.documents.tokeniser import Tokeniser
from roster.records.bounds import ENTRY_ID_MAX

ANYBODY = bytes(15)
"""In the place of a document that could not be read."""
KEPT_BYTES = 21
"""Of an entry as the merge takes it: place, list, entry hash."""
_ILLEGIBLE = "\ufffd".encode()


def are_legible(ids: Column) -> Bools:
    """Which of these say which entry a row is of."""
    legible: Bools = (ids.sizes > 0) & ~longer_than(ids, ENTRY_ID_MAX)
    if _ILLEGIBLE in ids.text:
        legible &= np.array([_ILLEGIBLE not in cell for cell in ids.cut()], np.bool_)
    return legible


def kept_of(ids: Column, codes: Octets, tokens: Octets, tokeniser: Tokeniser) -> list[bytes]:
    """Partition and place of each document (of tokens of zeros `ANYBODY`), list and entry hash."""
    table = np.hstack((tokens[:, 1:], codes[:, None], entry_hashes(ids, codes, tokeniser)))
    names: list[bytes] = table.view(f"V{table.shape[1]}").reshape(-1).tolist()
    return names


def kept_in(partition: int, kept: Iterable[bytes]) -> bytes:
    """The kept entries that may be in this partition, as the merge takes them."""
    return b"".join(name[1:] for name in kept if name[0] == partition or name.startswith(ANYBODY))
