"""What is asked again, when, and for how long: the core, which does no I/O."""

from __future__ import annotations

import pytest

from clearway_client import NoAnswer, Refused
from clearway_client.exchange import Asking, Reply, Request
from tests.client.steps import LOST, Clock, Driven, ok, problem

REQUEST = Request("POST", "/v1/check", b"{}")
DONE = ok(decision="allow")


def asking(clock: Clock, dice: float = 0.0, try_s: float = 1.0) -> Asking:
    return Asking(try_s, clock, lambda: dice)


def pauses(*replies: Reply, dice: float = 0.0, budget_s: float = 60.0) -> list[float]:
    """How long was waited before each try."""
    driven = Driven()
    driven.run(asking(driven.clock, dice).ask(REQUEST, budget_s), [*replies, DONE])
    return [request.pause_s for request in driven.requests]


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_asked_again(status: int) -> None:
    assert len(pauses(problem(status))) == 2


def test_a_lost_connection_is_tried_again() -> None:
    assert len(pauses(LOST, LOST)) == 3


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 405, 413])
def test_what_would_not_pass_is_refused_at_once(status: int) -> None:
    driven = Driven()
    with pytest.raises(Refused) as caught:
        driven.run(asking(driven.clock).ask(REQUEST, 60), [problem(status)])
    assert len(driven.requests) == 1
    assert caught.value.problem.status == status


def test_the_service_says_when_to_come_back() -> None:
    assert pauses(problem(429, retry_after_ms=300)) == [0, 0.3]
    assert pauses(Reply(503, retry_after="2")) == [0, 2.0]
    assert pauses(problem(429, retry_after_ms=300), dice=1.0) == [0, pytest.approx(0.375)]


def test_a_date_in_retry_after_is_let_be() -> None:
    assert pauses(Reply(503, retry_after="Fri, 31 Dec 1999 23:59:59 GMT")) == [0, 0.025]


def test_pauses_grow_where_nobody_says_how_long_they_should_be() -> None:
    told = pauses(*[LOST] * 8, dice=1.0)
    assert told == [0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]


@pytest.mark.parametrize("budget_s", [0.5, 2.0])
def test_nobody_waits_longer_than_the_budget(budget_s: float) -> None:
    driven = Driven()
    with pytest.raises(NoAnswer, match="503: T"):
        driven.run(asking(driven.clock).ask(REQUEST, budget_s), [problem(503)] * 100)
    assert driven.clock.now_s < budget_s
    assert len(driven.requests) > 2


def test_a_pause_that_would_end_too_late_is_not_begun() -> None:
    driven = Driven()
    with pytest.raises(NoAnswer):
        driven.run(asking(driven.clock).ask(REQUEST, 2), [problem(429, retry_after_ms=2_000)])
    assert driven.clock.now_s == driven.clock.a_try_s


def test_a_try_takes_no_longer_than_what_is_left() -> None:
    driven = Driven(Clock(a_try_s=0.7))
    driven.run(asking(driven.clock).ask(REQUEST, 1.0), [LOST, DONE])
    first, second = (request.timeout_s for request in driven.requests)
    assert first == 1.0
    assert second == pytest.approx(1.0 - 0.7 - 0.025)


def test_a_fault_that_stays_is_told_at_once() -> None:
    driven = Driven()
    fault = Reply(0, fault="no TLS: self-signed certificate", sent=False, hopeless=True)
    with pytest.raises(NoAnswer, match="self-signed"):
        driven.run(asking(driven.clock).ask(REQUEST, 60), [fault])


def test_of_a_stranger_that_answers_nothing_is_repeated() -> None:
    driven = Driven()
    stranger = Reply(400, b'{"type": "about:blank", "title": "you sent 110105187001010012"}')
    with pytest.raises(Refused, match="not Clearway") as caught:
        driven.run(asking(driven.clock).ask(REQUEST, 60), [stranger])
    assert "1101" not in repr(caught.value.problem)


def test_a_request_and_a_reply_do_not_show_their_content() -> None:
    assert "secret" not in repr(Request("POST", "/", b"secret"))
    assert "secret" not in repr(Reply(200, b"secret"))
