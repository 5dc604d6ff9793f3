"""Commands about the whole roster: how it is, and its lists."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import click

from roster.documents.spelling import trimmed
from roster.opening import Opening
from roster.records.audited import ListSwitched
from roster.rules.lists import load_lists
from roster.settings import read_settings
from roster.speech.helps import SpokenCommand, SpokenGroup
from roster.speech.language import in_language, say
from roster.storage.account import who
from roster.storage.disabled import Disabled, DisabledLists
from roster.storage.store import Store
from roster.times import DAY_MS, now_ms, parse_time
from service.background.summary import summarise
from service.commands.account import accounted, free_text
from service.commands.caller import open_caller, over_http
from service.commands.tables import FIGURES, clock, is_terminal, print_json, print_rows
from service.commands.texts import (
    AGE,
    DECIDED,
    DIGEST,
    ENTRIES,
    EVER_LISTED,
    LAG,
    LEGS,
    LISTS,
    MODES,
    PEOPLE,
    PROCESSES,
    REMOVALS,
    REMOVALS_OWN,
    ROSTER,
    STATES,
    TOO_OLD,
    said,
)
from service.commands.titles import titled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from roster.rules.restrictions import Lists

_TOLD = ("people", "active", "suspended", "removed", "absent", "as_of", "covered", "disabled")
_COLUMNS = (*_TOLD, "age")
_OF_PROCESS = ("id", "host", "lag_ms", "fresh_as_of", "false_hit_rate", "build")


@click.command(cls=SpokenCommand)
@click.option("--json", "as_json", is_flag=True, help="The whole answer.")
@in_language
@over_http
def status(url: str | None, key_file: Path | None, *, as_json: bool) -> None:
    """Show what the roster holds, and how the service is doing."""
    with open_caller(url, key_file) as caller:
        found = caller.get("/v1/roster")
    if as_json:
        print_json(found)
        return
    print_rows(FIGURES, _figures(found), title=say(ROSTER))
    _print_lists(found["lists"], title=say(LISTS))
    processes = (each | {"fresh_as_of": clock(each["fresh_as_of"])} for each in found["processes"])
    rows = ([each[column] for column in _OF_PROCESS] for each in processes)
    print_rows(_OF_PROCESS, rows, title=say(PROCESSES))


@click.group(cls=SpokenGroup, invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@in_language
@click.pass_context
def lists(context: click.Context, *, as_json: bool) -> None:
    """Show the lists; disable one, whose matches are then referred, or enable it again."""
    if context.invoked_subcommand is not None:
        return
    with Opening(read_settings(os.environ)) as opening:
        found = asyncio.run(_list_figures(opening))
    if as_json:
        print_json(found)
    else:
        _print_lists(found)


def _trimmed(_context: click.Context, _argument: click.Parameter, value: str) -> str:
    return trimmed(value)


@lists.command(cls=SpokenCommand)
@click.argument("name", metavar="LIST", callback=_trimmed)
@click.option("--reason", required=True, callback=free_text, help="Why; it is shown with the list.")
def disable(name: str, reason: str) -> None:
    """Turn a list's matches into `refer`."""
    with Opening(read_settings(os.environ)) as opening:
        _require(load_lists(opening.settings.lists_file), name)
        disabled = Disabled(reason, now_ms())
        asyncio.run(_disable(opening, name, disabled))
    click.echo(f"{name} is disabled")


@lists.command(cls=SpokenCommand)
@click.argument("name", metavar="LIST", callback=_trimmed)
def enable(name: str) -> None:
    """Let a disabled list bind again."""
    with Opening(read_settings(os.environ)) as opening:
        was = asyncio.run(_enable(opening, name))
    note = "" if was else "; it was not disabled, and processes that remember it so go on without"
    click.echo(f"{name} is enabled{note}")


def _require(known: Lists, name: str) -> None:
    rule = known.by_id(name)
    if rule is None or not rule.restricts:
        names = ", ".join(rule.id for rule in known.restricting)
        raise click.BadParameter(f"there is no such list; there are {names}")


async def _list_figures(opening: Opening) -> dict[str, Any]:
    known = load_lists(opening.settings.lists_file)
    async with opening.changing() as nodes:
        store = Store(nodes, await opening.tokeniser(nodes))
        disabled = await DisabledLists(nodes, opening.wait([])).all()
        found = summarise(await store.metas(), known, disabled)
    return {
        rule.id: {
            "title": rule.title,
            **{name: getattr(found.lists[rule.id], name) for name in (*_TOLD, "rhythm_days")},
            "reason": disabled[rule.id].reason if rule.id in disabled else None,
        }
        for rule in known.restricting
    }


async def _disable(opening: Opening, name: str, disabled: Disabled) -> None:
    async with opening.changing() as nodes:
        wait = opening.wait(await opening.facts(nodes))
        await DisabledLists(nodes, wait).disable(name, disabled)
        await accounted(opening, nodes, ListSwitched(who(), "disabled", name, disabled.reason))


async def _enable(opening: Opening, name: str) -> bool:
    async with opening.changing() as nodes:
        wait = opening.wait(await opening.facts(nodes))
        found = DisabledLists(nodes, wait)
        if name not in await found.all():
            _require(load_lists(opening.settings.lists_file), name)
        was = await found.enable(name)
        await accounted(opening, nodes, ListSwitched(who(), "enabled", name))
        return was


def _figures(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    lag = found["removal_lag_ms"]
    changes = lag.get("changes", lag)  # of an older version: all together
    decisions = found["decisions"].items()
    rows = {
        say(PEOPLE): found["people"],
        **{_state(state): count for state, count in found["entries"].items()},
        say(EVER_LISTED): found["ever_listed"],
        say(DIGEST): found["digest"],
        **{say(DECIDED, mode=said(MODES, mode)): _counts(counts) for mode, counts in decisions},
        say(REMOVALS): lag["count"],
        say(REMOVALS_OWN): changes["count"],
        **{say(LAG, leg=say(name)): _lag(changes[leg]) for leg, name in LEGS.items()},
    }
    for name, value in rows.items():
        yield name, f"{value:,}" if isinstance(value, int) else str(value)


def _state(state: str) -> str:
    return say(ENTRIES, state=said(STATES, state))


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _lag(lag: dict[str, float]) -> str:
    return f"p50 {lag['p50']:g} ms, p99 {lag['p99']:g} ms, max {lag['max']:g} ms"


def _age(figures: dict[str, Any], at_ms: int) -> str:
    """How old a list's last full file is, and where that is too old."""
    if not figures["as_of"]:
        return ""
    age_ms, rhythm = at_ms - parse_time(figures["as_of"]), figures.get("rhythm_days", 0)
    old = 0 < rhythm * DAY_MS < age_ms
    return say(TOO_OLD if old else AGE, days=age_ms / DAY_MS, rhythm=rhythm)


def _print_lists(found: dict[str, Any], *, title: str = "") -> None:
    """The lists, for people with what they are called."""
    called = titled if is_terminal() else str
    at_ms = now_ms()
    shown = (
        (name, each | {"as_of": clock(each["as_of"]), "age": _age(each, at_ms)})
        for name, each in found.items()
    )
    rows = ([called(name), *(figures[column] for column in _COLUMNS)] for name, figures in shown)
    print_rows(("list", *_COLUMNS), rows, title=title)
