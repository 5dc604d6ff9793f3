"""Both clients against a service as it is served."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from typing import TYPE_CHECKING

import pytest

from clearway_client import (
    Air,
    Answer,
    AsyncClient,
    Check,
    Client,
    Document,
    FeedTrimmed,
    NoAnswer,
    Person,
    Problem,
    Rail,
    Refused,
    Terms,
)
from roster.records.cursor import Cursor, from_feed
from roster.records.position import Position
from tests.client.gateway import Trouble, gateway
from tests.client.people import CLEAR, LISTED, NAME, OTHER_NAME, put, removal
from tests.servers import eventually, free_port
from tests.service.test_server import Issuer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.client.conftest import Service

PATIENT = Terms(check_s=20, change_s=40, try_s=10)


@pytest.fixture
def carrier(service: Service) -> Iterator[Client]:
    with Client(service.url, service.carrier, PATIENT) as client:
        yield client


@pytest.fixture
def desk(service: Service) -> Iterator[Client]:
    with Client(service.url, service.desk, PATIENT) as client:
        yield client


def passport(number: int) -> Document:
    return Document("passport", f"T{number:08d}", issuer="FRA")


def test_a_carriers_day(carrier: Client, desk: Client) -> None:
    feed = carrier.feed("now")
    assert feed.poll() == []
    saved = feed.position
    desk.change([put()], wait="all")
    denied = carrier.check(Check(LISTED, Air(), name=NAME, reference="PNR-7"))
    assert (denied.decision, denied.codes, denied.name_check) == ("deny", ("listed",), "match")
    assert denied.reference == "PNR-7"
    assert denied.reasons[0].case == "(2018)京0105执1234号"
    assert {product.mode for product in denied.allowed_instead} >= {"rail"}
    assert denied.fresh_as_of is not None
    seats = carrier.check(Check(LISTED, Rail("G101", ("O", "9"))))
    assert set(seats.seats) == {"O", "9"}
    mistaken = carrier.check(Check(LISTED, Air(), name=OTHER_NAME))
    assert (mistaken.decision, mistaken.codes) == ("refer", ("name_mismatch",))
    assert (standing := carrier.standing(Person(LISTED, NAME))).standing == "restricted"
    assert standing.remaining[0].list == "sx"
    manifest = [Check(CLEAR), Check(LISTED), Check(Document("passport", "X"), name=NAME)]
    free, listed, unread = carrier.check_all(manifest, Air())
    assert isinstance(free, Answer)
    assert isinstance(listed, Answer)
    assert (free.decision, listed.decision) == ("allow", "deny")
    assert isinstance(unread, Problem)
    assert unread.errors[0].field.endswith("issuer")
    done = desk.change([removal()])
    assert (done.results[0].outcome, done.results[0].was) == ("applied", "active")
    told = carrier.feed(saved).poll()
    assert [event.subject for event in told] == [denied.subject] * 2
    assert carrier.check(Check(LISTED, Air(), at_least=told[-1].position)).decision == "allow"


def test_the_same_day_in_asyncio(service: Service) -> None:
    person = passport(1)

    async def day() -> list[object]:
        async with (
            AsyncClient(service.url, service.carrier, PATIENT) as carrier,
            AsyncClient(service.url, service.desk, PATIENT) as desk,
        ):
            feed = carrier.feed("now")
            assert await feed.poll() == []
            await desk.change([put(person)], wait="all")
            flight = Check(person, Air())
            denied, standing, manifest = await asyncio.gather(
                carrier.check(flight),
                carrier.standing(Person(person)),
                carrier.check_all([flight], None),
            )
            waiting = asyncio.create_task(anext(feed))
            await desk.change([removal(person)])
            events = [await waiting, await anext(feed)]
            allowed = await carrier.check(flight)
            assert [event.subject for event in events] == [denied.subject] * 2
            (item,) = manifest
            assert isinstance(item, Answer)
            return [denied.decision, standing.standing, item.decision, allowed.decision]

    assert asyncio.run(day()) == ["deny", "restricted", "deny", "allow"]


def test_the_feed_goes_on_from_a_saved_position(carrier: Client, desk: Client) -> None:
    feed = carrier.feed("now")
    feed.poll()
    people = [passport(number) for number in range(10, 16)]
    desk.change([put(person) for person in people], wait="all")
    subjects = [carrier.check(Check(person, Air())).subject for person in people]
    first = [next(feed).subject for _ in range(2)]
    saved = feed.position
    assert saved is not None
    again = carrier.feed(saved, limit=3)
    rest = [next(again).subject for _ in range(4)]
    assert sorted(map(str, first + rest)) == sorted(map(str, subjects))
    assert carrier.feed(again.position, wait_s=0).poll() == []


def test_now_is_no_position_to_save(service: Service, carrier: Client) -> None:
    feed = carrier.feed("now")
    assert feed.position is None
    feed.poll()
    assert feed.position not in {None, "now"}
    assert carrier.feed(feed.position, wait_s=0).poll() == []

    async def in_asyncio() -> list[str | None]:
        async with AsyncClient(service.url, service.carrier, PATIENT) as client:
            feed = client.feed("now")
            positions = [feed.position]
            await feed.poll()
            return [*positions, feed.position]

    first, second = asyncio.run(in_asyncio())
    assert first is None
    assert second not in {None, "now"}


def test_the_feed_is_read_with_the_key_that_checked(service: Service, desk: Client) -> None:
    """Another key has other pseudonyms; the same one keeps them when it is given a new text."""
    person = passport(25)
    desk.change([put(person)], wait="all")
    own = service.key(["check", "feed"])
    with Client(service.url, own, PATIENT) as other:
        feed = other.feed("now")
        feed.poll()
        subject = other.check(Check(person, Air())).subject
    desk.change([removal(person)])
    told: list[set[str | None]] = []
    for key in (service.rotated(own), service.carrier):
        with Client(service.url, key, PATIENT) as reader:
            told.append({event.subject for event in reader.feed(feed.position).poll()})
    assert told[0] == {subject}
    assert len(told[1]) == 1
    assert told[1] != told[0]


def test_the_feed_waits_for_what_comes(carrier: Client, desk: Client) -> None:
    feed = carrier.feed("now", wait_s=0.1)
    assert feed.poll() == []
    told: list[str | None] = []
    thread = threading.Thread(target=lambda: told.append(next(feed).subject))
    thread.start()
    desk.change([put(passport(20))], wait="all")
    thread.join(30)
    assert told == [carrier.check(Check(passport(20), Air())).subject]


def test_a_feed_that_no_longer_reaches_back_says_so(carrier: Client, desk: Client) -> None:
    desk.change([put(passport(30))])
    feed = carrier.feed("now")
    feed.poll()
    places = list(from_feed(feed.position or "").places)
    places[7] = Position(7, 1, 1, b"gone")
    with pytest.raises(FeedTrimmed) as caught:
        carrier.feed(Cursor(tuple(places)).text).poll()
    assert carrier.feed(caught.value.oldest).poll()


def test_a_change_whose_answer_got_lost_is_made_once(service: Service, carrier: Client) -> None:
    person = passport(40)
    with gateway(service.url) as between, Client(between.url, service.desk, PATIENT) as client:
        between.plan.append(Trouble(passed=True))
        done = client.change([put(person)], wait="all")
        assert len(between.bodies) == 2
    assert done.results[0].outcome == "duplicate"
    assert carrier.check(Check(person, Air())).decision == "deny"


def test_a_check_survives_cut_connections_and_bad_gateways(service: Service) -> None:
    with gateway(service.url) as between, Client(between.url, service.carrier, PATIENT) as client:
        between.plan += [Trouble(), Trouble(503, retry_after="0"), Trouble(502)]
        assert client.check(Check(CLEAR, Air())).decision == "allow"
        assert len(between.bodies) == 4


def test_what_the_feed_told_is_stated_with_the_next_check(service: Service, desk: Client) -> None:
    person = passport(45)
    desk.change([put(person)], wait="all")
    with gateway(service.url) as between, Client(between.url, service.carrier, PATIENT) as client:
        feed = client.feed("now")
        feed.poll()
        denied = client.check(Check(person, Air()))
        desk.change([removal(person)])
        (event,) = feed.poll()
        assert client.check(Check(person, Air())).decision == "allow"
        assert between.bodies[-1]["at_least"] == [denied.position, event.position]


def test_a_client_over_its_rate_comes_back_in_time(service: Service) -> None:
    key = service.key(["check"], rate=10.0, burst=2)
    with gateway(service.url) as between, Client(between.url, key, PATIENT) as client:
        answers = [client.check(Check(CLEAR, Air())) for _ in range(6)]
        assert {answer.decision for answer in answers} == {"allow"}
        assert len(between.bodies) >= 6


def test_an_unstated_change_waits_out_an_outage(service: Service, desk: Client) -> None:
    person = passport(50)
    desk.change([put(person)], wait="all")
    with gateway(service.url) as between, Client(between.url, service.desk, PATIENT) as client:
        outcomes: list[str] = []

        def remove() -> None:
            done = client.change([removal(person, revision=None)])
            outcomes.append(done.results[0].outcome)

        thread = threading.Thread(target=remove)
        service.server.pause()
        try:
            thread.start()
            eventually(lambda: len(between.bodies) >= 2 or not thread.is_alive())
        finally:
            service.server.resume()
        thread.join(60)
        assert outcomes
        assert set(outcomes) <= {"applied", "duplicate"}
        first, second = between.bodies[0], between.bodies[1]
        assert "revision" not in first["changes"][0]
        assert second["changes"][0]["revision"] > 10


def test_nobody_there_is_no_answer() -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    began = time.monotonic()
    with (
        Client(nowhere, "cw_key", Terms(check_s=0.3)) as client,
        pytest.raises(NoAnswer, match="no connection"),
    ):
        client.check(Check(CLEAR, Air()))
    assert time.monotonic() - began < 20
    with Client(nowhere, "cw_key", Terms(check_s=0.1, on_no_answer="allow")) as client:
        assert client.check(Check(CLEAR, Air())).note == "no connection, allowed by on_no_answer"


def test_a_key_that_may_not_is_refused(service: Service) -> None:
    with Client(service.url, service.key(["feed"])) as client:
        with pytest.raises(Refused, match="403") as caught:
            client.check(Check(CLEAR, Air()))
        assert caught.value.problem.scope == "check"


def tls(path: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's, and one of a client that trusts it."""
    certificate, key = (issuer := Issuer(path)).issue("localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context, ssl.create_default_context(cafile=issuer.certificate)


def test_tls_is_asked_as_told(service: Service, tmp_path: Path) -> None:
    context, trusting = tls(tmp_path)
    with gateway(service.url, context) as between:
        with (
            Client(between.url, service.carrier) as client,
            pytest.raises(NoAnswer, match=r"no TLS: .*certificate"),
        ):
            client.check(Check(CLEAR, Air()))
        patient = Terms(check_s=20, try_s=10, tls=trusting)
        with Client(between.url, service.carrier, patient) as client:
            assert client.check(Check(CLEAR, Air())).decision == "allow"


def test_an_answer_that_is_late_over_tls_is_asked_for_again(
    service: Service, tmp_path: Path
) -> None:
    context, trusting = tls(tmp_path)
    terms = Terms(check_s=40, try_s=0.5, tls=trusting)
    done = threading.Event()

    async def ask(url: str) -> Answer:
        async with AsyncClient(url, service.carrier, terms) as client:
            return await client.check(Check(CLEAR, Air()))

    with gateway(service.url, context) as between:
        between.plan.append(Trouble(until=done))
        try:
            assert asyncio.run(ask(between.url)).decision == "allow"
        finally:
            done.set()
        assert len(between.bodies) >= 2


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("127.0.0.1:8080", "k"),
        ("ftp://localhost", "k"),
        ("http://user:pass@localhost", "k"),
        ("http://clearway.example", "k"),
        ("http://localhost:99999999", "k"),
        ("https://localhost?key=k", "k"),
        ("http://localhost", ""),
        ("http://localhost", "Bearer k"),
        ("http://localhost", "k\n"),
        ("http://localhost", "ключ"),
    ],
)
def test_a_wrong_address_or_key_is_told_before_anything_is_sent(url: str, key: str) -> None:
    with pytest.raises(ValueError, match=r"root|allow_plain_http|the key") as caught:
        Client(url, key)
    assert "pass" not in str(caught.value)


def test_plain_http_to_another_machine_has_to_be_allowed() -> None:
    Client("http://clearway.example", "k", Terms(allow_plain_http=True)).close()
