"""What packed entries refer to is in Redis before they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from roster.errors import Unavailable
from roster.redis.calls import Wait
from roster.storage.dictionary import Dictionary
from tests.rosters import opened

if TYPE_CHECKING:
    from tests.servers import Server

WAIT = Wait(aof=False, replicas=0, timeout_ms=1_000)


async def test_a_court_that_redis_has_not_taken_is_not_learned(
    valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(valkey) as store:
        keyed = store.nodes.keyed

        async def lost(key: str, commands: list[Any], *wait: Wait) -> list[Any]:
            """The names are not written before they are read."""
            replies = await keyed(key, commands[-1:], *wait)
            return [1] * (len(commands) - 1) + replies

        known = Dictionary(store.nodes)
        with monkeypatch.context() as patched:
            patched.setattr(store.nodes, "keyed", lost)
            with pytest.raises(Unavailable):
                await known.intern({"甲"}, WAIT)
        assert known.court_ids == {}
        await known.intern({"甲"}, WAIT)
        assert set(known.court_ids) == {"甲"}
