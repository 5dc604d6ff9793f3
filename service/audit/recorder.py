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

from roster import keys
from roster.records.audited import (
    ChainClosed,
    Decided,
    Grounds,
    RecordsLost,
    Written,
    court_bytes,
    written,
)
from roster.storage.audit import Sealed, by_server, write
from roster.times import format_ms
from service.web.auth import CANARY_KEY

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from roster.records.audited import AuditRecord
    from roster.records.blocks import Chain, Head
    from roster.redis.nodes import Nodes
    from service.deciding.screening import Screening

EVERY_S = 0.4
"""With the writing, what is recorded is in Redis within a second."""
PATIENCE_S = 0.1
"""So long a round waits for the servers; who takes longer is not in the next."""
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


class DecidedCheck(NamedTuple):
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
        self.decided: list[DecidedCheck] = []
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
        self._untold = RecordsLost(0, 0, 0)
        self._told_s = time.monotonic()
        self._told_head = self.head
        self._failed: set[int] = set()
        self._first = 0
        self._in_hand: set[int] = set()
        self._sending: set[asyncio.Task[None]] = set()

    def record_decision(
        self, key: str, mode: str, screening: Screening, decision_id: str | UnsetType
    ) -> None:
        """Record a check that was not allowed. The canary's are nobody's."""
        if screening.verdict.decision != "allow" and key != CANARY_KEY and decision_id:
            self.decided.append(DecidedCheck(time.time_ns(), decision_id, key, mode, screening))

    def note(self, record: AuditRecord, token: bytes | None = None) -> None:
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

        Cancelling breaks nothing off: a block that was sent and given up might arrive after it was
        sent again.
        """
        await self._send()
        await self._sent()

    async def tick(self) -> None:
        """The same, and log how far the chain has come; a silent server is not waited for."""
        await self._send()
        await self._sent(PATIENCE_S)
        if time.monotonic() - self._told_s >= TELL_EVERY_S:
            self.log_head()

    async def _send(self) -> None:
        """Have each server that is not busy with it write what its partitions have."""
        await self._pack()
        self._bound()
        idle = [p for p in range(keys.PARTITIONS) if p not in self._in_hand]
        for partitions in by_server(self._nodes, idle):
            if self._has_work(partitions):
                self._in_hand.update(partitions)
                task = asyncio.create_task(self._write_all(partitions))
                self._sending.add(task)
                task.add_done_callback(self._sending.discard)

    async def _sent(self, within_s: float | None = None) -> None:
        if self._sending:
            done, _ = await asyncio.wait(self._sending, timeout=within_s)
            for task in done:
                if not task.cancelled():
                    task.result()

    def _has_work(self, partitions: Collection[int]) -> bool:
        lost = self._untold.records and WITHOUT_TOKEN in partitions
        return bool(lost) or any(p in self._held or p in self._sealed for p in partitions)

    async def _write_all(self, partitions: Collection[int]) -> None:
        """Write what these have, all of one server, until nothing is left, or it fails."""
        try:
            while self._seal(partitions) and await self._write(partitions):
                pass
        finally:
            self._in_hand.difference_update(partitions)

    async def close(self) -> None:
        """Write everything, and that nothing follows; what cannot be written is told as lost."""
        try:
            async with asyncio.timeout(END_S):
                for _ in range(END_TRIES):
                    await self.flush()
                    if not self.waiting:
                        break
                if self.head.blocks and not self.waiting:
                    self.note(ChainClosed(self._chain.seqs))
                    await self.flush()
        except TimeoutError:
            self.failing = True
            await self._give_up()
        self.log_head()
        if self.waiting:
            log.error("audit records are lost with this process", count=self.waiting)

    async def _give_up(self) -> None:
        for task in self._sending:
            task.cancel()
        await self._sent()

    def log_head(self) -> None:
        """Log how far the chain has come, if that is news."""
        self._told_s = time.monotonic()
        if self.head != self._told_head:
            self._told_head = self.head
            blocks, head, at_ms = self.head
            sealed = format_ms(at_ms)
            log.info("audit", process=self.process, blocks=blocks, head=head, sealed_at=sealed)

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

    def _packed(self, answer: DecidedCheck) -> Written:
        screening, courts = answer.screening, self._courts
        verdict = screening.verdict
        reasons = tuple(
            Grounds(each.code, each.list, each.entry_id, court_bytes(each.court, courts))
            for each in verdict.reasons
        )
        record = Decided(
            bytes.fromhex(answer.id),
            answer.key,
            answer.mode,
            verdict.decision == "deny",
            reasons,
            screening.position,
            screening.token,
        )
        return written(answer.at_ns // 1_000_000, record)

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
            self._untold = RecordsLost(
                untold.records + len(dropped), min(since_ms, *times), max(upto_ms, *times)
            )
        self._held = {partition: held for partition, held in self._held.items() if held}

    def _seal(self, partitions: Collection[int]) -> bool:
        """Whether any of these has a block to write: a new one for each that can take one."""
        now_ms = time.time_ns() // 1_000_000
        if WITHOUT_TOKEN in partitions and WITHOUT_TOKEN not in self._sealed:
            self._record_lost(now_ms)
        ready = [p for p in self._held if p in partitions and p not in self._sealed]
        sealed = 0
        for partition in sorted(ready, key=lambda p: (p - self._first) % keys.PARTITIONS):
            held = self._held[partition]
            records = [held.popleft() for _ in range(min(AT_ONCE, len(held)))]
            sealed += len(records)
            if not held:
                del self._held[partition]
            data = self._chain.seal(partition, records, now_ms)
            self._sealed[partition] = (Sealed(partition, data, now_ms), len(records))
            if sealed >= SEALED_AT_ONCE:
                self._first = partition + 1  # nobody waits for those before it again
                break
        return any(partition in self._sealed for partition in partitions)

    def _record_lost(self, now_ms: int) -> None:
        """Tell of what was dropped."""
        if self._untold.records:
            lost = written(now_ms, self._untold)
            self._held.setdefault(WITHOUT_TOKEN, deque()).appendleft(lost)
            self._untold = RecordsLost(0, 0, 0)

    async def _write(self, partitions: Collection[int]) -> bool:
        """Whether all is there that these have sealed; what may not be stays."""
        sent = {p: self._sealed[p] for p in partitions if p in self._sealed}
        for partition, (block, count) in sent.items():  # whatever becomes of this task
            self._sealed[partition] = block._replace(tried=True), count
        blocks = [block for block, _ in sent.values()]
        left = {each.partition: each for each in await write(self._nodes, blocks)}
        for partition, (_, count) in sent.items():
            if partition in left:
                self._sealed[partition] = left[partition], count
            else:
                del self._sealed[partition]
                self.records += count
        self._failed = self._failed.difference(sent) | left.keys()
        self.failing = bool(self._failed)
        if not self._sealed:
            self.head = self._chain.head
        return not left
