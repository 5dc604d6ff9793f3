"""API keys: who may, for how long, and how much of it."""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import redis.asyncio

from roster.errors import InvalidInput, TooMany, Unauthorised, Unavailable, cause_of
from roster.redis.calls import Wait
from roster.redis.logins import NOT_ALLOWED
from roster.redis.nodes import Nodes
from roster.storage.api_keys import ApiKey, KeyStore, KeyTerms, check_scopes, key_id
from service.web import auth
from service.web.auth import LOOKUPS_PER_S, Access
from service.web.rates import TokenBucket

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.servers import Server

SAFE = Wait(aof=True, replicas=0, timeout_ms=2_000)
MONTH_MS = 30 * 86_400_000
HOUR_MS = 3_600_000


@asynccontextmanager
async def store_on(server: Server, timeout_s: float = 1) -> AsyncIterator[KeyStore]:
    path = str(server.socket)
    client = redis.asyncio.Redis(unix_socket_path=path, protocol=2, socket_timeout=timeout_s)
    nodes = Nodes(client, lambda _host, _port: client)
    try:
        yield KeyStore(nodes, SAFE)
    finally:
        await nodes.close()


def header(text: str) -> bytes:
    return f"Bearer {text}".encode()


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def terms(*scopes: str, **more: object) -> KeyTerms:
    return KeyTerms(name="airline", scopes=scopes or ("check",), **more)  # type: ignore[arg-type]


async def refused(access: Access, text: str, client_cert: str = "") -> bool:
    try:
        await access.authorise(header(text), client_cert)
    except Unauthorised:
        return True
    return False


async def test_a_new_key_works_at_once(valkey: Server) -> None:
    async with store_on(valkey) as store:
        access = Access(store, 900)
        await access.refresh()
        key, text = await store.create(terms(), now_ms())
        assert (await access.authorise(header(text))).id == key.id
        assert access.known(header(text)) is not None


async def test_only_the_keys_hash_is_kept(valkey: Server) -> None:
    async with store_on(valkey) as store:
        _, text = await store.create(terms(), now_ms())
    secret = text.rpartition("_")[2].encode()
    with valkey.client() as client:
        for stored in client.hgetall("clearway:keys").values():
            assert secret not in stored


async def test_a_revoked_key_stops_with_the_next_refresh(valkey: Server) -> None:
    async with store_on(valkey) as store:
        access = Access(store, 900)
        key, text = await store.create(terms(), now_ms())
        await access.authorise(header(text))
        await store.revoke(key.id, now_ms())
        await access.refresh()
        assert access.known(header(text)) is None
        assert await refused(access, text)


async def test_a_rotated_key_keeps_its_id_and_its_old_text_stops(valkey: Server) -> None:
    async with store_on(valkey) as store:
        access = Access(store, 900)
        key, old = await store.create(terms(), now_ms())
        await access.authorise(header(old))
        rotated, new = await store.rotate(key.id)
        assert rotated.id == key.id
        assert not await refused(access, new)
        await access.refresh()
        assert await refused(access, old)


async def test_a_key_expires_by_itself(valkey: Server) -> None:
    async with store_on(valkey) as store:
        access = Access(store, 900)
        _, text = await store.create(terms(expires_ms=now_ms() - 1), 0)
        _, other = await store.create(terms(expires_ms=now_ms() + MONTH_MS), 0)
        assert await refused(access, text)
        assert not await refused(access, other)


@pytest.mark.parametrize(
    "sent",
    [
        None,
        b"",
        b"Bearer",
        b"Basic abc",
        b"Bearer cw_",
        b"Bearer \xff\xfe",
        b"Bearer cw_0123456789ab_" + b"a" * 43,
        b"Bearer cw_0123456789AB_" + b"a" * 43,
        b"Bearer " + b"a" * 5_000,
    ],
)
async def test_what_is_no_key_is_refused(valkey: Server, sent: bytes | None) -> None:
    async with store_on(valkey) as store:
        access = Access(store, 900)
        with pytest.raises(Unauthorised):
            await access.authorise(sent)


