"""What a rewound roster has lost, as its partitions tell it, and what would end that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Rewound(msgspec.Struct, frozen=True):
    """How many partitions are rewound, and how many people are listed in them.

    `until` says of each list, by its code, after which time (in ms since 1970) a full file has
    to have been cut that is still to be loaded.
    """

    partitions: int
    people: int
    until: dict[int, int]


def rewound(metas: Sequence[Mapping[bytes, bytes]]) -> Rewound | None:
    """What is rewound of these partitions; None where nothing is."""
    behind = [meta for meta in metas if meta.get(b"rewound") == b"1"]
    if not behind:
        return None
    until: dict[int, int] = {}
    for meta in behind:
        lost_ms = int(meta.get(b"lost_ms", 0))
        for code in _to_load(meta, lost_ms):
            until[code] = max(until.get(code, 0), lost_ms)
    people = sum(int(meta.get(b"people", 0)) for meta in behind)
    return Rewound(len(behind), people, until)


def _to_load(meta: Mapping[bytes, bytes], lost_ms: int) -> set[int]:
    """The lists that were covered and have not been loaded since from a newer file."""
    lists = set(meta.get(b"covered", b"") + meta.get(b"lost_lists", b""))
    return {code for code in lists if int(meta.get(b"r:%d" % code, 0)) <= lost_ms}
