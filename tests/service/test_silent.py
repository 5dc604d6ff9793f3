"""Which partitions' filters may not clear anybody of a batch: the same that clear nobody alone."""

from __future__ import annotations

import math
from itertools import product

import pytest

from roster.filter import TokenFilter
from roster.records.position import Position
from service.following.partition import Partition
from service.following.screener import Screener

LIST = 1


@pytest.mark.parametrize("has_expired", [False, True])
def test_those_partitions_are_silent_that_may_not_speak(*, has_expired: bool) -> None:
    screener = Screener(frozenset({LIST}), 1_000, 0)
    screener.news.serve_stale_s = 0 if has_expired else math.inf
    kinds = list(product([True, False], repeat=3))
    for number, (covered, rewound, witnessed) in enumerate(kinds):
        partition = Partition(TokenFilter(), Position(number, 1, 1, bytes(4)))
        partition.covered = frozenset({LIST} if covered else ())
        partition.rewound, partition.witnessed = rewound, witnessed
        screener.replace(number, partition)
    every = range(len(kinds))
    silent = screener.silent(every)
    assert silent == {number for number in every if not screener.speaks(number)}
    assert silent == set(every) if has_expired else 0 < len(silent) < len(kinds)
