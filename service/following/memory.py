"""What the data folder remembers of a roster: high-water marks, and keys and lists that ended.

A Redis that comes back from an old backup is behind them, also for a process that starts
only then. The files are written in a thread: a disk may take seconds, and checks do not wait.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import structlog

from roster.storage.high_water import marks_file, old_marks, pack_marks, read_marks, replace_file

if TYPE_CHECKING:
    from pathlib import Path

    from roster.documents.tokeniser import Tokeniser
    from service.following.screener import Screener
    from service.web.ended import Ended

EVERY_S = 1.0

log = structlog.get_logger("clearway.memory")


class Memory:
    """One roster's files; `save` is called once a second and writes only what changed."""

    def __init__(
        self, folder: Path, tokeniser: Tokeniser, screener: Screener, ended: Ended
    ) -> None:
        """The folder need not be there."""
        self._folder = folder
        self._tokeniser = tokeniser
        self._screener = screener
        self._ended = ended
        self._saved: dict[Path, bytes] = {}
        self._writer = ThreadPoolExecutor(1, "memory")  # one: what is newer is written later

    def recall(self, roster: bytes, histories: dict[int, int]) -> bool:
        """Whether anything is known of this roster; the screener knows its marks now."""
        marks = read_marks(self._marks_file(roster))
        marks += old_marks(self._folder, self._tokeniser.check_value, histories)
        self._screener.recall(marks)
        self._ended.start_anew(self._read_ended(roster))
        self._saved = {}
        return bool(marks)

    async def save(self) -> None:
        """Write what is known; the old files stay where they cannot be written."""
        roster = self._screener.roster
        if not roster:
            return
        await self._keep(self._marks_file(roster), pack_marks(self._screener.high_water.values()))
        await self._keep(self._ended_file(roster), self._ended.data())

    def _marks_file(self, roster: bytes) -> Path:
        return marks_file(self._folder, self._tokeniser.check_value, roster)

    def _ended_file(self, roster: bytes) -> Path:
        return self._folder / f"ended-{self._tokeniser.check_value.hex()}-{roster.decode()}"

    def _read_ended(self, roster: bytes) -> bytes:
        try:
            return self._ended_file(roster).read_bytes()
        except OSError:
            return b""

    async def _keep(self, path: Path, data: bytes) -> None:
        saved = self._saved  # a roster that is recalled meanwhile has another
        if not data or data == saved.get(path):
            return
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._writer, replace_file, path, data)
        except OSError as exc:
            log.warning("not remembered", what=path.name, error=type(exc).__name__)
            return
        saved[path] = data
