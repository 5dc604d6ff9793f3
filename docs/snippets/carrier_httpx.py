"""A carrier's jobs with plain httpx: a check, a manifest, the feed, and when to ask again."""

from __future__ import annotations

import os
import random
import time
from typing import Any

import httpx

BUDGET_S = 10.0
TRY_S = 2.0
AGAIN = {408, 429, 500, 502, 503, 504}
FLIGHT = {"mode": "air"}
LISTED = {"type": "resident_id", "number": os.environ["LISTED"]}
FREE = {"type": "resident_id", "number": os.environ["FREE"]}

clearway = httpx.Client(
    base_url=os.environ["CLEARWAY_URL"],
    headers={"authorization": f"Bearer {os.environ['CLEARWAY_API_KEY']}"},
    timeout=TRY_S,
    trust_env=False,  # a proxy would see the key and the numbers
)


def ask(method: str, path: str, **sent: Any) -> Any:  # noqa: ANN401 -- JSON
    """The answer; safe for whatever changes nothing. No error repeats what was sent."""
    deadline = time.monotonic() + BUDGET_S
    pause_s = 0.05
    while True:
        status, wait_s = 0, pause_s
        try:
            answer = clearway.request(method, path, **sent)
        except httpx.TransportError:
            pass  # nobody there, cut off, or too slow: as if it were a 503
        else:
            status = answer.status_code
            if status == httpx.codes.OK:
                return answer.json()
            stated = answer.headers.get("retry-after", "")
            wait_s = float(stated) if stated.isdecimal() else pause_s
        wait_s += wait_s * random.random() / 4  # noqa: S311 -- jitter: not all at once
        if status not in AGAIN | {0} or time.monotonic() + wait_s > deadline:
            raise SystemExit(f"no answer ({status}): refer to the manual procedure")
        time.sleep(wait_s)
        pause_s *= 2


def check(document: dict[str, str]) -> str:
    """The decision and its reasons."""
    answer = ask("POST", "/v1/check", json={"document": document, "journey": FLIGHT})
    return " ".join([answer["decision"], *(reason["code"] for reason in answer["reasons"])])


with clearway:
    print("listed:", check(LISTED))
    print("free:", check(FREE))

    # At most 1,000 items; the results stand in their order, and one may be an `error`.
    manifest = {"journey": FLIGHT, "items": [{"document": LISTED}, {"document": FREE}]}
    results = ask("POST", "/v1/check/batch", json=manifest)["results"]
    print("manifest:", *(result["decision"] for result in results))

    # Save `position`, and begin there the next time; a 410 says from where to begin anew.
    position = os.environ.get("SAVED")
    while True:
        query = {"after": position} if position else {}
        page = ask("GET", "/v1/changes", params=query | {"wait_ms": "500"})
        position = page["position"]
        if not page["changes"]:
            break
        for change in page["changes"]:
            print("changed: ask again about", change["subject"])
    print("feed: read to its end")
