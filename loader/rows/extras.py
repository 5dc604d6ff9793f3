"""What few rows have, packed by column: what a lift is for, who decided when and why."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import msgspec
import numpy as np

from loader.columns import cells
from loader.columns.columns import Column
from loader.columns.instants import NEVER, instants
from loader.columns.parts import Cache
from loader.columns.pieces import Octets, Pieces, pieces_of, repeated, rows_of, woven
from loader.rows.packing import REMOVED, SUSPENDED, Context
from roster.records.entry import RESTRICTING_BELOW, Provenance
from roster.records.record import pack_provenance

LIFT = ("modes", "lifts", "cases", "kind")

_U64, _U64_FROM = 0xCF, 1 << 32
_encode = msgspec.msgpack.Encoder().encode
_NO_WORD, _NIL = _encode(""), _encode(None)
_FIVE, _NO_TOKENS = b"\x95", _encode(())
"""How msgpack begins an array of five, and the last of them."""
_NOTHING = (_encode(()), _encode(()), _encode(()), _NO_WORD)
"""Of each column of `LIFT`."""

Named = dict[str, Column]


class Extras:
    """Packs the columns of `LIFT`, `reason` and `decided_at`."""

    def __init__(self, context: Context) -> None:
        """Only lists that restrict can be lifted."""
        self._liftable = {n for n, code in context.codes.items() if code < RESTRICTING_BELOW}
        parsers = (cells.modes, self._lifts, cells.cases, cells.kind)
        self._lift = [Cache(partial(_packed, parse)) for parse in parsers]
        self._reasons = {
            bit: Cache(partial(_packed, partial(cells.reason, state)))
            for bit, state in ((SUSPENDED, "suspended"), (REMOVED, "removed"))
        }
        nothing = pack_provenance(Provenance("load", "", "", None), context.load)
        self._head = nothing.removesuffix(_NO_WORD + _NIL + _NIL)

    def lift(self, named: Named, faults: Octets) -> Pieces:
        """The end of each row's content, nothing where it says nothing of a lift."""
        columns = [named[name] for name in LIFT]
        if not any(column.sizes.any() for column in columns):
            return repeated(b"", len(faults))
        found = [
            cache.of(column, faults) for cache, column in zip(self._lift, columns, strict=True)
        ]
        size = len(b"".join(_NOTHING))
        stated = np.add.reduce([pieces.sizes for pieces in found]) > size
        parts = [repeated(_FIVE, len(faults)), *found, repeated(_NO_TOKENS, len(faults))]
        return woven([part.where(stated) for part in parts])

    def provenances(self, named: Named, presents: Octets, faults: Octets) -> Pieces:
        """The provenance of each row, nothing of plain ones."""
        decided, reasons = instants(named["decided_at"], faults, "decided_at"), named["reason"]
        count = len(faults)
        words = repeated(_NO_WORD, count)
        for bit, cache in self._reasons.items():
            which = np.flatnonzero((presents & bit > 0) & (reasons.sizes > 0))
            if len(which):
                words = words.replaced(which, cache.of(reasons.chosen(which), faults, which))
        stated = (decided != NEVER) | (words.sizes > len(_NO_WORD))
        if not stated.any():
            return repeated(b"", len(faults))
        parts = [
            repeated(self._head, len(faults)),
            words,
            _times(decided),
            repeated(_NIL, len(faults)),
        ]
        return woven([part.where(stated) for part in parts])

    def _lifts(self, text: str) -> tuple[str, ...]:
        lists = cells.lifts(text)
        if not self._liftable.issuperset(lists):
            cells.refuse("lifts", "malformed")
        return lists


def _packed(parse: Callable[[str], object], text: str) -> bytes:
    return _encode(parse(text))


def _times(decided: np.ndarray) -> Pieces:
    """The times as msgpack has them."""
    table = np.full((len(decided), 9), _U64, np.uint8)
    table[:, 1:] = decided.astype(">i8").view(np.uint8).reshape(-1, 8)
    others = np.flatnonzero(decided < _U64_FROM)
    if not len(others):
        return rows_of(table)
    packed = [_NIL if ms == NEVER else _encode(ms) for ms in decided[others].tolist()]
    return rows_of(table).replaced(others, pieces_of(packed))
