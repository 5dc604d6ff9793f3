from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from roster.documents.identity import Document
from roster.filter import TokenFilter
from roster.records.entry import Content, Op
from roster.rules.verdict import Journey
from roster.storage.logs import older_than, oldest
from service.deciding.questions import Query
from tests.service.parts import Parts, process, running

if TYPE_CHECKING:
    import pytest

    from service.deciding.screening import Screening
    from tests.servers import Server

LISTED = "110105187912310024"
OTHER = "110105187001010012"
BOUND = "440524188001010014"


async def check(parts: Parts, number: str, mode: str = "air", **more: object) -> Screening:
    query = Query(
        Document(type="resident_id", number=number),
        Journey(mode),  # type: ignore[arg-type]
        **more,  # type: ignore[arg-type]
    )
    subject = parts.desk.traveller(query)
    await parts.desk.freshen(subject.token)
    return parts.desk.clear(query, subject) or await parts.desk.ask(query, subject)


async def decide(parts: Parts, number: str, mode: str = "air", **more: object) -> str:
    return (await check(parts, number, mode, **more)).verdict.decision


async def test_a_listed_person_is_denied_and_a_removed_one_allowed(any_server: Server) -> None:
    async with process(any_server) as parts:
        await parts.cover()
        await parts.change(LISTED, Op.PUT, 10)
        await parts.follower.poll()
        assert await decide(parts, LISTED) == "deny"
        assert await decide(parts, OTHER) == "allow"
        await parts.change(LISTED, Op.REMOVE, 11)
        assert await decide(parts, LISTED) == "allow"


async def test_a_removal_is_seen_by_a_process_that_has_not_polled(valkey: Server) -> None:
    async with process(valkey) as one, process(valkey, name="p2") as two:
        await one.cover()
        await one.change(LISTED, Op.PUT, 10)
        await two.follower.poll()
        await one.change(LISTED, Op.REMOVE, 11)
        assert await decide(two, LISTED) == "allow"


async def test_removing_one_of_two_entries_keeps_the_denial(valkey: Server) -> None:
    async with process(valkey) as parts:
        await parts.cover()
        await parts.change(LISTED, Op.PUT, 10, Content("a"))
        await parts.change(LISTED, Op.PUT, 10, Content("b"))
        await parts.follower.poll()
        await parts.change(LISTED, Op.REMOVE, 11, Content("a"))
        assert await decide(parts, LISTED) == "deny"
        await parts.change(LISTED, Op.REMOVE, 11, Content("b"))
        assert await decide(parts, LISTED) == "allow"


async def test_a_list_that_was_never_loaded_refers_everybody(valkey: Server) -> None:
    async with process(valkey) as parts:
        await parts.follower.poll()
        screening = await check(parts, OTHER)
        assert screening.verdict.reasons[0].code == "not_covered"
        assert screening.last_known == "clear"


async def test_the_doorbell_brings_an_addition_to_every_process(valkey: Server) -> None:
    async with process(valkey) as one, process(valkey, name="p2") as two:
        await one.cover()
        async with running(one), running(two):
            applied = await one.change(LISTED, Op.PUT, 10)
            await one.processes.ring([applied.position])
            async with asyncio.timeout(0.9):
                while not (  # noqa: ASYNC110 -- the follower makes it so
                    one.screener.may_be_listed(one.token(LISTED))
                    and two.screener.may_be_listed(one.token(LISTED))
                ):
                    await asyncio.sleep(0.001)
            live = await one.processes.live()
            assert {each.id for each in live} == {"p1", "p2"}


