"""Whatever is sent: no answer of 5xx, no number and no name in an answer to an error."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.service.fuzzing import NUMBER, PROBLEM, caller, described, requests, run, wrong

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server
    from tests.service.fuzzing import Caller

REQUESTS = 200_000

# The service, on another thread, may use `random` just while something is drawn.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module")


def once(caller: Caller, examples: int) -> None:
    """So many examples of every operation and mode, and ten times as many bent requests."""
    described(caller, examples)
    run(requests(), caller.send, 10 * examples)


@pytest.mark.parametrize(
    ("status", "content", "told"),
    [
        (500, {"title": "Something went wrong here"}, 1),
        (400, {"errors": [{"field": f"changes[0].{NUMBER}", "message": "no"}]}, 1),
        (403, {NUMBER: ""}, 1),
        (200, {"results": [{"outcome": "rejected", "errors": [{"message": NUMBER}]}]}, 1),
        (200, {"reference": NUMBER, "results": [{"reference": NUMBER}]}, 0),
        (400, {"errors": [{"field": "changes[0].op", "message": "unknown"}]}, 0),
    ],
)
def test_what_must_not_be_answered_is_seen(status: int, content: object, told: int) -> None:
    headers = {"content-type": PROBLEM if status >= 400 else "application/json"}
    answer = httpx.Response(status, json=content, headers=headers)
    assert len(list(wrong(answer, [NUMBER]))) == told


async def test_no_request_gets_a_5xx_or_sees_what_it_sent_in_an_error(
    valkey: Server, tmp_path: Path
) -> None:
    async with caller(valkey, tmp_path) as sender:
        await asyncio.to_thread(once, sender, 8)
        assert sender.faults.found == []
        assert sender.faults.requests > 2_000
        assert {200, 400, 401, 403, 404} <= set(sender.faults.statuses)


@pytest.mark.soak
@pytest.mark.timeout(0)
async def test_of_two_hundred_thousand_requests_none_gets_a_5xx_or_sees_what_it_sent(
    valkey: Server, tmp_path: Path, soak_s: float
) -> None:
    until = time.monotonic() + soak_s
    async with caller(valkey, tmp_path) as sender:
        while sender.faults.requests < REQUESTS and time.monotonic() < until:
            await asyncio.to_thread(once, sender, 50)
            assert sender.faults.found == []
        figures = dict(sorted(sender.faults.statuses.items()))
        print(f"\n{sender.faults.requests:,} requests: {figures}")  # noqa: T201 -- what a soak is for
