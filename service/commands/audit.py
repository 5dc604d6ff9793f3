"""`clearway audit`: who asked, what was answered, what was changed; and whether that is all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import click
import msgspec

from roster.speech.helps import SpokenCommand
from roster.speech.language import in_language, say
from service.audit.chains import BlockReply, Chains, HeadReply
from service.commands.caller import Caller, open_caller, over_http
from service.commands.tables import clock, print_json, print_rows
from service.commands.texts import WHOLE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_COLUMNS = ("at", "kind", "by", "what", "about", "entries")
_OF_CHAIN = ("process", "blocks", "since", "until", "end")


@click.command(cls=SpokenCommand)
@click.option("--decision", metavar="ID", help="Only this decision.")
@click.option("--entry", metavar="ID", help="Only what names this entry.")
@click.option("--key", metavar="ID", help="Only what this API key did, or what was done to it.")
@click.option(
    "--late", is_flag=True, help="Only denials that came after their entry's end was decided."
)
@click.option("--verify", is_flag=True, help="Follow the chains: is anything missing or changed?")
@click.option(
    "--heads",
    type=click.File(),
    help="With --verify: log lines of the service that have stated chains' heads.",
)
@click.option("--json", "as_json", is_flag=True, help="JSON Lines: a record each.")
@in_language
@over_http
def audit(url: str | None, key_file: Path | None, **asked: Any) -> None:  # noqa: ANN401 -- click's
    """Show who asked, what was answered, and what was changed; the oldest first."""
    names = ("decision", "entry", "key")
    query = {name: asked[name] for name in names if asked[name] is not None}
    if asked["late"]:
        query["late"] = "true"
    if asked["verify"] and query:
        raise click.UsageError("--verify goes with nothing that leaves records out")
    if asked["heads"] and not asked["verify"]:
        raise click.UsageError("--heads goes with --verify")
    with open_caller(url, key_file) as caller:
        if asked["verify"]:
            _verify(caller, list(_published(asked["heads"])), as_json=asked["as_json"])
            return
        records = (each for page in _pages(caller, query) for each in page["records"])
        if asked["as_json"]:
            for record in records:
                click.echo(json.dumps(record, ensure_ascii=False))
        else:
            print_rows(_COLUMNS, map(_row, records))


def _pages(caller: Caller, query: dict[str, str]) -> Iterator[dict[str, Any]]:
    """All pages, one after the other."""
    while True:
        page = caller.get(f"/v1/audit?{urlencode(query)}")
        yield page
        if page["next"] is None:
            return
        query = query | {"after": page["next"]}


def _published(lines: Any) -> Iterator[HeadReply]:  # noqa: ANN401 -- click's file, or None
    """The heads that lines of a log state; other lines are passed over."""
    for line in lines or ():
        try:
            found = json.loads(line)
            if found.get("event") == "audit":
                at = str(found.get("sealed_at") or found.get("timestamp", ""))
                yield HeadReply(found["process"], int(found["blocks"]), found["head"], at)
        except (ValueError, KeyError, AttributeError, TypeError):
            continue


def _verify(caller: Caller, published: list[HeadReply], *, as_json: bool) -> None:
    chains: Chains | None = None
    for page in _pages(caller, {"verify": "true"}):
        if chains is None:
            live = msgspec.convert(page["heads"], list[HeadReply])
            chains = Chains(page["kept_from"], live, published)
        for block in msgspec.convert(page["blocks"], list[BlockReply]):
            chains.add(block)
    faults = chains.faults() if chains else []
    states = chains.states() if chains else []
    if as_json:
        shown = [each._asdict() for each in states]
        wrong = [each._asdict() for each in faults]
        print_json({"whole": not faults, "processes": shown, "faults": wrong})
    else:
        rows = (each._replace(since=clock(each.since), until=clock(each.until)) for each in states)
        print_rows(_OF_CHAIN, rows)
        for fault in faults:
            click.echo(f"process {fault.process or 'unknown'}: {fault.what}", err=True)
        count = sum(each.blocks for each in states)
        if not faults:
            click.echo(say(WHOLE, chains=len(states), blocks=count))
    if faults:
        raise click.exceptions.Exit(1)


def _row(record: dict[str, Any]) -> list[str]:
    """A record for people: when, what kind, by whom, what, about what."""
    what = [record.get(name) for name in ("what", "decision", "op", "outcome", "stage", "mode")]
    about = [record.get(name) for name in ("decision_id", "load", "name", "reason", "token")]
    named = [record, *record.get("reasons", ())]
    entries = [f"{each['list']} {each.get('entry_id') or ''}" for each in named if each.get("list")]
    return [
        clock(record["at"]),
        record["kind"],
        record.get("key") or record.get("who") or record.get("process") or "",
        " ".join(str(each) for each in what if each),
        " ".join(str(each) for each in about if each),
        ", ".join(entry.strip() for entry in entries),
    ]
