"""API keys in the course of time: two texts for a while, when they were used, when they end."""

from __future__ import annotations

import asyncio
import json
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from roster import keys
from roster.errors import InvalidInput
from roster.storage.api_keys import ApiKey, hash_of
from roster.times import parse_duration
from service.background import forgetting
from service.background.key_uses import KeyUses
from service.web.auth import Access
from service.web.ended import Ended
from tests.service.apps import bearer, make_key, settings_for, started
from tests.service.parts import DAY_MS, process
from tests.service.test_auth import header, make, now_ms, refused, store_on, terms
from tests.service.test_forgetting import LATER, rounds

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server

HOUR_MS = 3_600_000


# Two texts ---------------------------------------------------------------------------------


async def test_with_an_overlap_both_texts_work_in_every_process(valkey: Server) -> None:
    async with store_on(valkey) as store:
        first, second = Access(store, 900), Access(store, 900)
        key, old = await store.create(terms(), now_ms())
        await first.authorise(header(old))
        rotated, new = await store.rotate(key.id, now_ms() + HOUR_MS)
        for access in (first, second):
            for _ in range(2):
                await access.refresh()
                assert not await refused(access, old)
                assert not await refused(access, new)
                assert access.known(header(old)) == access.known(header(new)) == rotated


async def test_the_old_text_stops_when_the_overlap_is_over_though_nothing_is_read_anew(
    valkey: Server,
) -> None:
    async with store_on(valkey) as store:
        access = Access(store, 900)
        for overlap_ms in (1_500, 6_000, 24_000):  # longer where the machine stood still meanwhile
            key, old = await store.create(terms(), now_ms())
            until_ms = now_ms() + overlap_ms
            _, new = await store.rotate(key.id, until_ms)
            if not await refused(access, old):
                break
            assert now_ms() >= until_ms
        async with asyncio.timeout(60):
            while access.known(header(old)) is not None:
                await asyncio.sleep(0.001)
                asked_ms = now_ms()
                if access.known(header(old)) is not None:
                    assert asked_ms <= until_ms + 1
        assert await refused(access, old)
        assert not await refused(access, new)
        await access.refresh()
        assert await refused(access, old)
        assert not await refused(access, new)


async def test_an_expired_key_gets_no_other_text(valkey: Server) -> None:
    async with store_on(valkey) as store:
        key, _ = await store.create(terms(expires_ms=now_ms() - 1), now_ms() - HOUR_MS)
        for until_ms in (0, now_ms() + HOUR_MS):
            with pytest.raises(InvalidInput, match="this key has expired: make another"):
                await store.rotate(key.id, until_ms)
        assert await store.find(key.id) == key


async def test_a_revocation_ends_both_texts(valkey: Server) -> None:
    async with store_on(valkey) as store:
        access = Access(store, 900)
        key, old = await store.create(terms(), now_ms())
        _, new = await store.rotate(key.id, now_ms() + HOUR_MS)
        assert not await refused(access, old)
        assert not await refused(access, new)
        await store.revoke(key.id, now_ms())
        await access.refresh()
        assert access.known(header(old)) is access.known(header(new)) is None
        assert await refused(access, old)
        assert await refused(access, new)


@pytest.mark.parametrize("overlap_ms", [0, HOUR_MS])
async def test_another_rotation_ends_the_older_text(overlap_ms: int, valkey: Server) -> None:
    async with store_on(valkey) as store:
        access = Access(store, 900)
        key, oldest = await store.create(terms(), now_ms())
        _, old = await store.rotate(key.id, now_ms() + HOUR_MS)
        await access.authorise(header(oldest))
        await store.rotate(key.id, overlap_ms and now_ms() + overlap_ms)
        await access.refresh()
        assert await refused(access, oldest)
        assert await refused(access, old) == (not overlap_ms)


