from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.service.apps import bearer, make_key
from tests.service.rosters import LISTED, OTHER, PASSPORT, desk, edit

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server

FAR_BACK = 1_500_000_000_000
FAR = 253_402_300_799_000


async def test_a_put_is_denied_everywhere_once_all_have_it(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        answer = await api.change(edit("put"), wait="all")
        (result,) = answer["results"]
        assert (result["outcome"], result["was"]) == ("applied", "unknown")
        assert result["current"] == {"state": "active", "revision": 10}
        assert result["position"] == answer["position"]
        assert len(answer["processes"]["confirmed"]) == 1
        assert answer["processes"]["missing"] == []
        assert (await api.check(LISTED))["decision"] == "deny"


@pytest.mark.parametrize(
    ("history", "outcomes"),
    [
        ([edit("put"), edit("put")], ["applied", "duplicate"]),
        ([edit("put", 10), edit("put", 9)], ["applied", "superseded"]),
        ([edit("put", 10), edit("put", 11, entry={"case": "c"})], ["applied", "applied"]),
        ([edit("remove", 10)], ["unseen"]),
        ([edit("remove", 10), edit("put", 9)], ["unseen", "superseded"]),
        ([edit("put", 10), edit("remove", 10)], ["applied", "applied"]),
        ([edit("put", 10), edit("remove", 11), edit("remove", 11)],
         ["applied", "applied", "duplicate"]),
        ([edit("put", 10), edit("remove", 9)], ["applied", "superseded"]),
        ([edit("put", 10), edit("suspend", 11), edit("resume", 12)], ["applied"] * 3),
        ([edit("put", 10), edit("suspend", 11), edit("resume", 11)],
         ["applied", "applied", "superseded"]),
        ([edit("put", 10), edit("remove", 11), edit("resume", 12)],
         ["applied", "applied", "superseded"]),
        ([edit("put", 10), edit("suspend", 11), edit("put", 12, entry={"case": "c"})],
         ["applied"] * 3),
    ],
)  # fmt: skip
async def test_outcomes_follow_the_merge_law(
    history: list[dict[str, Any]], outcomes: list[str], valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        assert await api.outcomes(*history) == outcomes


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (edit("put", None), "revision"),
        (edit("put", FAR), "revision"),
        (edit("put", entry_id=None), "entry_id"),
        (edit("put", list="nope"), "list"),
        (edit("put", list="canary"), "list"),
        (edit("put", list="bind"), "list"),
        (edit("put", document=None), "document"),
        (edit("put", document={"type": "passport", "number": "E1"}), "document.issuer"),
        (edit("put", document={"type": "resident_id", "number": "1101051949****002X"}),
         "document.number"),
        (edit("put", entry=None), "entry"),
        (edit("put", entry={"name": "a", "names": ["b"]}), "entry.names"),
        (edit("put", entry={"from": "yesterday"}), "entry.from"),
        (edit("put", entry={"from": "2018-03-02", "until": "2018-03-01"}), "entry.until"),
        (edit("put", entry={"lifts": ["sx"]}), "entry.lifts"),
        (edit("put", entry={"case": "x" * 129}), "entry.case"),
        (edit("put", entry={"case": "of 110105187912310024"}), "entry.case"),
        (edit("put", entry_id="110105187912310024"), "entry_id"),
        (edit("put", list="lift"), "entry.until"),
        (edit("reinstate", reason="performed"), "reason"),
        (edit("reinstate", entry={}), "entry"),
        (edit("remove", reason="mistaken_removal"), "reason"),
        (edit("put", list="lift", entry={"until": "2030-01-01", "kind": "mistaken_identity"}),
         "entry.name"),
        (edit("put", list="lift", entry={"until": "2030-01-01", "lifts": ["nope"]}), "entry.lifts"),
        (edit("put", reason="performed"), "reason"),
        (edit("remove", reason="dispute"), "reason"),
        (edit("suspend", reason="performed"), "reason"),
        (edit("remove", entry={}), "entry"),
        (edit("remove", decided_at="x"), "decided_at"),
        (edit("put", replaces=[LISTED]), "replaces"),
        (edit("bind", list=None, document=None, documents=[LISTED]), "documents"),
        (edit("bind", list=None, document=None, documents=[LISTED, LISTED]), "documents"),
        (edit("bind", list="sx", document=None, documents=[LISTED, PASSPORT]), "list"),
        (edit("bind", list=None, documents=[LISTED, PASSPORT]), "document"),
        (edit("put", nonsense=1), ""),
    ],
)  # fmt: skip
async def test_an_invalid_change_is_rejected_and_harms_no_other(
    change: dict[str, Any], field: str, valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        answer = await api.change(change, edit("put", document=OTHER))
        rejected, applied = answer["results"]
        assert rejected["outcome"] == "rejected"
        assert rejected["errors"][0]["field"] == field
        assert applied["outcome"] == "applied"
        assert "110105187912310024" not in str(answer)


async def test_a_removal_without_a_revision_is_newer_than_what_is_stored(
    valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        ahead = int(time.time() * 1000) + 200_000
        await api.change(edit("put", ahead))
        (result,) = (await api.change(edit("remove", None)))["results"]
        assert result["current"] == {"state": "removed", "revision": ahead + 1}
        assert (await api.check(LISTED))["decision"] == "allow"


BACK = {"reason": "mistaken_removal"}
NAMED = {"name": "张某某", "case": "(2018)京0105执1234号", "court": "甲法院", "until": "2899-01-01"}


async def test_a_removal_by_mistake_is_taken_back_with_all_that_the_entry_said(
    valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        await api.change(edit("put", entry=NAMED), edit("remove", 11))
        before = (await api.post("/v1/entries/find", {"document": LISTED}))["entries"]
        assert (await api.check(LISTED))["decision"] == "allow"
        answer = await api.change(edit("reinstate", None, **BACK), wait="all")
        (result,) = answer["results"]
        assert (result["outcome"], result["was"]) == ("applied", "removed")
        assert result["current"]["state"] == "active"
        (entry,) = (await api.post("/v1/entries/find", {"document": LISTED}))["entries"]
        same = ("list", "entry_id", "from", "until", "case", "court", "modes")
        assert [entry[name] for name in same] == [before[0][name] for name in same]
        assert (entry["state"], entry["reason"]) == ("active", "mistaken_removal")
        for name, decision in (("张某某", "deny"), ("李某某", "refer")):
            assert (await api.check(LISTED, name=name))["decision"] == decision
        history = (await api.post("/v1/entries/history", {"document": LISTED}))["history"]
        assert [each["op"] for each in history] == ["put", "remove", "put"]
        again = edit("reinstate", result["current"]["revision"], **BACK)
        assert await api.outcomes(again) == ["duplicate"]


@pytest.mark.parametrize(
    ("before", "outcome", "state"),
    [
        ([edit("put"), edit("remove", 11)], "applied", "active"),
        ([edit("put"), edit("suspend", 11), edit("remove", 12)], "applied", "active"),
        ([edit("put"), edit("remove", FAR_BACK)], "superseded", "removed"),
        ([edit("put")], "duplicate", "active"),
        ([edit("put"), edit("suspend", 11)], "duplicate", "suspended"),
        ([edit("remove")], "rejected", "removed"),
        ([], "rejected", None),
        ([edit("put", entry_id="e/2")], "rejected", None),
    ],
)
async def test_only_what_was_listed_and_removed_is_put_back(
    before: list[Any], outcome: str, state: str | None, valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        if before:
            await api.change(*before)
        # with another change of the person in the same call
        also = edit("put", FAR_BACK + 1, entry_id="e/3")
        assert (await api.outcomes(edit("reinstate", FAR_BACK - 1), also))[0] == outcome
        found = (await api.post("/v1/entries/find", {"document": LISTED}))["entries"]
        assert [each["state"] for each in found if each["entry_id"] == "e/1"] == [state] * bool(
            state
        )


async def test_documents_that_are_replaced_are_freed(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        await api.change(edit("put", 10))
        replaced = edit("put", 11, document=PASSPORT, replaces=[LISTED])
        await api.change(replaced, wait="all")
        assert (await api.check(LISTED))["decision"] == "allow"
        assert (await api.check(PASSPORT))["decision"] == "deny"
        found = await api.post("/v1/entries/find", {"document": LISTED})
        assert found["entries"][0]["reason"] == "error"


async def test_bound_documents_are_denied_and_freed_together(
    valkey: Server, tmp_path: Path
) -> None:
    binding = {"entry_id": "b", "documents": [LISTED, PASSPORT]}
    async with desk(valkey, tmp_path) as api:
        await api.change(edit("put"))
        bound = await api.change({"op": "bind", "revision": 5, **binding}, wait="all")
        assert bound["results"][0]["was"] == "removed"
        assert bound["results"][0]["current"]["state"] == "active"
        assert (await api.check(PASSPORT))["decision"] == "deny"
        again = await api.change({"op": "bind", "revision": 5, **binding})
        assert again["results"][0]["outcome"] == "duplicate"
        unbind = {"op": "unbind", "revision": 6, "reason": "error", **binding}
        assert await api.outcomes(unbind) == ["applied"]
        assert (await api.check(PASSPORT))["decision"] == "allow"
        assert (await api.check(LISTED))["decision"] == "deny"


async def test_a_lift_allows_until_it_is_revoked(valkey: Server, tmp_path: Path) -> None:
    lift = edit("put", list="lift", entry_id="l", entry={"until": "2099-01-01"})
    async with desk(valkey, tmp_path) as api:
        await api.change(edit("put"), lift, wait="all")
        answer = await api.check(LISTED)
        assert (answer["decision"], answer["reasons"][0]["code"]) == ("allow", "lifted")
        await api.change(edit("remove", 11, list="lift", entry_id="l", reason="revoked"))
        assert (await api.check(LISTED))["decision"] == "deny"


async def test_a_key_without_a_scope_changes_nothing(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        key = await make_key(api.service.settings, ["list:remove@ndrc-rail", "list:add"])
        api.client.headers.update(bearer(key))
        problem = await api.post(
            "/v1/changes", {"changes": [edit("put"), edit("remove")]}, status=403
        )
        assert "list:remove" in problem["detail"]
        assert await api.outcomes(edit("remove", list="ndrc-rail")) == ["unseen"]
        await api.post("/v1/changes", {"changes": [edit("put", list="lift")]}, status=403)
        assert await api.outcomes(edit("put")) == ["applied"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"changes": []},
        {"changes": [edit("put")] * 1001},
        {"changes": [edit("put")], "wait": "never"},
        {"changes": [edit("put")], "timeout_ms": 30_001},
        {"changes": [edit("put")], "extra": 1},
        [],
    ],
)
async def test_a_malformed_request_is_a_400(body: object, valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        problem = await api.post("/v1/changes", body, status=400)
        assert problem["errors"]


async def test_changes_that_cannot_be_made_safe_are_a_503_with_revisions(
    valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        api.service.applier.wait = api.service.applier.wait._replace(replicas=1, timeout_ms=50)
        problem = await api.post(
            "/v1/changes",
            {"changes": [edit("put", 10), edit("put", list="nope"), edit("remove", 11)]},
            status=503,
        )
        assert problem["revisions"] == [10, 0, 11]
        api.service.applier.wait = api.service.applier.wait._replace(replicas=0)
        assert await api.outcomes(edit("put", 10), edit("remove", 11)) == ["duplicate"] * 2