async def test_only_the_plain_form_of_a_header_is_remembered(valkey: Server) -> None:
    async with store_on(valkey) as store:
        access = Access(store, 900)
        key, text = await store.create(terms(), now_ms())
        for sent in (header(f" {text}"), header(text) + b" " * 30_000, header(f"\t{text}")):
            assert (await access.authorise(sent)).id == key.id
            assert access.named(sent) == ""
        for sent in (header(text), b"bearer " + text.encode()):
            assert (await access.authorise(sent)).id == key.id
            assert access.named(sent) == key.id
    assert access.uses().keys() == {key.id}


async def test_another_secret_for_a_known_id_is_refused(valkey: Server) -> None:
    async with store_on(valkey) as store:
        access = Access(store, 900)
        key, text = await store.create(terms(), now_ms())
        await access.authorise(header(text))
        assert await refused(access, f"cw_{key.id}_{secrets.token_urlsafe(32)}")
        assert not await refused(access, text)


async def test_known_keys_outlive_a_flush_of_redis(valkey: Server) -> None:
    async with store_on(valkey) as store:
        access, strict = Access(store, 900), Access(store, 0)
        _, text = await store.create(terms(), now_ms())
        for each in (access, strict):
            await each.refresh()
        valkey.empty()
        for each in (access, strict):
            await each.refresh()
        assert not await refused(access, text)
        assert await refused(strict, text)


async def test_known_keys_work_while_redis_is_down(
    make_server: Callable[..., Server],
) -> None:
    server = make_server()
    async with store_on(server) as store:
        access = Access(store, 900)
        _, text = await store.create(terms(), now_ms())
        await access.refresh()
        server.stop()
        assert not await refused(access, text)
        assert await refused(access, f"cw_0123456789ab_{secrets.token_urlsafe(32)}")


