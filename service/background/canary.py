"""A person who does not exist is put on the roster and taken off again, the public way.

Every few seconds one process of all sends the changes and the checks that a maintainer and
a carrier would send, through the whole application, and measures how long a removal takes
until it is safe and effective; every few rounds, until every process has applied it. No check
digit admits the canary's number. It costs the server's log 2 kB a round, and leaves no history.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING, Any

import httpx
import structlog

from roster import keys
from roster.documents.identity import Document, normalise
from roster.errors import Unavailable
from roster.storage.api_keys import ApiKey
from roster.storage.lease import Lease
from roster.times import now_ms
from service.web.auth import CANARY_KEY

if TYPE_CHECKING:
    from litestar import Litestar

    from roster.documents.tokeniser import Tokeniser
    from roster.redis.nodes import Nodes
    from service.following.screener import Screener
    from service.metrics.counters import Counters

EVERY_S = 5.0
OBJECTIVE_MS = 1_000.0
LEASE_MS = 20_000
RENEW_S = 8.0
ALL_EVERY = 4
"""Rounds of which one waits for every process: each of them states its positions then."""
NUMBER = "110105180001010000"
ENTRY_ID = "canary"
_SCOPES = ("check", "list:add", "list:remove")
_DOCUMENT = {"type": "resident_id", "number": NUMBER}

log = structlog.get_logger("clearway.canary")


class Canary:
    """One process's canary; `lag_ms` is the last removal's, `failures` what went wrong so far."""

    def __init__(
        self,
        app: Litestar,
        nodes: Nodes,
        tokeniser: Tokeniser,
        screener: Screener,
        counters: Counters,
    ) -> None:
        """It calls `app` in this process, with a key as `header` that exists nowhere else.

        The time until every process has a removal is counted; its checks are left out.
        """
        self._app: Any = app
        self._tokeniser = tokeniser
        self._screener = screener
        self._counters = counters
        self._lease = Lease(nodes, keys.CANARY, LEASE_MS)
        self.header = f"Bearer canary-{secrets.token_urlsafe(32)}"
        self._renewed_s = float("-inf")
        self._one_round = asyncio.Lock()
        self.rounds = 0
        self.failures = 0
        self.lag_ms: float | None = None

    async def probe(self) -> None:
        """Make one round where this process holds the lease; raises Unavailable."""
        if not self._screener.ready or not await self._is_mine():
            return
        document = Document(type="resident_id", number=NUMBER)
        self._counters.canary = self._tokeniser.token(normalise(document).number)
        transport = httpx.ASGITransport(app=self._app)
        headers = {"authorization": self.header}
        client = httpx.AsyncClient(
            transport=transport, base_url="http://canary", headers=headers, timeout=10
        )
        async with self._one_round, client:
            await self._round(client)

    async def leave(self) -> None:
        """Let another process probe at once; raises Unavailable."""
        await self._lease.give_back()

    async def _is_mine(self) -> bool:
        if await self._lease.take() is not None:
            return False
        if time.monotonic() - self._renewed_s > RENEW_S:
            self._renewed_s = time.monotonic()
            return await self._lease.renew()
        return True

    async def _round(self, client: httpx.AsyncClient) -> None:
        wait = "durable" if self.rounds % ALL_EVERY else "all"
        self.rounds += 1
        try:
            position = await self._change(client, "put", "durable")
            await self._expect(client, "deny", position)
            started = time.monotonic()
            await self._change(client, "remove", wait)
            self.lag_ms = (time.monotonic() - started) * 1000
            await self._expect(client, "allow")
        except (httpx.HTTPError, Unavailable) as exc:
            self.failures += 1
            log.warning("canary failed", why=str(exc))
            return
        if wait == "all":
            self._counters.removed("processes", round(self.lag_ms))
        if self.lag_ms > OBJECTIVE_MS:
            log.error("canary late", lag_ms=round(self.lag_ms, 1))

    async def _change(self, client: httpx.AsyncClient, op: str, wait: str) -> str:
        """The position of the change, which is acknowledged."""
        change: dict[str, Any] = {
            "op": op,
            "list": "canary",
            "entry_id": ENTRY_ID,
            "document": _DOCUMENT,
            "revision": now_ms(),
        }
        if op == "put":
            change["entry"] = {}
        answer = await client.post("/v1/changes", json={"changes": [change], "wait": wait})
        if not answer.is_success:
            raise Unavailable(f"{op}: status {answer.status_code}")
        content = answer.json()
        outcome = content["results"][0]["outcome"]
        missing = content.get("processes", {"missing": []})["missing"]
        if outcome != "applied" or missing:
            raise Unavailable(f"{op}: {outcome}, {len(missing)} missing")
        return str(content["position"])

    async def _expect(
        self, client: httpx.AsyncClient, decision: str, at_least: str | None = None
    ) -> None:
        check = {"document": _DOCUMENT, "journey": {"mode": "air"}, "at_least": at_least}
        answer = await client.post("/v1/check", json=check)
        if not answer.is_success:
            raise Unavailable(f"check: status {answer.status_code}")
        if answer.json()["decision"] != decision:
            raise Unavailable(f"{answer.json()['decision']} where {decision} was due")


def canary_key() -> ApiKey:
    """The key of the canary's, in no roster."""
    return ApiKey(
        id=CANARY_KEY,
        name="canary",
        scopes=_SCOPES,
        hash=b"",
        created_ms=now_ms(),
    )
