"""How the embedded server is set while it runs, and while a load does: how long its log grows."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, cast

import redis
from redis.exceptions import ResponseError

from roster import keys
from roster.embedded.server_files import REWRITE, REWRITE_USUALLY
from roster.redis.connection import translated
from roster.storage.lease import held

if TYPE_CHECKING:
    from roster.redis.nodes import Nodes

    Client = redis.Redis


_QUIET_BYTES = 1 << 20
"""What the log grows by between two looks while little is written."""
_REWRITE_QUIET_BYTES = 64 << 20
_NEVER, _UNDER_WAY = "0", "already in progress"


def put_right(client: Client) -> None:
    """Set what older loads have changed as it was, but for what one under way needs."""
    client.config_set("appendfsync", "always")
    if not _loading(client):
        client.config_set(REWRITE, REWRITE_USUALLY)


def rewrite_if_quiet(client: Client, size_before: int) -> int:
    """The log's size; it is being rewritten, if it has doubled and little is written just now."""
    persistence = client.info("persistence")
    size = int(persistence["aof_current_size"])
    grown = size - size_before
    due = size > max(_REWRITE_QUIET_BYTES, 2 * int(persistence["aof_base_size"]))
    calm = 0 <= grown < _QUIET_BYTES and not persistence["aof_rewrite_in_progress"]
    # After a failure it is the server's own affair: it tries again, less and less.
    calm = calm and persistence["aof_last_bgrewrite_status"] == "ok"
    if due and calm and not _loading(client):
        with suppress(redis.ResponseError):  # another process was first
            client.bgrewriteaof()
    return size


def _loading(client: Client) -> bool:
    return held(cast("bytes | None", client.get(keys.LOAD)))


async def suspend_log_rewrites(nodes: Nodes) -> None:
    """Let the embedded server's log grow until `resume_log_rewrites`."""
    await _rewrite_at(nodes, _NEVER)


async def resume_log_rewrites(nodes: Nodes) -> None:
    """Set the embedded server as before, and have its log rewritten: it starts faster then.

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
