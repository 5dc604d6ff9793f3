"""Pushing changes: every line gets its outcome, whatever the network does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from loader.pushing.client import BATCH, TRIES, LineOutcome, Pusher
from roster.errors import PushRefused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable


def applied(changes: list[dict[str, Any]]) -> httpx.Response:
    results = [{"outcome": "applied"} for _ in changes]
    return httpx.Response(200, json={"results": results, "position": "AQ"})


def refused(status: int, **more: object) -> httpx.Response:
    return httpx.Response(status, headers={"retry-after": "2"}, json={"title": "no", **more})


class Service:
    """Answers each request with the next of `answers`, and remembers what was sent."""

    def __init__(self, *answers: Callable[[list[dict[str, Any]]], httpx.Response]) -> None:
        self._answers = list(answers)
        self.requests: list[list[dict[str, Any]]] = []
        self.pauses: list[float] = []

    def push(self, *lines: bytes) -> list[LineOutcome]:
        with httpx.Client(
            transport=httpx.MockTransport(self._answer), base_url="http://service"
        ) as client:
            return list(Pusher(client, self.pauses.append).push(lines))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        changes = json.loads(request.content)["changes"]
        self.requests.append(changes)
        answer = self._answers.pop(0) if self._answers else applied
        return answer(changes)


def unreachable(_: list[dict[str, Any]]) -> httpx.Response:
    raise httpx.ConnectError("gone")


def line(number: int) -> bytes:
    return json.dumps({"op": "remove", "entry_id": str(number)}).encode() + b"\n"


def test_changes_go_in_batches_and_keep_their_lines() -> None:
    service = Service()
    outcomes = service.push(*(line(number) for number in range(BATCH + 3)))
    assert [len(each) for each in service.requests] == [BATCH, 3]
    assert [outcome.line for outcome in outcomes] == list(range(1, BATCH + 4))


def test_what_was_not_acknowledged_is_sent_again() -> None:
    service = Service(lambda _: refused(503), unreachable, lambda _: refused(429), applied)
    assert service.push(line(1)) == [LineOutcome(1, "applied")]
    assert service.requests[0] == service.requests[3]
    assert [pause for pause in service.pauses if pause == 2] == [2, 2]


def test_a_retry_carries_the_revisions_that_it_was_told() -> None:
    service = Service(lambda _: refused(503, revisions=[7, 8]), applied)
    service.push(line(1), line(2))
    assert [change["revision"] for change in service.requests[1]] == [7, 8]


def test_lines_of_which_nobody_can_say_what_they_do_are_told_and_the_others_go_on() -> None:
    def judge(changes: list[dict[str, Any]]) -> httpx.Response:
        odd = [at for at, change in enumerate(changes) if change["op"] == "zap"]
        errors = [{"field": f"changes[{at}].op", "message": "no such op"} for at in odd]
        return refused(400, errors=errors) if odd else applied(changes)

    service = Service(*[judge] * 3)
    zap = b'{"op": "zap"}\n'
    outcomes = service.push(line(1), zap, line(3), zap, line(5))
    assert sorted(outcomes) == [
        LineOutcome(1, "applied"),
        LineOutcome(2, "rejected", (("", "no such op"),)),
        LineOutcome(3, "applied"),
        LineOutcome(4, "rejected", (("", "no such op"),)),
        LineOutcome(5, "applied"),
    ]
    assert [len(each) for each in service.requests] == [5, 3]


def test_a_request_that_is_refused_for_no_line_of_its_own_ends_the_push() -> None:
    errors = [{"field": "changes[7].op", "message": "there is no such line"}]
    with pytest.raises(PushRefused):
        Service(lambda _: refused(400, errors=errors)).push(line(1))


def test_a_batch_that_is_too_long_is_cut_in_two() -> None:
    def judge(changes: list[dict[str, Any]]) -> httpx.Response:
        return applied(changes) if len(changes) < 3 else refused(413)

    service = Service(*[judge] * 9)
    outcomes = service.push(*(line(number) for number in range(5)))
    assert [outcome.line for outcome in outcomes] == [1, 2, 3, 4, 5]


def test_a_line_that_is_no_object_is_rejected_and_the_others_go() -> None:
    service = Service()
    outcomes = service.push(b"[]\n", b"\n", line(1), b'{"op": \xff}\n')
    assert [(each.line, each.outcome) for each in outcomes] == [
        (1, "rejected"),
        (4, "rejected"),
        (3, "applied"),
    ]


def test_a_refusal_ends_the_push() -> None:
    service = Service(lambda _: refused(403, detail="this key lacks the scope list:add"))
    with pytest.raises(PushRefused, match="list:add"):
        service.push(line(1))
    assert len(service.requests) == 1


def test_a_service_that_never_acknowledges_is_given_up() -> None:
    service = Service(*[lambda _: refused(503)] * 99)
    with pytest.raises(Unavailable):
        service.push(line(1))
    assert len(service.requests) == TRIES


def test_a_byte_order_mark_before_the_first_line_is_no_part_of_it() -> None:
    service = Service()
    outcomes = service.push(b"\xef\xbb\xbf" + line(1), line(2))
    assert outcomes == [LineOutcome(1, "applied"), LineOutcome(2, "applied")]
    assert service.push(b"\xef\xbb\xbf\n", line(1)) == [LineOutcome(2, "applied")]
