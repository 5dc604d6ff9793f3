"""Who asked, what was answered and what was changed can be asked for, weeks later."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from roster import keys
from roster.records.audited import EntriesRead
from roster.storage.audit import trim
from roster.times import DAY_MS, parse_time
from service.audit import pages
from service.deciding import answers
from tests.service.apps import bearer, make_key, running, settings_for
from tests.service.audited import entries, recorded, records
from tests.service.rosters import AIR, LISTED, OTHER, desk, edit

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server

COURT = "北京市朝阳区人民法院"
CASE = "(2018)京0105执1234号"
BORN = "1879"


@pytest.fixture(autouse=True)
def not_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.upkeep.AUDIT_EVERY_S", 3_600)


def named(found: list[Any], kind: str) -> list[Any]:
    return [each for each in found if each["kind"] == kind]


def put(**more: Any) -> dict[str, Any]:  # noqa: ANN401 -- JSON
    return edit("put", entry={"name": "张某某", "case": CASE, "court": COURT}, **more)


async def test_a_denial_is_found_by_its_decision_entry_and_key(
    valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        await api.change(put(), wait="all")
        answer = await api.check(LISTED, name="张某某")
        assert answer["decision"] == "deny"
        found = named(await recorded(api.client, api.service), "decision")
        (key,) = {each["key"] for each in found}
        expected = {
            "kind": "decision",
            "at": found[0]["at"],
            "process": api.service.audit.process,
            "key": key,
            "decision_id": answer["decision_id"],
            "mode": "air",
            "decision": "deny",
            "reasons": [{"code": "listed", "list": "sx", "entry_id": "e/1", "court": COURT}],
            "position": answer["position"],
            "token": found[0]["token"],
        }
        assert found == [expected]
        assert await records(api.client, decision=answer["decision_id"]) == [expected]
        assert expected in await records(api.client, entry=" e/1 ")
        assert expected in await records(api.client, key=key, entry="e/1")
        name = answer["decision_id"]
        another = ("1" if name[0] == "0" else "0") + name[1:]
        nothing: list[dict[str, str]] = [
            {"decision": another}, {"decision": "1"}, {"entry": "e/2"},
            {"key": "0" * 12}, {"late": "true"},
        ]  # fmt: skip
        for query in nothing:
            assert await records(api.client, **query) == []


async def test_a_court_that_another_process_has_named_since_is_spelled_out(
    valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        await api.change(put(), wait="all")
        await api.check(LISTED)
        known = api.service.dictionary.courts
        ((court, _),) = known.items()
        await recorded(api.client, api.service)
        del known[court]
        known[b"else"] = "another court"
        (found,) = named(await records(api.client), "decision")
        assert found["reasons"][0]["court"] == COURT


async def test_the_canary_is_nobody(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        canary = api.service.canary
        rounds = canary.rounds
        await canary.probe()
        assert (canary.rounds > rounds, canary.failures) == (True, 0)
        assert await recorded(api.client, api.service) == []


async def test_refers_are_recorded_and_allows_are_not(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        await api.change(put(), wait="all")
        allowed = await api.check(OTHER)
        referred = await api.check(LISTED, name="李某某")
        batch = await api.post(
            "/v1/check/batch",
            {"items": [{"document": each, "journey": AIR} for each in (LISTED, OTHER)]},
        )
        found = named(await recorded(api.client, api.service), "decision")
        assert allowed["decision"] == "allow"
        assert [each["decision"] for each in found] == ["refer", "deny"]
        assert [each["reasons"][0]["code"] for each in found] == ["name_mismatch", "listed"]
        names = [referred["decision_id"], batch["results"][0]["decision_id"]]
        assert [each["decision_id"] for each in found] == names
        assert answers.recorded_at(allowed["decision_id"]) is None


async def test_a_reference_comes_back_and_is_kept_nowhere(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        await api.change(put(), wait="all")
        denied = await api.check(LISTED, reference="REF-KEPT-NOWHERE")
        assert (denied["decision"], denied["reference"]) == ("deny", "REF-KEPT-NOWHERE")
        assert named(await recorded(api.client, api.service), "decision")
        assert "REF-KEPT" not in str(await recorded(api.client, api.service))
        with valkey.client() as redis:
            dumped = [redis.dump(name) or b"" for name in redis.scan_iter("*")]
        assert dumped
        assert not [each for each in dumped if b"REF-KEPT" in each]


async def test_changes_and_reads_are_recorded_with_who_and_what(
    valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        put_at = (await api.change(put(), wait="all"))["results"][0]["position"]
        await api.post("/v1/entries/find", {"document": LISTED})
        await api.post("/v1/standing", {"document": LISTED})
        await api.post("/v1/standing", {"document": OTHER})
        await api.post("/v1/entries/history", {"document": LISTED})
        removal = edit("remove", 20, reason="performed", decided_at="2026-01-01T00:00:00Z")
        await api.change(removal, removal, edit("suspend", 5))
        found = await recorded(api.client, api.service)
        changes, reads = named(found, "change"), named(found, "read")
        token = api.service.desk.tokeniser
        assert [(each["op"], each["outcome"]) for each in changes] == [
            ("put", "applied"), ("remove", "applied"), ("remove", "duplicate"),
            ("suspend", "superseded"),
        ]  # fmt: skip
        first, second = changes[:2]
        assert (first["list"], first["entry_id"], first["revision"]) == ("sx", "e/1", 10)
        assert (first["position"], first["reason"], first["decided_at"]) == (put_at, None, None)
        assert (second["reason"], second["decided_at"]) == ("performed", "2026-01-01T00:00:00Z")
        assert [each["what"] for each in reads] == ["find", "standing", "history"]
        assert {each["token"] for each in found} == {first["token"]}
        assert len({each["key"] for each in found}) == 1
        assert token.scheme == 2


async def test_a_standing_that_only_names_an_entry_is_a_read(
    valkey: Server, tmp_path: Path
) -> None:
    lift = {"until": "2099-01-01", "kind": "mistaken_identity", "name": "张某某"}
    async with desk(valkey, tmp_path) as api:
        await api.change(put(), edit("put", list="lift", entry_id="l", entry=lift), wait="all")
        told = await api.post("/v1/standing", {"document": LISTED, "name": "张某某"})
        assert (told["forbidden"], told["remaining"]) == ([], [])
        assert [each["entry_id"] for each in told["reasons"]] == ["l"]
        reads = named(await recorded(api.client, api.service), "read")
        assert [each["what"] for each in reads] == ["standing"]


async def test_no_number_and_no_name_is_in_it(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        await api.change(put(), wait="all")
        await api.check(LISTED, name="张某某")
        await api.post("/v1/entries/find", {"document": LISTED})
        await api.service.audit.flush()
        raw = b"".join(data for _, _, data in entries(valkey))
        number = LISTED["number"]
        for text in (number, number[-8:], "张某某"):
            for form in ("utf-8", "utf-16-le", "utf-16-be", "gb18030"):
                assert text.encode(form) not in raw
        assert BORN.encode() in number.encode()


async def test_only_the_scope_audit_may_ask(valkey: Server, tmp_path: Path) -> None:
    settings = settings_for(valkey, tmp_path)
    async with running(settings) as client:
        other = await make_key(settings, ("ops", "list:read", "check"))
        answer = await client.get("/v1/audit", headers=bearer(other))
        assert (answer.status_code, answer.json()["scope"]) == (403, "audit")
        own = await make_key(settings, ("audit",))
        assert (await client.get("/v1/audit", headers=bearer(own))).status_code == 200
        assert (await client.get("/v1/audit", headers={"authorization": ""})).status_code == 401


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("late=yes", "late"),
        ("after=x", "after"),
        ("verify=true&key=k", "key"),
        ("verify=1", "verify"),
        ("entry=" + "e" * 129, "entry"),
        ("colour=x", "query"),
    ],
)
async def test_what_cannot_be_asked_is_told(
    query: str, field: str, valkey: Server, tmp_path: Path
) -> None:
    async with running(settings_for(valkey, tmp_path)) as client:
        answer = await client.get(f"/v1/audit?{query}")
        assert answer.status_code == 400
        assert [each["field"] for each in answer.json()["errors"]] == [field]


async def test_pages_leave_nothing_out_and_give_nothing_twice_in_order(
    valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        audit = api.service.audit
        for at in range(30):
            for n in range(40):
                token = bytes((0, (7 * at + n) % 64)) + bytes(14)
                audit.note(EntriesRead(f"{at:02d}-{n:02d}", "find", token), token)
            await audit.flush()
        wanted = sorted(f"{at:02d}-{n:02d}" for at in range(30) for n in range(40))
        for limit in (7, 400, 1_000):
            found = named(await recorded(api.client, api.service, limit=limit), "read")
            assert sorted(each["key"] for each in found) == wanted
            times = [parse_time(each["at"]) for each in found]
            assert all(after >= before - 1_000 for before, after in pairwise(times))
        assert len(await records(api.client, limit=1, key="29-39")) == 1


async def test_a_page_may_end_while_there_is_more(
    valkey: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "WORK_S", 0)
    monkeypatch.setattr(pages, "FEWEST", 1)
    async with desk(valkey, tmp_path) as api:
        audit = api.service.audit
        for at in range(9):
            audit.note(EntriesRead(f"k{at}", "find", bytes(16)), bytes(16))
            await audit.flush()
            await asyncio.sleep(0.002)  # so that each lies in a millisecond of its own
        found = await records(api.client, key="k8")
        assert [each["key"] for each in found] == ["k8"]
        assert len(await records(api.client)) == 9


async def test_what_is_older_than_the_retention_is_forgotten(
    valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        audit = api.service.audit
        for _ in range(3):
            audit.note(EntriesRead("k", "find", bytes(16)), bytes(16))
            await audit.flush()
        now_ms = time.time_ns() // 1_000_000
        await trim(api.service.changes_store.nodes, 0, now_ms - DAY_MS)
        assert len(await records(api.client)) == 3
        await trim(api.service.changes_store.nodes, 0, now_ms + 1_000)
        assert await records(api.client) == []
        with valkey.client() as redis:
            assert redis.xlen(keys.AUDIT[0]) == 0
