"""People taken off a list entry by entry through one process, and asked about through another."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from benchmarks.questions.edits import AIR, removal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.measuring.client import Connection
    from benchmarks.questions.people import Paper, Row

_ASKED_AGAIN = 100
_PAUSE_S = 0.02
"""A referral says that it cannot decide just now, and is not wrong unless it stays."""


class Removals:
    """Takes people off through one process, and asks another about them at once."""

    def __init__(self, change: Connection, ask: Connection) -> None:
        """`change` and `ask` lead to different processes."""
        self._change = change
        self._ask = ask
        self.wrong = self.referred = 0
        self.seconds: list[float] = []

    async def take_off(self, paper: Paper, entries: Sequence[Row]) -> None:
        """Remove one entry after the other; only the last one frees."""
        await self._expect(paper, "deny")
        for left, row in reversed(list(enumerate(entries))):
            started = time.perf_counter()
            answer = (await self._change.post("/v1/changes", {"changes": [removal(row)]})).json()
            self.seconds.append(time.perf_counter() - started)
            self.wrong += answer["results"][0].get("outcome") != "applied"
            await self._expect(paper, "deny" if left else "allow")

    async def expect_free(self, papers: Sequence[Paper]) -> None:
        """Nobody of these may be denied."""
        for paper in papers:
            await self._expect(paper, "allow")

    async def _expect(self, paper: Paper, decision: str) -> None:
        question = {"document": paper.json(), "journey": AIR}
        for _ in range(_ASKED_AGAIN):
            given = (await self._ask.post("/v1/check", question)).json()["decision"]
            if given != "refer":
                break
            self.referred += 1
            await asyncio.sleep(_PAUSE_S)
        self.wrong += given != decision
