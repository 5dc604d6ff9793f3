"""Whom a demo is about, and what to try with them: lines that are ready to be pasted.

Their numbers may be printed: nobody alive can own a number of a synthetic list.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Container
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import click

from roster.documents.check_digits import check_digit
from roster.speech.language import say
from service.commands.texts import DEMO_TRY

CARD_DIGITS = 18
_SEQUENCES = range(1, 996)
"""Those above are the centenarians' of old numbers."""

_TO_TRY = """
export CLEARWAY_URL={url}
export CLEARWAY_API_KEY={carrier_key}
export DESK_KEY={desk_key}
export TEST_KEY={test_key}
export LISTED={listed}
export LISTED_NAME={name}
export FREE={free}

{ask_listed}

{ask_free}
"""


class Cast(NamedTuple):
    """`paying` is the row of who pays in the story, `listed` stays listed, `free` never was."""

    paying: dict[str, str]
    listed: str
    name: str
    free: str


class Keys(NamedTuple):
    """A carrier's, a court's, and one for made-up documents."""

    carrier: str
    desk: str
    test: str


def find_cast(path: Path) -> Cast:
    """People with one entry only, which binds today, and somebody who is not in that file."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    entries = Counter(row["document_number"] for row in rows)
    today = datetime.now(UTC).date().isoformat()
    once = (row for row in rows if entries[row["document_number"]] == 1 and _binds(row, today))
    found = list(islice(once, 2))
    if len(found) < 2:  # noqa: PLR2004 -- who pays, and who stays
        raise click.ClickException("too few in this small list are listed once: try more --people")
    number = found[1]["document_number"]
    return Cast(found[0], number, found[1]["name"], _neighbour(number, entries))


def to_try(cast: Cast, url: str, keys: Keys) -> str:
    """What to open, to export and to ask."""
    lines = _TO_TRY.format(
        url=url,
        carrier_key=keys.carrier,
        desk_key=keys.desk,
        test_key=keys.test,
        listed=cast.listed,
        name=cast.name,
        free=cast.free,
        ask_listed=_curl(url, keys.carrier, cast.listed),
        ask_free=_curl(url, keys.carrier, cast.free),
    )
    return say(DEMO_TRY, url=url, desk_key=keys.desk, lines=lines)


def _curl(url: str, key: str, number: str) -> str:
    asked = {
        "document": {"type": "resident_id", "number": number},
        "journey": {"mode": "air"},
    }
    return f"curl -s {url}/v1/check -H 'Authorization: Bearer {key}' -d '{json.dumps(asked)}'"


def _neighbour(number: str, taken: Container[str]) -> str:
    """Somebody of the same place and birth."""
    heads = (f"{number[:14]}{sequence:03}" for sequence in _SEQUENCES)
    return next(each for head in heads if (each := head + check_digit(head)) not in taken)


def _binds(row: dict[str, str], today: str) -> bool:
    return (
        row["list"] in {"sx", "xgl"}
        and row["document_type"] == "resident_id"
        and len(row["document_number"]) == CARD_DIGITS
        and row["state"] in {"", "active"}
        and row["name"].isalpha()  # one name, which no shell takes apart
        and row["from"] < today
        and (not row["until"] or row["until"] > today)
    )
