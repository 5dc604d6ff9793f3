"""What a review found, and must not come back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from roster.errors import InvalidInput
from roster.filter import TokenFilter
from roster.records.content import pack_content
from roster.records.entry import Content, Op, Provenance
from roster.records.record import PackedEntry, pack_load, pack_record, provenance_tail
from roster.storage.api_keys import KeyStore, KeyTerms
from roster.storage.histories import histories
from roster.storage.retention import purge_histories
from roster.storage.rewinds import accept
from roster.storage.snapshots import PLAIN, Bucket, MergeOptions, Snapshot, SnapshotMerge
from tests.service.parts import DAY_MS, Parts, process
from tests.service.rosters import LISTED, PASSPORT, desk, edit
from tests.service.test_screening import LISTED as NUMBER
from tests.service.test_screening import decide

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server


async def merge_one(parts: Parts, as_of: int) -> SnapshotMerge:
    """A full file with one person, merged but not finished."""
    token = parts.token(NUMBER)
    merging = SnapshotMerge(parts.store, Snapshot(b"\x01", as_of, "n", 30 * DAY_MS))
    (begun,) = await merging.begin([token[1]])
    content = pack_content(Content("e"), {})
    digest = parts.tokeniser.digest(token, 1, content)
    name = parts.tokeniser.entry_hash(1, "e")
    record = pack_record([PackedEntry(1, name, digest, (5, 0, 0, 0, 0), content, pack_load(1))])
    rows = token[4:] + bytes((PLAIN,)) + len(record).to_bytes(4) + record
    tally = (
        b'{"counts":{"n:1:1":1,"p:1":1,"ever":1,"people":1},"digests":{"1":"%s"},"added":{"1":1}}'
        % digest.hex().encode()
    )
    bucket = Bucket(token[2] << 8 | token[3], tally, rows)
    await merging.merge(begun.position.partition, [bucket], MergeOptions(upto=1024))
    return merging


async def test_a_later_file_tells_every_process_of_each_addition(valkey: Server) -> None:
    async with process(valkey) as parts:
        await parts.cover()
        await parts.follower.poll()
        await merge_one(parts, 100)
        await parts.follower.poll()
        assert await decide(parts, NUMBER) == "deny"
        (history,) = await histories(parts.store, [parts.token(NUMBER)])
        assert [event.op for event in history] == [Op.PUT]


async def test_a_first_load_that_overtakes_a_renewal_keeps_its_image(valkey: Server) -> None:
    async with process(valkey) as parts:
        await parts.cover(1)
        tails = await parts.store.tails({7: None}, {})
        await parts.cover(2)
        assert not await parts.store.set_image(tails[7].position, TokenFilter().to_bytes())
        assert await parts.follower.poll()
        assert parts.screener.fresh


async def test_a_load_that_ends_a_rewind_does_not_forget_what_came_meanwhile(
    valkey: Server,
) -> None:
    async with process(valkey) as parts:
        await parts.cover()
        applied = await parts.change(NUMBER, Op.PUT, 10)
        number = applied.position.partition
        ahead = applied.position._replace(seq=applied.position.seq + 5)
        await parts.store.tails({number: None}, {number: ahead})
        merging = SnapshotMerge(parts.store, Snapshot(b"\x01", 200, "n", 30 * DAY_MS))
        (begun,) = await merging.begin([number])
        await merging.merge(number, [], MergeOptions(upto=1024))
        await parts.change(NUMBER, Op.PUT, 300, Content("late"))
        await merging.finish(begun.position, TokenFilter().to_bytes())
        await parts.follower.poll()
        assert parts.screener.may_be_listed(parts.token(NUMBER))


async def test_a_history_from_the_future_can_be_left_behind(valkey: Server) -> None:
    async with process(valkey) as parts:
        await parts.cover()
        applied = await parts.change(NUMBER, Op.PUT, 10)
        number = applied.position.partition
        future = applied.position._replace(history=applied.position.history + 10**6)
        (tail,) = (await parts.store.tails({number: None}, {number: future})).values()
        assert tail.rewound
        await accept(parts.store)
        (tail,) = (await parts.store.tails({number: None}, {number: future})).values()
        assert not tail.rewound


async def test_a_colon_is_no_check_digit_in_a_batch(valkey: Server, tmp_path: Path) -> None:
    odd = {"type": "resident_id", "number": "11010519491231002:"}
    async with desk(valkey, tmp_path) as api:
        body = {"items": [{"document": odd}] * 10, "journey": {"mode": "air"}}
        answer = await api.post("/v1/check/batch", body)
        assert answer["counts"]["refer"] == 10


async def test_a_put_that_fails_frees_nobody(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        await api.change(edit("put"), wait="all")
        with valkey.client() as link:
            link.config_set("maxmemory", 1)
            try:
                replaced = edit("put", 11, document=PASSPORT, replaces=[LISTED])
                assert await api.outcomes(replaced) == ["rejected"]
            finally:
                link.config_set("maxmemory", 0)
        assert (await api.check(LISTED))["decision"] == "deny"


async def test_two_changes_without_a_revision_follow_each_other(
    valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        await api.change(edit("put"))
        assert await api.outcomes(edit("suspend", None), edit("resume", None)) == ["applied"] * 2
        assert (await api.check(LISTED))["decision"] == "deny"


async def test_a_mistaken_identity_speaks_for_its_own_document(
    valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        lift = {"until": "2099-01-01", "kind": "mistaken_identity", "name": "张三"}
        await api.change(
            edit("put", entry={"name": "张三"}),
            edit("put", list="lift", entry_id="l", document=PASSPORT, entry=lift),
            {"op": "bind", "entry_id": "b", "revision": 5, "documents": [LISTED, PASSPORT]},
            wait="all",
        )
        assert (await api.check(LISTED, name="张三"))["decision"] == "deny"
        assert (await api.check(PASSPORT, name="张三"))["decision"] == "allow"


async def test_long_polls_leave_nothing_behind(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        start = (await api.client.get("/v1/changes", params={"after": "now"})).json()["position"]
        before = len(asyncio.all_tasks())
        for _ in range(5):
            await api.client.get("/v1/changes", params={"after": start, "wait_ms": 20})
        assert len(asyncio.all_tasks()) <= before + 2


def test_a_provenance_always_fits_its_length() -> None:
    actor = "人" * 100
    assert len(provenance_tail(Provenance("api", actor, "creditor_request", 2**46, 2**46))) <= 248


async def test_a_person_of_old_has_no_history(valkey: Server) -> None:
    async with process(valkey) as parts:
        await parts.change(NUMBER, Op.PUT, 10)
        last = await parts.change(NUMBER, Op.REMOVE, 11)
        token = parts.token(NUMBER)
        bucket = token[2] << 8 | token[3]
        await purge_histories(parts.store, token[1], [bucket], last.applied_at_ms)
        (kept,) = await histories(parts.store, [token])
        assert kept
        assert all(event.applied_at_ms >= last.applied_at_ms for event in kept)
        await purge_histories(parts.store, token[1], [bucket], last.applied_at_ms + 1)
        assert await histories(parts.store, [token]) == [[]]


async def test_a_key_with_an_endless_name_is_refused(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        keys = KeyStore(api.service.changes_store.nodes, api.service.applier.wait)
        with pytest.raises(InvalidInput, match="name"):
            await keys.create(KeyTerms(name="人" * 60, scopes=("check",)), 0)
