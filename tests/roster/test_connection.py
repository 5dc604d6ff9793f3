"""The clients against real servers: how long they wait, and what their failures become."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import redis
import redis.asyncio
import uvloop

from roster.errors import Unavailable, WrongKey
from roster.redis import connection
from roster.redis.nodes import Nodes, open_nodes
from roster.redis.target import parse_target
from tests.servers import Server, eventually, free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from roster.redis.slots import Address
    from roster.redis.target import Target

TIMEOUT_MS = 50
SLACK_MS = 150  # for a machine that other tests keep busy; ten retries would take seconds


@asynccontextmanager
async def closing(client: redis.asyncio.Redis) -> AsyncIterator[Any]:
    try:
        yield client
    finally:
        await client.aclose()


async def fails_after_ms(client: redis.asyncio.Redis) -> float:
    started = time.perf_counter()
    with pytest.raises(Unavailable), connection.translated():
        await client.get("k")
    return (time.perf_counter() - started) * 1000


async def test_a_check_waits_for_a_stopped_server_once(make_server: Callable[..., Server]) -> None:
    server = make_server()
    async with closing(connection.check_client(parse_target(server.url), TIMEOUT_MS)) as client:
        await client.set("k", "v")
        server.pause()
        warm_ms = await fails_after_ms(client)
        cold_ms = await fails_after_ms(client)
        server.resume()
        assert await client.get("k") == b"v"
    assert TIMEOUT_MS * 0.9 <= warm_ms <= TIMEOUT_MS + SLACK_MS
    assert TIMEOUT_MS * 0.9 <= cold_ms <= TIMEOUT_MS + SLACK_MS


async def test_a_check_on_a_dead_server_fails_at_once(make_server: Callable[..., Server]) -> None:
    server = make_server()
    async with closing(connection.check_client(parse_target(server.url), TIMEOUT_MS)) as client:
        await client.set("k", "v")
        server.kill()
        assert await fails_after_ms(client) <= SLACK_MS
        server.start()
        assert await client.get("k") == b"v"


async def test_a_doorbell_may_be_silent_for_longer_than_the_timeout(
    valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "FOLLOW_TIMEOUT_S", 0.05)
    target = parse_target(valkey.url)
    async with (
        closing(connection.follow_client(target)) as client,
        client.pubsub(ignore_subscribe_messages=True) as doorbell,
    ):
        await doorbell.subscribe("bell")
        assert await doorbell.get_message(timeout=0.2) is None
        await client.publish("bell", b"7")
        message = await doorbell.get_message(timeout=1)
    assert message["data"] == b"7"


async def test_a_change_outwaits_a_sync_every_second(make_server: Callable[..., Server]) -> None:
    server = make_server({"appendfsync": "everysec"})
    async with (
        closing(connection.change_client(parse_target(server.url))) as client,
        client.pipeline(transaction=False) as pipeline,
    ):
        pipeline.set("k", "v")
        pipeline.execute_command("WAITAOF", 1, 0, 4000)
        _, (local, _) = await pipeline.execute()
    assert local == 1


REFUSALS = [
    *("LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "NOREPLICAS", "TRYAGAIN", "OOM"),
    *("MISCONF", "BUSY", "UNBLOCKED", "NOAUTH", "WRONGPASS", "NOPERM"),
]
REPLY = "return redis.error_reply(ARGV[1] .. ' 11010519491231002X')"


@pytest.mark.parametrize("code", REFUSALS)
def test_a_servers_refusal_is_unavailable(any_server: Server, code: str) -> None:
    with (
        any_server.client() as client,
        pytest.raises(Unavailable) as caught,
        connection.translated(),
    ):
        client.eval(REPLY, 0, code)
    assert str(caught.value) == f"Redis refused: {code}"
    assert isinstance(caught.value.__cause__, redis.RedisError)


@pytest.mark.parametrize("pipelined", [False, True])
def test_a_wrong_key_is_told_apart(any_server: Server, pipelined: bool) -> None:
    with any_server.client() as client:
        pipeline = client.pipeline(transaction=False)
        pipeline.eval(REPLY, 0, "WRONGKEY")
        ask = pipeline.execute if pipelined else partial(client.eval, REPLY, 0, "WRONGKEY")
        with pytest.raises(WrongKey) as caught, connection.translated():
            ask()
    assert "1101" not in str(caught.value)


def test_a_refusal_among_a_pipelines_results_is_translated(valkey: Server) -> None:
    with valkey.client() as client:
        pipeline = client.pipeline(transaction=False)
        pipeline.eval(REPLY, 0, "NOREPLICAS")
        (result,) = pipeline.execute(raise_on_error=False)
    assert isinstance(connection.translate(result), Unavailable)


def test_a_function_that_another_version_replaced_is_a_refusal(valkey: Server) -> None:
    with (
        valkey.client() as client,
        pytest.raises(Unavailable),
        connection.translated(),
    ):
        client.fcall("gone_1", 0)


def test_a_mistake_of_ours_passes_unchanged(valkey: Server) -> None:
    with (
        valkey.client() as client,
        pytest.raises(redis.ResponseError, match="unknown command"),
        connection.translated(),
    ):
        client.execute_command("NONSENSE")


def cluster_of_one(make_server: Callable[..., Server]) -> tuple[Server, str]:
    port = free_port()
    settings = {"port": str(port), "cluster-enabled": "yes", "cluster-port": str(free_port())}
    server = make_server(settings)
    with server.client() as client:
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        eventually(lambda: client.execute_command("CLUSTER INFO")["cluster_state"] == "ok")
    return server, f"redis+cluster://127.0.0.1:{port}"


@asynccontextmanager
async def found(url: str) -> AsyncIterator[Nodes]:
    def client(target: Target, at: Address | None) -> redis.asyncio.Redis:
        return connection.check_client(target, TIMEOUT_MS, at)

    nodes = open_nodes(parse_target(url), client)
    try:
        yield nodes
    finally:
        await nodes.close()


async def get(nodes: Nodes) -> bytes:
    (value,) = await nodes.keyed("k", [("GET", "k")])
    return bytes(value)


async def nodes_fail_after_ms(nodes: Nodes) -> float:
    started = time.perf_counter()
    with pytest.raises(Unavailable) as caught:
        await get(nodes)
    assert "127.0.0.1:" in caught.value.cause
    return (time.perf_counter() - started) * 1000


async def test_a_cluster_answers_and_its_silence_is_short(
    make_server: Callable[..., Server],
) -> None:
    server, url = cluster_of_one(make_server)
    async with found(url) as nodes:
        await nodes.keyed("k", [("SET", "k", "v")])
        server.pause()
        waited_ms = [await nodes_fail_after_ms(nodes) for _ in range(2)]
        server.resume()
        assert await get(nodes) == b"v"
    assert all(TIMEOUT_MS * 0.9 <= ms <= TIMEOUT_MS + SLACK_MS for ms in waited_ms)


async def test_sentinel_names_the_primary_and_its_silence_is_short(
    make_server: Callable[..., Server], valkey_binary: str, short_folder: Path
) -> None:
    port, sentinel_port = free_port(), free_port()
    server = make_server({"port": str(port)})
    binary = short_folder / "valkey-sentinel"  # the name makes it one
    binary.symlink_to(valkey_binary)
    monitor = {f"sentinel monitor roster 127.0.0.1 {port}": "1"}
    make_server({"port": str(sentinel_port), **monitor}, binary=str(binary))
    async with found(f"redis+sentinel://127.0.0.1:{sentinel_port}/roster") as nodes:
        await nodes.keyed("k", [("SET", "k", "v")])
        server.pause()
        waited_ms = [await nodes_fail_after_ms(nodes) for _ in range(2)]
    assert all(TIMEOUT_MS * 0.9 <= ms <= TIMEOUT_MS + SLACK_MS for ms in waited_ms)


async def test_a_cluster_that_is_not_there_is_unavailable_and_it_is_said_where() -> None:
    port = free_port()
    async with found(f"redis+cluster://127.0.0.1:{port}") as nodes:
        with pytest.raises(Unavailable) as caught:
            await get(nodes)
    assert caught.value.cause == f"127.0.0.1:{port}: Connection refused"


def test_a_connection_that_is_cut_while_it_is_written_to_is_redis_that_is_not_reached(
    valkey: Server,
) -> None:
    async def written() -> None:
        link = connection.check_client(parse_target(valkey.url), 1_000)
        pool: Any = link.connection_pool
        made = await pool.get_connection()
        made._writer.transport.abort()
        await asyncio.sleep(0)
        try:
            with pytest.raises(Unavailable), connection.translated():
                await made.send_packed_command([b"PING\r\n"])
            with pytest.raises(RuntimeError), connection.translated():
                raise RuntimeError("another one")
        finally:
            await link.aclose()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(written())
