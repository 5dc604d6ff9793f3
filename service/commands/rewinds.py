"""Commands for a roster that has gone back: accept what is stored, or say that it was restored."""

from __future__ import annotations

import asyncio
import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import click
from msgspec import to_builtins

from roster.keys import PARTITIONS
from roster.opening import Opening
from roster.records.audited import RewindAccepted, RosterRestored
from roster.rules.lists import load_lists
from roster.settings import read_settings
from roster.storage.account import who
from roster.storage.rewinds import Rewound, rewound
from roster.storage.rewinds import accept as accept_stored
from roster.storage.rewinds import restored as mark_restored
from roster.storage.store import Store
from roster.times import format_ms, now_ms
from service.commands.account import accounted, free_text
from service.commands.losses import Judging, Preview, lines, preview
from service.commands.tables import clock, print_json

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from roster.records.audited import AuditRecord
    from roster.redis.calls import Wait
    from roster.rules.restrictions import Lists


@click.command()
@click.option(
    "--reason", callback=free_text, help="Why what is stored is right; wanted but with --preview."
)
@click.option(
    "--dry-run", "--preview", "dry_run", is_flag=True, help="Only say whom that would harm."
)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def accept(reason: str | None, *, dry_run: bool, as_json: bool) -> None:
    """End `rewound` after a restored backup: what is stored is the roster from now on.

    First it says how many people would be denied again, and how many of them had been freed since
    the backup, as far as any process of the service remembers.
    """
    if reason is None and not dry_run:
        raise click.MissingParameter(param_hint="'--reason'", param_type="option")
    with Opening(read_settings(os.environ)) as opening:
        found, would = asyncio.run(_on_roster(opening, partial(_look, opening)))
        lists = load_lists(opening.settings.lists_file)
        if not as_json:
            _tell(found, would, lists)
        if not dry_run:
            _confirm(found)
            record = RewindAccepted(who(), reason or "", found.people, found.partitions)
            asyncio.run(_on_roster(opening, _accept, record))
    if as_json:
        counts = {"people": found.people, "partitions": found.partitions}
        until = {"load_as_of_after": _until(found, lists)}
        print_json(counts | {"accepted": not dry_run, "preview": to_builtins(would)} | until)
    elif found.partitions and not dry_run:
        click.echo(f"{found.partitions} partitions accepted: {reason}")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def restored(*, as_json: bool) -> None:
    """Say that a backup was restored while nobody looked: the roster counts as rewound.

    Nobody is denied then until every list has been loaded in full from a newer file, or until
    `clearway accept`.
    """
    with Opening(read_settings(os.environ)) as opening:
        lists = load_lists(opening.settings.lists_file)
        record = RosterRestored(who(), PARTITIONS)
        if not asyncio.run(_on_roster(opening, mark_restored, record)):
            raise click.ClickException("there is no roster yet")
        found = asyncio.run(_on_roster(opening, _rewound))
    until, partitions = (_until(found, lists), found.partitions) if found else ({}, 0)
    if as_json:
        print_json({"partitions": partitions, "load_as_of_after": until})
        return
    click.echo(f"{partitions} partitions count as rewound: nobody is denied there")
    for name, at in until.items():
        click.echo(f"to be loaded in full, as of after {clock(at)}: {name}")
    click.echo("or look at what is stored and `clearway accept`")


def _tell(found: Rewound, would: Preview, lists: Lists) -> None:
    """Say what accepting would do."""
    if not found.partitions:
        click.echo("nothing was rewound")
        return
    click.echo(f"{found.people:,} people would be denied again, in {found.partitions} partitions")
    for line in lines(would, lists):
        click.echo(line)
    for name, at in _until(found, lists).items():
        click.echo(f"or load in full, as of after {clock(at)}: {name}")


def _until(found: Rewound, lists: Lists) -> dict[str, str]:
    """After which time each list's file has to have been cut that ends the rewind."""
    return {lists.name(code): format_ms(at) for code, at in found.until.items()}


def _confirm(found: Rewound) -> None:
    """Ask, where somebody is there who can answer."""
    if found.partitions and sys.stdin.isatty():
        click.confirm("Is what is stored the roster from now on?", abort=True)


async def _accept(store: Store, wait: Wait) -> bool:
    await accept_stored(store, wait)
    return True


async def _look(opening: Opening, store: Store, _: Wait) -> tuple[Rewound, Preview]:
    """What is rewound, and whom accepting that would harm."""
    tokeniser, lists = await opening.tokeniser(store.nodes), load_lists(opening.settings.lists_file)
    people = Judging(lists, tokeniser.entry_hash, now_ms())
    metas = await store.metas()
    return rewound(metas) or Rewound(0, 0, {}), await preview(store, metas, people)


async def _rewound(store: Store, _: Wait) -> Rewound | None:
    return rewound(await store.metas())


async def _on_roster(
    opening: Opening, do: Callable[[Store, Wait], Awaitable[Any]], record: AuditRecord | None = None
) -> Any:  # noqa: ANN401 -- what `do` gives
    """What `do` gives; where that is anything, the audit has the record."""
    async with opening.changing() as nodes:
        wait = opening.wait(await opening.facts(nodes))
        found = await do(Store(nodes, await opening.tokeniser(nodes)), wait)
        if record is not None and found:
            await accounted(opening, nodes, record)
        return found
