"""Whoever changes what is recorded, takes something out or puts something in, is found out."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from roster import keys
from roster.records.audited import EntriesRead, written
from roster.records.blocks import Chain, read
from roster.times import format_ms
from service.audit.chains import BlockReply, Chains, HeadReply
from tests.service.audited import chains, entries, faults, pages
from tests.service.rosters import desk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.servers import Server
    from tests.service.rosters import Desk

ROUNDS, SPREAD = 6, 3
PROCESS = "0123456789ab"


@pytest.fixture(autouse=True)
def not_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.upkeep.AUDIT_EVERY_S", 3_600)


@asynccontextmanager
async def writing(valkey: Server, tmp_path: Path) -> AsyncIterator[Desk]:
    """A process that has written 18 blocks, six in each of three partitions."""
    async with desk(valkey, tmp_path) as found:
        for at in range(ROUNDS):
            for partition in range(SPREAD):
                token = bytes((0, partition)) + bytes(14)
                found.service.audit.note(EntriesRead(f"k{at}", "find", token), token)
            await found.service.audit.flush()
        yield found


def own(api: Desk, valkey: Server) -> list[tuple[str, bytes, bytes]]:
    """The blocks of the process: in each partition in their order."""
    process = bytes.fromhex(api.service.audit.process)
    return [each for each in entries(valkey) if each[2][1:7] == process]


def head(api: Desk) -> HeadReply:
    audit = api.service.audit
    return HeadReply(audit.process, audit.head.blocks, audit.head.tag)


async def test_what_nobody_has_touched_is_whole(valkey: Server, tmp_path: Path) -> None:
    async with writing(valkey, tmp_path) as api:
        assert len(own(api, valkey)) == ROUNDS * SPREAD
        assert await faults(api.client, [head(api)]) == []
        told = {each.process: each for each in (await chains(api.client)).states()}
        mine = told[api.service.audit.process]
        assert mine.blocks == ROUNDS * SPREAD


async def test_a_block_that_was_sealed_anew_behind_another_one_is_found(
    valkey: Server, tmp_path: Path
) -> None:
    async with writing(valkey, tmp_path) as api:
        found = await pages(api.client, verify="true")
        blocks = msgspec.convert([b for page in found for b in page["blocks"]], list[BlockReply])
        following = Chains(found[0]["kept_from"], [head(api)])
        for block in blocks:
            forged = block.process == api.service.audit.process and block.number == 7
            following.add(msgspec.structs.replace(block, before="00" * 16) if forged else block)
        assert [each.what for each in following.faults()] == [
            "block 7 does not follow from the one before it"
        ]


async def test_a_byte_that_was_changed_is_found(valkey: Server, tmp_path: Path) -> None:
    async with writing(valkey, tmp_path) as api:
        key, identifier, data = own(api, valkey)[7]
        for at in (0, 12, 20, len(data) // 2, len(data) - 1):
            changed = data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]
            replace(valkey, key, identifier, changed)
            assert any("as it was sealed" in each for each in await faults(api.client))
        replace(valkey, key, identifier, data)


def replace(valkey: Server, key: str, identifier: bytes, data: bytes) -> None:
    """The stream, with other bytes in this entry."""
    with valkey.client() as redis:
        kept = [(each, fields[b"b"]) for each, fields in redis.xrange(key)]
        redis.delete(key)
        for each, found in kept:
            redis.xadd(key, {"b": data if each == identifier else found}, id=each)


def delete(redis: Any, blocks: list[tuple[str, bytes, bytes]]) -> None:  # noqa: ANN401 -- a client
    for key, identifier, _ in blocks:
        redis.xdel(key, identifier)


@pytest.mark.parametrize(
    ("taken", "told"),
    [
        (slice(7, 8), ["block 4 is missing: the last in partition 1"]),
        (slice(7, 9), ["block 4 is missing: the last in partition 1", "block 7 is missing"]),
        (slice(0, 1), ["block 0 is missing: the last in partition 0"]),
        (slice(0, 2), ["of partition 0 its blocks 0 to 1 are missing"]),
        (slice(2, 4), ["of partition 0 its blocks 2 to 3 are missing"]),
    ],
)
async def test_blocks_that_were_taken_out_are_named(
    taken: slice, told: list[str], valkey: Server, tmp_path: Path
) -> None:
    async with writing(valkey, tmp_path) as api:
        with valkey.client() as redis:
            delete(redis, own(api, valkey)[taken])
        found = await faults(api.client)
        for text in told:
            assert any(text in each for each in found), found


async def test_what_was_cut_off_at_the_end_is_found_by_the_head_that_was_published(
    valkey: Server, tmp_path: Path
) -> None:
    async with writing(valkey, tmp_path) as api:
        last = sorted(own(api, valkey), key=lambda each: each[2][7:11])[-4:]
        stated = head(api)
        with valkey.client() as redis:
            delete(redis, last)
        found = await faults(api.client, [stated])
        assert any(
            "blocks 14 to 17 are missing at the end: they were published" in f for f in found
        )


async def test_a_whole_chain_that_is_gone_is_found_by_its_head(
    valkey: Server, tmp_path: Path
) -> None:
    async with writing(valkey, tmp_path) as api:
        stated = head(api)
        with valkey.client() as redis:
            redis.delete(*keys.AUDIT)
        found = await faults(api.client, [stated])
        assert any("blocks 0 to 17 are missing at the end" in each for each in found)


async def test_blocks_in_another_order_are_found(valkey: Server, tmp_path: Path) -> None:
    async with writing(valkey, tmp_path) as api:
        first, second = own(api, valkey)[:2]
        swapped = {first[1]: second[2], second[1]: first[2]}
        for identifier, data in swapped.items():
            replace(valkey, first[0], identifier, data)
        assert any("lies behind a later one" in each for each in await faults(api.client))


async def test_a_block_in_another_partition_and_one_that_stands_twice_are_found(
    valkey: Server, tmp_path: Path
) -> None:
    async with writing(valkey, tmp_path) as api:
        data = own(api, valkey)[3][2]
        with valkey.client() as redis:
            redis.xadd(keys.AUDIT[9], {"b": data})
        assert any("moved from another partition" in each for each in await faults(api.client))
        with valkey.client() as redis:
            redis.delete(keys.AUDIT[9])
            redis.xadd(keys.AUDIT[0], {"b": data})
        assert any("more than once" in each for each in await faults(api.client))


async def test_a_block_that_somebody_without_the_key_has_made_is_found(
    valkey: Server, tmp_path: Path
) -> None:
    async with writing(valkey, tmp_path) as api:
        forged = Chain(api.service.audit.process, bytes(32))
        record = written(0, EntriesRead("k", "find", bytes(16)))
        for made in (forged.seal(0, [record], 2**40), b"", b"x" * 300):
            with valkey.client() as redis:
                identifier = redis.xadd(keys.AUDIT[0], {"b": made})
                assert any("as it was sealed" in each for each in await faults(api.client))
                redis.xdel(keys.AUDIT[0], identifier)
        assert await faults(api.client) == []


async def test_whoever_has_the_key_cannot_rewrite_what_was_published(
    valkey: Server, tmp_path: Path
) -> None:
    async with writing(valkey, tmp_path) as api:
        stated = head(api)
        written_anew = Chain(api.service.audit.process, api.service.audit.seal_key)
        with valkey.client() as redis:
            mine = own(api, valkey)
            delete(redis, mine)
            for at in range(ROUNDS):
                for partition in range(SPREAD):
                    record = written(0, EntriesRead(f"not k{at}", "find", bytes(16)))
                    data = written_anew.seal(partition, [record], _sealed_ms(mine))
                    redis.xadd(keys.AUDIT[partition], {"b": data})
        for published in ([], [stated]):
            found = await faults(api.client, published)
            assert any("is not the one that was published" in each for each in found)


def _sealed_ms(blocks: list[tuple[str, bytes, bytes]]) -> int:
    return int.from_bytes(blocks[-1][2][20:28])


async def test_a_process_that_ended_in_order_says_so_and_one_that_was_killed_does_not(
    valkey: Server, tmp_path: Path
) -> None:
    processes = []
    for _ in range(2):
        async with desk(valkey, tmp_path) as api:
            processes.append(api.service.audit.process)
            api.service.audit.note(EntriesRead("k", "find", bytes(16)), bytes(16))
    async with desk(valkey, tmp_path) as api:
        last = max(
            (each for each in entries(valkey) if each[2][1:7].hex() == processes[1]),
            key=lambda each: each[2][7:11],
        )
        with valkey.client() as redis:
            delete(redis, [last])
        found = await chains(api.client)
        assert found.faults() == []
        ends = {each.process: each.end for each in found.states()}
        assert ends[processes[0]] == "closed"
        assert ends[processes[1]].startswith("not closed: up to 1 s after ")


async def test_what_a_closed_process_lacks_at_the_end_is_named_by_partition(
    valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        process = api.service.audit.process
        for partition in (0, 5):
            token = bytes((0, partition)) + bytes(14)
            api.service.audit.note(EntriesRead("k", "find", token), token)
    async with desk(valkey, tmp_path) as api:
        mine = [each for each in entries(valkey) if each[2][1:7].hex() == process]
        with valkey.client() as redis:
            delete(redis, [each for each in mine if each[0] == keys.AUDIT[5]])
        found = await faults(api.client)
        assert any("of partition 5 its block 0 is missing" in each for each in found)


def replies(count: int) -> list[BlockReply]:
    """A chain in two partitions, a block a second."""
    chain = Chain(PROCESS, bytes(32))
    record = written(0, EntriesRead("k", "find", bytes(16)))
    found = []
    for number in range(count):
        block = read(chain.seal(number % 2, [record], 1_000 * number), bytes(32), number % 2)
        reply = BlockReply(
            partition=block.partition,
            written_at=format_ms(block.at_ms),
            process=block.process,
            number=block.number,
            seq=block.seq,
            at=format_ms(block.at_ms),
            before_partition=block.before_partition,
            before_at=format_ms(block.before_ms),
            before=block.before.hex(),
            tag=block.tag.hex(),
        )
        found.append(reply)
    return found


def wrong(blocks: list[BlockReply], kept_ms: int, *stated: HeadReply) -> list[str]:
    found = Chains(format_ms(kept_ms), [], stated)
    for block in blocks:
        found.add(block)
    return [each.what for each in found.faults()]


def test_what_the_retention_has_ended_is_no_fault() -> None:
    blocks = replies(10)
    for first in range(6):
        assert wrong(blocks[first:], kept_ms=5_000) == []
    assert wrong([], kept_ms=5_000) == []
    # What is younger than that has to be there.
    assert "blocks 0 to 5 are missing" in wrong(blocks[6:], kept_ms=5_000)[0]
    assert "block 8 is missing" in wrong([*blocks[6:8], blocks[9]], kept_ms=6_500)[0]


def test_a_head_that_was_published_before_the_retention_began_is_passed_over() -> None:
    blocks = replies(4)
    old, young = (HeadReply(PROCESS, 9, "00", format_ms(at)) for at in (1_000, 3_000))
    assert wrong(blocks, 2_000, old) == []
    assert "missing at the end" in wrong(blocks, 2_000, young)[0]


def test_the_head_of_an_idle_process_ends_with_the_retention() -> None:
    blocks = replies(4)
    for at_ms, count in ((3_000, 1), (1_000, 0)):
        live = HeadReply(PROCESS, 4, blocks[-1].tag, format_ms(at_ms))
        assert len(Chains(format_ms(2_000), [live]).faults()) == count
    whole = Chains(format_ms(2_000), [HeadReply(PROCESS, 4, blocks[-1].tag, format_ms(3_000))])
    for block in blocks[2:]:
        whole.add(block)
    assert whole.faults() == []


def test_what_a_process_that_runs_has_still_to_write_is_no_fault() -> None:
    blocks = replies(8)
    live = HeadReply(PROCESS, 5, blocks[4].tag, format_ms(4_000))

    def told(*missing: int) -> list[str]:
        found = Chains(format_ms(0), [live])
        for block in blocks:
            if block.number not in missing:
                found.add(block)
        return [each.what for each in found.faults()]

    assert told(6) == told(5, 7) == []
    assert told(4, 6)[0].startswith("block 4 is missing")
    assert told(3)[0].startswith("block 3 is missing")


def test_blocks_of_several_partitions_may_come_in_any_order() -> None:
    blocks = replies(10)
    assert wrong(blocks[::2] + blocks[1::2], kept_ms=0) == []
    assert wrong(blocks[1::2] + blocks[::2], kept_ms=0) == []
