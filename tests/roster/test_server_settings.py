from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from roster.embedded.embedded import EmbeddedOptions, acquire
from roster.embedded.server_settings import resume_log_rewrites
from roster.redis.nodes import bulk_nodes
from roster.redis.target import parse_target

if TYPE_CHECKING:
    import pytest

SLOW_US = "10000"
"""What the server takes for each key that it writes."""


def _client(socket: Path) -> redis.Redis:
    return redis.Redis(unix_socket_path=str(socket), retry=Retry(NoBackoff(), 0))


async def _rewritten(url: str) -> None:
    nodes = bulk_nodes(parse_target(url))
    try:
        await resume_log_rewrites(nodes)
    finally:
        await nodes.close()


def test_a_load_ends_while_the_server_still_rewrites_its_log_for_the_one_before(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = Path(tmp_path_factory.mktemp("r"))
    with acquire(EmbeddedOptions(folder)) as embedded, _client(embedded.socket) as client:
        client.mset({f"key:{number}": "" for number in range(500)})
        client.config_set("rdb-key-save-delay", SLOW_US)
        client.bgrewriteaof()
        assert client.info("persistence")["aof_rewrite_in_progress"]
        asyncio.run(_rewritten(f"unix://{embedded.socket}"))
        assert client.info("persistence")["aof_rewrite_in_progress"]
        client.config_set("rdb-key-save-delay", "0")
