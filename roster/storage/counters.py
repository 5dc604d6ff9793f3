"""Counts that all processes add to: decisions for ever, removal lags for a day.

A process gathers them and sends them every second, so a crash loses at most the last
second. Lags go into buckets that grow by 2 %, so quantiles are that exact; they are kept by
the hour, and hours that are over are dropped.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import msgspec

from roster import keys
from roster.rules.restrictions import MODES, Mode
from roster.rules.verdict import SEVERITY, Decision

if TYPE_CHECKING:
    from collections.abc import Iterable

    from roster.redis.nodes import Nodes

HOUR_MS = 3_600_000
KEPT_HOURS = 24
GROWTH = 1.02
LEGS = ("source", "service")
BY_LOAD, BY_CHANGE = "load_", "change_"
"""Before a leg: of the removals that loads have brought, and of those that came by themselves.

Loads count theirs with and without it; of the others nothing more is written.
"""
FINEST_MS = 0.1
"""The first bucket ends here; what is faster counts as this."""

Decisions = dict[Mode, dict[Decision, int]]


class Lag(msgspec.Struct, frozen=True):
    """How a leg of removals did, in ms, to within 2 %."""

    p50: float
    p99: float
    max: float
    count: int


class CounterStore:
    """What this process has counted since it last told Redis, and what Redis has in all."""

    def __init__(self, nodes: Nodes) -> None:
        """Nothing is counted yet."""
        self._nodes = nodes
        self._decisions: Counter[str] = Counter()
        self._lags: Counter[str] = Counter()
        self._tidied_hour = 0
        self._sending = asyncio.Lock()

    def count(self, mode: str, decision: str, count: int) -> None:
        """Count checks of one mode with the same decision."""
        self._decisions[f"{mode}:{decision}"] += count

    def lagged(self, leg: str, lag_ms: float, now_ms: int, count: int = 1) -> None:
        """Count removals that took `lag_ms` on this leg."""
        self._lags[f"{now_ms // HOUR_MS}:{leg}:{bucket(lag_ms)}"] += count

    async def flush(self, now_ms: int) -> None:
        """Add all that was counted to Redis. Raises Unavailable, and keeps it then.

        Only one at a time: a second one would send what the first has not had answered yet.
        """
        async with self._sending:
            await self._add(keys.DECISIONS, self._decisions)
            await self._add(keys.LAG, self._lags)
            hour = now_ms // HOUR_MS
            if hour != self._tidied_hour:
                await self._tidy(hour)
                self._tidied_hour = hour

    async def decisions(self) -> Decisions:
        """All checks so far by mode and decision, zeros too."""
        counted = await self._read(keys.DECISIONS)
        return {
            mode: {each: counted.get(f"{mode}:{each}", 0) for each in SEVERITY} for mode in MODES
        }

    async def lags(self, legs: Iterable[str], now_ms: int) -> dict[str, Lag]:
        """How these legs did in the last day; all zero where there was no removal."""
        oldest = now_ms // HOUR_MS - KEPT_HOURS
        counts: defaultdict[str, Counter[int]] = defaultdict(Counter)
        for field, count in (await self._read(keys.LAG)).items():
            hour, leg, number = field.split(":")
            if int(hour) > oldest:
                counts[leg][int(number)] += count
        for leg in LEGS:
            counts[BY_CHANGE + leg] = counts[leg] - counts[BY_LOAD + leg]
        return {leg: _summary(counts[leg]) for leg in legs}

    async def _add(self, key: str, counted: Counter[str]) -> None:
        """Tell Redis; where it did not answer, the same is told again later."""
        sent = dict(counted)
        if sent:
            commands = [("HINCRBY", key, field, count) for field, count in sent.items()]
            await self._nodes.keyed(key, commands)
            counted.subtract(sent)
            for field in sent:
                if not counted[field]:
                    del counted[field]

    async def _tidy(self, hour: int) -> None:
        fields = await self._read(keys.LAG)
        old = [field for field in fields if int(field.partition(":")[0]) <= hour - KEPT_HOURS]
        if old:
            await self._nodes.keyed(keys.LAG, [("HDEL", keys.LAG, *old)])

    async def hourly(self, legs: Iterable[str], now_ms: int) -> dict[int, dict[str, Lag]]:
        """The same by hours, by when they began, the oldest first; without what loads brought."""
        oldest = now_ms // HOUR_MS - KEPT_HOURS
        hours: defaultdict[int, defaultdict[str, Counter[int]]]
        hours = defaultdict(lambda: defaultdict(Counter))
        for field, count in (await self._read(keys.LAG)).items():
            hour, leg, number = field.split(":")
            if int(hour) > oldest:
                hours[int(hour)][leg][int(number)] += count
        wanted = tuple(legs)
        return {
            hour * HOUR_MS: {leg: _summary(each[leg] - each[BY_LOAD + leg]) for leg in wanted}
            for hour, each in sorted(hours.items())
        }

    async def _read(self, key: str) -> dict[str, int]:
        held = await self._nodes.hash(key)
        return {field.decode(): int(count) for field, count in held.items()}


def bucket(lag_ms: float) -> int:
    """The number of the bucket that holds a lag; 0 ends at `FINEST_MS`."""
    return max(0, math.ceil(math.log(max(lag_ms, FINEST_MS) / FINEST_MS) / math.log(GROWTH)))


def bucket_ms(number: int) -> float:
    """Where a bucket ends."""
    return round(FINEST_MS * GROWTH**number, 3)


def _summary(counts: Counter[int]) -> Lag:
    total = counts.total()
    if not total:
        return Lag(0.0, 0.0, 0.0, 0)
    return Lag(_quantile(counts, 0.5), _quantile(counts, 0.99), bucket_ms(max(counts)), total)


def _quantile(counts: Counter[int], share: float) -> float:
    left = share * counts.total()
    for number in sorted(counts):
        left -= counts[number]
        if left <= 0:
            return bucket_ms(number)
    return bucket_ms(max(counts))
