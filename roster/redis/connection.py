"""The clients of a server, each with the time-outs of its job, and what its errors mean."""

from __future__ import annotations

import asyncio
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import redis.asyncio
import redis.exceptions
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from roster.errors import ClearwayError, SettingsError, Unavailable, WrongKey
from roster.redis.logins import login, refused
from roster.redis.reasons import CLOSED, TIMEOUT, reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from roster.redis.slots import Address
    from roster.redis.target import Target

ASK_TIMEOUT_S = 1.0
FOLLOW_TIMEOUT_S = 2.0
CHANGE_TIMEOUT_S = 5.0
"""WAITAOF takes up to a second where the server syncs `everysec`."""
BULK_TIMEOUT_S = 60.0
CONNECT_TIMEOUT_S = 2.0
PATIENCE_S = 8.0
"""The least and the most that connecting may take; a busy server greets nobody."""
_CUT = "the handler is closed"
"""What uvloop says of a connection that was cut while somebody wrote to it."""
MAX_CONNECTIONS = 4_096
"""redis-py's 100 would refuse the 101st change that waits for the disk."""

SILENCE_MS = 1_500
"""How long the kernel waits for a host that acknowledges nothing; it looks once a second, so
that a connection that was cut without a word has ended within 2 s."""
BULK_SILENCE_MS = 10_000
"""A host whose server has no room to read counts as silent too, and much is sent at once."""

