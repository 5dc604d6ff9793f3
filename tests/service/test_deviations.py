"""What an answer says where something is late, missing or without effect."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from roster.errors import Unavailable
from roster.filter import TokenFilter
from roster.records.entry import Op
from roster.rules.lists import load_lists
from roster.storage.dictionary import Dictionary
from roster.storage.disabled import DisabledLists
from roster.storage.processes import Processes
from roster.storage.snapshots import Bucket, MergeOptions, Snapshot, SnapshotMerge
from service.background.summary import summarise
from tests.service.parts import process
from tests.service.rosters import AIR, LISTED, OTHER, PASSPORT, Desk, desk, edit

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server

DAY_MS = 86_400_000

TIMEOUT_MS = 50


async def gone(_: object) -> None:
    raise Unavailable("gone")


# Every wait of a check is within CLEARWAY_REDIS_TIMEOUT_MS -------------------------------


async def test_a_check_waits_for_a_courts_name_no_longer_than_for_anything_else(
    valkey: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk(valkey, tmp_path, redis_timeout_ms=str(TIMEOUT_MS)) as api:
        put = [edit("put", entry={"court": "新法院"}, document=each) for each in (LISTED, OTHER)]
        await api.change(*put, wait="all")
        read = Dictionary._read_courts

        async def silent(self: Dictionary) -> None:
            valkey.pause()
            await read(self)

        monkeypatch.setattr(Dictionary, "_read_courts", silent)
        api.service.dictionary.courts.clear()
        try:
            began = time.monotonic()
            answer = await api.check(LISTED)
            one_s = time.monotonic() - began
            items = [{"document": each} for each in (LISTED, OTHER)] * 20
            batch = await api.post("/v1/check/batch", {"items": items, "journey": AIR})
            all_s = time.monotonic() - began
        finally:
            valkey.resume()
        assert (answer["decision"], answer["reasons"][0]["code"]) == (
            "refer",
            "registry_unavailable",
        )
        assert batch["counts"]["refer"] == 40
        assert one_s < 1
        assert all_s < 3


async def test_a_court_whose_name_is_lost_is_a_referral(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        await api.change(edit("put", entry={"court": "新法院"}), wait="all")
        with valkey.client() as client:
            client.delete("clearway:courts")
        api.service.dictionary.courts.clear()
        assert (await api.check(LISTED))["decision"] == "refer"
        for path in ("find", "history"):
            await api.post(f"/v1/entries/{path}", {"document": LISTED}, 503)


# A late bind says that it has no effect --------------------------------------------------


def binding(op: str, revision: int, *documents: Any) -> dict[str, Any]:  # noqa: ANN401 -- JSON
    return {"op": op, "entry_id": "b", "revision": revision, "documents": list(documents)}


@pytest.mark.parametrize(
    ("history", "late", "outcome"),
    [
        (
            [binding("bind", 10, LISTED, PASSPORT), binding("unbind", 30, LISTED, PASSPORT)],
            binding("bind", 20, LISTED, PASSPORT, OTHER),
            "superseded",
        ),
        (
            [binding("bind", 25, LISTED, PASSPORT)],
            binding("bind", 20, LISTED, PASSPORT, OTHER),
            "superseded",
        ),
        (
            [binding("unbind", 30, LISTED, PASSPORT)],
            binding("bind", 20, LISTED, OTHER),
            "superseded",
        ),
        ([binding("bind", 10, LISTED, PASSPORT)], binding("bind", 20, LISTED, OTHER), "applied"),
        ([], binding("bind", 20, LISTED, PASSPORT, OTHER), "applied"),
        ([binding("bind", 20, LISTED, OTHER)], binding("bind", 20, LISTED, OTHER), "duplicate"),
        (
            [binding("bind", 10, LISTED, OTHER), binding("unbind", 30, LISTED, OTHER)],
            binding("bind", 10, LISTED, OTHER),
            "duplicate",
        ),
    ],
)
async def test_the_outcome_of_a_bind_is_that_over_all_documents(
    history: list[Any], late: dict[str, Any], outcome: str, valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        await api.change(edit("put"), *history, wait="all")
        before = await decisions(api)
        (result,) = (await api.change(late, wait="all"))["results"]
        assert result["outcome"] == outcome
        if outcome != "applied":
            assert await decisions(api) == before
        if outcome == "superseded":
            assert result["current"]["revision"] > late["revision"]


async def decisions(api: Desk) -> list[str]:
    return [(await api.check(each))["decision"] for each in (LISTED, OTHER, PASSPORT)]


async def test_a_bind_of_which_one_half_is_there_is_applied(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        await api.change(edit("put"), binding("bind", 10, LISTED, OTHER), wait="all")
        with valkey.client() as client:  # as if the process had ended between the two
            for bucket in client.scan_iter("clearway:{*}:b:*"):
                for field, record in client.hgetall(bucket).items():
                    if record[:2] == b"\0\1":
                        client.hdel(bucket, field)
        assert (await api.check(OTHER))["decision"] == "allow"
        assert await api.outcomes(binding("bind", 10, LISTED, OTHER)) == ["applied"]
        assert (await api.check(OTHER))["decision"] == "deny"


# `ever_listed` never falls ---------------------------------------------------------------


async def test_who_was_listed_once_has_been_also_when_the_tombstone_is_forgotten(
    valkey: Server,
) -> None:
    number = LISTED["number"]
    async with process(valkey) as parts:
        await parts.cover(1)
        await parts.change(number, Op.PUT, 10)
        await parts.change(number, Op.REMOVE, 11)
        token, ever = parts.token(number), []
        for as_of in (100, 40 * DAY_MS):
            snapshot = Snapshot(b"\x01", as_of, f"n{as_of}", 30 * DAY_MS)
            merging = SnapshotMerge(parts.store, snapshot)
            (begun,) = await merging.begin([token[1]])
            bucket = Bucket(token[2] << 8 | token[3], b"", b"")
            await merging.merge(token[1], [bucket], MergeOptions(upto=1024))
            await merging.finish(begun.position, TokenFilter().to_bytes())
            found = summarise(await parts.store.metas(), load_lists(None), ())
            ever.append((found.ever_listed, found.entries["removed"]))
        assert ever == [(1, 1), (1, 0)]


# Every 503 to a change without a revision says which to send again -----------------------


async def test_a_503_has_revisions_also_where_redis_is_gone_before_they_are_known(
    valkey: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roster.redis.connection.CHANGE_TIMEOUT_S", 0.3)
    async with desk(valkey, tmp_path) as api:
        await api.change(edit("put"), wait="all")
        changes = [edit("remove", None), edit("put", None), edit("suspend", None), edit("put", 7)]
        before = int(time.time() * 1000)
        valkey.pause()
        try:
            problem = await api.post("/v1/changes", {"changes": changes}, 503)
        finally:
            valkey.resume()
        first, rejected, second, stated = problem["revisions"]
        assert before <= first < second
        assert (rejected, stated) == (0, 7)
        changes[0]["revision"] = first
        assert (await api.outcomes(changes[0])) == ["applied"]


async def test_what_is_safe_is_acknowledged_however_short_the_wait_for_the_others(
    valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        for revision in range(10, 60):
            answer = await api.change(edit("put", revision), wait="all", timeout_ms=1)
            assert answer["results"][0]["outcome"] == "applied"
            told = answer["processes"]
            assert len(told["confirmed"] + told["missing"]) == 1
        nothing = await api.change(edit("put", list="nope"), wait="all", timeout_ms=1)
        assert nothing["processes"]["missing"] == []


async def test_a_503_of_wait_all_has_revisions(
    valkey: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk(valkey, tmp_path) as api:
        await api.change(edit("put"), wait="all")

        monkeypatch.setattr(Processes, "live", gone)
        body = {"changes": [edit("remove", None)], "wait": "all"}
        (revision,) = (await api.post("/v1/changes", body, 503))["revisions"]
        monkeypatch.undo()
        again = edit("remove", revision)
        assert await api.outcomes(again) == ["duplicate"]


# A standing is no better than what is known of the disabled lists ------------------------


async def test_standing_refers_while_the_disabled_lists_are_not_known(
    valkey: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk(valkey, tmp_path) as api:
        await api.change(edit("put"), wait="all")
        assert (await api.post("/v1/standing", {"document": LISTED}))["standing"] == "restricted"
        monkeypatch.setattr(DisabledLists, "all", gone)
        api.service.screener.lists_known = False
        answer = await api.post("/v1/standing", {"document": LISTED})
        assert answer["standing"] == "refer"
        assert [each["code"] for each in answer["reasons"]] == ["stale"]
