"""What all workers have counted, added up: those that have ended, too.

A sum that fell, since a worker was replaced or another one was asked, would look to Prometheus as
if all of it had been counted anew.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from service.metrics.families import lasting, together
from service.metrics.running import silent_workers
from service.server.link import ADDED_UP, pack

if TYPE_CHECKING:
    from service.metrics.families import Family
    from service.server.workers import Worker

WITHIN_S = 1.0
"""A worker that says nothing for so long counts as before, without its gauges."""


class Sums:
    """Adds up for whichever worker asks."""

    def __init__(self) -> None:
        """There is no worker yet."""
        self._ended: list[Family] = []
        self._living: set[Worker] = set()
        self._answering: set[asyncio.Task[None]] = set()

    def joined(self, worker: Worker) -> None:
        """A worker was started."""
        self._living.add(worker)

    def left(self, worker: Worker) -> None:
        """It has ended; what it said last stays."""
        self._living.discard(worker)
        self._ended = together([self._ended, lasting(worker.told)])

    def asked(self, by: Worker) -> None:
        """Tell this worker soon; what it has counted itself it has said."""
        task = asyncio.get_running_loop().create_task(self._answer(by))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(self, by: Worker) -> None:
        others = [each for each in self._living if each.ready and each is not by]
        spoke = await asyncio.gather(*(each.states(WITHIN_S) for each in others))
        current = {by, *(each for each, said in zip(others, spoke, strict=True) if said)}
        parts = [each.told if each in current else lasting(each.told) for each in self._living]
        parts.append([silent_workers(spoke.count(False))])
        by.send(ADDED_UP + pack(together([self._ended, *parts])))
