"""What a server must be like: on made-up facts, and on real servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from roster.errors import ServerUnfit
from roster.redis.requirements import ServerFacts, require_version, server_facts, unfit

if TYPE_CHECKING:
    from tests.servers import Server

FIT = ServerFacts(
    valkey=True,
    version=(9, 1, 2),
    aof=True,
    appendfsync="always",
    maxmemory_policy="noeviction",
    listpack_entries=512,
    listpack_value_bytes=8192,
    min_replicas=1,
    min_replicas_max_lag_s=5,
    replicas=2,
)
REDIS_70 = {"valkey": False, "version": (7, 0, 15)}


def with_changes(changes: dict[str, object]) -> ServerFacts:
    return msgspec.structs.replace(FIT, **changes)


@pytest.mark.parametrize(
    ("changes", "problems"),
    [
        ({}, []),
        ({"aof": False}, ["durability"]),
        ({"appendfsync": "everysec"}, []),
        ({"appendfsync": "no"}, ["durability"]),
        ({"appendfsync": ""}, ["durability"]),
        (REDIS_70, []),
        (REDIS_70 | {"appendfsync": "everysec"}, ["durability"]),
        ({"min_replicas": 0}, ["durability"]),
        ({"min_replicas_max_lag_s": 0}, ["durability"]),
        ({"maxmemory_policy": "allkeys-lru"}, ["memory_policy"]),
        ({"full": True}, ["memory"]),
        ({"listpack_entries": 128}, ["listpack"]),
        ({"listpack_value_bytes": 64}, ["listpack"]),
        ({"listpack_entries": None, "listpack_value_bytes": None}, []),
        ({"valkey": False, "version": (6, 2, 14)}, ["version"]),
    ],
)
def test_each_lack_is_named(changes: dict[str, object], problems: list[str]) -> None:
    assert unfit(with_changes(changes), replicated=True) == problems


def test_one_server_needs_no_replicas() -> None:
    assert unfit(with_changes({"min_replicas": 0, "replicas": 0})) == []


def test_a_server_without_functions_is_refused() -> None:
    with pytest.raises(ServerUnfit, match=r"6\.2\.14"):
        require_version(with_changes({"valkey": False, "version": (6, 2, 14)}))
    require_version(with_changes(REDIS_70))


def test_a_real_server_tells_its_facts(any_server: Server) -> None:
    with any_server.client() as client:
        facts = server_facts(client.info(), client.config_get("*"))
        waitaof = (
            client.eval("return redis.pcall('COMMAND', 'INFO', 'WAITAOF')[1] ~= false", 0) == 1
        )
    assert unfit(facts) == []
    assert unfit(facts, replicated=True) == ["durability"]
    assert facts.waitaof == waitaof == facts.valkey
    assert facts.version >= (7, 0, 0)


def test_a_provider_that_refuses_config_is_not_taken_for_durable(valkey: Server) -> None:
    with valkey.client() as client:
        facts = server_facts(client.info(), {})
    assert unfit(facts) == ["durability"]