async def test_a_silent_redis_ends_no_key_but_those_that_end_by_themselves(
    make_server: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = make_server()
    async with store_on(server) as store:
        access = Access(store, 0)
        key, text = await store.create(terms(), now_ms())
        revoked, over = await store.create(terms(), now_ms())
        _, brief = await store.create(terms(expires_ms=now_ms() + HOUR_MS), now_ms())
        await store.revoke(revoked.id, now_ms())
        await access.refresh()
        assert not await refused(access, brief)
        server.pause()
        with pytest.raises(Unavailable):
            await access.refresh()
        assert (await access.authorise(header(text))).id == key.id
        assert access.known(header(text)) is not None
        assert await refused(access, over)
        real = time.clock_gettime
        monkeypatch.setattr(time, "clock_gettime", lambda which: real(which) + 2 * HOUR_MS / 1000)
        assert await refused(access, brief)
        assert not await refused(access, text)
        server.resume()


async def test_an_unknown_key_is_looked_up_in_a_silent_redis_once(
    make_server: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = make_server()
    async with store_on(server) as store:
        access, asked = Access(store, 900), 0
        await access.refresh()
        find = store.find

        async def counted(identifier: str) -> ApiKey | None:
            nonlocal asked
            asked += 1
            return await find(identifier)

        monkeypatch.setattr(store, "find", counted)
        server.pause()
        for _ in range(20):
            assert await refused(access, f"cw_{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}")
        assert asked == 1
        server.resume()
        await access.refresh()
        _, text = await store.create(terms(), now_ms())
        assert not await refused(access, text)
        assert asked == 2


async def test_a_look_up_waits_for_a_silent_redis_no_longer_than_it_may(
    make_server: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = make_server()
    monkeypatch.setattr(auth, "LOOKUP_S", 0.1)
    async with store_on(server, timeout_s=60) as store:
        access = Access(store, 900)
        await store.all()
        server.pause()
        async with asyncio.timeout(20):
            with pytest.raises(Unavailable):
                await access.authorise(header(f"cw_0123456789ab_{secrets.token_urlsafe(32)}"))
        server.resume()


async def test_keys_that_redis_forbids_to_read_end_as_if_it_had_lost_them(valkey: Server) -> None:
    async with store_on(valkey) as store:
        access, strict = Access(store, 900), Access(store, 0)
        _, text = await store.create(terms(), now_ms())
        for each in (access, strict):
            await each.refresh()
        with valkey.client() as client:
            client.execute_command("ACL", "SETUSER", "default", "-hgetall")
            for each in (access, strict):
                with pytest.raises(Unavailable) as caught:
                    await each.refresh()
                assert NOT_ALLOWED in cause_of(caught.value)
            client.execute_command("ACL", "SETUSER", "default", "+hgetall")
        assert not await refused(access, text)
        assert access.known(header(text)) is not None
        assert strict.known(header(text)) is None
        await strict.refresh()
        assert not await refused(strict, text)


async def test_guessing_keys_does_not_load_redis(valkey: Server) -> None:
    async with store_on(valkey) as store:
        access = Access(store, 900)
        with valkey.client() as client:
            before = client.info("commandstats").get("cmdstat_hget", {}).get("calls", 0)
            for _ in range(300):
                guess = f"cw_{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}"
                assert await refused(access, guess)
            after = client.info("commandstats")["cmdstat_hget"]["calls"]
    assert after - before <= 2 * LOOKUPS_PER_S + 10


async def test_a_key_bound_to_a_certificate_works_with_it_only(valkey: Server) -> None:
    async with store_on(valkey) as store:
        access = Access(store, 900)
        _, text = await store.create(terms(client_cert="aa" * 32), now_ms())
        assert await refused(access, text)
        assert await refused(access, text, "bb" * 32)
        assert not await refused(access, text, "aa" * 32)
        assert await refused(access, text)


def make(**more: object) -> ApiKey:
    fields: dict[str, object] = {"id": "0" * 12, "hash": b"", "created_ms": 0, "name": "a"}
    return ApiKey(**{"scopes": ("check",), **fields, **more})  # type: ignore[arg-type]


async def test_a_rate_counts_checks_and_says_when_to_come_back(valkey: Server) -> None:
    async with store_on(valkey) as store:
        access = Access(store, 900)
        key = make(rate=10.0, burst=50)
        access.spend(key, 50)
        with pytest.raises(TooMany) as caught:
            access.spend(key, 10)
        assert 800 <= caught.value.retry_after_ms <= 1_000
        access.spend(make(), 1_000_000)


def test_a_bucket_fills_up_with_time_and_no_further() -> None:
    bucket = TokenBucket(rate=10, size=30, now_s=0)
    assert bucket.take(30, 0) == 0
    assert bucket.take(1, 0) == pytest.approx(0.1)
    assert bucket.take(10, 1) == 0
    assert bucket.take(31, 100) == 0, "more than it holds is given when it is full"
    assert bucket.take(1, 100) == pytest.approx(0.2)


def test_a_burst_is_three_times_the_rate_and_at_least_a_thousand() -> None:
    assert make(rate=10.0).burst_checks == 1_000
    assert make(rate=1_000.0).burst_checks == 3_000
    assert make(rate=10.0, burst=5).burst_checks == 5


def test_a_scope_may_be_narrowed_to_one_list() -> None:
    key = make(scopes=("list:add", "list:remove@ndrc-rail"))
    assert key.allows("list:add", "sx")
    assert key.allows("list:remove", "ndrc-rail")
    assert not key.allows("list:remove", "sx")
    assert not key.allows("list:remove")
    assert not key.allows("check")


@pytest.mark.parametrize("scope", ["chek", "check@sx", "list:add@nowhere", "list", ""])
def test_a_scope_that_there_is_not_is_refused(scope: str) -> None:
    with pytest.raises(InvalidInput):
        check_scopes([scope], ["sx"])


async def test_what_is_revoked_can_be_neither_rotated_nor_revoked_again(valkey: Server) -> None:
    async with store_on(valkey) as store:
        key, _ = await store.create(terms(), now_ms())
        await store.revoke(key.id, now_ms())
        for again in (store.rotate(key.id), store.revoke(key.id, now_ms())):
            with pytest.raises(InvalidInput):
                await again
        with pytest.raises(InvalidInput):
            await store.rotate("0" * 12)


def test_a_keys_id_is_read_from_its_text() -> None:
    assert key_id(b"cw_0123456789ab_" + b"A" * 43) == "0123456789ab"
    assert key_id(b"cw_0123456789ab_" + b"A" * 42) is None
    assert key_id(b"cw_0123456789ab_" + b"+" * 43) is None
