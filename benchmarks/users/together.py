"""Master and workers: the master begins when all have read the people, ends when all have told all.

A run's end is the master's: it leaves half a second for the workers' last reports, while theirs
is to put back whomever they have changed.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from locust.rpc import Message
    from locust.runners import MasterRunner, WorkerRunner

READ, END, ENDED = "clearway_read", "clearway_end", "clearway_ended"
_END_WITHIN_S = 60.0
_MISSING_WITHIN_S = 10.0  # whose heart has stopped for a moment
_POLL_S = 0.05


class Workers:
    """What the master knows of its workers."""

    def __init__(self, runner: MasterRunner) -> None:
        """Those of this master."""
        self._runner = runner
        self._read: dict[str, str] = {}
        self._ended: set[str] = set()
        self._most = 0
        runner.register_message(READ, self._on_read)
        runner.register_message(ENDED, self._on_ended)

    def wait_until_read(self, count: int, wait_s: float) -> None:
        """So many have read the people; ends the program where one says that it cannot."""
        deadline_s = time.monotonic() + wait_s
        while len(self._read) < count and time.monotonic() < deadline_s:
            time.sleep(_POLL_S)
            for fault in filter(None, self._read.values()):
                self._runner.quit()
                sys.exit(f"a worker says: {fault}")

    def begin(self) -> None:
        """All that are there now have to be there at the end."""
        self._most = self._runner.worker_count
        self._ended.clear()

    def end(self) -> None:
        """All have ended their users and told all that they have measured, but the lost."""
        self._runner.send_message(END)
        begun_s = time.monotonic()
        while len(self._ended) < self._most:
            there = self._runner.worker_count > len(self._ended)
            if time.monotonic() > begun_s + (_END_WITHIN_S if there else _MISSING_WITHIN_S):
                break
            time.sleep(_POLL_S)

    @property
    def lost(self) -> int:
        """How many were there at the beginning and have not told all."""
        return max(0, self._most - len(self._ended))

    def _on_read(self, msg: Message, **_: object) -> None:
        self._read[msg.node_id] = msg.data["fault"]

    def _on_ended(self, msg: Message, **_: object) -> None:
        self._ended.add(msg.node_id)


def obey(runner: WorkerRunner) -> None:
    """End when the master says so: first the users, then the last report."""

    def end(**_: object) -> None:
        runner.stop()
        runner._send_stats()  # noqa: SLF001 -- locust's own last report comes half a second late
        runner.send_message(ENDED)

    runner.register_message(END, end, concurrent=True)


def tell_read(runner: WorkerRunner, fault: str = "") -> None:
    """The master hears that this worker has read the people, or why it cannot."""
    data: dict[str, Any] = {"fault": fault}
    runner.send_message(READ, data)
