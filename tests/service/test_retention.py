"""What is kept for some days is there the day before, and gone the day after, as settings say."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import pytest

from roster import keys
from roster.documents.identity import Document, normalise
from roster.storage.api_keys import KeyStore, KeyTerms
from roster.times import DAY_MS, now_ms
from service.background import forgetting
from tests.service.apps import settings_for, started
from tests.service.audited import recorded
from tests.service.parts import WAIT
from tests.service.rosters import LISTED, Desk, covered, edit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from roster.storage.store import Store
    from tests.servers import Server

DAYS = {"log_days": 3, "tombstone_days": 5, "audit_days": 8}
KEPT = {"log", "tombstone", "history", "audit", "key", "use of a key"}


class Ahead:
    """A store whose server's clock has gone on by some days."""

    def __init__(self, store: Store, days: float) -> None:
        self._store = store
        self._ms = round(days * DAY_MS)

    async def tails(self, *asked: Any) -> Any:  # noqa: ANN401 -- as the store has it
        found = await self._store.tails(*asked)
        return {p: tail._replace(now_ms=tail.now_ms + self._ms) for p, tail in found.items()}

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 -- as the store has it
        return getattr(self._store, name)


class Kept(NamedTuple):
    """A roster of which everything was written just now, and what of it is still there."""

    upkeep: Any
    server: Server
    token: bytes
    key: str

    async def after(self, days: float) -> set[str]:
        """What is left once the daily round of that day has been."""
        rounds = self.upkeep.renewer._forgetting
        store = rounds._store
        rounds._store = Ahead(store, days)
        try:
            await rounds.share()
        finally:
            rounds._store = store
        return self.left()

    def left(self) -> set[str]:
        """What is still there; it is looked up in Redis, as a read over HTTP is audited."""
        partition, bucket, field = keys.place(self.token)
        with self.server.client() as client:
            there = {
                "log": client.xlen(keys.LOG[partition]) > 1,
                "tombstone": client.hexists(keys.bucket(partition, bucket), field),
                "history": client.hexists(keys.history(partition, bucket), field),
                "audit": any(client.xlen(key) for key in keys.AUDIT),
                "key": client.hexists(keys.KEYS, self.key),
                "use of a key": client.hexists(keys.USED, self.key),
            }
        return {name for name, holds in there.items() if holds}


@asynccontextmanager
async def written(server: Server, folder: Path) -> AsyncIterator[Kept]:
    settings = settings_for(server, folder, **{name: str(days) for name, days in DAYS.items()})
    async with started(settings) as (app, client):
        service, desk = app.state.service, Desk(client, app.state.service)
        await covered(service)
        put = edit("put", list="xgl")
        await desk.change(put, edit("remove", 11, list="xgl", reason="performed"), wait="all")
        await desk.post("/v1/entries/find", {"document": LISTED})
        assert await recorded(client, service)
        store = KeyStore(service.changes_store.nodes, WAIT)
        key, _ = await store.create(KeyTerms(name="gone", scopes=("check",)), now_ms())
        await store.note_uses({key.id: now_ms()})
        await store.revoke(key.id, now_ms())
        document = msgspec.convert(LISTED, Document)
        token = service.tokeniser.token(normalise(document).number)
        yield Kept(app.state.upkeep, server, token, key.id)


async def test_everything_goes_after_its_days_and_nothing_before(
    valkey: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "PAUSE_S", 0)
    monkeypatch.setattr(forgetting, "STEPS_A_SHARE", forgetting.STEPS)
    async with written(valkey, tmp_path) as kept:
        assert kept.left() == KEPT
        assert await kept.after(2) == KEPT
        assert await kept.after(4) == KEPT - {"log"}
        assert await kept.after(6) == KEPT - {"log", "tombstone"}
        assert await kept.after(9) == set()
