"""How soon an addition is denied by every process, from its acknowledgement on."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Any

from benchmarks.measuring.stage import BenchmarkError
from benchmarks.questions.edits import Times, addition, require_applied, said
from benchmarks.questions.people import Paper, unlisted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.measuring.client import Connection

_DEADLINE_S = 5.0


class Additions:
    """How long after its acknowledgement an addition is denied by each process, and by all."""

    def __init__(self) -> None:
        """Nothing measured yet."""
        self.times = Times()
        self.by_all = Times()

    async def run(self, change: Connection, asked: Sequence[Connection], count: int) -> None:
        """So many people put on the list, one after the other."""
        chance = random.Random(time.time_ns())
        for _ in range(count):
            paper = unlisted(chance)
            request = {"changes": [addition(chance, paper)]}
            added = (await change.post("/v1/changes", request)).json()
            acknowledged = time.perf_counter()
            require_applied(added["results"][0])
            late = await asyncio.gather(
                *(self._denied(each, paper, acknowledged) for each in asked)
            )
            if any(late):
                raise BenchmarkError(f"an addition at {added['position']} is not seen: {late}")
            self.by_all.add(acknowledged)

    async def _denied(
        self, connection: Connection, paper: Paper, acknowledged: float
    ) -> dict[str, Any] | None:
        """Nothing once it is denied; the answer of a process that never denies it."""
        while (answer := await said(connection, paper))["decision"] != "deny":
            if time.perf_counter() > acknowledged + _DEADLINE_S:
                return answer
        self.times.add(acknowledged)
        return None
