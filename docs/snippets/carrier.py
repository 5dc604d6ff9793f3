"""A carrier's jobs with clearway-client: a check, a manifest, and the feed.

It asks again by itself, within `check_s`; who may not be answered in time is a `refer` here.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from clearway_client import (
    Air,
    Answer,
    Check,
    Client,
    Document,
    FeedTrimmed,
    NoAnswer,
    Problem,
    Refused,
    Terms,
)

LISTED = Document("resident_id", os.environ["LISTED"])
FREE = Document("resident_id", os.environ["FREE"])
NO_ISSUER = Document("passport", "E00000000")  # so that the service cannot read it
NAME = os.environ["LISTED_NAME"]
FLIGHT = Air(departs_at=datetime.now(UTC) + timedelta(days=30))


def told(answer: Answer) -> str:
    """What the counter is to do: sell, offer what is allowed instead, or the manual procedure."""
    return " ".join([answer.decision, *answer.codes])


def run(clearway: Client) -> None:
    """All of them, one after the other."""
    print("listed:", told(clearway.check(Check(LISTED, FLIGHT, name=NAME))))
    print("free:", told(clearway.check(Check(FREE, FLIGHT, name="王试"))))

    # The answers stand in the travellers' order; who cannot be read has a Problem in their place.
    travellers = {"1A": LISTED, "1B": NO_ISSUER, "1C": FREE}
    checks = [Check(document, reference=seat) for seat, document in travellers.items()]
    for seat, answer in zip(travellers, clearway.check_all(checks, FLIGHT), strict=True):
        print(f"manifest {seat}:", "error" if isinstance(answer, Problem) else answer.decision)

    # Keep each `subject` that you refused, and `feed.position` behind what you have dealt with.
    feed = clearway.feed(after=os.environ.get("SAVED") or None, wait_s=1.0)
    while True:
        try:
            events = feed.poll()
        except NoAnswer:
            print("feed: no answer, read on later from", feed.position)
            return
        except FeedTrimmed as trimmed:
            print("feed: too old a position, ask again about everybody whom you have refused")
            feed = clearway.feed(after=trimmed.oldest, wait_s=1.0)
            continue
        if not events:
            break
        for event in events:
            print("changed: ask again about", event.subject)
    print("feed: read to its end")


url, key = os.environ["CLEARWAY_URL"], os.environ["CLEARWAY_API_KEY"]
with Client(url, key, Terms(check_s=10.0, try_s=2.0, on_no_answer="refer")) as client:
    try:
        run(client)
    except Refused as exc:
        raise SystemExit(
            f"refused ({exc.problem.status}): mend the request or the key: {exc.problem.told}"
        ) from None
