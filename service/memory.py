"""High-water marks in the data folder: what this machine knows to be acknowledged.

A Redis that comes back from an old backup is behind them, also for a process that starts
only then.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import structlog

from roster.processes import parse_ring

if TYPE_CHECKING:
    from pathlib import Path

    from service.screener import Screener

EVERY_S = 1.0

log = structlog.get_logger("clearway.memory")


class Memory:
    """The marks' file; `save` is called once a second and writes only what changed."""

    def __init__(self, path: Path, screener: Screener) -> None:
        """The file need not be there."""
        self._path = path
        self._screener = screener
        self._saved = b""

    def recall(self) -> None:
        """Nothing; the screener knows the marks of the file."""
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return
        self._screener.acknowledge(parse_ring(data))

    async def save(self) -> None:
        """Nothing; the file holds the marks, or the old ones where it cannot be written."""
        marks = sorted(self._screener.high_water.values())
        data = b"".join(bytes((mark.partition,)) + mark.wire for mark in marks)
        if data == self._saved:
            return
        draft = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        try:
            draft.write_bytes(data)
            draft.replace(self._path)
        except OSError as exc:
            log.warning("high-water marks not saved", error=type(exc).__name__)
            return
        self._saved = data