_PLAIN_ERROR = "ERR"
_NO_FUNCTION = "Function not found"
_ELSEWHERE = frozenset({"MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN"})
_REFUSALS = frozenset(
    {
        *("LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "NOREPLICAS", "TRYAGAIN"),
        *("MOVED", "ASK", "OOM", "MISCONF", "BUSY", "UNBLOCKED", "NOGOODSLAVE", "DENIED"),
    }
)
"""Error codes that say that this server will not do it now, or not for us."""


def check_client(target: Target, timeout_ms: int, at: Address | None = None) -> redis.asyncio.Redis:
    """A client for checks: it fails within `timeout_ms` of silence, and never tries again.

    redis-py's default of ten retries makes 50 ms into 4.2 s on a stopped server (measured).
    `at` is which server, where the target is not one itself.
    """
    return _client(target, timeout_ms / 1000, at)


def follow_client(target: Target, at: Address | None = None) -> redis.asyncio.Redis:
    """A client for the follower's polls and its doorbell (pub/sub)."""
    return _client(target, FOLLOW_TIMEOUT_S, at)


def change_client(target: Target, at: Address | None = None) -> redis.asyncio.Redis:
    """A client for changes: it outwaits WAITAOF and WAIT; asking again is the caller's choice."""
    return _client(target, CHANGE_TIMEOUT_S, at)


def bulk_client(target: Target, at: Address | None = None) -> redis.asyncio.Redis:
    """A client for whole files: one call may merge many buckets."""
    return _client(target, BULK_TIMEOUT_S, at, BULK_SILENCE_MS)


def ask_client(target: Target, at: Address | None = None) -> redis.asyncio.Redis:
    """A client to ask one server what it is."""
    return _client(target, ASK_TIMEOUT_S, at)


def sentinel_client(target: Target, at: Address) -> redis.asyncio.Redis:
    """A client of one sentinel."""
    own = msgspec.structs.replace(
        target,
        db=0,
        username=target.sentinel_username,
        password=target.sentinel_password,
        password_file=target.sentinel_password_file,
    )
    return ask_client(own, at)


@contextmanager
def translated(node: redis.asyncio.Redis | None = None) -> Iterator[None]:
    """Raise foreign errors within as Unavailable or WrongKey, `from` the original.

    With a node, the cause of an Unavailable names it.
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
        if node is not None and isinstance(error, Unavailable):
            error.cause = f"{where(node)}: {error.cause}"
        raise error from exc
    except RuntimeError as exc:
        if _CUT not in str(exc):
            raise
        raise Unavailable("Redis cannot be reached", code=CLOSED) from exc


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
    if denied := refused(code, str(exc)):
        return denied
    if code in _REFUSALS:
        return Unavailable(f"Redis refused: {code}", f"it said {code}", code)
    return _of_text(str(exc)) or _of_silence(exc)


def _of_text(text: str) -> ClearwayError | None:
    """Our error for what a server only says in words."""
    if _NO_FUNCTION in text:
        return Unavailable("another version of the service has changed the functions")
    if "DB index is out of range" in text:
        return SettingsError("CLEARWAY_REDIS_URL names a database that its server does not have")
    return None


def _of_silence(exc: Exception) -> Unavailable | None:
    """Our error where no answer has come at all."""
    if isinstance(exc, (redis.exceptions.TimeoutError, TimeoutError)):
        return Unavailable("Redis did not answer in time", "no answer in time", TIMEOUT)
    if isinstance(exc, _UNREACHABLE):
        return Unavailable("Redis cannot be reached", *reason(exc))
    return None


def where(node: redis.asyncio.Redis) -> str:
    """The address of a client's server, as it is told to operators."""
    given = node.connection_pool.connection_kwargs
    return given.get("path") or f"{given['host']}:{given['port']}"


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


def error_label(exc: Exception) -> str:
    """What an error is counted as: a code, and nothing else that a server may say."""
    if isinstance(exc, Unavailable):
        return exc.code or _PLAIN_ERROR
    code = "NOFUNCTION" if function_missing(exc) else error_code(exc)
    return code if code.isupper() and code.isalpha() else _PLAIN_ERROR


def sent_on(reply: object) -> bool:
    """Whether a node of a cluster says that another is to be asked, or the same one later."""
    return isinstance(reply, Exception) and error_code(reply) in _ELSEWHERE


def function_missing(reply: object) -> bool:
    """Whether a server does not have the function that was called."""
    return isinstance(reply, Exception) and _NO_FUNCTION in str(reply)


def raised(reply: Any) -> Any:  # noqa: ANN401 -- whatever Redis says
    """The reply, if it is none of an error: that is raised, as ours where one fits.

    A note on it is which server it came from.
    """
    if isinstance(reply, Exception):
        error = translate(reply)
        if error is None:
            raise reply
        if isinstance(error, Unavailable):
            error.cause = ": ".join([*getattr(reply, "__notes__", []), error.cause])
        raise error from reply
    return reply


def _client(
    target: Target, timeout_s: float, at: Address | None, silence_ms: int = SILENCE_MS
) -> redis.asyncio.Redis:
    """RESP 2 measures the same as 3 here, and opens a connection with fewer round trips."""
    tls: dict[str, Any] = {"ssl": True, **dict(target.tls_options)} if target.tls else {}
    return redis.asyncio.Redis(
        **_address(target, at),
        db=target.db,
        **login(target),
        socket_timeout=timeout_s,
        socket_connect_timeout=max(CONNECT_TIMEOUT_S, min(timeout_s, PATIENCE_S)),
        redis_connect_func=_greet,
        socket_keepalive=True,
        socket_keepalive_options=_keepalive(silence_ms),
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        driver_info=None,
        max_connections=MAX_CONNECTIONS,
        **tls,
    )


async def _greet(connection: Any) -> None:  # noqa: ANN401 -- redis-py's
    """Greet the server within the time that a connection may take which nobody waits for."""
    timeout_s = connection.socket_timeout
    connection.socket_timeout = connection.socket_connect_timeout
    try:
        await connection.on_connect()
    finally:
        connection.socket_timeout = timeout_s


def _keepalive(silence_ms: int) -> dict[int, int]:
    """What tells the kernel to look; not every system has every name (tcp(7))."""
    wanted = {
        "TCP_KEEPIDLE": 1,
        "TCP_KEEPINTVL": 1,
        "TCP_KEEPCNT": 1,
        "TCP_USER_TIMEOUT": silence_ms,
    }
    return {getattr(socket, name): value for name, value in wanted.items() if hasattr(socket, name)}


def _address(target: Target, at: Address | None) -> dict[str, Any]:
    if at is None and target.path:
        return {"unix_socket_path": target.path}
    host, port = at or target.addresses[0]
    return {"host": host, "port": port}
