"""What a rewound roster has lost, as its partitions tell it, and what would end that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roster.records.meta import Meta


class Rewound(msgspec.Struct, frozen=True):
    """How many partitions are rewound, and how many people are listed in them.

    `until` says of each list, by its code, after which time (in ms since 1970) a full file has
    to have been cut that is still to be loaded.
    """

    partitions: int
    people: int
    until: dict[int, int]


def rewound(metas: Sequence[Meta]) -> Rewound | None:
    """What is rewound of these partitions; None where nothing is."""
    behind = [meta for meta in metas if meta.rewound]
    if not behind:
        return None
    until: dict[int, int] = {}
    for meta in behind:
        for code in _to_load(meta):
            until[code] = max(until.get(code, 0), meta.lost_ms)
    return Rewound(len(behind), sum(meta.people for meta in behind), until)


def _to_load(meta: Meta) -> set[int]:
    """The lists that were covered and have not been loaded since from a newer file."""
    lists = {*meta.covered, *meta.lost_lists}
    return {code for code in lists if meta.made_good_ms(code) <= meta.lost_ms}
