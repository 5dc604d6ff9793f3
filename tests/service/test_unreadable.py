"""A record that cannot be read is one person's misfortune, and nobody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roster import keys
from roster.documents.identity import Document, normalise
from roster.errors import Unreadable
from roster.keys import place
from roster.records.content import pack_content
from roster.records.entry import Content, NameToken, Provenance
from roster.records.record import (
    Dictionaries,
    PackedEntry,
    pack_provenance,
    pack_record,
    parse_record,
)
from roster.rules import rules
from roster.rules.lists import load_lists
from roster.rules.verdict import Journey, Question
from roster.storage.retention import BucketRange, RetentionPeriods, forget, purge_histories
from roster.storage.snapshots import Bucket, MergeOptions, Snapshot, SnapshotMerge
from tests.service.rosters import LISTED, OTHER, PASSPORT, Desk, desk, edit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.servers import Server

AIR = {"mode": "air"}


def listed(api: Desk) -> bytes:
    document = Document(type="resident_id", number=LISTED["number"])
    return api.service.tokeniser.token(normalise(document).number)


def damage(api: Desk, server: Server, how: Callable[[bytes], bytes]) -> None:
    """Change what is stored of the listed person behind everybody's back."""
    partition, bucket, field = place(listed(api))
    with server.client() as client:
        name = keys.bucket(partition, bucket)
        record = client.hget(name, field)
        assert record is not None
        client.hset(name, field, how(record))


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda record: record[:-40],
    "a byte short": lambda record: record[:-1],
    "a byte long": lambda record: record + b"\0",
    "empty": lambda _: b"",
    "half a number": lambda _: b"\0",
    "many entries": lambda record: b"\xff\xff" + record[2:],
    "overwritten": lambda record: record[:2] + b"\xff" * (len(record) - 2),
}


@pytest.mark.parametrize("how", DAMAGES.values(), ids=DAMAGES)
async def test_a_check_of_that_person_is_referred_and_no_other(
    how: Callable[[bytes], bytes], valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        await api.change(edit("put"), edit("put", document=OTHER), wait="all")
        damage(api, valkey, how)
        answer = await api.check(LISTED)
        assert answer["decision"] == "refer"
        assert [each["code"] for each in answer["reasons"]] == ["registry_unavailable"]
        items = [{"document": each} for each in (PASSPORT, LISTED, OTHER)] * 40
        batch = await api.post("/v1/check/batch", {"items": items, "journey": AIR})
        told = [each["decision"] for each in batch["results"]]
        assert told == ["allow", "refer", "deny"] * 40
        standing = await api.post("/v1/standing", {"document": LISTED})
        assert (standing["standing"], standing["permitted"]) == ("refer", [])


@pytest.mark.parametrize("how", DAMAGES.values(), ids=DAMAGES)
async def test_a_change_of_that_person_is_rejected_and_the_others_are_applied(
    how: Callable[[bytes], bytes], valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        await api.change(edit("put"), edit("put", document=OTHER), wait="all")
        damage(api, valkey, how)
        outcomes = await api.outcomes(
            edit("remove", None), edit("remove", None, document=OTHER), edit("put", 12)
        )
        assert outcomes == ["rejected", "applied", "rejected"]
        assert (await api.check(OTHER))["decision"] == "allow"
        assert (await api.check(LISTED))["decision"] == "refer"


async def test_find_says_that_it_cannot_be_read(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        await api.change(edit("put"), wait="all")
        damage(api, valkey, lambda record: record[:-1])
        problem = await api.post("/v1/entries/find", {"document": LISTED}, 503)
        assert problem["type"] == "urn:clearway:problem:unreadable"


async def test_a_bound_document_that_cannot_be_read_refers_the_whole_person(
    valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        bind = {"op": "bind", "entry_id": "b", "revision": 1, "documents": [LISTED, PASSPORT]}
        await api.change(edit("put"), bind, wait="all")
        damage(api, valkey, lambda record: record[:-1])
        assert (await api.check(PASSPORT))["decision"] == "refer"


async def test_filters_and_loads_are_made_in_spite_of_it(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        await api.change(edit("put"), edit("put", document=OTHER), wait="all")
        damage(api, valkey, lambda record: record[:1])
        token = listed(api)
        partition, bucket, field = place(token)
        store = api.service.changes_store
        assert field in await store.fields(partition, [bucket])
        merging = SnapshotMerge(store, Snapshot(b"\x01", 10**12, "n", 86_400_000))
        await merging.begin([partition])
        merged = await merging.merge(partition, [Bucket(bucket, b"", b"")], MergeOptions(upto=1024))
        assert merged is not None
        assert merged.exceptions == {field: True}
        assert (await api.check(LISTED))["decision"] == "refer"


# Whatever the bytes are, they are read or told to be unreadable ---------------------------

LISTS = load_lists(None)


def a_record() -> bytes:
    contents = [
        Content(
            "e/1",
            names=(NameToken(1), NameToken(2)),
            from_ms=1,
            until_ms=4_102_444_800_000,
            case="c",
            court="x",
        ),
        Content("b", tokens=(bytes(16), bytes(range(16)))),
        Content(
            "l", until_ms=4_102_444_800_000, lifts=("sx",), modes=("air",), kind="mistaken_identity"
        ),
    ]
    stamp = pack_provenance(Provenance("api", "k", "performed", 1, 2, 3))
    return pack_record(
        PackedEntry(
            code, bytes((code,)) * 6, bytes(8), (9, 0, 3, 0, 0), pack_content(content, {}), stamp
        )
        for code, content in zip((1, 201, 200), contents, strict=True)
    )


@given(
    st.binary(max_size=200)
    | st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4).map(
        lambda flips: bytes(dict(flips).get(at, byte) for at, byte in enumerate(a_record()))
    )
    | st.integers(0, 300).map(lambda size: a_record()[:size])
)
def test_any_bytes_are_a_record_or_are_told_to_be_none(data: bytes) -> None:
    try:
        entries = parse_record(data, Dictionaries({}, {}))
    except (Unreadable, KeyError):
        return
    question = Question(Journey("air"), 10**12, None, True, frozenset())
    assert rules.decide(entries, question, LISTS).decision in {"allow", "deny", "refer"}


async def test_what_is_old_is_forgotten_in_spite_of_it(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        await api.change(edit("put"), edit("remove", 11), wait="all")
        damage(api, valkey, lambda record: record[:5])
        partition, bucket, field = place(listed(api))
        with valkey.client() as client:
            client.hset(keys.history(partition, bucket), field, b"\0\5no")
        store, now_ms = api.service.changes_store, 2**47
        await purge_histories(store, partition, range(keys.BUCKETS), now_ms)
        terms = RetentionPeriods(history_ms=0, log_ms=0, tombstone_ms=0, keys_ms=0)
        await forget(store, BucketRange(partition, range(bucket, bucket + 1), now_ms), terms, b"\1")
        assert (await api.check(LISTED))["decision"] == "refer"
