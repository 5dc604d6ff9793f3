"""The schemas of what is sent and answered, as generators of clients like them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import msgspec

from roster.rules.verdict import Decision
from service.openapi.fields import explain
from service.web import shapes

_REFERENCE = "#/components/schemas/{name}"
_TIMES = frozenset(
    {
        "applied_at", "as_of", "at", "began_at", "decided_at", "denied_at", "ended_at",
        "expires_at", "fresh_as_of", "from", "hour", "kept_from", "last_removed_at", "received_at",
        "sealed_at", "until", "written_at",
    }
)  # fmt: skip
"""What answers call a moment: RFC 3339, in UTC. Requests may have a bare date there."""
_INNER = (shapes.Item, shapes.ChangeShape)
"""What stands raw inside a request, so that an invalid one harms no other."""


class AirJourney(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A flight; any."""

    mode: Literal["air"]
    departs_at: shapes.Time | None = None


class RailJourney(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A train, and a seat code of 12306, or up to 10 of them."""

    mode: Literal["rail"]
    train: shapes.Train
    seat: shapes.SeatCodes
    departs_at: shapes.Time | None = None


class ShipJourney(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A cabin of a ship."""

    mode: Literal["ship"]
    cabin: shapes.Cabin
    departs_at: shapes.Time | None = None


_DECISIONS = sorted(get_args(Decision))
_JOURNEYS = {"air": AirJourney, "rail": RailJourney, "ship": ShipJourney}


def described(
    types: Sequence[type],
) -> tuple[dict[type, dict[str, Any]], dict[str, Any]]:
    """A reference to the schema of each type, and all schemas by their names."""
    wanted = list(dict.fromkeys([*types, *_INNER, *_JOURNEYS.values()]))
    schemas, components = msgspec.json.schema_components(wanted, ref_template=_REFERENCE)
    components[shapes.JourneyShape.__name__] = _journeys()
    _fill_in(components)
    explain(components)
    asked = {each.__name__ for each in vars(shapes).values() if isinstance(each, type)}
    for name in components.keys() - asked:
        _mark_times(components[name].get("properties", {}))
    _tell_apart(components)
    words = {"title": "Decision", "type": "string", "enum": _DECISIONS}
    return dict(zip(wanted, schemas, strict=True)), components | {"Decision": words}


def _journeys() -> dict[str, Any]:
    """One of the modes, told apart by its name."""
    places = {mode: _REFERENCE.format(name=each.__name__) for mode, each in _JOURNEYS.items()}
    return {
        "title": "Journey",
        "oneOf": [{"$ref": place} for place in places.values()],
        "discriminator": {"propertyName": "mode", "mapping": places},
    }


def _fill_in(components: dict[str, Any]) -> None:
    """Say what the raw items are."""
    for outer, field, inner in (
        (shapes.BatchShape, "items", shapes.Item),
        (shapes.ChangesShape, "changes", shapes.ChangeShape),
    ):
        reference = {"$ref": _REFERENCE.format(name=inner.__name__)}
        components[outer.__name__]["properties"][field]["items"] = reference


def _mark_times(properties: dict[str, Any]) -> None:
    """Say which texts are times; an empty one is left out."""
    for name in _TIMES & properties.keys():
        if properties[name].get("default") == "":
            del properties[name]["default"]
        for option in properties[name].get("anyOf", [properties[name]]):
            if option.get("type") == "string":
                option["format"] = "date-time"


def _tell_apart(node: Any) -> None:  # noqa: ANN401 -- JSON
    """Say that words are texts, that decisions are decisions, and that one of several types holds.

    Generators make a union of `oneOf`, of `anyOf` an object that may be anything.
    """
    for inner in (
        node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    ):
        _tell_apart(inner)
    if not isinstance(node, dict):
        return
    if node.get("enum") == _DECISIONS:
        del node["enum"]
        node["$ref"] = _REFERENCE.format(name="Decision")
    if all(isinstance(word, str) for word in node.get("enum", [None])):
        node["type"] = "string"
    kinds = [option.get("type", "object") for option in node.get("anyOf", ())]
    if kinds and len(set(kinds)) == len(kinds):
        node["oneOf"] = node.pop("anyOf")
