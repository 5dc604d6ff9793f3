"""Waits until the service's processes have taken up what a load has written."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from roster.records.position import Position
from roster.storage.processes import Processes
from roster.times import boot_s

TAKEN_UP_S = 5.0
"""So long at most: one that was killed just now stays listed for four seconds."""
_LOOK_S = 0.02


async def late(processes: Processes, positions: Sequence[Position]) -> int:
    """How many live processes had not applied all of it when the time was up."""
    until_s = boot_s() + TAKEN_UP_S
    while True:
        behind = [
            process
            for process in await processes.live()
            if not all(process.at(each.partition).includes(each) for each in positions)
        ]
        if not behind or boot_s() > until_s:
            return len(behind)
        await asyncio.sleep(_LOOK_S)


def notes(count: int) -> list[str]:
    """What a load says of so many processes that it has not waited for any longer."""
    if not count:
        return []
    who = "one process" if count == 1 else f"{count} processes"
    return [f"{who} of the service had not taken it up after {TAKEN_UP_S:.0f} s"]
