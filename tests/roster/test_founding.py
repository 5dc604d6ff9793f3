"""Which scheme a roster's tokens have, whoever opens it."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from roster import keys
from roster.documents.tokeniser import HASHED, SCHEME, UNKNOWN, Tokeniser
from roster.errors import WrongKey
from roster.redis.nodes import Nodes
from roster.storage.founding import RosterId, agree_on_scheme
from roster.storage.processes import NOTHING, Process, Processes
from roster.storage.store import Store
from tests.rosters import opened
from tests.servers import Server
from tests.service.parts import cover

KEY = bytes(range(32))


async def scheme_found(nodes: Nodes, numbers: range = range(64), key: bytes = KEY) -> int:
    """The scheme that whoever opens the roster finds."""
    tokeniser = Tokeniser(key, UNKNOWN)
    await agree_on_scheme(tokeniser, nodes, numbers)
    return tokeniser.scheme


def found(server: Server, number: int, scheme: int) -> None:
    """A partition is founded, as by its first entry."""
    with server.client() as client:
        client.hset(keys.META[number], "check", Tokeniser(KEY, scheme).check_value)


async def live(nodes: Nodes, **stated: object) -> None:
    """A process is listed, as a version of before lists itself: without its scheme."""
    fields = {"id": "p", "host": "h", "fresh_ms": 3_000, "applied": NOTHING} | stated
    process = msgspec.convert(fields, Process)
    await Processes(nodes).announce(process)


async def test_of_two_who_name_a_roster_at_once_both_take_the_first_ones_name(
    valkey: Server,
) -> None:
    async with opened(valkey) as store:
        first, second = RosterId(store.nodes), RosterId(store.nodes)
        assert await first.read() == await second.read()
        with valkey.client() as client:
            client.delete(keys.ROSTER)
            made = second._make(b"")  # it has seen none
            client.set(keys.ROSTER, b"another's")
            assert await made == b"another's"


async def test_a_new_roster_has_the_newest_scheme(valkey: Server) -> None:
    async with opened(valkey) as store:
        assert await scheme_found(store.nodes) == SCHEME == 2


@pytest.mark.parametrize("scheme", [HASHED, SCHEME])
async def test_a_roster_keeps_the_scheme_that_it_was_founded_with(
    valkey: Server, scheme: int
) -> None:
    async with opened(valkey) as store:
        await cover(Store(store.nodes, Tokeniser(KEY, scheme)))
        assert await scheme_found(store.nodes) == scheme


@pytest.mark.parametrize("asked", [range(64), range(8, 16), range(32, 64)])
async def test_one_partition_that_was_written_tells_the_scheme_of_all(
    valkey: Server, asked: range
) -> None:
    async with opened(valkey) as store:
        found(valkey, 9, HASHED)
        assert await scheme_found(store.nodes, asked) == HASHED


async def test_what_was_founded_goes_before_what_was_said_of_an_empty_roster(
    valkey: Server,
) -> None:
    async with opened(valkey) as store:
        assert await scheme_found(store.nodes) == SCHEME
        found(valkey, 9, HASHED)
        assert await scheme_found(store.nodes) == HASHED


async def test_a_roster_of_another_key_is_not_opened(valkey: Server) -> None:
    async with opened(valkey) as store:
        found(valkey, 9, HASHED)
        with pytest.raises(WrongKey):
            await scheme_found(store.nodes, key=bytes(32))


async def test_a_roster_of_two_schemes_is_not_opened(valkey: Server) -> None:
    async with opened(valkey) as store:
        found(valkey, 9, HASHED)
        found(valkey, 10, SCHEME)
        with pytest.raises(WrongKey, match="empty it and load again"):
            await scheme_found(store.nodes)


async def test_a_roster_of_a_version_to_come_is_not_opened(valkey: Server) -> None:
    async with opened(valkey) as store:
        with valkey.client() as client:
            client.set(keys.SCHEME, 3)
        with pytest.raises(WrongKey, match="scheme 3"):
            await scheme_found(store.nodes)


async def test_an_empty_roster_that_a_process_of_before_follows_is_founded_for_it(
    valkey: Server,
) -> None:
    async with opened(valkey) as store:
        await live(store.nodes)
        assert await scheme_found(store.nodes) == HASHED
        await store.nodes.keyed(keys.SCHEME, [("DEL", keys.SCHEME)])
        await live(store.nodes, left=True)
        assert await scheme_found(store.nodes) == SCHEME


async def test_a_process_that_follows_the_newest_scheme_is_no_reason_for_another(
    valkey: Server,
) -> None:
    async with opened(valkey) as store:
        await live(store.nodes, scheme=SCHEME)
        assert await scheme_found(store.nodes) == SCHEME


async def test_all_who_open_an_empty_roster_at_once_agree(valkey: Server) -> None:
    async with opened(valkey) as store:
        opening = [scheme_found(store.nodes) for _ in range(20)]
        schemes = await asyncio.gather(*opening[:10], live(store.nodes), *opening[10:])
        assert len({scheme for scheme in schemes if scheme is not None}) == 1
