"""Keeps polls of the feed open, in a process of its own, until its standard input ends.

    python -m benchmarks.shared.polling PORT POLLS    (API keys in CLEARWAY_API_KEYS, by commas)

Every poll goes on at once from where the last one ended. The keys take turns; the first may read
whole changes, and its polls say how long after its application each change was told.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from contextlib import suppress
from datetime import datetime

import msgspec

from benchmarks.measuring.client import Connection
from benchmarks.measuring.machine import ROOT
from benchmarks.questions.edits import Times

WAIT_MS = 30_000


class Polled(msgspec.Struct, frozen=True):
    """What all polls got; `failed` are answers that were no page."""

    answers: int
    changes: int
    failed: int
    p50_ms: float
    p99_ms: float


class Poller:
    """Polls on connections of their own."""

    def __init__(self, port: int, keys: list[str]) -> None:
        """Of a service on this machine."""
        self._port = port
        self._keys = keys
        self._lags = Times()
        self._answers = self._changes = self._failed = 0

    async def run(self, count: int) -> Polled:
        """What they got until standard input ends."""
        async with Connection(self._port, self._keys[0]) as connection:
            start = (await connection.get("/v1/changes?after=now")).json()["position"]
        keys = [self._keys[number % len(self._keys)] for number in range(count)]
        opened = asyncio.Barrier(count + 1)
        polls = [asyncio.create_task(self._poll(key, start, opened)) for key in keys]
        await opened.wait()
        print("open", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        for poll in polls:
            poll.cancel()
        await asyncio.gather(*polls, return_exceptions=True)
        p50_ms, p99_ms = self._lags.ms(50), self._lags.ms(99)
        return Polled(self._answers, self._changes, self._failed, p50_ms, p99_ms)

    async def _poll(self, key: str, position: str, opened: asyncio.Barrier) -> None:
        async with Connection(self._port, key) as connection:
            await opened.wait()
            while True:
                query = f"/v1/changes?wait_ms={WAIT_MS}&after={position}"
                answer = await connection.get(query)
                self._answers += 1
                if answer.status != 200:
                    self._failed += 1
                    await asyncio.sleep(1)
                    continue
                page = answer.json()
                position = page["position"]
                self._changes += len(page["changes"])
                self._note([change["applied_at"] for change in page["changes"] if "op" in change])

    def _note(self, applied: list[str]) -> None:
        now_s, now = time.time(), time.perf_counter()
        for text in applied:
            self._lags.add(now - max(0.0, now_s - datetime.fromisoformat(text).timestamp()))


class Polls:
    """A poller's process, from outside."""

    def __init__(self, port: int, count: int, keys: list[str]) -> None:
        """It starts when it is entered."""
        self._command = [sys.executable, "-m", "benchmarks.shared.polling", str(port), str(count)]
        self._env = {"PATH": os.environ["PATH"], "CLEARWAY_API_KEYS": ",".join(keys)}

    async def start(self) -> None:
        """Open the polls; they are open."""
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            cwd=ROOT,
            env=self._env,
            stdin=pipe,
            stdout=pipe,
        )
        assert self._process.stdout is not None
        await self._process.stdout.readline()

    async def end(self) -> Polled:
        """End them, and what they got."""
        said, _ = await self._process.communicate(b"")
        return msgspec.json.decode(said, type=Polled)


def main() -> None:
    """Poll, and print what came of it as JSON."""
    port, count = map(int, sys.argv[1:])
    poller = Poller(port, os.environ["CLEARWAY_API_KEYS"].split(","))
    with suppress(KeyboardInterrupt):
        print(msgspec.json.encode(asyncio.run(poller.run(count))).decode())


if __name__ == "__main__":
    main()