async def test_a_key_that_expires_ends_both_texts(valkey: Server) -> None:
    async with store_on(valkey) as store:
        key, old = await store.create(terms(expires_ms=now_ms() + HOUR_MS), 0)
        rotated, new = await store.rotate(key.id, now_ms() + 2 * HOUR_MS)
        assert rotated.is_of(hash_of(old.encode()), now_ms())
        assert rotated.is_of(hash_of(new.encode()), now_ms())
        assert not rotated.works(now_ms() + HOUR_MS)


def test_a_backup_brings_back_no_text_that_a_later_rotation_ended() -> None:
    until_ms = now_ms() + HOUR_MS
    second = make(hash=b"b", old_hash=b"a", old_until_ms=until_ms)
    ended = Ended()
    assert ended.of(second) == second
    ended.of(make(hash=b"c"))
    back = ended.of(second)
    assert (back.hash, back.old_hash, back.old_until_ms) == (b"c", b"", 0)
    assert not back.is_of(b"a", now_ms())


@pytest.mark.parametrize(
    ("text", "wanted"), [("30m", 30 * 60_000), ("1h", HOUR_MS), ("2d", 2 * DAY_MS), ("0s", 0)]
)
def test_a_span_is_a_number_and_a_unit(text: str, wanted: int) -> None:
    assert parse_duration(text) == wanted


