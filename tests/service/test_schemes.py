"""Services on rosters whose tokens were made by a version of before, and by this one."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from roster import keys
from roster.documents.identity import Document, normalise
from roster.documents.tokeniser import HASHED, SCHEME, Tokeniser
from roster.storage.store import Store
from service.app import create_app
from tests.rosters import opened
from tests.service.apps import ID_KEY, bearer, make_key, settings_for
from tests.service.parts import cover
from tests.service.rosters import AIR, LISTED, Desk, desk, edit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from roster.settings import Settings
    from tests.servers import Server

NUMBER = normalise(Document("resident_id", LISTED["number"])).number
CHECK = {"document": LISTED, "journey": AIR}


async def found(server: Server, scheme: int) -> None:
    """A roster that a version of this scheme has founded; list sx is covered."""
    async with opened(server) as store:
        await cover(Store(store.nodes, Tokeniser(bytes.fromhex(ID_KEY), scheme)))


def is_stored(server: Server, scheme: int) -> bool:
    """Whether the listed person has a record under the token of this scheme."""
    token = Tokeniser(bytes.fromhex(ID_KEY), scheme).token(NUMBER)
    with server.client() as client:
        name = keys.bucket(token[1], token[2] << 8 | token[3])
        return token[4:] in client.hkeys(name)


@pytest.mark.parametrize("scheme", [HASHED, SCHEME])
async def test_a_roster_is_served_and_changed_under_the_scheme_it_was_founded_with(
    valkey: Server, tmp_path: Path, scheme: int
) -> None:
    await found(valkey, scheme)
    async with desk(valkey, tmp_path) as api:
        assert (await api.outcomes(edit("put"))) == ["applied"]
        assert (await api.check(LISTED))["decision"] == "deny"
        batch = await api.post("/v1/check/batch", {"items": [CHECK] * 10})
        assert batch["counts"] == {"allow": 0, "deny": 10, "refer": 0, "error": 0}
        assert (await api.client.get("/v1/roster")).json()["scheme"] == scheme
        (process,) = await api.service.processes.live()
        assert process.scheme == scheme
        assert [is_stored(valkey, each) for each in (HASHED, SCHEME)] == [
            scheme == HASHED,
            scheme == SCHEME,
        ]
        assert (await api.outcomes(edit("remove", 11, reason="performed"))) == ["applied"]
        assert (await api.check(LISTED))["decision"] == "allow"


@asynccontextmanager
async def serving(settings: Settings, key: str) -> AsyncIterator[Desk]:
    """A service that need not reach its roster."""
    app: Any = create_app(settings)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    client = httpx.AsyncClient(transport=transport, base_url="http://clearway", headers=bearer(key))
    async with app.lifespan(), client:
        yield Desk(client, app.state.service)


@pytest.mark.parametrize("scheme", [HASHED, SCHEME])
async def test_a_service_that_starts_before_redis_takes_the_scheme_that_it_finds(
    make_server: Callable[..., Server], tmp_path: Path, scheme: int
) -> None:
    server = make_server()
    await found(server, scheme)
    settings = settings_for(server, tmp_path)
    key = await make_key(settings)
    async with desk(server, tmp_path / "first") as api:
        await api.outcomes(edit("put"))
    server.stop()
    async with serving(settings, key) as api:
        assert (await api.client.post("/v1/check", json=CHECK)).status_code in {401, 503}
        server.start()
        answers = set()
        async with asyncio.timeout(20):
            while (await api.client.get("/readyz")).status_code != 200:
                answer = await api.client.post("/v1/check", json=CHECK)
                answers.add(answer.json().get("decision"))
                await asyncio.sleep(0)
        assert "allow" not in answers
        assert (await api.check(LISTED))["decision"] == "deny"


async def test_two_services_that_start_at_once_on_an_empty_roster_share_it(
    valkey: Server, tmp_path: Path
) -> None:
    settings = settings_for(valkey, tmp_path)
    key = await make_key(settings)
    async with serving(settings, key) as one, serving(settings, key) as two:
        await cover(one.service.changes_store)
        put = edit("put")
        async with asyncio.timeout(10):
            while not (one.service.screener.ready and two.service.screener.ready):  # noqa: ASYNC110 -- the followers make it so
                await asyncio.sleep(0.01)
        assert await one.outcomes(put) == ["applied"]
        assert (await two.check(LISTED))["decision"] == "deny"
        assert one.service.store.scheme == two.service.store.scheme == SCHEME


async def test_whoever_runs_while_the_scheme_changes_refers_everybody_until_it_starts_again(
    valkey: Server, tmp_path: Path
) -> None:
    await found(valkey, HASHED)
    async with desk(valkey, tmp_path) as api:
        assert (await api.check(LISTED))["decision"] == "allow"
        await found(valkey, SCHEME)
        await api.service.follower.poll()
        ready = (await api.client.get("/readyz")).json()
        assert (ready["ready"], ready["conditions"]["key"]["ok"]) == (False, False)
        answer = await api.check(LISTED)
        assert (answer["decision"], answer["reasons"][0]["code"]) == ("refer", "not_covered")
        put = {"changes": [edit("put")]}
        assert (await api.client.post("/v1/changes", json=put)).status_code == 503
    async with desk(valkey, tmp_path) as api:
        assert (await api.outcomes(edit("put"))) == ["applied"]
        assert (await api.check(LISTED))["decision"] == "deny"
