"""The commands that give out API keys, and take them back."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from roster.errors import InvalidInput
from roster.opening import Opening
from roster.records.audited import KeyMade
from roster.rules.lists import load_lists
from roster.settings import read_settings
from roster.speech.helps import SpokenCommand
from roster.speech.language import in_language
from roster.storage.account import who
from roster.storage.api_keys import (
    MEANINGS,
    OVERLAP_MAX_MS,
    ApiKey,
    KeyStore,
    KeyTerms,
    check_scopes,
)
from roster.times import DAY_MS, format_ms, now_ms, parse_duration, parse_until
from service.commands.account import accounted, free_text
from service.commands.tables import clock, is_terminal, print_json, print_rows
from service.commands.texts import KEY_STATES, said
from service.server.certificates import fingerprint_of_file

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable


COLUMNS = (
    *("id", "name", "scopes", "state", "rate", "burst", "created", "expires"),
    *("last_used", "old_text_until", "note"),
)
_TIMES = ("created", "expires", "last_used", "old_text_until")
SCOPES_TOLD = "\b\nScopes:\n" + "\n".join(
    f"  {scope:<13}{meaning}" for scope, meaning in MEANINGS.items()
)
"""What stands below the help of `create`, line by line."""

NO_OTHER = (
    ", which had no key before: a service that has keys runs on another "
    "(CLEARWAY_DATA_DIR, CLEARWAY_REDIS_URL)"
)


@click.group()
def keys() -> None:
    """Give out API keys, and take them back."""


@keys.command(epilog=SCOPES_TOLD)
@click.option(
    "--name",
    required=True,
    callback=free_text,
    help="Who it is for; shown in the log and the audit.",
)
@click.option("--scopes", required=True, help="Of those below: check,list:read,list:remove@sx …")
@click.option(
    "--sandbox",
    is_flag=True,
    help="A test key: its checks are answered from a table of made-up documents.",
)
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Checks a second.")
@click.option("--burst", type=click.IntRange(1), help="Checks at once; default: 3 times the rate.")
@click.option("--expires", help="A time with an offset, or a last day in Beijing.")
@click.option(
    "--client-cert",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The certificate that the caller must show.",
)
def create(**options: Any) -> None:  # noqa: ANN401 -- click's
    """Make a key and print it, once: only its hash is kept."""
    with Opening(read_settings(os.environ)) as opening:
        names = [rule.id for rule in load_lists(opening.settings.lists_file).all]
        terms = _terms(options, names)
        sandbox = options["sandbox"]
        key, text, is_first = _with_store(
            opening, lambda store: _created(store, terms, sandbox=sandbox), "created"
        )
        place = opening.place
    click.echo(f"key {key.id} for {key.name}: {', '.join(key.scopes)}", err=True)
    click.echo(f"it works on the roster of {place}{is_first * NO_OTHER}", err=True)
    click.echo(text)


@keys.command(name="list", cls=SpokenCommand)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@in_language
def list_command(*, as_json: bool) -> None:
    """Show all keys, ids first."""
    with Opening(read_settings(os.environ)) as opening:
        found, uses = _with_store(opening, _all)
    known = sorted(found.values(), key=lambda key: key.created_ms)
    rows = [_shown(key, uses.get(key.id)) for key in known]
    if as_json:
        allows = [{"sandbox": key.sandbox, "allows": _in_words(key)} for key in known]
        print_json([row | more for row, more in zip(rows, allows, strict=True)])
        return
    columns = [name for name in COLUMNS if not sys.stdout.isatty() or any(r[name] for r in rows)]
    print_rows(columns, [[row[name] for name in columns] for row in map(_for_people, rows)])
    if sys.stdout.isatty():
        _print_meanings(known)


@keys.command()
@click.argument("identifier", metavar="ID")
@click.option(
    "--overlap",
    default="0s",
    help="How long the old text still works: 30m, 1h, 2d; 30d at most.",
    callback=lambda _context, _option, text: _overlap_ms(text),
)
def rotate(identifier: str, overlap: int) -> None:
    """Give a key a new text and print it; the old one stops within a second, or with --overlap."""
    old_until_ms = now_ms() + overlap if overlap else 0
    with Opening(read_settings(os.environ)) as opening:
        key, text = _with_store(
            opening, lambda store: store.rotate(identifier, old_until_ms), "rotated"
        )
    if overlap:
        click.echo(f"the old text works until {clock(_old_until(key))}", err=True)
    click.echo(text)


@keys.command()
@click.argument("identifier", metavar="ID")
def revoke(identifier: str) -> None:
    """Take a key back: it stops within a second, by each of its texts."""
    with Opening(read_settings(os.environ)) as opening:
        key, _ = _with_store(opening, lambda store: _revoked(store, identifier), "revoked")
    click.echo(f"key {key.id} is revoked", err=True)


def _terms(options: dict[str, Any], lists_known: list[str]) -> KeyTerms:
    """The key's terms; raises click's error for wrong usage."""
    scopes = [scope.strip() for scope in options["scopes"].split(",") if scope.strip()]
    cert = options["client_cert"]
    try:
        if not scopes:
            raise InvalidInput("scopes", "at least one is needed")  # noqa: TRY301 -- told as the others
        return KeyTerms(
            name=options["name"],
            scopes=check_scopes(scopes, lists_known, sandbox=options["sandbox"]),
            rate=options["rate"],
            burst=options["burst"],
            expires_ms=_expires_ms(options["expires"]),
            client_cert=fingerprint_of_file(cert) if cert else None,
        )
    except InvalidInput as exc:
        raise click.BadParameter(exc.message, param_hint=f"--{exc.field}") from None
    except ValueError:
        raise click.BadParameter("not a certificate", param_hint="--client-cert") from None


def _expires_ms(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        expires_ms = parse_until(text)
    except ValueError as exc:
        raise InvalidInput("expires", str(exc)) from None
    if expires_ms <= now_ms():
        raise InvalidInput("expires", "this is past")
    return expires_ms


def _overlap_ms(text: str) -> int:
    try:
        overlap_ms = parse_duration(text)
    except ValueError as exc:
        raise click.BadParameter(str(exc)) from None
    if overlap_ms > OVERLAP_MAX_MS:
        raise click.BadParameter("more than 30d")
    return overlap_ms


async def _created(store: KeyStore, terms: KeyTerms, *, sandbox: bool) -> tuple[ApiKey, str, bool]:
    """The key, its text, and whether there was no other."""
    is_first = not await store.all()
    return *await store.create(terms, now_ms(), sandbox=sandbox), is_first


async def _all(store: KeyStore) -> tuple[dict[str, ApiKey], dict[str, int]]:
    return await store.all(), await store.uses()


async def _revoked(store: KeyStore, identifier: str) -> tuple[ApiKey, None]:
    return await store.revoke(identifier, now_ms()), None


def _with_store(opening: Opening, do: Callable[[KeyStore], Awaitable[Any]], done: str = "") -> Any:  # noqa: ANN401 -- what `do` gives
    """What `do` gives; if that was `done` to a key, which comes first, the audit has it."""

    async def run() -> Any:  # noqa: ANN401 -- what `do` gives
        async with opening.changing() as nodes:
            wait = opening.wait(await opening.facts(nodes))
            found = await do(KeyStore(nodes, wait))
            if done:
                key: ApiKey = found[0]
                record = KeyMade(who(), done, key.id, key.name, key.scopes)
                await accounted(opening, nodes, record)
            return found

    return asyncio.run(run())


def _in_words(key: ApiKey) -> dict[str, str]:
    """What a key may do, by its scopes."""
    told = {}
    for scope in key.scopes:
        plain, at, name = scope.partition("@")
        told[scope] = MEANINGS.get(plain, "unknown to this version") + f", on list {name}" * bool(
            at
        )
    return told


def _print_meanings(known: Iterable[ApiKey]) -> None:
    """What the scopes in a table mean, below it."""
    told = {scope: words for key in known for scope, words in _in_words(key).items()}
    for scope, words in sorted(told.items()):
        click.echo(f"{scope}: {words}")


def _old_until(key: ApiKey) -> str:
    """Until when the text before the last one works; nothing where it does not."""
    until_ms = min(key.old_until_ms, key.expires_ms or key.old_until_ms)
    return format_ms(until_ms) if key.works(now_ms()) and until_ms > now_ms() else ""


def _note(key: ApiKey) -> str:
    if key.expires_ms is None or not key.ends_soon(now_ms()):
        return ""
    return f"expires in {(key.expires_ms - now_ms()) // DAY_MS} days"


def _shown(key: ApiKey, used_ms: int | None) -> dict[str, Any]:
    """All that may be known of a key, its id first."""
    state = "revoked" if key.revoked_ms else "valid" if key.works(now_ms()) else "expired"
    return {
        "id": key.id,
        "name": key.name,
        "scopes": ",".join(key.scopes),
        "state": state,
        "rate": key.rate or "",
        "burst": int(key.burst_checks) if key.rate else "",
        "created": format_ms(key.created_ms),
        "expires": format_ms(key.expires_ms) if key.expires_ms else "",
        "last_used": "" if used_ms is None else format_ms(used_ms),
        "old_text_until": _old_until(key),
        "note": _note(key),
    }


def _for_people(row: dict[str, Any]) -> dict[str, Any]:
    """A key's row with times of Beijing, and on a terminal with what its state means."""
    state = said(KEY_STATES, row["state"]) if is_terminal() else row["state"]
    return row | {name: clock(row[name]) for name in _TIMES} | {"state": state}