@pytest.mark.parametrize("text", ["", "1", "h", "1.5h", "-1h", "1 h", "1w", "٣h", "1h30m"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a whole number"):
        parse_duration(text)


# When they were used -----------------------------------------------------------------------


async def test_the_last_use_of_a_key_is_written_and_told(valkey: Server) -> None:
    async with store_on(valkey) as store:
        access = Access(store, 900)
        key, text = await store.create(terms(), now_ms())
        await store.create(terms(), now_ms())
        began_ms = now_ms()
        await access.authorise(header(text))
        await KeyUses(access, store).write()
        told = await store.uses()
        assert list(told) == [key.id], "the other was never used"
        assert began_ms - 1 <= told[key.id] <= now_ms() + 1


async def test_a_use_is_remembered_over_refreshes_and_by_either_text(valkey: Server) -> None:
    async with store_on(valkey) as store:
        access = Access(store, 900)
        key, old = await store.create(terms(), now_ms())
        _, new = await store.rotate(key.id, now_ms() + HOUR_MS)
        seen: list[float] = []
        for text in (old, new, old):
            await access.authorise(header(text))
            assert access.known(header(text)) is not None
            await access.refresh()
            seen.append(access.uses()[key.id])
        assert seen == sorted(set(seen))


async def test_a_key_is_written_once_a_minute_at_most_and_at_the_end(valkey: Server) -> None:
    async with store_on(valkey) as store:
        access = Access(store, 900)
        key, text = await store.create(terms(), now_ms())
        uses = KeyUses(access, store)
        await access.authorise(header(text))
        await uses.write()
        first = await store.uses()
        for _ in range(50):
            await access.authorise(header(text))
            await uses.write()
        assert await store.uses() == first
        with valkey.client() as client:
            client.delete(keys.USED)
        await uses.close()
        assert (await store.uses())[key.id] >= first[key.id]
        with valkey.client() as client:
            client.delete(keys.USED)
        await uses.close()
        assert await store.uses() == {}, "nothing is new"


async def test_what_was_written_long_ago_is_written_again_once_there_is_a_use(
    valkey: Server,
) -> None:
    async with store_on(valkey) as store:
        access = Access(store, 900)
        _, text = await store.create(terms(), now_ms())
        uses = KeyUses(access, store, again_s=0)
        await access.authorise(header(text))
        await uses.write()
        with valkey.client() as client:
            client.delete(keys.USED)
        await uses.write()
        assert await store.uses() == {}
        await access.authorise(header(text))
        await uses.write()
        assert await store.uses() != {}


async def test_a_guess_is_no_use_of_a_key(valkey: Server) -> None:
    async with store_on(valkey) as store:
        access = Access(store, 900)
        key, text = await store.create(terms(client_cert="aa" * 32), now_ms())
        assert await refused(access, f"cw_{key.id}_{'a' * 43}")
        assert await refused(access, text)
        assert access.uses() == {}
        assert not await refused(access, text, "aa" * 32)
        assert list(access.uses()) == [key.id]


async def test_a_process_that_ends_in_order_leaves_the_last_use(
    valkey: Server, tmp_path: Path
) -> None:
    settings = settings_for(valkey, tmp_path)
    async with started(settings) as (_, client):
        text = await make_key(settings, ["ops"])
        assert (await client.get("/v1/roster", headers=bearer(text))).status_code == 200
    with valkey.client() as redis:
        assert text.split("_")[1].encode() in redis.hgetall(keys.USED)


async def test_what_is_forgotten_of_a_key_is_its_last_use_too(valkey: Server) -> None:
    async with store_on(valkey) as store:
        key, _ = await store.create(terms(), 1)
        other, _ = await store.create(terms(), 1)
        await store.note_uses({key.id: 5, other.id: 6})
        await store.revoke(key.id, 7)
        assert await store.forget(now_ms()) == [key.id]
        assert await store.uses() == {other.id: 6}


async def test_a_key_as_a_version_of_before_wrote_it_is_forgotten_too(valkey: Server) -> None:
    async with store_on(valkey) as store:
        key, _ = await store.create(terms(), 1)
        await store.revoke(key.id, 7)
        with valkey.client() as client:
            held = json.loads(client.hget(keys.KEYS, key.id) or b"")
            del held["old_hash"], held["old_until_ms"]
            client.hset(keys.KEYS, key.id, json.dumps(held))
        assert await store.forget(now_ms()) == [key.id]
        assert await store.all() == {}


# When they end -----------------------------------------------------------------------------


def ends(in_days: float, **more: Any) -> ApiKey:  # noqa: ANN401 -- as a key has them
    return make(expires_ms=round(now_ms() + in_days * DAY_MS), **more)


def test_a_key_ends_soon_from_fourteen_days_before() -> None:
    at_ms = now_ms()
    assert ends(13.9).ends_soon(at_ms)
    assert not ends(14.1).ends_soon(at_ms)
    assert not ends(-0.1).ends_soon(at_ms), "it has ended"
    assert not ends(1, revoked_ms=1).ends_soon(at_ms)
    assert not make().ends_soon(at_ms)


async def test_a_key_that_ends_soon_is_logged_once_a_day_by_one_process_of_all(
    valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, str]] = []

    def warning(_: str, *, key: str, name: str, until: str) -> None:
        assert until.endswith("Z")
        told.append((key, name))

    monkeypatch.setattr(forgetting, "log", SimpleNamespace(warning=warning))
    async with process(valkey) as parts, store_on(valkey) as store:
        soon, _ = await store.create(terms(expires_ms=now_ms() + 13 * DAY_MS), 1)
        await store.create(terms(expires_ms=now_ms() + 15 * DAY_MS), 1)
        await store.create(terms(), 1)
        for _ in range(2):
            await rounds(parts, LATER).share()
            await rounds(parts, LATER).share()
        assert told == [(soon.id, "airline")]


async def test_a_metric_says_when_each_key_expires(valkey: Server, tmp_path: Path) -> None:
    settings = settings_for(valkey, tmp_path)
    expires_ms = (int(time.time()) + 1_000) * 1_000
    async with started(settings) as (app, client):
        text = await make_key(settings, expires_ms=expires_ms)
        await app.state.service.access.refresh()
        told = (await client.get("/metrics")).text
    lines = [line for line in told.splitlines() if line.startswith("clearway_key_expires")]
    labels = f'key="{text.split("_")[1]}",name="test"'
    assert lines == [f"clearway_key_expires_timestamp_seconds{{{labels}}} {expires_ms // 1_000}"]
