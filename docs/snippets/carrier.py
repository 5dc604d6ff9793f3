"""A carrier's jobs with clearway-client: a check, a manifest, and the feed.

It asks again by itself, within `check_s`; who may not be answered in time is a `refer` here.
"""

from __future__ import annotations

import os

from clearway_client import Air, Answer, Check, Client, Document, Terms

LISTED = Document("resident_id", os.environ["LISTED"])
FREE = Document("resident_id", os.environ["FREE"])


def told(answer: Answer) -> str:
    """What the counter is to do: sell, offer what is allowed instead, or the manual procedure."""
    return " ".join([answer.decision, *answer.codes])


url, key = os.environ["CLEARWAY_URL"], os.environ["CLEARWAY_API_KEY"]
with Client(url, key, Terms(check_s=10.0, try_s=2.0, on_no_answer="refer")) as clearway:
    print("listed:", told(clearway.check(Check(LISTED, Air()))))
    print("free:", told(clearway.check(Check(FREE, Air()))))

    manifest = clearway.check_all([Check(LISTED), Check(FREE)], Air())
    print("manifest:", *(each.decision for each in manifest if isinstance(each, Answer)))

    # Keep each `subject` that you refused, and `feed.position` behind what you have dealt with.
    feed = clearway.feed(after=os.environ.get("SAVED"), wait_s=1.0)
    while events := feed.poll():
        for event in events:
            print("changed: ask again about", event.subject)
    print("feed: read to its end" if feed.position else "feed: nothing yet")