async def test_documents_bound_together_are_denied_and_freed_together(valkey: Server) -> None:
    async with process(valkey) as parts:
        await parts.cover()
        await parts.change(LISTED, Op.PUT, 10)
        await parts.bind([LISTED, BOUND], Op.PUT, 10)
        await parts.follower.poll()
        assert await decide(parts, BOUND) == "deny"
        await parts.change(LISTED, Op.REMOVE, 11)
        assert await decide(parts, BOUND) == "allow"
        await parts.change(LISTED, Op.PUT, 12)
        await parts.bind([LISTED, BOUND], Op.REMOVE, 12)
        assert await decide(parts, BOUND) == "allow"
        assert await decide(parts, LISTED) == "deny"


async def test_a_binding_of_one_side_only_does_not_hold(valkey: Server) -> None:
    async with process(valkey) as parts:
        await parts.cover()
        await parts.change(LISTED, Op.PUT, 10)
        half = Content("bound", tokens=(parts.token(LISTED),))
        await parts.change(BOUND, Op.PUT, 10, half, 201)
        await parts.follower.poll()
        assert await decide(parts, BOUND) == "allow"


async def test_at_least_makes_a_stale_filter_ask(valkey: Server) -> None:
    async with process(valkey) as parts:
        await parts.cover()
        await parts.follower.poll()
        applied = await parts.change(LISTED, Op.PUT, 10)
        at_least = {applied.position.partition: applied.position}
        assert await decide(parts, LISTED, at_least=at_least) == "deny"


async def test_an_at_least_that_is_not_reached_refers(valkey: Server) -> None:
    async with process(valkey) as parts:
        await parts.cover()
        await parts.follower.poll()
        applied = await parts.change(LISTED, Op.PUT, 10)
        ahead = applied.position._replace(seq=applied.position.seq + 1)
        screening = await check(parts, LISTED, at_least={ahead.partition: ahead})
        assert screening.verdict.reasons[0].code == "stale"


async def test_with_redis_gone_cleared_people_ride_and_listed_ones_are_referred(
    valkey: Server,
) -> None:
    async with process(valkey, fresh_ms=500) as parts:
        await parts.cover()
        await parts.change(LISTED, Op.PUT, 10)
        await parts.follower.poll()
        valkey.pause()
        try:
            started = time.monotonic()
            screening = await check(parts, LISTED)
            assert time.monotonic() - started < 0.25
            assert screening.verdict.reasons[0].code == "registry_unavailable"
            assert screening.last_known == "possible"
            assert await decide(parts, OTHER) == "allow"
        finally:
            valkey.resume()


