"""The client on a test key: what the table of made-up documents says, it gives."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from clearway_client import Air, Answer, AsyncClient, Check, Client, Document, NoAnswer, Rail, Terms
from roster.settings import read_settings
from tests.service.test_sandbox import QUICK, TABLE, make_test_key

if TYPE_CHECKING:
    from tests.client.conftest import Service

SOON_S = 20.0
ANSWERED = [row for row in QUICK if row["answer"]["status"] == 200]
UNANSWERED = [row for row in TABLE if row not in ANSWERED]


def asked(row: dict[str, Any]) -> Check:
    sent = row["check"]
    journey = sent["journey"]
    place = Air() if journey["mode"] == "air" else Rail(journey["train"], journey["seat"])
    return Check(Document(**sent["document"]), place, name=sent.get("name"))


def told(answer: object) -> tuple[str, tuple[str, ...]]:
    assert isinstance(answer, Answer)
    return answer.decision, answer.codes


EXPECTED = [
    (row["answer"]["decision"], tuple(each["code"] for each in row["answer"]["reasons"]))
    for row in ANSWERED
]


@pytest.fixture(scope="module")
def key(service: Service) -> str:
    """A test key."""
    return asyncio.run(make_test_key(read_settings(service.served.settings)))


def test_every_answer_of_the_table(service: Service, key: str) -> None:
    terms = Terms(check_s=SOON_S, try_s=SOON_S)
    with Client(service.url, key, terms) as client:
        assert [told(client.check(asked(row))) for row in ANSWERED] == EXPECTED
        manifest = client.check_all(asked(row) for row in ANSWERED)
        assert [told(each) for each in manifest] == EXPECTED


def test_every_answer_of_the_table_in_asyncio(service: Service, key: str) -> None:
    async def ask() -> list[Answer]:
        async with AsyncClient(service.url, key, Terms(check_s=SOON_S, try_s=SOON_S)) as client:
            return await asyncio.gather(*(client.check(asked(row)) for row in ANSWERED))

    assert [told(each) for each in asyncio.run(ask())] == EXPECTED


@pytest.mark.parametrize("row", UNANSWERED, ids=lambda row: row["means"])
def test_what_gets_no_answer_in_time_is_what_the_caller_says(
    service: Service, key: str, row: dict[str, Any]
) -> None:
    began = time.monotonic()
    with (
        Client(service.url, key, Terms(check_s=0.5, try_s=0.2)) as client,
        pytest.raises(NoAnswer),
    ):
        client.check(asked(row))
    with Client(service.url, key, Terms(check_s=0.5, try_s=0.2, on_no_answer="refer")) as client:
        assert told(client.check(asked(row))) == ("refer", ("no_answer",))
    assert time.monotonic() - began < SOON_S
