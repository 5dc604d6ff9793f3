from __future__ import annotations

import asyncio
import base64
import random
import struct
from typing import TYPE_CHECKING, Any

import pytest

from roster import keys
from roster.records.cursor import Cursor, CursorWriter, from_feed, from_text
from roster.records.position import Position
from tests.service.apps import bearer, make_key
from tests.service.rosters import LISTED, OTHER, Desk, desk, edit

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server


def passport(number: int) -> dict[str, str]:
    return {"type": "passport", "issuer": "FRA", "number": f"T{number:08d}"}


async def forget_the_last(valkey: Server, api: Desk, number: int) -> None:
    """One partition as after a fail-over that has lost its last change, which was acknowledged."""
    with valkey.client() as client:
        (identifier, fields), *_ = client.xrevrange(keys.LOG[number], count=1)
        client.xdel(keys.LOG[number], identifier)
        history, seq = (int(part) for part in identifier.split(b"-"))
        before = client.xrevrange(keys.LOG[number], count=1)
        mark = before[0][1][b"e"][:4] if before else bytes(4)
        client.hset(keys.META[number], mapping={"seq": seq - 1, "mark": mark})
    assert fields
    assert history
    await api.service.processes.ring([])


async def read(api: Desk, status: int = 200, **query: Any) -> Any:  # noqa: ANN401 -- JSON
    answer = await api.client.get("/v1/changes", params=query)
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_the_log_tells_maintainers_what_changed(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        start = (await read(api, after="now"))["position"]
        await api.change(edit("put"), edit("remove", 11, reason="performed"))
        told = await read(api, after=start)
        put, removal = told["changes"]
        assert (put["op"], put["list"], put["entry_id"], put["revision"]) == (
            "put",
            "sx",
            "e/1",
            10,
        )
        assert (removal["op"], removal["reason"], removal["actor"]) == (
            "remove", "performed", "test",
        )  # fmt: skip
        assert put["token"] == removal["token"]
        assert LISTED["number"] not in str(told)
        assert (await read(api, after=told["position"]))["changes"] == []
        assert len((await read(api, after=start, limit=1))["changes"]) == 1


async def test_a_carrier_learns_only_pseudonyms(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        key = await make_key(api.service.settings, ["check", "feed"])
        await api.change(edit("put"), wait="all")
        api.client.headers.update(bearer(key))
        subject = (await api.check(LISTED))["subject"]
        told = (await read(api))["changes"]
        assert [set(change) for change in told] == [{"position", "subject"}]
        assert told[0]["subject"] == subject


async def test_a_long_poll_ends_when_something_changes(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        start = (await read(api, after="now"))["position"]
        waiting = asyncio.create_task(read(api, after=start, wait_ms=5_000))
        await asyncio.sleep(0.05)
        await api.change(edit("put", document=OTHER))
        async with asyncio.timeout(2):
            told = await waiting
        assert [change["op"] for change in told["changes"]] == ["put"]


async def test_a_long_poll_ends_empty_in_time(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        start = (await read(api, after="now"))["position"]
        async with asyncio.timeout(2):
            assert (await read(api, after=start, wait_ms=50))["changes"] == []


async def test_a_position_that_the_log_lost_is_a_410(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        await api.change(edit("put"))
        places = list(from_feed((await read(api, after="now"))["position"]).places)
        places[7] = Position(7, 1, 1, b"gone")
        problem = await read(api, 410, after=Cursor(tuple(places)).text)
        assert (await read(api, after=problem["oldest"]))["changes"]


async def test_every_position_of_the_feed_says_what_has_been_read(
    valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        start = (await read(api, after="now"))["position"]
        await api.change(*(edit("put", document=passport(n)) for n in range(8)))
        whole = await read(api, after=start)
        assert len(whole["changes"]) == 8
        for at, change in enumerate(whole["changes"], 1):
            rest = (await read(api, after=change["position"]))["changes"]
            assert [each["token"] for each in rest] == [
                each["token"] for each in whole["changes"][at:]
            ]
        assert (await read(api, after=whole["position"]))["changes"] == []
        first = await read(api, after=start, limit=3)
        assert first["position"] != whole["position"]
        assert len((await read(api, after=first["position"]))["changes"]) == 5


async def test_whoever_follows_reads_every_change_once_and_in_order_from_any_process(
    valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as one, desk(valkey, tmp_path / "two") as two:
        position = (await read(one, after="now"))["position"]
        chance = random.Random(7)
        made: dict[int, list[int]] = {}
        ended = False

        async def change() -> None:
            nonlocal ended
            for revision in range(10, 90):
                some = chance.sample(range(12), chance.randint(1, 6))
                for person in some:
                    made.setdefault(person, []).append(revision)
                entry = {"case": str(revision)}
                puts = [edit("put", revision, document=passport(n), entry=entry) for n in some]
                await chance.choice((one, two)).change(*puts)
            ended = True

        changing = asyncio.create_task(change())
        told: dict[str, list[int]] = {}
        while True:
            last = ended
            query = {"after": position, "limit": chance.randint(1, 40)}
            wait_ms = chance.choice((0, 20))
            page = await read(chance.choice((one, two)), wait_ms=wait_ms, **query)
            # On from the page's own position, or from that of one of its changes.
            taken = page["changes"][: chance.randint(1, 40)] if chance.random() < 0.3 else None
            position = taken[-1]["position"] if taken else page["position"]
            for each in taken or page["changes"]:
                told.setdefault(each["token"], []).append(each["revision"])
            if last and not page["changes"]:
                break
        await changing
        assert sorted(told.values()) == sorted(made.values())


async def test_a_position_of_another_answer_is_a_400_that_says_so(
    valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        puts = [edit("put", document=passport(n)) for n in range(600)]
        many = await api.change(*puts)
        others = [
            (await api.change(edit("put"), wait="all"))["position"],
            many["position"],
            many["results"][0]["position"],
            (await api.check(LISTED))["position"],
            (await api.check(OTHER))["position"],
            (await api.post("/v1/entries/find", {"document": LISTED}))["position"],
            (await api.client.get("/v1/roster")).json()["position"],
        ]
        assert len(from_text(many["position"])) == 64  # of every partition, as the feed's
        for position in others:
            problem = await read(api, 400, after=position)
            assert [error["field"] for error in problem["errors"]] == ["after"]
            assert "feed" in problem["detail"]
            assert (await api.check(LISTED, at_least=position))["decision"] == "deny"


async def test_positions_of_the_feed_are_as_good_as_others_for_at_least(
    valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        await api.change(edit("put"), edit("put", document=OTHER))
        page = await read(api)
        own = [change["position"] for change in page["changes"]]
        now = (await read(api, after="now"))["position"]
        for at_least in (page["position"], now, own[:16], own[-1]):
            assert (await api.check(LISTED, at_least=at_least))["decision"] == "deny"
        places = list(from_feed(own[-1]).places)
        ahead = Cursor(tuple(place._replace(seq=place.seq + 9) for place in places))
        for text in (ahead.text, CursorWriter(ahead).text()):
            answer = await api.check(LISTED, at_least=text)
            assert (answer["decision"], answer["reasons"][0]["code"]) == ("refer", "stale")


async def test_the_version_before_and_this_one_take_each_others_pages(
    valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        await api.change(edit("put"))
        ends = from_feed((await read(api, after="now"))["position"]).places
        data = b"\x01" + b"".join(struct.pack(">B", p.partition) + p.wire for p in ends)
        theirs = base64.urlsafe_b64encode(data).rstrip(b"=").decode()
        assert (await read(api, after=theirs)) == {"changes": [], "position": theirs}


async def test_a_new_history_ends_a_poll_with_where_to_start(
    valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        await api.change(edit("put"), wait="all")
        start = (await read(api, after="now"))["position"]
        waiting = asyncio.create_task(read(api, 410, after=start, wait_ms=20_000))
        number = from_text((await api.change(edit("put", 10)))["position"])[0].partition
        waiting_too = asyncio.create_task(api.client.get("/healthz"))
        assert (await waiting_too).status_code == 200
        await forget_the_last(valkey, api, number)
        async with asyncio.timeout(10):
            problem = await waiting
        assert problem["type"].endswith("log-trimmed")
        # From there on everything is told that the new history has.
        await api.change(edit("remove", 12))
        told = (await read(api, after=problem["oldest"]))["changes"]
        assert [change["op"] for change in told if change["list"] == "sx"][-1] == "remove"


@pytest.mark.parametrize(
    "query",
    [{"after": "zzz"}, {"limit": 0}, {"limit": 1001}, {"wait_ms": 30_001}, {"wait_ms": "x"},
     {"what": 1}],
)  # fmt: skip
async def test_a_wrong_query_is_a_400(query: Any, valkey: Server, tmp_path: Path) -> None:  # noqa: ANN401 -- JSON
    async with desk(valkey, tmp_path) as api:
        await read(api, 400, **query)


async def test_what_happened_to_a_person_is_kept(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        await api.change(
            edit("put", entry={"court": "C"}),
            edit("suspend", 11, reason="dispute"),
            edit("resume", 12, reason="dispute"),
            edit("remove", 13, reason="settled", decided_at="2018-03-01T08:05:00+08:00"),
        )
        told = (await api.post("/v1/entries/history", {"document": LISTED}))["history"]
        assert [event["op"] for event in told] == ["put", "suspend", "resume", "remove"]
        assert [event["state"] for event in told] == ["active", "suspended", "active", "removed"]
        assert told[0]["court"] == "C"
        assert told[-1]["decided_at"] == "2018-03-01T00:05:00Z"
        assert (told[-1]["source"], told[-1]["actor"]) == ("api", "test")
        other = {"document": LISTED, "entry_id": "another"}
        assert (await api.post("/v1/entries/history", other))["history"] == []
        (entry,) = (await api.post("/v1/entries/find", {"document": LISTED}))["entries"]
        assert (entry["state"], entry["reason"], entry["court"]) == ("removed", "settled", "C")


async def test_reads_of_a_silent_redis_are_a_503_soon(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        valkey.pause()
        try:
            async with asyncio.timeout(6):
                answer = await api.client.get("/v1/roster")
                assert answer.status_code == 503
                assert answer.headers["retry-after"]
                await api.post("/v1/entries/find", {"document": LISTED}, status=503)
        finally:
            valkey.resume()


async def test_pages_are_full_until_the_end_whoever_reads(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        for revision in range(10, 15):
            await api.service.canary.probe()
            await api.change(edit("put", revision, entry={"case": str(revision)}))
        api.client.headers.update(bearer(await make_key(api.service.settings, ["feed"])))
        position, pages = None, []
        while True:
            told = await read(api, limit=2, **({"after": position} if position else {}))
            if not told["changes"]:
                break
            pages.append(len(told["changes"]))
            position = told["position"]
        assert sum(pages) == 5


async def test_a_duplicate_of_what_was_removed_tells_nobody(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        await api.change(edit("put"), edit("remove", 11))
        start = (await read(api, after="now"))["position"]
        assert await api.outcomes(edit("put"), edit("put")) == ["duplicate"] * 2
        assert [c for c in (await read(api, after=start))["changes"] if c["list"] == "sx"] == []
        (entry,) = (await api.post("/v1/entries/find", {"document": LISTED}))["entries"]
        assert entry["state"] == "removed"


async def test_a_tombstone_keeps_what_was_published(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        published = {"case": "(2018)京0105执1号", "court": "C", "from": "2018-03-01"}
        await api.change(edit("put", entry=published))
        await api.change(edit("remove", 11))
        (entry,) = (await api.post("/v1/entries/find", {"document": LISTED}))["entries"]
        assert (entry["case"], entry["court"]) == ("(2018)京0105执1号", "C")
