"""Redis while whole files come in: clients that wait long, an embedded server set for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis.exceptions import ResponseError

from roster.embedded.server_files import REWRITE, REWRITE_USUALLY
from roster.redis.connection import bulk_client, translated
from roster.redis.nodes import Nodes, open_nodes

if TYPE_CHECKING:
    from roster.redis.target import Target

_NEVER, _UNDER_WAY = "0", "already in progress"


def bulk_nodes(target: Target) -> Nodes:
    """The servers, for whole files."""
    return open_nodes(target, bulk_client)


async def ease(nodes: Nodes) -> None:
    """Nothing; the embedded server lets its log grow until `rewrite`."""
    await _rewrite_at(nodes, _NEVER)


async def rewrite(nodes: Nodes) -> None:
    """Nothing; the embedded server is as before, and rewrites its log: it starts faster then.

    One that still rewrites it for the load before goes on with that.
    """
    await _rewrite_at(nodes, REWRITE_USUALLY)
    for node in await nodes.masters():
        with translated():
            try:
                await node.bgrewriteaof()
            except ResponseError as exc:
                if _UNDER_WAY not in str(exc):
                    raise


async def _rewrite_at(nodes: Nodes, percentage: str) -> None:
    for node in await nodes.masters():
        with translated():
            await node.config_set(REWRITE, percentage)
