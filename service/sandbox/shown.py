"""The table of made-up people as JSON: what to send, and what is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from service.sandbox.people import PEOPLE

if TYPE_CHECKING:
    from service.sandbox.shapes import MadeUpPerson, TableRow


def table_json() -> list[dict[str, Any]]:
    """Every row: the body of a check, what is answered, and what that means."""
    return [
        {"check": _check(person, row), "answer": _answer(row), "means": row.means}
        for person in PEOPLE
        for row in person.rows
    ]


def _check(person: MadeUpPerson, row: TableRow) -> dict[str, Any]:
    document = msgspec.to_builtins(person.document)
    given = {name: value for name, value in document.items() if value is not None}
    sent: dict[str, Any] = {"document": given}
    if row.name is not None:
        sent["name"] = row.name
    rail = {"mode": "rail", "train": row.train, "seat": row.seat}
    return sent | {"journey": {"mode": "air"} if row.train is None else rail}


def _answer(row: TableRow) -> dict[str, Any]:
    if row.decision is None:
        return {"status": row.status}
    lists = row.lists or ("",) * len(row.codes)
    reasons = [
        {"code": code} | ({"list": name} if name else {})
        for code, name in zip(row.codes, lists, strict=True)
    ]
    told = {"status": row.status, "decision": row.decision, "reasons": reasons}
    return told if row.name_check is None else told | {"name_check": row.name_check}
