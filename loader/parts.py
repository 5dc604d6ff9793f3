"""Parts of contents, made of many cells at once: those of texts that recur, and of entry ids."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import repeat

import numpy as np

from loader import cells
from loader.cells import Unusable
from loader.table import Bools, sizes_of
from roster import casenumber
from roster.texts import holds_id_number

CACHE_MAX = 200_000
FROM, UNTIL, CASE, COURT, ID_FROM_CASE = 1, 2, 4, 16, 64
"""What roster/record.py says of a content."""

_DIGITS = "0123456789"
_PARTIES = {f"/{party}": bytes((party,)) for party in range(1, 100)}
_LONGEST_PARTY = 3
_SERIALS = {str(number): number.to_bytes(3) for number in range(1, 30_000)}
_SERIAL_DIGITS = 7
_PART_BYTES = 10  # six before the serial number, three of it, one of the party


class Cache(dict[str, bytes]):
    """The part of a content that a cell's text is, computed once; bounded.

    What is unusual is nothing here, and remembered.
    """

    def __init__(self, compute: Callable[[str], bytes]) -> None:
        super().__init__()
        self._compute = compute
        self._unusual: set[str] = set()

    def __missing__(self, text: str) -> bytes:
        if len(self) > CACHE_MAX:
            self.clear()
            self._unusual.clear()
        try:
            value = self._compute(text)
        except (Unusable, ValueError, KeyError):
            value = b""
            self._unusual.add(text)
        self[text] = value
        return value

    def of(self, texts: Sequence[str], odd: Bools) -> list[bytes]:
        """Of a whole column; rows with something unusual are odd."""
        parts = list(map(self.__getitem__, texts))
        if self._unusual:
            odd |= np.fromiter(map(self._unusual.__contains__, texts), np.bool_, len(texts))
        return parts


class EntryIds:
    """Packs entry ids that are a case number and the number of a party in it, and others."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._heads = Cache(_case_head)

    def of(self, entry_ids: Sequence[str], cases: Sequence[str], odd: Bools) -> list[bytes]:
        """The parts that two columns are together; rows with something unusual are odd."""
        usual = np.fromiter(map(str.endswith, cases, repeat("号")), np.bool_, len(cases))
        bodies = list(map(str.removesuffix, cases, repeat("号")))
        starts = list(map(str.rstrip, bodies, repeat(_DIGITS)))
        serials = map(str.removeprefix, bodies, starts)
        parties = map(str.removeprefix, entry_ids, cases)
        triples = zip(
            map(self._heads.__getitem__, starts),
            map(_SERIALS.get, serials, repeat(b"")),
            map(_PARTIES.get, parties, repeat(b"")),
            strict=True,
        )
        found = list(map(b"".join, triples))
        # What is no longer than a party is none: nothing stands before it.
        usual &= (sizes_of(found) == _PART_BYTES) & (sizes_of(entry_ids) > _LONGEST_PARTY)
        for index in np.flatnonzero(~usual).tolist():
            found[index] = _unusual_id(entry_ids[index], cases[index], self._heads)
            odd[index] |= not found[index]
        return found


def _unusual_id(entry_id: str, case: str, heads: Mapping[str, bytes]) -> bytes:
    """The part of a long serial number's case, or of an entry id without a case; or nothing."""
    if not case:
        return _bare_id(entry_id)
    start = case[:-1].rstrip("0123456789")
    serial, party = _serial(case[len(start) : -1]), _PARTIES.get(entry_id[len(case) :])
    if serial and party and case[-1] == "号" and entry_id.startswith(case):
        return heads[start] and heads[start] + serial + party
    return b""


def _bare_id(entry_id: str) -> bytes:
    if not 0 < len(entry_id) <= cells.ENTRY_ID_MAX or entry_id != entry_id.strip():
        return b""
    if holds_id_number(entry_id):
        return b""
    data = entry_id.encode(errors="replace")
    return len(data).to_bytes(2) + data


def _serial(digits: str) -> bytes | None:
    usual = 0 < len(digits) <= _SERIAL_DIGITS and digits[0] != "0"
    return int(digits).to_bytes(3) if usual else None


def _case_head(start: str) -> bytes:
    """The six bytes of what stands before a case's serial number."""
    packed = casenumber.pack(start + "1号")
    if packed is None or packed[6:] != b"\0\0\1":
        raise ValueError
    return packed[:6]
