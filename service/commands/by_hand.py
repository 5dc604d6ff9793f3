"""The commands for one person: a check, and an entry shown or changed by hand, over HTTP."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any, TypeVar, get_args

import click

from roster.documents.identity import KINDS, DocumentType
from roster.documents.spelling import trimmed
from roster.errors import InvalidInput
from roster.records.bounds import DisputeReason, RemovalReason
from roster.rules.restrictions import MODES
from service.commands.caller import Caller, open_caller, over_http
from service.commands.tables import print_json, print_rows
from service.commands.terminal import read_line
from service.web.shapes import Cabin

Command = TypeVar("Command", bound=Callable[..., Any])

# Which entries each command may mean where nobody says which.
_MEANT = {
    "remove": {"active", "suspended"},
    "suspend": {"active"},
    "resume": {"suspended"},
}
_COLUMNS = ("list", "entry_id", "state", "revision", "case", "court", "until")
_DONE = {"applied", "duplicate"}


def _number(_context: click.Context, _option: click.Parameter, value: str) -> str:
    """The number from standard input, or asked for: arguments are seen by everybody."""
    if value != "-":
        raise click.BadParameter("a number is never an argument: write - to be asked for it")
    if sys.stdin.isatty():
        return _asked()
    try:
        return read_line()
    except InvalidInput as exc:
        raise click.BadParameter(exc.message) from None


def _asked() -> str:
    try:
        asked: str = click.prompt("Number", hide_input=True, err=True)
        asked.encode()  # what was no text may come as halves of characters
    except UnicodeError:
        raise click.BadParameter("what was typed is not text in this terminal's encoding") from None
    return asked.strip()


def _of_document(command: Command) -> Command:
    """The options that say whose document is meant."""
    for option in (
        click.option("--kind", type=click.Choice(sorted(KINDS)), help="For type `other`."),
        click.option("--issuer", help="The issuing state's three letters, as a passport has them."),
        click.option("--number", required=True, callback=_number, help="Always -: read or asked."),
        click.option("--type", "type_", required=True, type=click.Choice(get_args(DocumentType))),
    ):
        command = option(command)
    return command


def _of_entry(*reasons: str) -> Callable[[Command], Command]:
    """The options that say which entry is meant, and why it changes."""

    def decorate(command: Command) -> Command:
        for option in (
            click.option("--reason", type=click.Choice(reasons), help="Why."),
            click.option("--entry-id", help="Which entry; without it, the only one there is."),
            click.option("--list", "list_", help="On which list."),
        ):
            command = option(command)
        return over_http(_of_document(_json_option(command)))

    return decorate


def _json_option(command: Command) -> Command:
    return click.option("--json", "as_json", is_flag=True, help="The answer as JSON.")(command)


@click.command()
@_of_document
@click.option("--mode", required=True, type=click.Choice(MODES))
@click.option("--name", help="The traveller's name.")
@click.option("--train", help="Rail: the train's number.")
@click.option("--seat", help="Rail: a seat code, or several with commas.")
@click.option("--cabin", type=click.Choice(get_args(Cabin)), help="Ship.")
@click.option("--departs-at", help="A time with an offset, or a date.")
@_json_option
@over_http
def check(**options: Any) -> None:  # noqa: ANN401 -- click's
    """Ask whether one traveller may be sold one journey."""
    seats = options["seat"].split(",") if options["seat"] else [None]
    journey = {
        "mode": options["mode"],
        "train": options["train"],
        "seat": seats if len(seats) > 1 else seats[0],
        "cabin": options["cabin"],
        "departs_at": options["departs_at"],
    }
    asked = {"document": document(options), "journey": _given(journey)}
    with open_caller(options["url"], options["key_file"]) as caller:
        answer = caller.post("/v1/check", asked | _given({"name": options["name"]}))
    if options["as_json"]:
        print_json(answer)
        return
    click.echo(answer["decision"])
    for reason in answer["reasons"]:
        click.echo("  " + "  ".join(str(value) for value in reason.values() if value))
    for product in answer["allowed_instead"]:
        click.echo("  instead: " + json.dumps(product, ensure_ascii=False))
    for warning in answer.get("warnings", ()):
        click.echo(f"  warning: {warning}")


@click.command()
@_of_document
@_json_option
@over_http
def find(**options: Any) -> None:  # noqa: ANN401 -- click's
    """Show all entries of a document, those that have ended too."""
    with open_caller(options["url"], options["key_file"]) as caller:
        answer = caller.post("/v1/entries/find", {"document": document(options)})
    if options["as_json"]:
        print_json(answer)
    else:
        show_entries(answer["entries"])


@click.command()
@_of_entry(*get_args(RemovalReason))
def remove(**options: Any) -> None:  # noqa: ANN401 -- click's
    """Take an entry off its list: it ends at once, everywhere."""
    _change("remove", options)


@click.command()
@_of_entry(*get_args(DisputeReason))
def suspend(**options: Any) -> None:  # noqa: ANN401 -- click's
    """Let an entry rest while a dispute is open."""
    _change("suspend", options)


@click.command()
@_of_entry(*get_args(DisputeReason))
def resume(**options: Any) -> None:  # noqa: ANN401 -- click's
    """Let a suspended entry bind again."""
    _change("resume", options)


def document(options: dict[str, Any]) -> dict[str, Any]:
    """The document that the options describe."""
    return _given(
        {
            "type": options["type_"],
            "number": options["number"],
            "issuer": options["issuer"],
            "kind": options["kind"],
        }
    )


def show_entries(entries: list[dict[str, Any]], *, err: bool = False) -> None:
    """Print entries in rows, none of which names a person."""
    rows = ([entry.get(column) for column in _COLUMNS] for entry in entries)
    print_rows(_COLUMNS, rows, err=err)


def _change(op: str, options: dict[str, Any]) -> None:
    with open_caller(options["url"], options["key_file"]) as caller:
        entry = _meant(caller, op, options)
        change = {
            "op": op,
            "document": document(options),
            "list": entry["list"],
            "entry_id": entry["entry_id"],
        }
        result = caller.change(change | _given({"reason": options["reason"]}))
    if options["as_json"]:
        print_json(result)
    else:
        errors = "; ".join(
            f"{each['field']}: {each['message']}" for each in result.get("errors", [])
        )
        click.echo(f"{result['outcome']}  {entry['list']}  {entry['entry_id']}  {errors}".rstrip())
    if result["outcome"] not in _DONE:
        raise click.exceptions.Exit(1)


def _meant(caller: Caller, op: str, options: dict[str, Any]) -> dict[str, Any]:
    """The entry to change: as told, or the only one that it can be."""
    if options["list_"] and options["entry_id"]:
        return {"list": options["list_"], "entry_id": options["entry_id"]}
    entries = caller.post("/v1/entries/find", {"document": document(options)})["entries"]
    wanted = {"list": options["list_"], "entry_id": options["entry_id"]}
    candidates = [
        entry
        for entry in entries
        if all(
            value is None or trimmed(value) == trimmed(entry[name])
            for name, value in wanted.items()
        )
    ]
    found = [each for each in candidates if options["entry_id"] or each["state"] in _MEANT[op]]
    if len(found) != 1:
        raise _undecided(op, candidates)
    return dict(found[0])


def _undecided(op: str, entries: list[dict[str, Any]]) -> click.ClickException:
    if entries:
        show_entries(entries, err=True)
    return click.ClickException(
        f"no single entry to {op}: say which with --list and --entry-id"
        if entries
        else "no such entry"
    )


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
