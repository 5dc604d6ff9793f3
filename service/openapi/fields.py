"""What fields of requests and answers mean where their names do not say it, for OpenAPI."""

from __future__ import annotations

from typing import Any

from roster.documents.identity import KINDS

_NAME = (
    "The traveller's, as on the ticket: send it always. Han or Latin, compared within one script"
)
_REFERENCE = "What you know the check by: comes back with the answer, and is kept nowhere"
_AT_LEAST = "Positions: the answer is at least as new as all of them"
_SUBJECT = "A pseudonym of the person that only this API key sees: the feed calls them so, too"
_STALE = "This process has had no news for longer than it should, and answers as of `fresh_as_of`"
_WARNINGS = "What is odd about the request, whoever travels: look for it in your first tests"
_CHECK = {"name": _NAME, "reference": _REFERENCE, "at_least": _AT_LEAST}
_ANSWER = {
    "subject": _SUBJECT,
    "reference": "That of the check",
    "warnings": _WARNINGS,
    "seats": "The decision for each seat code, where several were sent, as the table spells them",
}
_DEPARTS = "Send it always: an entry may begin to bind between now and then"

MEANINGS: dict[str, dict[str, str]] = {
    "Document": {
        "number": "As it is spelled; blanks, hyphens, width and case do not matter",
        "issuer": "Of a `passport` and of `other`: the issuing state's three-letter code "
        "(ISO 3166-1 alpha-3 or ICAO 9303); no other type has one",
        "kind": "Of `other`, which needs one; no other type has it",
    },
    "Check": _CHECK,
    "Item": _CHECK,
    "StandingShape": {"name": _NAME, "departs_at": _DEPARTS},
    "AirJourney": {"departs_at": _DEPARTS},
    "RailJourney": {
        "train": "A letter or none, and 1 to 5 digits",
        "seat": "A seat code of 12306, or up to 10: second class is the letter `O`, not the digit",
        "departs_at": _DEPARTS,
    },
    "ShipJourney": {"departs_at": _DEPARTS},
    "Answer": _ANSWER | {"stale": _STALE},
    "ItemAnswer": _ANSWER,
    "BatchAnswer": {"stale": f"{_STALE}: so for all items"},
    "ProductReply": {
        "except_trains": "Beside `*`: the letters that have a rule of their own, and are not meant"
    },
    "Logged": {"subject": _SUBJECT},
}


def explain(components: dict[str, Any]) -> None:
    """Say what fields mean, and which kinds of document there are."""
    for name, meanings in MEANINGS.items():
        for field, meaning in meanings.items():
            components[name]["properties"][field]["description"] = meaning
    for option in components["Document"]["properties"]["kind"]["anyOf"]:
        if option.get("type") == "string":
            option["enum"] = sorted(KINDS)
