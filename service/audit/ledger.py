"""The ledger of late denials: what the way of a removal from its court cost whom.

Each removal that took effect here, with the time of its decision, is looked up in the audit once
every process has written what it answered until then.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import structlog

from roster.errors import ClearwayError
from roster.storage.audit import count_late
from roster.storage.late import Removal, counted, documents, search

if TYPE_CHECKING:
    from collections.abc import Iterator

    from roster.records.audited import DeniedLate
    from roster.storage.dictionary import Dictionary
    from roster.storage.store import Store
    from service.audit.recorder import Recorder

EVERY_S = 0.5
AFTER_S = 2.0
"""By then every process has written the denials of before."""
BYTES_PER_S = 2_000_000
"""What is read of the audit in the long run: removals wait for each other where it is more."""
QUEUE_MAX = 100_000
END_S = 2.0
"""So long at most what is left is looked up when the process ends."""

log = structlog.get_logger("clearway.audit")


class _Due(NamedTuple):
    """A removal, and from when on it may be looked up."""

    removal: Removal
    from_s: float


class Ledger:
    """The removals of one process that are still to be looked up."""

    def __init__(self, recorder: Recorder, store: Store, dictionary: Dictionary) -> None:
        """`store` is the one for changes; what is found is recorded, and counted in Redis."""
        self._recorder = recorder
        self._store = store
        self._dictionary = dictionary
        self._new: deque[_Due] = deque()
        self._due: dict[int, deque[_Due]] = {}
        self._busy = 0
        self._rest_until_s = 0.0
        self.overlooked = 0

    def removed(self, removal: Removal) -> None:
        """Have the denials told that came too late for it."""
        if self.waiting >= QUEUE_MAX:
            self.overlooked += 1
            return
        self._new.append(_Due(removal, time.monotonic() + AFTER_S))

    @property
    def waiting(self) -> int:
        """How many look-ups are still to be done, or under way."""
        return self._busy + len(self._new) + sum(map(len, self._due.values()))

    async def tick(self) -> None:
        """Look up what is due, as much as may be at once. Raises Unavailable."""
        await self._sort()
        now_s = time.monotonic()
        for partition in list(self._due):
            if time.monotonic() < self._rest_until_s:
                return
            if any(each.from_s <= now_s for each in self._due.get(partition, ())):
                await self._look_up(partition, now_s)

    async def close(self) -> None:
        """Look up what waits, now, as far as that is soon done; the log says how much is left."""
        try:
            async with asyncio.timeout(END_S):
                await self._recorder.flush()
                await self._sort()
                for partition in [p for p, due in self._due.items() if due]:
                    await self._look_up(partition, math.inf)
        except (TimeoutError, ClearwayError):
            log.warning("removals' late denials were not looked for", count=self.waiting)

    async def _sort(self) -> None:
        """What is new is put where its person's denials would lie."""
        while self._new:
            with self._in_hand(self._new, self._new.popleft()) as due:
                token = due.removal.tokens[0]
                tokens = await documents(self._store, token, self._dictionary)
                placed = due._replace(removal=due.removal._replace(tokens=tokens))
            for partition in {each[1] for each in tokens}:
                self._due.setdefault(partition, deque()).append(placed)

    async def _look_up(self, partition: int, now_s: float) -> None:
        waiting = self._due.pop(partition)
        left = deque(each for each in waiting if each.from_s > now_s)
        if left:
            self._due[partition] = left
        due = [each for each in waiting if each.from_s <= now_s]
        with self._in_hand(self._due.setdefault(partition, deque()), *due):
            key = self._recorder.seal_key
            removals = [each.removal for each in due]
            searched = await search(self._store, key, partition, removals)
            await self._tell(searched.found)
        if not searched.whole:
            log.warning("late denials before this were not looked for", partition=partition)
        self._rest_until_s = time.monotonic() + searched.size / BYTES_PER_S

    @contextmanager
    def _in_hand(self, waiting: deque[_Due], *due: _Due) -> Iterator[_Due]:
        """The first; all of them wait again where Redis does not answer."""
        self._busy += len(due)
        try:
            yield due[0]
        except BaseException:
            waiting.extendleft(reversed(due))
            raise
        finally:
            self._busy -= len(due)

    async def _tell(self, found: list[DeniedLate]) -> None:
        if not found:
            return
        await count_late(self._store.nodes, await counted(found, self._dictionary))
        for each in found:
            self._recorder.note(each, each.token)
