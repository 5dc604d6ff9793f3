"""Checks at a steady rate, sent to whichever instance says that it is ready, as a balancer does.

A client of our own: httpx would take half of a core for this, and the balancer would be late.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter, defaultdict, deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from tests.service.served import CLEAR, LISTED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

PROBE_S = 0.1
TIMEOUT_S = 10.0
LATE_S = 0.05
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close\r\n", re.IGNORECASE)
_BODIES = [
    json.dumps({"document": each, "journey": {"mode": "air"}}).encode() for each in (CLEAR, LISTED)
]

Link = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Traffic:
    """What became of the checks: `told` counts decisions, reasons and failures."""

    def __init__(self, ports: Sequence[int], key: str, rate: float) -> None:
        self.told: Counter[str] = Counter()
        self.ports = list(ports)
        self._rate = rate
        self._ready: list[int] = list(ports)
        self._sent = 0
        self._idle: defaultdict[int, deque[Link]] = defaultdict(deque)
        head = "POST /v1/check HTTP/1.1\r\nHost: service\r\nAuthorization: Bearer "
        self._checks = [
            f"{head}{key}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
            for body in _BODIES
        ]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(each()) for each in (self._probe, self._send)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for links in self._idle.values():
                for _, writer in links:
                    writer.close()

    async def _probe(self) -> None:
        while True:
            found = [port for port in tuple(self.ports) if await self._answers(port)]
            self._ready = found or self._ready
            await asyncio.sleep(PROBE_S)  # a balancer's pace

    async def _answers(self, port: int) -> bool:
        try:
            status, _ = await self._ask(port, b"GET /readyz HTTP/1.1\r\nHost: service\r\n\r\n")
        except (OSError, asyncio.IncompleteReadError):
            return False
        return status == 200

    async def _send(self) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        async with asyncio.TaskGroup() as tasks:
            while True:
                wait_s = begun + self._sent / self._rate - loop.time()
                await asyncio.sleep(max(0, wait_s))
                begun += max(0, -wait_s - LATE_S)  # what was missed is not sent in one burst
                tasks.create_task(self._check(self._sent))
                self._sent += 1

    async def _check(self, number: int) -> None:
        port = self._ready[number % len(self._ready)]
        try:
            status, body = await self._ask(port, self._checks[number // 3 % 2])
        except (OSError, asyncio.IncompleteReadError) as exc:
            self.told[f"failed: {type(exc).__name__}"] += 1
            return
        if status != 200:
            self.told[f"failed: {status}"] += 1
            return
        told = json.loads(body)
        self.told[told["decision"]] += 1
        for reason in told["reasons"]:
            self.told[reason["code"]] += 1

    async def _ask(self, port: int, request: bytes) -> tuple[int, Any]:
        """Status and body, over a connection that is kept where the answer allows it."""
        async with asyncio.timeout(TIMEOUT_S):
            reader, writer = await self._link(port)
            try:
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                length = _LENGTH.search(head)
                assert length is not None
                body = await reader.readexactly(int(length[1]))
            except BaseException:
                writer.close()
                raise
        if _CLOSE.search(head):
            writer.close()
        else:
            self._idle[port].append((reader, writer))
        return int(head[9:12]), body

    async def _link(self, port: int) -> Link:
        idle = self._idle[port]
        while idle:
            reader, writer = idle.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", port)
