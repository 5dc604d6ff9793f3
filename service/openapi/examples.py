"""Examples of requests, answers and problems, for the OpenAPI document; nobody in them exists."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import msgspec


class Example(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One: what it shows, and the JSON."""

    summary: str
    value: Any


class Examples(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All: requests and answers by the operation's name, problems by status; each by a name."""

    requests: dict[str, dict[str, Example]]
    answers: dict[str, dict[str, Example]]
    problems: dict[str, dict[str, Example]]


@cache
def examples() -> Examples:
    """What stands in the file beside this module."""
    text = (files("service") / "openapi" / "examples.json").read_bytes()
    return msgspec.json.decode(text, type=Examples)


def requests(operation: str) -> dict[str, Any]:
    """What may be sent."""
    return _shown(examples().requests.get(operation, {}))


def answers(operation: str) -> dict[str, Any]:
    """What may be answered."""
    return _shown(examples().answers.get(operation, {}))


def problems(status: str) -> dict[str, Any]:
    """What may be answered in place of that."""
    return _shown(examples().problems.get(status, {}))


def _shown(some: dict[str, Example]) -> dict[str, Any]:
    return {name: msgspec.to_builtins(each) for name, each in some.items()}
