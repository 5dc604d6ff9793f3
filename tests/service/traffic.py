"""Checks at a steady rate, sent to whichever instance says that it is ready, as a balancer does."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import httpx

from tests.service.apps import bearer
from tests.service.served import CLEAR, LISTED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

PROBE_S = 0.1
BODIES = [{"document": each, "journey": {"mode": "air"}} for each in (CLEAR, LISTED)]


class Traffic:
    """What became of the checks: `told` counts decisions, reasons and failures."""

    def __init__(self, urls: Sequence[str], key: str, rate: float) -> None:
        self.told: Counter[str] = Counter()
        self.urls = list(urls)
        self._rate = rate
        self._key = key
        self._ready: list[str] = list(urls)
        self._sent = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        limits = httpx.Limits(max_connections=None, keepalive_expiry=60)
        async with httpx.AsyncClient(
            headers=bearer(self._key), limits=limits, timeout=10
        ) as client:
            tasks = [asyncio.create_task(each(client)) for each in (self._probe, self._send)]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _probe(self, client: httpx.AsyncClient) -> None:
        while True:
            found = [url for url in self.urls if await self._answers(client, url)]
            self._ready = found or self._ready
            await asyncio.sleep(PROBE_S)  # a balancer's pace

    async def _answers(self, client: httpx.AsyncClient, url: str) -> bool:
        with suppress(httpx.TransportError):
            return (await client.get(f"{url}/readyz")).is_success
        return False

    async def _send(self, client: httpx.AsyncClient) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        async with asyncio.TaskGroup() as tasks:
            while True:
                await asyncio.sleep(max(0, begun + self._sent / self._rate - loop.time()))
                tasks.create_task(self._check(client, self._sent))
                self._sent += 1

    async def _check(self, client: httpx.AsyncClient, number: int) -> None:
        url = self._ready[number % len(self._ready)]
        try:
            answer = await client.post(f"{url}/v1/check", json=BODIES[number // 3 % 2])
        except httpx.TransportError as exc:
            self.told[f"failed: {type(exc).__name__}"] += 1
            return
        if not answer.is_success:
            self.told[f"failed: {answer.status_code}"] += 1
            return
        told = answer.json()
        self.told[told["decision"]] += 1
        for reason in told["reasons"]:
            self.told[reason["code"]] += 1
