"""One document that goes by several codes: never an allow because of the code alone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from roster.documents.identity import Document, DocumentNumber
from roster.records.change import Change
from roster.records.content import pack_content
from roster.records.entry import Content, Op, Provenance
from roster.records.record import provenance_tail
from roster.rules.verdict import Journey
from roster.times import boot_s
from service.deciding.questions import Query
from tests.service.parts import WAIT, process
from tests.service.rosters import AIR, LISTED, Desk, desk, edit

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server

NUMBER = "K12345678"
CODES = [
    ("CHN", "HKG"), ("HKG", "CHN"), ("MAC", "CHN"), ("HKG", "MAC"), ("GBR", "GBN"), ("GBD", "GBR"),
    ("GBO", "GBP"), ("GBS", "GBR"), ("BMU", "GBD"), ("JEY", "GBR"), ("DEU", "D"), ("D", "DEU"),
    ("USA", "PRI"), ("REU", "FRA"),
]  # fmt: skip


def passport(issuer: str, number: str = NUMBER) -> dict[str, str]:
    return {"type": "passport", "number": number, "issuer": issuer}


@pytest.mark.parametrize(("listed", "asked"), CODES)
async def test_a_passport_is_one_document_under_every_code_of_its_state(
    valkey: Server, tmp_path: Path, listed: str, asked: str
) -> None:
    async with desk(valkey, tmp_path) as api:
        there, here = passport(listed), passport(asked)
        assert await api.outcomes(edit("put", document=there)) == ["applied"]
        denied = await api.check(here)
        assert (denied["decision"], denied["reasons"][0]["entry_id"]) == ("deny", "e/1")
        assert denied["subject"] == (await api.check(there))["subject"]
        batch = {"items": [{"document": here}, {"document": there}], "journey": AIR}
        results = (await api.post("/v1/check/batch", batch))["results"]
        assert [each["decision"] for each in results] == ["deny", "deny"]
        standing = await api.post("/v1/standing", {"document": here})
        assert standing["standing"] == "restricted"
        found = await api.post("/v1/entries/find", {"document": here})
        assert [each["state"] for each in found["entries"]] == ["active"]
        assert await api.outcomes(edit("suspend", 11, document=here, reason="dispute")) == [
            "applied"
        ]
        assert (await api.check(there))["decision"] == "allow"
        assert await api.outcomes(edit("resume", 12, document=there)) == ["applied"]
        put = edit("put", 13, document=here, entry={"case": "c"})
        assert await api.outcomes(put) == ["applied"]
        (reason,) = (await api.check(there))["reasons"]
        assert reason["case"] == "c"
        removed = await api.change(edit("remove", None, document=here), wait="all")
        assert [each["outcome"] for each in removed["results"]] == ["applied"]
        for document in (here, there):
            answer = await api.check(document, at_least=removed["position"])
            assert answer["decision"] == "allow"
            asked_for = {"document": document}
            history = (await api.post("/v1/entries/history", asked_for))["history"]
            assert [each["op"] for each in history] == ["put", "suspend", "resume", "put", "remove"]
        assert await api.outcomes(edit("put", 9, document=here)) == ["superseded"]
        assert (await api.check(here))["decision"] == "allow"


async def test_a_strangers_equal_number_of_another_issuer_is_not_denied(
    valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        number = "141234567"  # an older Chinese one, and as many places as Taiwan's
        await api.change(edit("put", document=passport("CHN", number)), wait="all")
        for issuer in ("TWN", "GBR", "USA", "DEU", "XXA", "XXB", "UNO", "KOR"):
            assert (await api.check(passport(issuer, number)))["decision"] == "allow", issuer
        for issuer in ("CHN", "HKG", "MAC"):
            assert (await api.check(passport(issuer, number)))["decision"] == "deny", issuer


async def test_other_documents_follow_the_same_codes_and_keep_their_kinds_apart(
    valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        book = {"type": "other", "kind": "seaman", "number": NUMBER, "issuer": "HKG"}
        await api.change(edit("put", document=book), wait="all")
        assert (await api.check({**book, "issuer": "CHN"}))["decision"] == "deny"
        police = {**book, "issuer": "CHN", "kind": "police"}
        assert (await api.check(police))["decision"] == "allow"


async def store(api: Desk, number: str, entry_id: str) -> None:
    """An entry of list sx as another version stored it, once every process has it."""
    service = api.service
    token = service.tokeniser.token(DocumentNumber(number))
    packed = pack_content(Content(entry_id), {})
    change = Change(
        token,
        1,
        Op.PUT,
        10,
        service.tokeniser.entry_hash(1, entry_id),
        packed,
        service.tokeniser.digest(token, 1, packed),
        provenance_tail(Provenance("api", "test")),
    )
    await service.changes_store.apply([change], service.applier.wait)
    async with asyncio.timeout(10):
        while not service.screener.may_be_listed(token):  # noqa: ASYNC110 -- the follower makes it so
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("kept", ["W:IND:K9876543<", "W:IND:K9876543"])
@pytest.mark.parametrize("number", ["K9876543<", "k9876543＜"])
async def test_what_was_stored_with_filler_is_found_and_freed(
    valkey: Server, tmp_path: Path, kept: str, number: str
) -> None:
    async with desk(valkey, tmp_path) as api:
        await store(api, kept, "e/1")
        asked = passport("IND", number)
        assert (await api.check(asked))["decision"] == "deny"
        assert await api.outcomes(edit("remove", 11, document=asked)) == ["applied"]
        assert (await api.check(asked))["decision"] == "allow"


async def test_an_excluded_letter_is_no_allow(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        await api.change(edit("put", document=passport("CHN", "E01234567")), wait="all")
        for number in ("EO1234567", "eo1234567", "EI1234567", "ＥＯ１２３４５６７"):
            for issuer in ("CHN", "HKG"):
                answer = await api.check(passport(issuer, number))
                assert answer["decision"] == "refer"
                assert answer["reasons"][0]["code"] == "document_invalid"


async def test_a_put_that_replaces_the_other_code_moves_the_entry(
    valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        await api.change(edit("put", document=passport("CHN")), wait="all")
        moved: dict[str, Any] = edit(
            "put", 11, document=passport("HKG"), replaces=[passport("CHN")], entry={"case": "c"}
        )
        assert await api.outcomes(moved) == ["applied"]
        for issuer in ("CHN", "HKG"):
            (reason,) = (await api.check(passport(issuer)))["reasons"]
            assert reason["case"] == "c"
        replaced = edit("put", 12, document=LISTED, replaces=[passport("MAC")])
        assert await api.outcomes(replaced) == ["applied"]
        assert (await api.check(passport("CHN")))["decision"] == "allow"
        assert (await api.check(LISTED))["decision"] == "deny"


@pytest.mark.parametrize(
    ("stored", "own", "replaced"),
    [("CHN", "HKG", "MAC"), ("MAC", "HKG", "CHN"), ("GBR", "GBD", "GBO"), ("HKG", "CHN", "MAC")],
)
async def test_a_put_that_replaces_one_code_of_its_own_passport_by_another_frees_nobody(
    valkey: Server, tmp_path: Path, stored: str, own: str, replaced: str
) -> None:
    async with desk(valkey, tmp_path) as api:
        await api.change(edit("put", document=passport(stored)), wait="all")
        moved: dict[str, Any] = edit(
            "put", 11, document=passport(own), replaces=[passport(replaced)], entry={"case": "c"}
        )
        answer = await api.change(moved, wait="all")
        assert [each["outcome"] for each in answer["results"]] == ["applied"]
        for issuer in (stored, own, replaced):
            told = await api.check(passport(issuer), at_least=answer["position"])
            assert told["decision"] == "deny"
            assert told["reasons"][0]["case"] == "c"


async def test_an_id_that_was_stored_with_blanks_is_still_removed(
    valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        await store(api, f"R:{LISTED['number']}", "e/1 ")
        assert (await api.check(LISTED))["decision"] == "deny"
        suspended = edit("suspend", 11, entry_id="e/1 ", reason="dispute")
        assert await api.outcomes(suspended) == ["applied"]
        assert await api.outcomes(edit("put", 12, entry_id="e/1 ")) == ["applied"]
        assert (await api.check(LISTED))["decision"] == "allow"
        assert await api.outcomes(edit("remove", 13, entry_id="e/1 ")) == ["applied"]
        found = await api.post("/v1/entries/find", {"document": LISTED})
        assert [each["state"] for each in found["entries"]] == ["removed"]


async def test_bindings_join_documents_whatever_code_they_go_by(
    valkey: Server, tmp_path: Path
) -> None:
    bind: dict[str, Any] = {"op": "bind", "entry_id": "b", "revision": 10}
    async with desk(valkey, tmp_path) as api:
        await api.change(edit("put"), wait="all")
        await api.change({**bind, "documents": [LISTED, passport("HKG")]}, wait="all")
        assert (await api.check(passport("CHN")))["decision"] == "deny"
        assert (await api.check(passport("MAC", "K87654321")))["decision"] == "allow"


async def test_a_position_is_included_under_every_code_of_a_state(valkey: Server) -> None:
    async with process(valkey) as parts:
        await parts.cover()
        await parts.follower.poll()
        there, here = (Document(type="passport", number=NUMBER, issuer=c) for c in ("CHN", "HKG"))
        token = parts.desk.traveller(Query(there, Journey("air"))).token
        content = pack_content(Content("e/1"), {})
        told = provenance_tail(Provenance("api", "test"))
        put = Change(token, 1, Op.PUT, 10, bytes(6), content, bytes(8), told)
        (applied,) = await parts.store.apply([put], WAIT)
        reached = applied.position
        query = Query(here, Journey("air"), at_least={reached.partition: reached})
        screening = await parts.desk.decide(query, parts.desk.traveller(query), boot_s())
        assert screening.verdict.decision == "deny"


async def test_a_batch_is_stale_where_another_code_of_an_item_is(
    valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        subject = api.service.desk.traveller(
            Query(Document(type="passport", number=NUMBER, issuer="HKG"), Journey("air"))
        )
        news = api.service.screener.news
        for token in subject.others:
            news._fresh_s[token[1]] = news._oldest_s = float("-inf")
        batch = {"items": [{"document": passport("HKG")}], "journey": AIR}
        assert (await api.post("/v1/check/batch", batch))["stale"] is True
