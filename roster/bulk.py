"""Redis while whole files come in: clients that wait long, an embedded server set for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roster.connection import bulk_client, translated
from roster.nodes import Nodes, open_nodes
from roster.server_files import REWRITE, REWRITE_USUALLY

if TYPE_CHECKING:
    from roster.target import Target

_NEVER = "0"


def bulk_nodes(target: Target) -> Nodes:
    """The servers, for whole files."""
    return open_nodes(target, bulk_client)


async def ease(nodes: Nodes) -> None:
    """Nothing; the embedded server lets its log grow until `rewrite`."""
    await _rewrite_at(nodes, _NEVER)


async def rewrite(nodes: Nodes) -> None:
    """Nothing; the embedded server is as before, and rewrites its log: it starts faster then."""
    await _rewrite_at(nodes, REWRITE_USUALLY)
    for node in await nodes.masters():
        with translated():
            await node.bgrewriteaof()


async def _rewrite_at(nodes: Nodes, percentage: str) -> None:
    for node in await nodes.masters():
        with translated():
            await node.config_set(REWRITE, percentage)