async def test_who_may_be_listed_waits_for_a_silent_redis_once(
    valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def polled(*_: object) -> bool:
        raise AssertionError("who is looked up anyway waited for a poll, too")

    async with process(valkey, fresh_ms=500) as parts:
        await parts.cover()
        await parts.change(LISTED, Op.PUT, 10)
        await parts.follower.poll()
        monkeypatch.setattr(parts.follower, "shared_poll", polled)
        valkey.pause()
        try:
            while parts.screener.fresh:  # noqa: ASYNC110 -- it becomes old by itself
                await asyncio.sleep(0.01)
            started = time.monotonic()
            assert (await check(parts, LISTED)).stale
            assert time.monotonic() - started < 0.25
        finally:
            valkey.resume()


async def test_a_flushed_server_refers_everybody(valkey: Server) -> None:
    async with process(valkey) as parts:
        await parts.cover()
        await parts.change(LISTED, Op.PUT, 10)
        await parts.follower.poll()
        with valkey.client() as link:
            link.flushall()
        assert await decide(parts, LISTED) == "refer"
        await parts.follower.poll()
        assert await decide(parts, OTHER) == "refer"


async def test_another_key_refers_everybody(valkey: Server) -> None:
    async with process(valkey) as right:
        await right.cover()
        await right.change(LISTED, Op.PUT, 10)
        await right.follower.poll()
        async with process(valkey, name="p2", key=bytes(32)) as wrong:
            assert not await wrong.follower.poll()
            assert wrong.screener.wrong_key


async def test_a_process_that_starts_later_knows_changes_since_the_image(valkey: Server) -> None:
    async with process(valkey) as one:
        await one.cover()
        for number in (LISTED, OTHER):
            await one.change(number, Op.PUT, 10)
        async with process(valkey, name="p2") as two:
            await two.follower.poll()
            assert two.screener.may_be_listed(one.token(LISTED))
            assert await decide(two, OTHER) == "deny"


async def test_a_first_load_makes_every_process_take_its_image(valkey: Server) -> None:
    async with process(valkey) as parts:
        await parts.follower.poll()
        assert parts.screener.lacking == {1}
        await parts.cover()
        await parts.follower.poll()
        assert parts.screener.ready
        assert all(each.image is not None for each in parts.screener.partitions)


async def test_a_number_that_cannot_be_is_referred_unless_it_is_known(valkey: Server) -> None:
    wrong = LISTED[:-1] + ("1" if LISTED[-1] != "1" else "2")
    async with process(valkey) as parts:
        await parts.cover()
        await parts.follower.poll()
        assert (await check(parts, wrong)).verdict.reasons[0].code == "document_invalid"
        await parts.change(wrong, Op.PUT, 10)
        assert await decide(parts, wrong) == "deny"
        await parts.change(wrong, Op.REMOVE, 11)
        assert await decide(parts, wrong) == "allow"


async def test_no_denial_from_the_filter_alone(valkey: Server) -> None:
    async with process(valkey) as parts:
        await parts.cover()
        await parts.follower.poll()
        token = parts.token(OTHER)
        parts.screener.partitions[token[1]].filter.add(token)
        assert await decide(parts, OTHER) == "allow"
        assert parts.screener.false_hits == 1


async def test_the_canary_is_denied_and_freed_and_counts_nowhere(valkey: Server) -> None:
    async with process(valkey) as parts:
        await parts.cover()
        await parts.change(OTHER, Op.PUT, 10, Content("canary"), 202)
        await parts.follower.poll()
        assert await decide(parts, OTHER) == "deny"
        metas = await parts.store.metas()
        assert all(meta.people == 0 for meta in metas)
        await parts.change(OTHER, Op.REMOVE, 11, Content("canary"), 202)
        assert await decide(parts, OTHER) == "allow"


async def test_a_trimmed_log_is_read_from_its_oldest_entry(valkey: Server) -> None:
    async with process(valkey) as parts:
        await parts.cover()
        revisions = range(10, 15)
        positions = [(await parts.change(LISTED, Op.PUT, n)).position for n in revisions]
        assert await parts.store.set_image(positions[2], TokenFilter().to_bytes(), 10**6)
        (first,) = await oldest(parts.store, [positions[-1]])
        tail = await parts.store.log(first, 100)
        assert tail.continues
        assert [entry.revision for entry in tail.entries] == [12, 13, 14]
        assert not (await parts.store.log(positions[0], 100)).continues


async def test_log_entries_older_than_a_time_are_found(valkey: Server) -> None:
    async with process(valkey) as parts:
        await parts.cover()
        first = await parts.change(LISTED, Op.PUT, 10)
        number = first.position.partition
        assert await older_than(parts.store, number, first.applied_at_ms) == first.position.seq
        assert await older_than(parts.store, number, 0) == 1


async def test_a_dead_redis_soon_costs_a_check_no_time(valkey: Server) -> None:
    async with process(valkey) as parts:
        await parts.cover()
        await parts.change(LISTED, Op.PUT, 10)
        await parts.follower.poll()
        valkey.pause()
        try:
            for _ in range(4):
                await check(parts, LISTED)
            started = time.monotonic()
            for _ in range(20):
                assert await decide(parts, LISTED) == "refer"
            assert time.monotonic() - started < 0.3
        finally:
            valkey.resume()
        async with asyncio.timeout(2):
            while await decide(parts, LISTED) != "deny":  # noqa: ASYNC110 -- Redis comes back
                await asyncio.sleep(0.01)
