"""One service for the tests of a module, and keys for it."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from roster.opening import Opening
from roster.settings import read_settings
from roster.storage.api_keys import KeyStore
from tests.servers import Server
from tests.service.apps import make_key
from tests.service.served import Served

if TYPE_CHECKING:
    from collections.abc import Iterator

    from roster.settings import Settings


@dataclass(frozen=True)
class Service:
    """A service that runs; `desk` is a key that may do everything, `carrier` what carriers may."""

    url: str
    desk: str
    carrier: str
    server: Server
    served: Served

    def key(self, scopes: list[str], **terms: Any) -> str:  # noqa: ANN401 -- as KeyTerms has them
        return asyncio.run(make_key(read_settings(self.served.settings), scopes, **terms))

    def rotated(self, key: str) -> str:
        """A new text of this key."""
        return asyncio.run(_rotate(read_settings(self.served.settings), key.split("_")[1]))


async def _rotate(settings: Settings, identifier: str) -> str:
    with Opening(settings) as opening:
        async with opening.changing() as nodes:
            store = KeyStore(nodes, opening.wait(await opening.facts(nodes)))
            return (await store.rotate(identifier))[1]


@pytest.fixture(scope="module")
def service(valkey_binary: str) -> Iterator[Service]:
    with tempfile.TemporaryDirectory(prefix="cw-", dir="/tmp") as name:
        server = Server(valkey_binary, Path(name))
        server.start()
        try:
            served = Served(server, Path(name))
            served.cover()
            settings = read_settings(served.settings)
            carrier = asyncio.run(make_key(settings, ["check", "standing", "feed"]))
            with served.running() as running:
                yield Service(running.url, running.key, carrier, server, served)
        finally:
            server.stop()
