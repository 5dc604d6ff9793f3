from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
import redis.asyncio
import redis.exceptions

from roster.records.change import LARGEST_CALL, Change, together
from roster.records.entry import Op, Outcome, State
from roster.redis.calls import Wait
from roster.redis.nodes import Nodes
from roster.storage.histories import histories
from roster.storage.snapshots import Bucket, MergeOptions, Snapshot, SnapshotMerge
from roster.storage.store import Store

if TYPE_CHECKING:
    from tests.servers import Server

CHECK = b"checkval"
WAIT = Wait(aof=False, replicas=0, timeout_ms=1_000)
LIST = 1


def change(partition: int, op: Op, revision: int, person: int = 1) -> Change:
    token = bytes((0, partition, 0, 0)) + bytes((person,)) * 12
    lenient = op is Op.REMOVE
    return Change(token, LIST, op, revision, b"entry1", b"content", lenient=lenient)


def opened(valkey: Server) -> Store:
    client = redis.asyncio.Redis(unix_socket_path=str(valkey.socket), protocol=2)
    return Store(Nodes(client, lambda _host, _port: client), CHECK)


def test_the_changes_of_a_partition_share_a_call_and_keep_their_order() -> None:
    changes = [change(number % 3, Op.PUT, number + 1) for number in range(9)]
    assert [[*group] for group in together(changes)] == [[0, 3, 6], [1, 4, 7], [2, 5, 8]]


def test_what_must_not_wait_for_memory_shares_no_call_with_what_has_to() -> None:
    ops = [Op.PUT, Op.REMOVE, Op.REMOVE, Op.PUT]
    changes = [change(3, op, number + 1) for number, op in enumerate(ops)]
    assert [[*group] for group in together(changes)] == [[0], [1, 2], [3]]


def test_a_call_is_never_so_large_that_checks_wait_for_it() -> None:
    changes = [change(3, Op.PUT, number + 1) for number in range(LARGEST_CALL * 2 + 1)]
    assert [len(group) for group in together(changes)] == [LARGEST_CALL, LARGEST_CALL, 1]


async def test_the_changes_of_one_request_see_each_other(valkey: Server) -> None:
    store = opened(valkey)
    ops = [Op.PUT, Op.SUSPEND, Op.RESUME, Op.REMOVE, Op.REMOVE, Op.PUT]
    changes = [change(3, op, number + 10) for number, op in enumerate(ops)]
    changes[4] = changes[3]
    applied = await store.apply(changes, WAIT)
    states = [State.ACTIVE, State.SUSPENDED, State.ACTIVE, State.REMOVED, State.REMOVED]
    assert [one.state for one in applied] == [*states, State.ACTIVE]
    assert [one.was for one in applied] == [State.UNKNOWN, *states]
    assert [one.outcome is Outcome.DUPLICATE for one in applied] == [False] * 4 + [True, False]
    assert [one.position.seq for one in applied] == [1, 2, 3, 4, 4, 5]
    assert len((await histories(store, [changes[0].token]))[0]) == 5
    await store.nodes.close()


async def test_a_call_that_fails_has_written_nothing(valkey: Server) -> None:
    store = opened(valkey)
    await store.apply([change(3, Op.PUT, 10)], WAIT)
    with valkey.client() as client:
        before = client.hgetall("clearway:{03}:meta")
        client.set("clearway:{03}:b:0001", "no hash")
        last = msgspec.structs.replace(change(3, Op.PUT, 20), token=b"\0\3\0\1" + bytes(12))
        with pytest.raises(redis.exceptions.ResponseError):
            await store.apply([change(3, Op.PUT, 20), change(3, Op.PUT, 20, 2), last], WAIT)
        assert client.hgetall("clearway:{03}:meta") == before
        assert client.xlen("clearway:{03}:log") == 1
    await store.nodes.close()


async def test_a_late_put_brings_nobody_back_whom_an_older_file_had_ended(valkey: Server) -> None:
    store = opened(valkey)
    await store.apply([change(3, Op.PUT, 10)], WAIT)
    for as_of in (20, 40):
        merging = SnapshotMerge(store, Snapshot(bytes((LIST,)), as_of, "n", 1_000))
        await merging.begin([3])
        await merging.merge(3, [Bucket(0, b"", b"")], MergeOptions(upto=1))
    (late,) = await store.apply([change(3, Op.PUT, 30)], WAIT)
    assert (late.outcome, late.state) == (Outcome.SUPERSEDED, State.ABSENT)
    (newer,) = await store.apply([change(3, Op.PUT, 41)], WAIT)
    assert (newer.outcome, newer.state) == (Outcome.APPLIED, State.ACTIVE)
    await store.nodes.close()


async def test_a_floor_holds_where_the_second_of_two_merge_calls_came_first(
    valkey: Server,
) -> None:
    store = opened(valkey)
    merging = SnapshotMerge(store, Snapshot(bytes((LIST,)), 100, "n", 1_000))
    await merging.begin([3])
    for number in (100, 0):
        await merging.merge(3, [Bucket(number, b"", b"")], MergeOptions(upto=number + 1))
    (late,) = await store.apply([change(3, Op.PUT, 50)], WAIT)
    assert (late.outcome, late.state) == (Outcome.SUPERSEDED, State.ABSENT)
    token = bytes((0, 3, 0, 100)) + bytes(12)
    (late,) = await store.apply([msgspec.structs.replace(change(3, Op.PUT, 50), token=token)], WAIT)
    assert (late.outcome, late.state) == (Outcome.SUPERSEDED, State.ABSENT)
    await store.nodes.close()
