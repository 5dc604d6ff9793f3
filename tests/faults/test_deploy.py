"""The sample configurations start, and lack nothing; one server lost harms nobody."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from tests.deploy.papers import config, lines
from tests.faults.clusters import running_cluster, running_sentinels
from tests.service.rosters import LISTED, Desk, desk, edit

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.clusters import Cluster, Member, Sentinels
    from tests.servers import Server


def counted(name: str) -> str:
    stated = dict(line.split("=", 1) for line in lines(name))
    return stated["CLEARWAY_MIN_REPLICAS"]


async def told(api: Desk) -> Any:  # noqa: ANN401 -- JSON
    answer = await api.client.get("/readyz")
    assert answer.status_code == 200
    return answer.json()["degraded"]


async def until(api: Desk, wanted: set[str]) -> None:
    async with asyncio.timeout(30):
        while not wanted <= set(found := await told(api)) or (not wanted and found):  # noqa: ASYNC110 -- the chores find it
            await asyncio.sleep(0.05)


async def holds(servers: Sentinels | Cluster, api: Desk, replica: Member) -> None:
    """Nothing is amiss, nor is anybody harmed without one replica."""
    await until(api, set())
    answer = await api.change(edit("put"), wait="all")
    assert answer["processes"]["missing"] == []
    replica.server.kill()
    await until(api, {"replicas"})
    assert (await api.check(LISTED))["decision"] == "deny"


async def test_the_sample_for_sentinel_lacks_nothing(valkey_binary: str, tmp_path: Path) -> None:
    with running_sentinels(valkey_binary, config("sentinel/valkey.conf")) as servers:
        replicas = counted("sentinel/clearway.env")
        server = cast("Server", servers)
        async with desk(server, tmp_path, min_replicas=replicas) as api:
            await holds(servers, api, servers.members[2])


async def test_the_sample_for_a_cluster_lacks_nothing(valkey_binary: str, tmp_path: Path) -> None:
    own = {"cluster-node-timeout": "1000"}
    stated = {**config("cluster/valkey.conf"), **own}
    with running_cluster(valkey_binary, stated, replicas=2) as servers:
        replicas = counted("cluster/clearway.env")
        server = cast("Server", servers)
        async with desk(server, tmp_path, min_replicas=replicas) as api:
            await holds(servers, api, servers.members[-1])


async def test_a_master_that_has_just_taken_over_answers(
    valkey_binary: str, tmp_path: Path
) -> None:
    own = {"cluster-node-timeout": "1000"}
    with running_cluster(
        valkey_binary, {**config("cluster/valkey.conf"), **own}, replicas=2
    ) as servers:
        server = cast("Server", servers)
        async with desk(server, tmp_path, min_replicas="2", serve_stale_s="900") as api:
            await api.change(edit("put"), wait="all")
            servers.members[0].server.kill()
            async with asyncio.timeout(30):
                while (await api.check(LISTED))["decision"] != "deny":  # noqa: ASYNC110 -- the cluster makes it so
                    await asyncio.sleep(0.02)
