"""No number, name or key in what is printed, raised or logged."""

from __future__ import annotations

import asyncio
import logging
import pprint
import traceback
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from clearway_client import (
    Air,
    AsyncClient,
    Change,
    Check,
    ClearwayError,
    Client,
    Document,
    Entry,
    NoAnswer,
    Person,
    Rail,
    Terms,
)
from tests.client.gateway import Trouble, gateway
from tests.client.people import KEY, LISTED, NAME, OTHER_NAME, PASSPORT, gives_away, put

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.client.conftest import Service

WRONG = Check(Document("passport", PASSPORT.number), Rail("?", "?"), name=NAME)
ASKED = Check(LISTED, Air(), name=NAME, reference=OTHER_NAME)
PRINTED = [
    LISTED,
    ASKED,
    Person(LISTED, NAME),
    put(),
    Entry(name=NAME),
    Entry(names=(NAME, OTHER_NAME)),
    [ASKED],
]
RAW: Any = {"document": {"type": "resident_id", "number": LISTED.number}, "name": NAME}
TEXT: Any = LISTED.number
NONE: Any = None
METHOD: Any = NAME.encode
INT: Any = int(LISTED.number)
HALF = NAME + "\ud800"
CALLS: list[Callable[[Client], object]] = [
    lambda client: client.check(WRONG),
    lambda client: client.check_all([WRONG] * 3, Air()),
    lambda client: client.standing(Person(WRONG.document, NAME)),
    lambda client: client.change([put(WRONG.document)]),
    lambda client: client.change([put()] * 2_000),
    lambda client: client.check(Check(LISTED, Air(), name=NAME + "\ud800")),
    lambda client: next(client.feed("nowhere", wait_s=0)),
]
MISTYPED: list[tuple[Callable[[Client], object], str]] = [
    (lambda client: client.check(RAW), "must be Check"),
    (lambda client: client.check(TEXT), "must be Check"),
    (lambda client: client.check(Check(TEXT, Air())), "document: must be Document"),
    (lambda client: client.check(Check(RAW["document"], Air())), "document: must be Document"),
    (lambda client: client.check(Check(Document("resident_id", NONE))), "document.number: must be"),
    (lambda client: client.check(Check(Document("resident_id", INT))), "document.number: must be"),
    (lambda client: client.check(Check(Document("passport", HALF))), "document.number: holds half"),
    (lambda client: client.check(Check(LISTED, Air(), name=HALF)), "name: holds half"),
    (lambda client: client.check(Check(LISTED, Air(), name=METHOD)), "name: holds what JSON"),
    (lambda client: client.check(Check(NONE, Air())), "document: must be Document"),
    (lambda client: client.check(Check(LISTED, TEXT)), "journey: must be Air or Rail"),
    (lambda client: client.check_all(INT), "must be several Checks"),
    (lambda client: client.check_all([Check(LISTED)], RAW), "journey: must be Air or Rail or Ship"),
    (lambda client: client.standing(TEXT), "must be Person"),
    (lambda client: client.standing(Person(RAW["document"])), "document: must be Document"),
    (lambda client: client.change(RAW), "1 to 1000 changes"),
    (lambda client: client.change([put(), RAW]), r"changes\[1\]: must be Change"),
    (lambda client: client.change([put(TEXT)]), r"changes\[0\]: document: must be"),
    (
        lambda client: client.change([Change("bind", documents=(LISTED, TEXT))]),
        r"changes\[0\]: documents\[1\]: must be Document",
    ),
]
TROUBLES = [
    None,
    Trouble(),
    Trouble(500, {"title": NAME, "detail": LISTED.number}),
    Trouble(404, {"title": NAME, "type": "about:blank"}),
    Trouble(200, {"decision": LISTED.number, "results": [{"decision": NAME}]}),
]


@pytest.mark.parametrize("value", PRINTED)
def test_what_is_printed_tells_no_person(value: object) -> None:
    told = StringIO()
    Console(file=told, width=500).print(value)
    spelled = [repr(value), str(value), f"{value}", pprint.pformat(value), told.getvalue()]
    assert not [text for text in spelled if gives_away(text)]


