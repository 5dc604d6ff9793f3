"""The application on a test's server, in this process, and keys to call it with."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx

from roster.opening import Opening
from roster.settings import Settings, read_settings
from roster.storage.api_keys import SCOPES, KeyStore, KeyTerms
from service.app import create_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

    from litestar import Litestar

    from tests.servers import Server

ID_KEY = "ab" * 32


def settings_for(server: Server, folder: Path, **more: str) -> Settings:
    """Settings for a service on this server."""
    own = {
        "CLEARWAY_REDIS_URL": server.url,
        "CLEARWAY_DATA_DIR": str(folder),
        "CLEARWAY_ID_KEY": ID_KEY,
        "CLEARWAY_REDIS_TIMEOUT_MS": "1000",
    }
    return read_settings(own | {f"CLEARWAY_{name.upper()}": value for name, value in more.items()})


async def make_key(settings: Settings, scopes: Iterable[str] = SCOPES, **terms: Any) -> str:  # noqa: ANN401 -- as KeyTerms has them, and `sandbox`
    """The text of a new key."""
    sandbox = bool(terms.pop("sandbox", False))
    with Opening(settings) as opening:
        nodes = opening.change_nodes()
        try:
            store = KeyStore(nodes, opening.wait(await opening.facts(nodes)))
            made = KeyTerms(name="test", scopes=tuple(scopes), **terms)
            return (await store.create(made, 0, sandbox=sandbox))[1]
        finally:
            await nodes.close()


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a started application, in this loop; its key may do everything."""
    async with started(settings) as (_, client):
        yield client


@asynccontextmanager
async def started(settings: Settings) -> AsyncIterator[tuple[Litestar, httpx.AsyncClient]]:
    """The same, with the application itself."""
    key = await make_key(settings)
    app: Any = create_app(settings)
    async with (
        app.lifespan(),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app, raise_app_exceptions=False),
            base_url="http://clearway",
            headers=bearer(key),
        ) as client,
    ):
        yield app, client
