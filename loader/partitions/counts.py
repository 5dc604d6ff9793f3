"""What the records of a partition's buckets count, as counts.lua counts them: all at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from loader.columns.pieces import Numbers
from roster.keys import BUCKETS
from roster.records.meta import Field

Words = NDArray[np.uint64]


def _zeros() -> Numbers:
    return np.zeros(BUCKETS, np.int64)


class Counts:
    """By bucket: counts by name, and of each list how many entries, of which digest together."""

    def __init__(self) -> None:
        self._named: dict[str, Numbers] = defaultdict(_zeros)
        self._entries: dict[int, Numbers] = defaultdict(_zeros)
        self._digests: dict[int, Words] = {}

    def count(self, name: str, numbers: Numbers | Sequence[int]) -> None:
        """One more of that name for each of these buckets."""
        self._named[name] += np.bincount(numbers, minlength=BUCKETS)

    def add(
        self, code: int, numbers: Numbers | Sequence[int], digests: Words | Sequence[int] = ()
    ) -> None:
        """One more entry of a list for each of these buckets, of these digests (none: of none)."""
        self._entries[code] += np.bincount(numbers, minlength=BUCKETS)
        if len(digests):
            known = self._digests.setdefault(code, np.zeros(BUCKETS, np.uint64))
            np.bitwise_xor.at(known, np.asarray(numbers), np.asarray(digests, np.uint64))

    def people(self) -> int:
        """Those who are on a list that restricts."""
        return int(self._named[Field.PEOPLE].sum())

    def entries(self, which: slice | Numbers) -> dict[int, int]:
        """How many entries of each list these buckets have."""
        return {code: int(each[which].sum()) for code, each in sorted(self._entries.items())}

    def digests(self, which: slice = slice(None)) -> dict[int, int]:
        """The digest of each list in these buckets."""
        return {
            code: int(np.bitwise_xor.reduce(each[which]))
            for code, each in sorted(self._digests.items())
        }

    def json(self, which: slice) -> bytes:
        """What these buckets count together, for `merge_buckets` and `fill_buckets`."""
        counts = {name: int(each[which].sum()) for name, each in self._named.items()}
        digests = {code: f"{value:016x}" for code, value in self.digests(which).items() if value}
        counted = {
            "counts": {name: count for name, count in counts.items() if count},
            "digests": digests,
            "added": {code: count for code, count in self.entries(which).items() if count},
        }
        return msgspec.json.encode(counted)