def test_what_is_printed_is_of_use() -> None:
    assert (
        repr(ASKED) == "Check(document=Document(type='resident_id'), journey=Air(departs_at=None))"
    )


@pytest.fixture
def everything(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What is logged at all."""
    with caplog.at_level(logging.DEBUG):
        yield caplog


@pytest.mark.parametrize("trouble", TROUBLES)
def test_what_is_raised_and_logged_tells_no_person(
    service: Service, everything: pytest.LogCaptureFixture, trouble: Trouble | None
) -> None:
    terms = Terms(check_s=0.3, change_s=0.3)
    raised = []
    with gateway(service.url) as between, Client(between.url, service.carrier, terms) as client:
        for call in CALLS:
            between.plan.clear()
            between.plan += [trouble] * 50 if trouble else []
            try:
                call(client)
            except (ClearwayError, ValueError) as exc:
                raised.append(told_of(exc))
    assert len(raised) >= len(CALLS) - 2
    assert not [text for text in [*raised, everything.text] if gives_away(text)]
    assert service.carrier not in everything.text + "".join(raised)


@pytest.mark.parametrize(("call", "told"), MISTYPED, ids=range(len(MISTYPED)))
def test_what_is_of_another_type_is_told_by_its_field_and_nothing_of_it(
    call: Callable[[Client], object], told: str
) -> None:
    with Client("http://localhost:1", KEY, Terms(check_s=0.0, change_s=0.0)) as client:
        with pytest.raises(ValueError, match=told) as caught:
            call(client)
        assert not gives_away(told_of(caught.value))


def test_it_is_the_same_in_asyncio() -> None:
    async def ask() -> list[BaseException | object]:
        async with AsyncClient("http://localhost:1", KEY, Terms(check_s=0.0)) as client:
            calls: list[Any] = [client.check(RAW), client.standing(RAW), client.change(RAW)]
            calls += [client.check_all(INT), client.check(Check(LISTED, RAW))]
            return list(await asyncio.gather(*calls, return_exceptions=True))

    for each in asyncio.run(ask()):
        assert isinstance(each, ValueError)
        assert not gives_away(told_of(each))


@pytest.mark.parametrize("on_no_answer", ["raise", "refer"])
def test_silence_tells_nothing_of_what_could_not_be_sent(on_no_answer: str) -> None:
    terms = Terms(check_s=0.0, on_no_answer=on_no_answer)  # type: ignore[arg-type]
    manifest: list[Any] = [RAW, Check(LISTED), INT, TEXT, Check(TEXT)]
    with Client("http://localhost:1", KEY, terms) as client:
        if on_no_answer == "raise":
            with pytest.raises(NoAnswer) as caught:
                client.check_all(manifest, Air())
            assert not gives_away(told_of(caught.value))
        else:
            assert not gives_away(repr(client.check_all(manifest, Air())))


def told_of(exc: BaseException) -> str:
    """A traceback as crash reporters send it: with every frame's variables, but the test's own."""
    assert exc.__traceback__ is not None
    frames = exc.__traceback__.tb_next
    while frames is not None and "tests" in frames.tb_frame.f_code.co_filename:
        frames = frames.tb_next
    told = traceback.TracebackException(type(exc), exc, frames, capture_locals=True)
    return "".join(told.format()) + repr(exc) + repr(vars(exc))


def test_a_client_does_not_show_its_key() -> None:
    with Client("http://localhost:1", KEY) as client:
        assert not gives_away(repr(client) + repr(vars(client)))


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("http://clearway.example", KEY),
        (f"https://user:{KEY}@localhost", "k"),
        (f"https://localhost?key={KEY}", "k"),
        ("https://local\0host", KEY),
        (None, KEY),
        ("https://localhost", f"Bearer {KEY}"),
        ("https://localhost", KEY.encode()),
        ("https://localhost", f"{KEY}\n"),
    ],
    ids=["plain", "user", "query", "zero", "none", "scheme", "bytes", "line"],
)
def test_a_wrong_address_or_key_is_told_without_the_key(
    kind: type[Client | AsyncClient], url: str, key: str
) -> None:
    with pytest.raises(ValueError, match=r"root|allow_plain_http|the key") as caught:
        kind(url, key)
    assert not gives_away(told_of(caught.value))
