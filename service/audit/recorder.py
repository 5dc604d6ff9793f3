"""What one process has to say to the audit: kept in memory, sealed, written beside all else.

Whoever records something only appends it to a list; nobody waits for Redis. What cannot be written
stays, up to a bound, and is tried again; what is above it is dropped, counted, and told of in the
audit itself.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import structlog
from msgspec import UnsetType

from roster.records.audited import (
    Closed,
    Decided,
    Dropped,
    Grounds,
    Written,
    court_bytes,
    written,
)
from roster.storage.audit import Sealed, write
from service.web.auth import CANARY_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from roster.records.audited import Record
    from roster.records.blocks import Chain, Head
    from roster.redis.nodes import Nodes
    from service.deciding.screening import Screening

EVERY_S = 0.4
"""With the writing, what is recorded is in Redis within a second."""
HELD_MAX = 100_000
AT_ONCE = 250
"""So many records are packed, or put into one block, before others have their turn."""
TELL_EVERY_S = 60.0
SEALED_AT_ONCE = 2_000
END_TRIES = 3
END_S = 2.0
WITHOUT_TOKEN = 0
"""The partition of what is about nobody."""

log = structlog.get_logger("clearway.audit")


class Told(NamedTuple):
    """A denied or referred check, as it is kept until it is packed."""

    at_ns: int
    id: str
    key: str
    mode: str
    screening: Screening


class Recorder:
    """The audit's records of one process."""

    def __init__(self, chain: Chain, nodes: Nodes, courts: Mapping[str, bytes]) -> None:
        """`courts` are the dictionary's four bytes by name."""
        self.process = chain.process
        self.decided: list[Told] = []
        self.head = chain.head
        self.seal_key = chain.key
        self.records = 0
        self.lost = 0
        self.failing = False
        self._chain = chain
        self._nodes = nodes
        self._courts = courts
        self._noted: deque[tuple[int, Written]] = deque()
        self._held: dict[int, deque[Written]] = {}
        self._sealed: dict[int, tuple[Sealed, int]] = {}
        self._untold = Dropped(0, 0, 0)
        self._told_s = time.monotonic()
        self._told_head = self.head
        self._flushing: asyncio.Task[None] | None = None

    def answered(
        self, key: str, mode: str, screening: Screening, decision_id: str | UnsetType
    ) -> None:
        """Record a check that was not allowed. The canary's are nobody's."""
        if screening.verdict.decision != "allow" and key != CANARY_KEY and decision_id:
            self.decided.append(Told(time.time_ns(), decision_id, key, mode, screening))

    def note(self, record: Record, token: bytes | None = None) -> None:
        """Record this, in its token's partition."""
        at_ms = time.time_ns() // 1_000_000
        self._noted.append((token[1] if token else WITHOUT_TOKEN, written(at_ms, record)))

    def stated(self) -> Head:
        """How far the chain has come, of what is known to be in Redis."""
        return self.head

    @property
    def waiting(self) -> int:
        """How many records are not known to be in Redis."""
        held = sum(map(len, self._held.values())) + sum(count for _, count in self._sealed.values())
        return len(self.decided) + len(self._noted) + held

    async def flush(self) -> None:
        """Write what was recorded to Redis; what cannot be written stays here.

        Who asks while that is under way waits for the same. Cancelling breaks nothing off: a block
        that was sent and given up might arrive after it was sent again.
        """
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())
        await asyncio.shield(self._flushing)

    async def _flush(self) -> None:
        await self._pack()
        self._bound()
        await self._write()
        while self._seal():
            await self._write()
            if self.failing:
                break
        if time.monotonic() - self._told_s >= TELL_EVERY_S:
            self.tell()

    async def close(self) -> None:
        """Write everything, and that nothing follows; what cannot be written is told as lost."""
        try:
            async with asyncio.timeout(END_S):
                for _ in range(END_TRIES):
                    await self.flush()
                    if not self.waiting:
                        break
                if self.head.blocks and not self.waiting:
                    self.note(Closed(self._chain.seqs))
                    await self.flush()
        except TimeoutError:
            self.failing = True
            await self._give_up()
        self.tell()
        if self.waiting:
            log.error("audit records are lost with this process", count=self.waiting)

    async def _give_up(self) -> None:
        if self._flushing is not None:
            self._flushing.cancel()
            await asyncio.wait([self._flushing])

    def tell(self) -> None:
        """Log how far the chain has come, if that is news."""
        self._told_s = time.monotonic()
        if self.head != self._told_head:
            self._told_head = self.head
            log.info("audit", process=self.process, blocks=self.head.blocks, head=self.head.tag)

    async def _pack(self) -> None:
        """What was recorded, in its bytes, by partition."""
        noted, self._noted = self._noted, deque()
        for partition, record in noted:
            self._held.setdefault(partition, deque()).append(record)
        while self.decided:
            taken, self.decided = self.decided[:AT_ONCE], self.decided[AT_ONCE:]
            for each in taken:
                partition = each.screening.token[1]
                self._held.setdefault(partition, deque()).append(self._packed(each))
            await asyncio.sleep(0)

    def _packed(self, told: Told) -> Written:
        screening, courts = told.screening, self._courts
        verdict = screening.verdict
        reasons = tuple(
            Grounds(each.code, each.list, each.entry_id, court_bytes(each.court, courts))
            for each in verdict.reasons
        )
        record = Decided(
            bytes.fromhex(told.id),
            told.key,
            told.mode,
            verdict.decision == "deny",
            reasons,
            screening.position,
            screening.token,
        )
        return written(told.at_ns // 1_000_000, record)

    def _bound(self) -> None:
        """Drop the oldest of what is above the bound; what is sealed stays: no chain has a gap."""
        above = self.waiting - HELD_MAX
        while above > 0 and self._held:
            longest = max(self._held.values(), key=len)
            dropped = [longest.popleft() for _ in range(min(above, len(longest) // 4 + 1))]
            above -= len(dropped)
            self.lost += len(dropped)
            times = [each.at_ms for each in dropped]
            untold = self._untold
            since_ms, upto_ms = untold.from_ms or times[0], untold.upto_ms
            self._untold = Dropped(
                untold.records + len(dropped), min(since_ms, *times), max(upto_ms, *times)
            )
        self._held = {partition: held for partition, held in self._held.items() if held}

    def _seal(self) -> bool:
        """Whether there is anything new to write: a block for each partition that can take one."""
        now_ms = time.time_ns() // 1_000_000
        if self._untold.records and WITHOUT_TOKEN not in self._sealed:
            lost = written(now_ms, self._untold)
            self._held.setdefault(WITHOUT_TOKEN, deque()).appendleft(lost)
            self._untold = Dropped(0, 0, 0)
        ready = [p for p in sorted(self._held) if p not in self._sealed]
        sealed = 0
        for partition in ready:
            held = self._held[partition]
            records = [held.popleft() for _ in range(min(AT_ONCE, len(held)))]
            sealed += len(records)
            if not held:
                del self._held[partition]
            data = self._chain.seal(partition, records, now_ms)
            self._sealed[partition] = (Sealed(partition, data, now_ms), len(records))
            if sealed >= SEALED_AT_ONCE:
                break
        return bool(ready)

    async def _write(self) -> None:
        """What is sealed is written, each server's part by itself; what may not be there stays."""
        sealed = self._sealed
        if not sealed:
            self.failing = False
            return
        sent = [each for each, _ in sealed.values()]
        self._sealed = {p: (each._replace(tried=True), n) for p, (each, n) in sealed.items()}
        left = {each.partition for each in await write(self._nodes, sent)}
        for partition in [p for p in self._sealed if p not in left]:
            self.records += self._sealed.pop(partition)[1]
        self.failing = bool(left)
        if not left:
            self.head = self._chain.head
