"""One shard of a cluster lost, with its replica: only people of its partitions are affected."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import pytest
from redis.crc import key_slot

from roster import keys
from roster.documents.identity import Document, normalise
from roster.errors import Unavailable
from roster.opening import Opening
from roster.redis.calls import SLOTS
from tests.faults.clusters import MASTERS, SAFE, Cluster, Member, running_cluster
from tests.service.apps import settings_for
from tests.service.rosters import Desk, desk, edit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

    from tests.servers import Server

ONE_LOST = {"cluster-require-full-coverage": "no", **SAFE}
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


class Person(NamedTuple):
    document: dict[str, str]
    partition: int


def card(n: int) -> str:
    body = f"110105{1870 + n % 10}0101{n // 10 % 1000:03d}"
    return body + "10X98765432"[sum(map(int.__mul__, map(int, body), WEIGHTS)) % 11]


def people(api: Desk, found: Callable[[int], bool], many: int) -> list[Person]:
    """So many documents, made up, whose partition is such a one."""
    tokeniser, chosen = api.service.tokeniser, []
    for n in count():
        number = card(n)
        document = Document(type="resident_id", number=number)
        token = tokeniser.token(normalise(document).number)
        if found(token[1]):
            chosen.append(Person({"type": "resident_id", "number": number}, token[1]))
        if len(chosen) == many:
            return chosen
    raise AssertionError


@contextmanager
def clusters(binary: str) -> Iterator[Cluster]:
    with running_cluster(binary, ONE_LOST) as made:
        yield made


@asynccontextmanager
async def lost(binary: str, folder: Path) -> AsyncIterator[tuple[Desk, list[Person], list[Person]]]:
    """A process before a cluster whose shard with the keys and the doorbell is gone.

    Of two people of each kind, of the lost and of the kept partitions, the first is listed.
    """
    with clusters(binary) as cluster:
        server = cast("Server", cluster)
        settings = {"serve_stale_s": "4", "redis_timeout_ms": "200", "fresh_ms": "1500"}
        async with desk(server, folder, **settings) as api:
            master = cluster.owner(key_slot(keys.KEYS.encode()))
            gone = people(api, lambda p: master.owns(SLOTS[p]), 2)
            kept = people(api, lambda p: not master.owns(SLOTS[p]), 2)
            listed = [
                edit("put", document=each.document, entry_id=f"e/{n}")
                for n, each in enumerate((gone[0], kept[0]))
            ]
            await api.change(*listed, wait="all")
            for member in shard(cluster, master):
                member.server.kill()
            yield api, gone, kept


def shard(cluster: Cluster, master: Member) -> list[Member]:
    number = cluster.members.index(master) % MASTERS
    return [cluster.members[number], cluster.members[number + MASTERS]]


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while True:
            if await holds():
                return
            await asyncio.sleep(0.02)


async def said(api: Desk, person: Person) -> tuple[str, str, bool]:
    answer = await api.check(person.document)
    codes = [reason["code"] for reason in answer["reasons"]]
    return answer["decision"], ",".join(codes), answer["stale"]


async def unharmed(api: Desk, kept: list[Person]) -> None:
    assert await said(api, kept[0]) == ("deny", "listed", False)
    assert await said(api, kept[1]) == ("allow", "", False)


async def readiness(api: Desk) -> tuple[int, Any]:
    answer = await api.client.get("/readyz")
    return answer.status_code, answer.json()


async def test_only_people_of_a_lost_shard_are_affected(valkey_binary: str, tmp_path: Path) -> None:
    async with lost(valkey_binary, tmp_path) as (api, gone, kept):

        async def stale() -> bool:
            await unharmed(api, kept)
            return (await said(api, gone[1]))[2]

        await eventually(stale)
        assert await said(api, gone[0]) == ("refer", "registry_unavailable", True)
        assert (await said(api, gone[1]))[:2] == ("allow", "")
        status, ready = await readiness(api)
        assert (status, ready["ready"]) == (200, True)
        assert "stale" in ready["degraded"]
        await told_of_batches(api, gone, kept)

        async def expired() -> bool:
            await unharmed(api, kept)
            return (await said(api, gone[1]))[:2] == ("refer", "stale")

        await eventually(expired)
        assert (await said(api, gone[0]))[0] == "refer"
        assert (await readiness(api))[0] == 200
        await unharmed(api, kept)


async def told_of_batches(api: Desk, gone: list[Person], kept: list[Person]) -> None:
    """A batch is as old as those whom it asks about."""
    for asked, stale in ((kept, False), ([*kept, gone[1]], True)):
        items = [{"document": each.document} for each in asked] * 4
        body = {"items": items, "journey": {"mode": "air"}}
        answer = await api.post("/v1/check/batch", body)
        assert answer["stale"] == stale
        assert answer["counts"]["deny"] == 4
        assert answer["counts"]["refer"] == 0


async def test_changes_go_on_beside_a_lost_shard(valkey_binary: str, tmp_path: Path) -> None:
    async with lost(valkey_binary, tmp_path) as (api, gone, kept):
        put = edit("put", 20, document=kept[1].document, entry_id="e/new")
        answer = await api.change(put, wait="all")
        assert answer["processes"]["missing"] == []
        assert (await said(api, kept[1]))[0] == "deny"
        await api.change(edit("remove", 21, document=kept[1].document, entry_id="e/new"))
        assert (await said(api, kept[1]))[0] == "allow"
        refused = await api.client.post(
            "/v1/changes", json={"changes": [edit("remove", 30, document=gone[0].document)]}
        )
        assert refused.status_code == 503


async def test_a_silent_shard_delays_nobody_else(valkey_binary: str, tmp_path: Path) -> None:
    with clusters(valkey_binary) as cluster:
        server = cast("Server", cluster)
        async with desk(server, tmp_path, redis_timeout_ms="200", fresh_ms="500") as api:
            master = cluster.owner(key_slot(keys.KEYS.encode()))
            kept = people(api, lambda p: not master.owns(SLOTS[p]), 2)
            gone = people(api, lambda p: master.owns(SLOTS[p]), 1)
            await api.change(edit("put", document=kept[0].document), wait="all")
            for member in shard(cluster, master):
                member.server.pause()

            async def stale() -> bool:
                await unharmed(api, kept)
                return (await said(api, gone[0]))[2]

            await eventually(stale)
            for _ in range(100):
                await unharmed(api, kept)
            for member in shard(cluster, master):
                member.server.resume()


async def test_the_look_at_the_servers_goes_on_beside_a_lost_shard(
    valkey_binary: str, tmp_path: Path
) -> None:
    with (
        clusters(valkey_binary) as cluster,
        Opening(settings_for(cast("Server", cluster), tmp_path)) as opening,
    ):
        nodes = opening.change_nodes()
        assert len(await opening.facts(nodes)) == MASTERS
        for member in shard(cluster, cluster.owner(SLOTS[0])):
            member.server.kill()
        assert len(await opening.facts(nodes)) == MASTERS - 1
        with pytest.raises(Unavailable):
            await opening.reach()
        for member in cluster.members:
            member.server.kill()
        with pytest.raises(Unavailable):
            await opening.facts(nodes)
        await nodes.close()


async def test_the_audit_of_other_partitions_goes_on_beside_a_lost_shard(
    valkey_binary: str, tmp_path: Path
) -> None:
    async with lost(valkey_binary, tmp_path) as (api, gone, kept):
        partition = kept[0].partition
        asked = [(partition, ("XLEN", keys.AUDIT[partition]))]
        nodes, audit = api.service.changes_store.nodes, api.service.audit
        (before,) = await nodes.on_partitions(asked)
        assert (await api.check(gone[0].document))["decision"] == "refer"
        await unharmed(api, kept)

        async def written() -> bool:
            (found,) = await nodes.on_partitions(asked)
            return bool(found > before)

        await eventually(written)
        assert audit.waiting  # of the partition that is lost
        assert audit.lost == 0
