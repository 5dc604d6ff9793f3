"""A carrier's jobs with plain httpx: a check, a manifest, the feed, and when to ask again."""

from __future__ import annotations

import os
import random
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

BUDGET_S = 10.0
TRY_S = 2.0
AGAIN = {408, 429, 500, 502, 503, 504}
FLIGHT = {"mode": "air", "departs_at": (datetime.now(UTC) + timedelta(days=30)).isoformat()}
LISTED = {"type": "resident_id", "number": os.environ["LISTED"]}
FREE = {"type": "resident_id", "number": os.environ["FREE"]}
NO_ISSUER = {"type": "passport", "number": "E00000000"}  # so that the service cannot read it

clearway = httpx.Client(
    base_url=os.environ["CLEARWAY_URL"],
    headers={"authorization": f"Bearer {os.environ['CLEARWAY_API_KEY']}"},
    timeout=TRY_S,
    trust_env=False,  # a proxy would see the key and the numbers
)


class Refused(SystemExit):
    """A status that asking again does not change; `oldest` is where the feed can be read from."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__(f"refused ({answer.status_code}): mend the request or the key")
        gone = answer.status_code == httpx.codes.GONE
        self.oldest: str | None = answer.json()["oldest"] if gone else None


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
            if status not in AGAIN:
                raise Refused(answer)
            stated = answer.headers.get("retry-after", "")
            wait_s = float(stated) if stated.isdecimal() else pause_s
        wait_s += wait_s * random.random() / 4  # noqa: S311 -- jitter: not all at once
        if time.monotonic() + wait_s > deadline:
            raise SystemExit(f"no answer ({status}): the manual procedure")
        time.sleep(wait_s)
        pause_s *= 2


def check(document: dict[str, str], name: str) -> str:
    """The decision and its reasons."""
    sent = {"document": document, "name": name, "journey": FLIGHT}
    answer = ask("POST", "/v1/check", json=sent)
    return " ".join([answer["decision"], *(reason["code"] for reason in answer["reasons"])])


def read_feed(position: str | None) -> str:
    """Tell who has changed, and give the position to save and to begin at the next time."""
    while True:
        query = {"after": position} if position else {}
        try:
            page = ask("GET", "/v1/changes", params=query | {"wait_ms": "500"})
        except Refused as exc:
            if exc.oldest is None:
                raise
            print("feed: too old a position, ask again about everybody whom you have refused")
            position = exc.oldest
            continue
        position = str(page["position"])
        if not page["changes"]:
            return position
        for change in page["changes"]:
            print("changed: ask again about", change["subject"])


with clearway:
    print("listed:", check(LISTED, os.environ["LISTED_NAME"]))
    print("free:", check(FREE, "王试"))

    # At most 1,000 items; the results stand in their order, and one may be an `error`.
    travellers = {"1A": LISTED, "1B": NO_ISSUER, "1C": FREE}
    items = [{"document": each, "reference": seat} for seat, each in travellers.items()]
    batch = ask("POST", "/v1/check/batch", json={"journey": FLIGHT, "items": items})
    for seat, result in zip(travellers, batch["results"], strict=True):
        print(f"manifest {seat}:", "error" if "error" in result else result["decision"])

    read_feed(os.environ.get("SAVED"))
    print("feed: read to its end")
