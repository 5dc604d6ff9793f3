"""The command that shows what was loaded: when, by whom, from which files, and what it did."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import click

from roster.opening import Opening
from roster.settings import read_settings
from roster.speech.helps import SpokenCommand
from roster.speech.language import in_language, say
from roster.storage.dictionary import Dictionary
from roster.times import format_ms
from service.commands.tables import clock, print_json, print_rows
from service.commands.texts import NOT_COMPLETED, PARTIAL, REFUSED, UNDOES, UNDONE_BY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from roster.storage.dictionary import Load

_DID = ("added", "changed", "ended", "unchanged", "superseded")
_COLUMNS = (
    "load", "kind", "began_at", "seconds", "who", "files", "sha256", "lists", "as_of", *_DID,
    "rejected", "note",
)  # fmt: skip


@click.command("loads", cls=SpokenCommand)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@in_language
def loads_command(*, as_json: bool) -> None:
    """Show what was loaded, the last first: what it did, and whether it was undone."""
    with Opening(read_settings(os.environ)) as opening:
        known = asyncio.run(_all_loads(opening))
    loads = [_load_json(number, load, known) for number, load in known.items()]
    if as_json:
        print_json({"loads": loads})
    else:
        print_rows(_COLUMNS, [_row(each) for each in loads])


async def _all_loads(opening: Opening) -> dict[int, Load]:
    async with opening.changing() as nodes:
        return await Dictionary(nodes).all_loads()


def _load_json(number: int, load: Load, known: Mapping[int, Load]) -> dict[str, Any]:
    """A load for programs; figures of one that has not ended, or is long past, are not known."""
    began, ended = load.received_at_ms, load.applied_at_ms
    as_of = load.refused.as_of if load.refused else load.as_of
    return {
        "load": number,
        "kind": load.kind or "load",
        "began_at": format_ms(began),
        "ended_at": None if ended is None else format_ms(ended),
        "seconds": None if ended is None else round((ended - began) / 1000, 3),
        "who": load.who or None,
        "name": load.actor,
        "files": [{"name": file.name, "sha256": file.sha256.hex()} for file in load.files],
        "lists": list(load.refused.lists if load.refused else load.lists),
        "as_of": None if as_of is None else format_ms(as_of),
        "partial": load.partial,
        **{what: _total(load, what) for what in _DID},
        "rejected": load.rejected,
        "rejects_file": load.rejects_file or None,
        "by_list": load.did,
        "undoes": load.undoes,
        "undone_by": _undone_by(number, known),
        "refused": load.refused.why if load.refused else None,
    }


def _total(load: Load, what: str) -> int | None:
    return sum(did.get(what, 0) for did in load.did.values()) if load.did else None


def _undone_by(number: int, known: Mapping[int, Load]) -> int | None:
    return next((each for each, load in known.items() if load.undoes == number), None)


def _row(load: dict[str, Any]) -> list[object]:
    shown = load | {
        "began_at": clock(load["began_at"]),
        "as_of": clock(load["as_of"]),
        "files": " ".join(file["name"] for file in load["files"]) or load["name"],
        "sha256": " ".join(file["sha256"] for file in load["files"]),
        "lists": " ".join(load["lists"]),
        "rejected": sum(load["rejected"].values()),
        "note": _note(load),
    }
    return [shown[column] for column in _COLUMNS]


def _note(load: dict[str, Any]) -> str:
    notes = (
        (load["ended_at"] is None, say(NOT_COMPLETED)),
        (load["partial"], say(PARTIAL)),
        (load["undoes"] is not None, say(UNDOES, load=load["undoes"])),
        (load["undone_by"] is not None, say(UNDONE_BY, load=load["undone_by"])),
        (load["refused"] is not None, say(REFUSED, why=load["refused"])),
    )
    return ", ".join(text for holds, text in notes if holds)
