"""Whether the audit is what its processes wrote: their chains followed, block by block.

Blocks come in the order in which they lie in Redis, those of all processes and partitions mixed.
What is missing, changed, moved, repeated or put in is told with process and number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from roster.times import parse_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


class BlockReply(msgspec.Struct, frozen=True, kw_only=True):
    """A block as the service vouches for it; with a `fault` it is none that a process sealed.

    `number` counts the blocks of its process, `seq` those of them in its partition. The `before_…`
    are partition, time and hash of the block numbered one less. One that `closes` says how many
    blocks its process has sealed in each partition before it.
    """

    partition: int
    written_at: str
    process: str | None = None
    number: int | None = None
    seq: int = 0
    at: str = ""
    records: int = 0
    before_partition: int = 0
    before_at: str = ""
    before: str = ""
    tag: str = ""
    closes: list[int] | None = None
    fault: str | None = None


class HeadReply(msgspec.Struct, frozen=True):
    """How many blocks a process has written, the hash of the last of them, and when that was.

    `at` may be later, and is empty of a process of an older version.
    """

    process: str
    blocks: int
    head: str
    at: str = ""


class Fault(NamedTuple):
    """What is wrong, with which process ("" where nobody knows)."""

    process: str
    what: str


class ChainState(NamedTuple):
    """One process' chain: how many blocks there are, from when until when, and how it ended."""

    process: str
    blocks: int
    since: str
    until: str
    end: str


class Chains:
    """The chains of all processes, of what was sealed from `kept_from` on.

    `live` are heads of processes that run, `published` some that were stated before.
    """

    def __init__(
        self, kept_from: str, live: Iterable[HeadReply], published: Iterable[HeadReply] = ()
    ) -> None:
        """Nothing is read yet."""
        self._kept_ms = parse_time(kept_from)
        self._live = {head.process: head for head in live if not self._is_old(head)}
        stated = [head for head in published if not self._is_old(head)]
        self._walks: dict[str, _Walk] = {}
        self._faults: list[Fault] = []
        for head in [*self._live.values(), *stated]:
            if head.blocks:
                self._walk(head.process).heads[head.blocks - 1] = head.head

    def add(self, block: BlockReply) -> None:
        """Take in a block more."""
        if block.fault is not None or block.process is None or block.number is None:
            claim = f", block {block.number}" if block.number is not None else ""
            where = f"in partition {block.partition}, written at {block.written_at}{claim}"
            self._faults.append(Fault(block.process or "", f"{block.fault}: {where}"))
        elif parse_time(block.at) >= self._kept_ms:
            self._walk(block.process).add(block, block.number)

    def faults(self) -> list[Fault]:
        """All that is wrong, once every block was added."""
        found = [
            Fault(process, what)
            for process, walk in self._walks.items()
            for what in walk.ended(self._live.get(process))
        ]
        return [*self._faults, *found]

    def states(self) -> list[ChainState]:
        """Every process' chain, once `faults` was asked for; the oldest first."""
        found = []
        for process, walk in self._walks.items():
            if walk.closing is not None:
                end = "closed"
            elif process in self._live:
                end = "runs"
            else:
                end = f"not closed: up to 1 s after {walk.until} may be missing"
            found.append(ChainState(process, walk.count, walk.since, walk.until, end))
        return sorted(found, key=lambda each: each.since)

    def _is_old(self, head: HeadReply) -> bool:
        return bool(head.at) and parse_time(head.at) < self._kept_ms

    def _walk(self, process: str) -> _Walk:
        if process not in self._walks:
            self._walks[process] = _Walk(self._kept_ms)
        return self._walks[process]


