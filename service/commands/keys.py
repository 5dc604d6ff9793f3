"""The commands that give out API keys, and take them back."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from roster.errors import InvalidInput
from roster.opening import Opening
from roster.records.audited import KeyMade
from roster.rules.lists import load_lists
from roster.settings import read_settings
from roster.storage.account import who
from roster.storage.api_keys import ApiKey, KeyStore, KeyTerms, check_scopes
from roster.times import format_ms, now_ms, parse_until
from service.commands.account import accounted, free_text
from service.commands.tables import print_json, print_rows
from service.server.certificates import fingerprint_of_file

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


@click.group()
def keys() -> None:
    """Give out API keys, and take them back."""


@keys.command()
@click.option(
    "--name",
    required=True,
    callback=free_text,
    help="Who it is for; shown in the log and the audit.",
)
@click.option("--scopes", required=True, help="With commas: check,list:read,list:remove@sx …")
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
        key, text = _with_store(
            opening, lambda store: store.create(terms, now_ms(), sandbox=sandbox), "created"
        )
    click.echo(f"key {key.id} for {key.name}: {', '.join(key.scopes)}", err=True)
    click.echo(text)


@keys.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def list_command(*, as_json: bool) -> None:
    """Show all keys, ids first."""
    with Opening(read_settings(os.environ)) as opening:
        found = _with_store(opening, lambda store: store.all())
    rows = [_shown(key) for key in sorted(found.values(), key=lambda key: key.created_ms)]
    if as_json:
        print_json(rows)
        return
    columns = ("id", "name", "scopes", "state", "rate", "burst", "created", "expires")
    print_rows(columns, [list(row.values()) for row in rows])


@keys.command()
@click.argument("identifier", metavar="ID")
def rotate(identifier: str) -> None:
    """Give a key a new text and print it; the old one stops within a second."""
    with Opening(read_settings(os.environ)) as opening:
        _, text = _with_store(opening, lambda store: store.rotate(identifier), "rotated")
    click.echo(text)


@keys.command()
@click.argument("identifier", metavar="ID")
def revoke(identifier: str) -> None:
    """Take a key back: it stops within a second."""
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


def _shown(key: ApiKey) -> dict[str, Any]:
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
    }
