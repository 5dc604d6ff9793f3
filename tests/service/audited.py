"""The audit of a running application, asked over HTTP, and its chains followed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from roster import keys
from service.audit.chains import BlockReply, Chains, HeadReply

if TYPE_CHECKING:
    from collections.abc import Iterable

    import httpx

    from service.parts import Service
    from tests.servers import Server


async def pages(client: httpx.AsyncClient, **query: Any) -> list[dict[str, Any]]:  # noqa: ANN401 -- of a URL
    found: list[dict[str, Any]] = []
    while True:
        answer = await client.get("/v1/audit", params=query)
        assert answer.status_code == 200, answer.text
        found.append(answer.json())
        if found[-1]["next"] is None:
            return found
        query["after"] = found[-1]["next"]


async def records(client: httpx.AsyncClient, **query: Any) -> list[dict[str, Any]]:  # noqa: ANN401 -- of a URL
    return [each for page in await pages(client, **query) for each in page["records"]]


async def recorded(client: httpx.AsyncClient, service: Service, **query: Any) -> list[Any]:  # noqa: ANN401 -- of a URL
    """The same, with all that this process has to say."""
    async with asyncio.timeout(20):
        while service.audit.waiting:
            await service.audit.flush()
    return await records(client, **query)


async def chains(client: httpx.AsyncClient, published: Iterable[HeadReply] = ()) -> Chains:
    found: Chains | None = None
    for page in await pages(client, verify="true"):
        if found is None:
            live = msgspec.convert(page["heads"], list[HeadReply])
            found = Chains(page["kept_from"], live, published)
        for block in msgspec.convert(page["blocks"], list[BlockReply]):
            found.add(block)
    assert found is not None
    return found


async def faults(client: httpx.AsyncClient, published: Iterable[HeadReply] = ()) -> list[str]:
    return [each.what for each in (await chains(client, published)).faults()]


def entries(server: Server) -> list[tuple[str, bytes, bytes]]:
    """Every block in Redis: its stream, its id, its bytes."""
    with server.client() as redis:
        return [
            (key, identifier, fields[b"b"])
            for key in keys.AUDIT
            for identifier, fields in redis.xrange(key)
        ]
