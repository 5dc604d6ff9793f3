from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roster.documents.check_digits import check_digit
from roster.records.entry import LIFT, Content, Op
from service.deciding.lookups import DOCUMENTS_MAX
from service.deciding.person import read_person
from tests.service.parts import Parts, process
from tests.service.test_screening import check, decide

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from roster.records.position import Position
    from roster.records.replies import Found
    from tests.servers import Server


def number(index: int) -> str:
    digits = f"110105187912{10 + index:02}002"
    return digits + check_digit(digits)


ONE = number(19)
entries = st.lists(
    st.tuples(
        st.integers(0, 2),  # whose document it stands under
        st.sampled_from([1, 2, 3, 4, 5, 200]),
        st.sampled_from(["", "A", "B"]),
        st.booleans(),
    ),
    max_size=6,
    unique_by=lambda entry: (entry[1], entry[2]),
)


async def put(parts: Parts, document: str, entry: tuple[int, int, str, bool]) -> None:
    _, code, case, removed = entry
    until_ms = 2**45 if code == 200 else None
    content = Content(f"{code}/{case}", case=case, until_ms=until_ms)
    await parts.change(document, Op.PUT, 10, content, code)
    if removed:
        await parts.change(document, Op.REMOVE, 11, content, code)


@given(entries)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_bound_documents_are_as_one_document_with_all_their_entries(
    valkey: Server, drawn: list[tuple[int, int, str, bool]]
) -> None:
    with valkey.client() as link:
        link.flushall()
    async with process(valkey) as parts:
        await parts.cover()
        documents = [number(index) for index in range(3)]
        await parts.bind(documents, Op.PUT, 5)
        for entry in drawn:
            await put(parts, documents[entry[0]], entry)
            await put(parts, ONE, entry)
        await parts.follower.poll()
        expected = (await check(parts, ONE)).verdict
        for document in documents:
            verdict = (await check(parts, document)).verdict
            assert (verdict.decision, verdict.reasons) == (expected.decision, expected.reasons)


async def test_a_chain_of_bindings_is_followed_to_its_end(valkey: Server) -> None:
    async with process(valkey) as parts:
        await parts.cover()
        for index in range(3):
            pair = [parts.token(number(index)), parts.token(number(index + 1))]
            for token, other in (pair, pair[::-1]):
                document = number(index if token == pair[0] else index + 1)
                content = Content(f"b{index}", tokens=(other,))
                await parts.change(document, Op.PUT, 5, content, 201)
        await parts.change(number(3), Op.PUT, 10)
        await parts.follower.poll()
        assert await decide(parts, number(0)) == "deny"


async def test_more_documents_than_anybody_has_are_referred(valkey: Server) -> None:
    async with process(valkey) as parts:
        await parts.cover()
        documents = [number(index) for index in range(9)]
        await parts.bind(documents[:8], Op.PUT, 5)
        others = tuple(bytes((0, 1, 0, n)) + bytes(12) for n in range(DOCUMENTS_MAX))
        await parts.change(documents[0], Op.PUT, 5, Content("many", tokens=others), 201)
        await parts.follower.poll()
        screening = await check(parts, documents[1])
        assert screening.verdict.reasons[0].code == "too_many_documents"


async def test_checks_of_one_moment_share_a_round_trip(valkey: Server) -> None:
    async with process(valkey) as parts:
        await parts.cover()
        await parts.change(ONE, Op.PUT, 10)
        token = parts.token(ONE)
        with valkey.client() as link:
            before = link.info("stats")["total_reads_processed"]
            found = await asyncio.gather(
                *(read_person(parts.desk.lookups, [token], {}) for _ in range(20))
            )
            after = link.info("stats")["total_reads_processed"]
        assert all(len(each.entries) == 1 for each in found)
        assert after - before < 10


async def test_a_lift_that_moves_between_bound_documents_is_always_met(
    valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second document is read after the lift has moved from it to the first."""
    async with process(valkey) as parts:
        await parts.cover()
        first, second = number(0), number(1)
        lift = Content("lift", until_ms=2**45)
        await parts.bind([first, second], Op.PUT, 5)
        await parts.change(first, Op.PUT, 10)
        await parts.change(second, Op.PUT, 10, lift, LIFT)
        await parts.follower.poll()
        assert await decide(parts, first) == "allow"
        ask = parts.desk.lookups.ask
        asked: list[bytes] = []

        def moved(token: bytes, at_least: Mapping[int, Position]) -> Awaitable[Found]:
            async def late() -> Found:
                if token == parts.token(second) and len(asked) == 1:
                    asked.append(token)
                    await parts.change(first, Op.PUT, 11, lift, LIFT)
                    await parts.change(second, Op.REMOVE, 11, lift, LIFT)
                return await ask(token, at_least)

            if token == parts.token(second) and not asked:
                asked.append(token)
            return late()

        monkeypatch.setattr(parts.desk.lookups, "ask", moved)
        assert await decide(parts, first) == "allow"
        assert len(asked) == 2


async def test_who_never_stands_still_is_referred(
    valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with process(valkey) as parts:
        await parts.cover()
        first, second = number(0), number(1)
        await parts.bind([first, second], Op.PUT, 5)
        await parts.change(first, Op.PUT, 10)
        await parts.follower.poll()
        ask, revisions = parts.desk.lookups.ask, itertools.count(20)

        def changing(token: bytes, at_least: Mapping[int, Position]) -> Awaitable[Found]:
            async def late() -> Found:
                await parts.change(second, Op.PUT, next(revisions), Content("other"))
                return await ask(token, at_least)

            return late()

        monkeypatch.setattr(parts.desk.lookups, "ask", changing)
        assert await decide(parts, first) == "refer"
