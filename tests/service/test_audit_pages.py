"""The audit's pages are whole and bounded, whatever somebody has put into its streams."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from roster import keys
from roster.records.audited import EntriesRead
from roster.storage import audit
from service.audit import pages
from service.audit.pages import AuditCursor, cursor_of
from tests.service.apps import running, settings_for
from tests.service.audited import faults, recorded
from tests.service.audited import pages as all_pages
from tests.service.rosters import Desk, desk

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server

MANY = 40
PARTITION = 3
FAR_MS = 9_999_999_999_999
"""In the year 2286."""


@pytest.fixture(autouse=True)
def not_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.upkeep.AUDIT_EVERY_S", 3_600)


def unsealed(*content: Any) -> str:  # noqa: ANN401 -- MessagePack
    return urlsafe_b64encode(msgspec.msgpack.encode(content)).decode().rstrip("=")


async def look(api: Desk, name: str, partition: int = PARTITION) -> None:
    token = bytes((0, partition)) + bytes(14)
    api.service.audit.note(EntriesRead(name, "find", token), token)
    await api.service.audit.flush()


async def test_a_place_that_we_did_not_give_is_refused(valkey: Server, tmp_path: Path) -> None:
    key, another = bytes(32), bytes(31) + b"1"
    cursor = AuditCursor((1, 2), (3, 4), (5, 6))
    assert cursor_of(cursor.text(key), key) == cursor
    own = cursor.text(another)
    async with running(settings_for(valkey, tmp_path)) as client:
        everything = unsealed((0, 0), (2**63, 0), ())
        texts = (everything, unsealed(0, 2**63, []), "A" * 22 + everything, own, own[:-1], "", "é")
        for text in texts:
            answer = await client.get("/v1/audit", params={"after": text})
            assert answer.status_code == 400
            assert [each["field"] for each in answer.json()["errors"]] == ["after"]


async def test_what_lies_in_one_millisecond_is_read_in_parts(
    valkey: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(pages, "FEWEST", 2)
    monkeypatch.setattr(pages, "MOST", 4)
    ranged = audit._range

    def counted(*about: Any) -> tuple[Any, ...]:  # noqa: ANN401 -- of a command
        asked.append(about[-1])
        return ranged(*about)

    monkeypatch.setattr(audit, "_range", counted)
    async with desk(valkey, tmp_path) as api:
        with valkey.client() as redis:
            for seq in range(MANY):
                redis.xadd(keys.AUDIT[PARTITION], {"b": b"-"}, id=f"5-{seq}")
        for limit in (7, 1_000):
            found = await recorded(api.client, api.service, limit=limit)
            assert [each["kind"] for each in found].count("damaged") == MANY
        assert max(asked) <= 4 * pages.ALONE


async def test_an_entry_from_the_future_hides_nothing_and_ends(
    valkey: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "FEWEST", 2)
    monkeypatch.setattr(pages, "MOST", 2)
    async with desk(valkey, tmp_path) as api:
        for at in range(4):
            await look(api, f"before {at}", at)
        with valkey.client() as redis:
            redis.xadd(keys.AUDIT[PARTITION], {"b": b"-"}, id=f"{FAR_MS}-0")
        for at in range(4):
            await look(api, f"after {at}")
        names = {f"{when} {at}" for when in ("before", "after") for at in range(4)}
        for limit in (1, 3, 1_000):
            found = await recorded(api.client, api.service, limit=limit)
            told = [each.get("key") for each in found if each["kind"] == "read"]
            assert len(told) == len(names)
            assert set(told) == names
        assert len(await faults(api.client)) == 1


async def test_an_entry_that_no_year_can_tell_of_is_a_fault(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        await look(api, "before")
        with valkey.client() as redis:
            redis.xadd(keys.AUDIT[PARTITION], {"b": b"-"}, id=f"{2**62}-0")
        found = await recorded(api.client, api.service)
        damaged = [each["at"] for each in found if each["kind"] == "damaged"]
        assert damaged == ["9999-12-31T23:59:59.999Z"]
        (fault,) = await faults(api.client)
        assert fault.startswith("written after the year 9999")


async def test_a_limit_of_any_length_is_told(valkey: Server, tmp_path: Path) -> None:
    async with running(settings_for(valkey, tmp_path)) as client:
        for limit in ("9" * 5_000, "00001", "-1", "١"):
            answer = await client.get("/v1/audit", params={"limit": limit})
            assert answer.status_code == 400
            assert [each["field"] for each in answer.json()["errors"]] == ["limit"]


async def test_a_head_tells_when_its_block_was_sealed(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        for at in range(3):
            await look(api, f"k{at}", at)
        (page,) = await all_pages(api.client, verify="true")
        process = api.service.audit.process
        heads = {each["process"]: each for each in page["heads"]}
        own = {each["tag"]: each for each in page["blocks"] if each["process"] == process}
        assert len(own) == 3
        assert own[heads[process]["head"]]["at"] == heads[process]["at"]
