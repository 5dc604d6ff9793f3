"""The clients of one server, of Sentinel and of a cluster, each with the time-outs of its job."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import redis.asyncio
import redis.asyncio.cluster
import redis.asyncio.retry
import redis.asyncio.sentinel
import redis.cluster
import redis.exceptions
import redis.retry
import redis.sentinel
from redis.backoff import NoBackoff

from roster.errors import ClearwayError, Unavailable, WrongKey

if TYPE_CHECKING:
    from collections.abc import Iterator

    from roster.target import Target

AsyncClient: TypeAlias = "redis.asyncio.Redis | redis.asyncio.cluster.RedisCluster"
SyncClient: TypeAlias = "redis.Redis | redis.cluster.RedisCluster"

FOLLOW_TIMEOUT_S = 2.0
CHANGE_TIMEOUT_S = 5.0
"""WAITAOF takes up to a second where the server syncs `everysec` (LIBRARIES.md)."""
BULK_TIMEOUT_S = 60.0
MAX_CONNECTIONS = 4_096
"""redis-py's 100 would refuse the 101st change that waits for the disk."""

_REFUSALS = frozenset(
    {
        *("LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "NOREPLICAS", "TRYAGAIN"),
        *("MOVED", "ASK", "OOM", "MISCONF", "BUSY", "UNBLOCKED", "NOGOODSLAVE"),
        *("NOAUTH", "WRONGPASS", "NOPERM"),
    }
)
"""Error codes that say that this server will not do it now, or not for us."""


def check_client(target: Target, timeout_ms: int) -> AsyncClient:
    """A client for checks: it fails within `timeout_ms` of silence, and never tries again.

    redis-py's default of ten retries makes 50 ms into 4.2 s on a stopped server (STYLE.md).
    """
    return _async_client(target, timeout_ms / 1000)


def follow_client(target: Target) -> AsyncClient:
    """A client for the follower's polls and its doorbell (pub/sub)."""
    return _async_client(target, FOLLOW_TIMEOUT_S)


def change_client(target: Target) -> AsyncClient:
    """A client for changes: it outwaits WAITAOF and WAIT; asking again is the caller's choice."""
    return _async_client(target, CHANGE_TIMEOUT_S)


def bulk_client(target: Target) -> AsyncClient:
    """A client for whole files: one call may merge many buckets."""
    return _async_client(target, BULK_TIMEOUT_S)


def sync_client(target: Target) -> SyncClient:
    """A blocking client for whole files; raises Unavailable where a cluster cannot be reached."""
    options = _options(target, BULK_TIMEOUT_S) | {"retry": redis.retry.Retry(NoBackoff(), 0)}
    if target.kind == "sentinel":
        own = _sentinel_options(target, options)
        sentinel: Any = redis.sentinel.Sentinel(target.addresses, sentinel_kwargs=own)  # type: ignore[no-untyped-call]
        master: redis.Redis = sentinel.master_for(target.service, **options)
        return master
    if target.kind == "server":
        return redis.Redis(**_address(target), **options)
    nodes = [redis.cluster.ClusterNode(*address) for address in target.addresses]  # type: ignore[no-untyped-call]
    with translated():  # the only client that connects when it is made
        return redis.cluster.RedisCluster(startup_nodes=nodes, **_cluster_options(options))


async def close(client: AsyncClient) -> None:
    """Nothing; the client's connections are closed, also those to the sentinels."""
    await client.aclose()
    if isinstance(client, redis.asyncio.Redis):
        sentinel = getattr(client.connection_pool, "sentinel_manager", None)
        if sentinel is not None:
            await sentinel.aclose()


@contextmanager
def translated() -> Iterator[None]:
    """Nothing; foreign errors within come out as Unavailable or WrongKey, `from` the original.

    What is no fault of the connection (a wrong command, a missing function) passes unchanged.
    A task that was cancelled meanwhile ends here at the latest: redis-py sends within
    `asyncio.wait_for`, which on Python 3.11 swallows a cancellation that comes just as the
    sending is done.
    """
    cancellations = _cancellations()
    try:
        yield
        if _cancellations() > cancellations:
            raise asyncio.CancelledError
    except (redis.exceptions.RedisError, redis.exceptions.RedisClusterException, OSError) as exc:
        error = translate(exc)
        if error is None:
            raise
        raise error from exc


def _cancellations() -> int:
    """How often the running task was told to end; 0 where none runs."""
    try:
        task = asyncio.current_task()
    except RuntimeError:  # a blocking client, without a loop
        return 0
    return task.cancelling() if task else 0


def translate(exc: Exception) -> ClearwayError | None:
    """Our error for a foreign one, also for one found in a pipeline's results; None if none fits.

    The message never repeats the foreign text: redis-py puts a pipeline's arguments there.
    """
    code = error_code(exc)
    if code == "WRONGKEY":
        return WrongKey("the roster was loaded with another ID key or another scheme")
    if code in _REFUSALS:
        return Unavailable(f"Redis refused: {code}")
    if "Function not found" in str(exc):
        return Unavailable("another version of the service has changed the functions")
    if isinstance(exc, (redis.exceptions.TimeoutError, TimeoutError)):
        return Unavailable("Redis did not answer in time")
    if isinstance(exc, _UNREACHABLE):
        return Unavailable("Redis cannot be reached")
    return None


_UNREACHABLE = (
    redis.exceptions.ConnectionError,
    redis.exceptions.ClusterError,
    redis.exceptions.RedisClusterException,
    redis.exceptions.InvalidResponse,
    OSError,
)


def error_code(exc: Exception) -> str:
    """The first word of a server's error reply (`WRONGKEY`, `LOADING`); empty if it is none.

    redis-py takes some codes off the text, and puts "Command # 1 (…) of pipeline caused
    error: " before it.
    """
    status = getattr(exc, "status_code", None)
    if status and status != "ERR":
        return str(status)
    if not isinstance(exc, redis.exceptions.ResponseError):
        return ""
    text = str(exc).rpartition("caused error: ")[2]
    return text.partition(" ")[0]


def _async_client(target: Target, timeout_s: float) -> AsyncClient:
    options = _options(target, timeout_s) | {"retry": redis.asyncio.retry.Retry(NoBackoff(), 0)}
    if target.kind == "sentinel":
        own = _sentinel_options(target, options)
        sentinel: Any = redis.asyncio.sentinel.Sentinel(target.addresses, sentinel_kwargs=own)  # type: ignore[no-untyped-call]
        master: redis.asyncio.Redis = sentinel.master_for(target.service, **options)
        return master
    if target.kind == "server":
        return redis.asyncio.Redis(**_address(target), **options)
    nodes = [redis.asyncio.cluster.ClusterNode(host, port) for host, port in target.addresses]
    return redis.asyncio.cluster.RedisCluster(startup_nodes=nodes, **_cluster_options(options))


def _options(target: Target, timeout_s: float) -> dict[str, Any]:
    """RESP 2 measures the same as 3 here, and opens a connection with fewer round trips."""
    return {
        "db": target.db,
        "username": target.username,
        "password": target.password,
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "protocol": 2,
        "driver_info": None,
        "max_connections": MAX_CONNECTIONS,
        **({"ssl": True, **dict(target.tls_options)} if target.tls else {}),
    }


def _sentinel_options(target: Target, options: dict[str, Any]) -> dict[str, Any]:
    """Without these the sentinels would be asked with redis-py's own ten retries."""
    own = {"db": 0, "username": target.sentinel_username, "password": target.sentinel_password}
    return options | own


def _cluster_options(options: dict[str, Any]) -> dict[str, Any]:
    """A lost slot costs its own partitions only, and the URL's nodes stay the way back in."""
    own = {"require_full_coverage": False, "dynamic_startup_nodes": False}
    return {name: value for name, value in options.items() if name != "db"} | own


def _address(target: Target) -> dict[str, Any]:
    if target.path:
        return {"unix_socket_path": target.path}
    ((host, port),) = target.addresses
    return {"host": host, "port": port}