class _Walk:
    """One process' chain as far as it was followed; `following` is the next number, -1: none yet.

    `whole` is a chain of which nothing may have been forgotten.
    """

    def __init__(self, kept_ms: int) -> None:
        self.heads: dict[int, str] = {}
        self.count = 0
        self.since = self.until = ""
        self.closing: BlockReply | None = None
        self._kept_ms = kept_ms
        self._following = -1
        self._whole = True
        self._tag: str | None = None
        self._pending: dict[int, BlockReply] = {}
        self._firsts: dict[int, int] = {}
        self._lasts: dict[int, int] = {}
        self._gaps: list[tuple[int, range]] = []
        self._wrong: list[str] = []

    def add(self, block: BlockReply, number: int) -> None:
        """Follow the chain as far as it can be."""
        if number in self._pending or -1 < number < self._following:
            self._wrong.append(f"block {number} is there more than once, or out of its place")
            return
        self.count += 1
        self._order(block, number)
        self._pending[number] = block
        if self._following < 0 and (number == 0 or parse_time(block.before_at) < self._kept_ms):
            self._following, self._whole, self.since = number, number == 0, block.at
        self._follow()

    def ended(self, live: HeadReply | None) -> Iterator[str]:
        """All that is wrong with it, now that there are no more blocks."""
        while self._pending:
            number, known = min(self._pending), max(self._following, 0)
            missing = self._missing(self._pending[number], number)
            if live is None or known < live.blocks:  # behind that some are still to be written
                self._wrong.append(missing)
            self._follow()
        self._wrong += self._behind(live)
        for partition, gap in [*self._gaps, *self._cut()]:
            self._wrong.append(
                f"of partition {partition} its {_numbers(gap)} missing, counted there"
            )
        yield from self._wrong

    def _order(self, block: BlockReply, number: int) -> None:
        """Blocks of one partition lie there as they were numbered."""
        last = self._lasts.get(block.partition)
        if last is None:
            self._firsts[block.partition] = block.seq
        elif block.seq < last:
            self._wrong.append(f"block {number} lies behind a later one of its partition")
            return
        elif block.seq > last + 1:
            self._gaps.append((block.partition, range(last + 1, block.seq)))
        self._lasts[block.partition] = block.seq

    def _follow(self) -> None:
        while self._following in self._pending:
            number = self._following
            block = self._pending.pop(number)
            if self._tag is not None and block.before != self._tag:
                self._wrong.append(f"block {number} does not follow from the one before it")
            if self.heads.pop(number, block.tag) != block.tag:
                self._wrong.append(f"block {number} is not the one that was published")
            if self.closing is not None:
                self._wrong.append(f"block {number} comes after its process had ended")
            self.closing = block if block.closes is not None else self.closing
            self.since = self.since or block.at
            self._tag, self.until = block.tag, block.at
            self._following += 1

    def _missing(self, then: BlockReply, number: int) -> str:
        """What lies between what was followed and the next block; the chain goes on there."""
        gap = range(max(self._following, 0), number)
        self._following, self._tag = number, None
        at, partition = then.before_at, then.before_partition
        return f"{_numbers(gap)} missing: the last in partition {partition}, sealed at {at}"

    def _behind(self, live: HeadReply | None) -> Iterator[str]:
        """What is missing at the end, as far as anybody has stated it."""
        known = max(self._following, 0)
        stated = max([live.blocks if live else 0, *(number + 1 for number in self.heads)])
        if stated > known:
            yield f"{_numbers(range(known, stated))} missing at the end: they were published"

    def _cut(self) -> Iterator[tuple[int, range]]:
        """What partitions lack at either end."""
        if self._whole:
            for partition, first in self._firsts.items():
                if first:
                    yield partition, range(first)
        if self.closing is None or self.closing.closes is None:
            return
        for partition, blocks in enumerate(self.closing.closes):
            there = self._lasts.get(partition, -1) + 1
            if there < blocks and (there or self._whole):
                yield partition, range(there, blocks)


def _numbers(gap: Sequence[int]) -> str:
    """Blocks by their numbers."""
    if len(gap) == 1:
        return f"block {gap[0]} is"
    return f"blocks {gap[0]} to {gap[-1]} are"
