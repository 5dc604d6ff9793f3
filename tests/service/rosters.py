"""A running application with a list that is covered, and short ways to ask it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from service.parts import Service
from tests.service.apps import settings_for, started
from tests.service.parts import cover

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import httpx

    from tests.servers import Server

LISTED = {"type": "resident_id", "number": "110105187912310024"}
OTHER = {"type": "resident_id", "number": "110105187001010012"}
PASSPORT = {"type": "passport", "number": "E12345678", "issuer": "CHN"}
AIR = {"mode": "air"}


class Desk:
    """What a test says to the API; each answers with the JSON."""

    def __init__(self, client: httpx.AsyncClient, service: Service) -> None:
        self.client = client
        self.service = service

    async def post(self, path: str, body: Any, status: int = 200) -> Any:  # noqa: ANN401 -- JSON
        answer = await self.client.post(path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def check(self, document: Any, journey: Any = None, **more: Any) -> Any:  # noqa: ANN401 -- JSON
        body = {"document": document, "journey": journey or AIR, **more}
        return await self.post("/v1/check", body)

    async def change(self, *changes: Any, **more: Any) -> Any:  # noqa: ANN401 -- JSON
        return await self.post("/v1/changes", {"changes": list(changes), **more})

    async def outcomes(self, *changes: Any) -> list[str]:  # noqa: ANN401 -- JSON
        answer = await self.change(*changes, wait="all")
        return [result["outcome"] for result in answer["results"]]


def edit(op: str, revision: int | None = 10, **more: Any) -> dict[str, Any]:  # noqa: ANN401 -- JSON
    """A change of the listed person's entry; None among `more` leaves a field out."""
    change: dict[str, Any] = {
        "op": op,
        "list": "sx",
        "entry_id": "e/1",
        "revision": revision,
        "document": LISTED,
    }
    if op == "put":
        change["entry"] = {}
    return {name: value for name, value in (change | more).items() if value is not None}


@asynccontextmanager
async def desk(server: Server, folder: Path, **settings: str) -> AsyncIterator[Desk]:
    """The API of a ready process; list sx is covered and empty."""
    async with started(settings_for(server, folder, **settings)) as (app, client):
        await covered(app.state.service)
        yield Desk(client, app.state.service)


async def covered(service: Service) -> None:
    """Ready, with list sx covered and empty, and all of that read by a whole poll."""
    await cover(service.changes_store)
    await service.processes.ring([])
    async with asyncio.timeout(10):
        while not await service.follower.poll() or not service.screener.ready:  # noqa: ASYNC110 -- the follower makes it so
            await asyncio.sleep(0.005)
