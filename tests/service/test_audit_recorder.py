"""What is recorded is written once and whole, whatever Redis does; and nothing waits for it."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import pytest

from roster import keys
from roster.records.audited import EntriesRead, RecordsLost, written
from roster.records.blocks import AuditBlock, Chain, read
from roster.redis.calls import SLOTS
from roster.redis.nodes import Nodes
from roster.storage import audit as audit_storage
from roster.storage.audit import Sealed, write
from service.audit import recorder
from service.audit.recorder import Recorder
from tests.service.audited import entries
from tests.service.parts import client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from roster.redis.calls import Plain
    from tests.servers import Server

KEY = bytes(range(32))
COUNT = 1_000


@asynccontextmanager
async def recording(server: Server) -> AsyncIterator[Recorder]:
    link = client(server, 0.3)
    nodes = Nodes(link, lambda _host, _port: link)
    try:
        yield Recorder(Chain(secrets.token_hex(6), KEY), nodes, {})
    finally:
        await link.aclose()


def token(partition: int) -> bytes:
    return bytes((0, partition)) + bytes(14)


def fill(audit: Recorder, count: int = COUNT) -> None:
    for n in range(count):
        audit.note(EntriesRead(f"k{n}", "find", token(n % 64)), token(n % 64))


def blocks(server: Server) -> list[AuditBlock]:
    """Every block that is there, by number."""
    found = [read(data, KEY, int(key[10:12])) for key, _, data in entries(server)]
    return sorted(found, key=lambda block: block.number)


def keys_in(found: list[AuditBlock]) -> list[str]:
    told = [record for block in found for _, record in block.records()]
    return [record.key for record in told if isinstance(record, EntriesRead)]


def assert_chained(found: list[AuditBlock]) -> None:
    assert [block.number for block in found] == list(range(len(found)))
    for before, block in itertools.pairwise(found):
        assert (block.before, block.before_partition) == (before.tag, before.partition)


async def test_what_waited_while_redis_was_away_is_there_once(
    make_server: Callable[..., Server],
) -> None:
    server = make_server({})
    async with recording(server) as audit:
        fill(audit, 100)
        await audit.flush()
        server.kill()
        fill(audit)
        for _ in range(3):
            await audit.flush()
        assert (audit.waiting, audit.failing, audit.lost) == (COUNT, True, 0)
        assert audit.head.blocks == len(set(range(64)))
        server.start()
        await audit.flush()
        assert (audit.waiting, audit.failing, audit.records) == (0, False, COUNT + 100)
        found = blocks(server)
    assert_chained(found)
    assert sorted(keys_in(found)) == sorted(
        [f"k{n}" for n in range(COUNT)] + [f"k{n}" for n in range(100)]
    )


async def test_a_block_of_which_nobody_knows_whether_it_was_written_is_there_once(
    any_server: Server,
) -> None:
    async with recording(any_server) as audit:
        fill(audit, 3)
        await audit.flush()
        ((_, _, data), *others) = entries(any_server)
        partition, at_ms = read(data, KEY, 0).partition, read(data, KEY, 0).at_ms
        again = Sealed(partition, data, at_ms, tried=True)
        for _ in range(2):
            assert await write(audit._nodes, [again]) == []
        assert sorted(data for _, _, data in entries(any_server)) == sorted(
            [data, *(each for _, _, each in others)]
        )


@pytest.mark.parametrize(("step", "steps"), [(250, 8), (2, 50), (2, 3)])
async def test_the_copy_is_found_among_other_blocks(
    step: int, steps: int, make_server: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_storage, "_STEP", step)
    monkeypatch.setattr(audit_storage, "_STEPS", steps)
    server = make_server({})
    async with recording(server) as audit:
        chain = Chain(secrets.token_hex(6), KEY)
        data = chain.seal(0, [written(0, EntriesRead("k", "find", token(0)))], 0)
        for at in (0, 3, 19):
            with server.client() as redis:
                redis.delete(keys.AUDIT[0])
                for each in range(20):
                    redis.xadd(keys.AUDIT[0], {"b": data if each == at else b"another block"})
            assert await write(audit._nodes, [Sealed(0, data, 0, tried=True)]) == []
            assert [each for _, _, each in entries(server)].count(data) == 1
            assert len(entries(server)) == 20


async def test_only_what_may_have_been_sent_counts_as_tried(
    make_server: Callable[..., Server],
) -> None:
    server = make_server({})
    async with recording(server) as audit:
        block = Sealed(0, Chain(secrets.token_hex(6), KEY).seal(0, [], 0), 0)
        with server.client() as redis:
            redis.config_set("maxmemory", "1")
            assert await write(audit._nodes, [block]) == [block]
            redis.config_set("maxmemory", "0")
        server.kill()
        again = block._replace(tried=True)
        assert await write(audit._nodes, [again]) == [again]
        for _ in range(2):  # the first may find that a connection has broken off
            (left,) = await write(audit._nodes, [block])
        assert left == block


async def test_what_is_above_the_bound_is_dropped_counted_and_told_of(
    make_server: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "HELD_MAX", 200)
    server = make_server({})
    async with recording(server) as audit:
        server.kill()
        for _ in range(4):
            fill(audit, 150)
            await audit.flush()
            assert audit.waiting <= 200
        lost = audit.lost
        assert lost == 400
        server.start()
        await audit.flush()
        found = blocks(server)
    assert_chained(found)
    told = [each for block in found for _, each in block.records() if isinstance(each, RecordsLost)]
    assert [each.records for each in told] == [lost]
    assert len(keys_in(found)) == 600 - lost


async def test_the_head_is_that_of_the_last_block_that_was_written(any_server: Server) -> None:
    async with recording(any_server) as audit:
        assert audit.head.blocks == 0
        fill(audit, 5)
        await audit.flush()
        last = blocks(any_server)[-1]
        assert (audit.head.blocks, audit.head.tag) == (last.number + 1, last.tag.hex())
        await audit.close()
        *_, closing = blocks(any_server)
        assert closing.closes
        assert audit.head.tag == closing.tag.hex()


async def test_a_process_that_had_nothing_to_say_leaves_nothing(any_server: Server) -> None:
    async with recording(any_server) as audit:
        await audit.flush()
        await audit.close()
        assert entries(any_server) == []


class Servers:
    """So many servers, the last of which says nothing until it is told to."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.silence = asyncio.Event()
        self.written: list[int] = []

    def server(self, slot: int) -> int:
        return SLOTS.index(slot) % self.count

    async def attempt(self, calls: Sequence[Plain]) -> list[Any]:
        partitions = [keys.AUDIT.index(call.key) for call in calls]
        if self.count > 1 and partitions[0] % self.count == self.count - 1:
            await self.silence.wait()
        self.written += partitions
        return [b"1-0"] * len(calls)


async def test_a_silent_server_keeps_the_others_from_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recorder, "PATIENCE_S", 0.01)
    servers = Servers(2)
    audit = Recorder(Chain(secrets.token_hex(6), KEY), cast("Nodes", servers), {})
    async with asyncio.timeout(20):
        for at in range(1, 4):
            fill(audit, 64)
            while audit.records < 32 * at:
                await audit.tick()
            assert (audit.records, audit.waiting) == (32 * at, 32 * at)
        assert not any(partition % 2 for partition in servers.written)
        assert audit.head.blocks == 0
        servers.silence.set()
        await audit.flush()
    assert (audit.waiting, audit.lost, audit.failing) == (0, 0, False)
    assert audit.head.blocks == audit._chain.head.blocks
    assert len(servers.written) == audit.head.blocks


async def test_every_partition_has_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "AT_ONCE", 1)
    monkeypatch.setattr(recorder, "SEALED_AT_ONCE", 1)
    servers = Servers(1)
    audit = Recorder(Chain(secrets.token_hex(6), KEY), cast("Nodes", servers), {})
    fill(audit, 2 * 64)
    await audit.flush()
    assert servers.written == [*range(64), *range(64)]
