"""The commands for one person: a check, and an entry shown or changed by hand, over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, get_args

import click

from roster.documents.identity import KINDS, DocumentType
from roster.records.bounds import REASONS
from roster.rules.restrictions import MODES
from roster.speech.helps import SpokenCommand
from roster.speech.language import in_language, say
from service.commands.asking import SpokenReason, asked_reason, confirm, show_meant
from service.commands.caller import open_caller, over_http
from service.commands.desk_texts import OTHER_NAME, UNTIL_RESUME
from service.commands.meant import SETTLED, Person, meant
from service.commands.numbers import doubt, number_option
from service.commands.shown import (
    ShownEntry,
    already,
    nothing_found,
    show_entries,
    what_binds,
)
from service.commands.tables import print_json
from service.commands.texts import OUTCOMES, said
from service.commands.verdicts import verdict_lines
from service.web.shapes import Cabin

Command = TypeVar("Command", bound=Callable[..., Any])

_DONE = {"applied", "duplicate"}
_NAME = "The person's name: is it the entry's?"


def _of_document(command: Command) -> Command:
    """The options that say whose document is meant."""
    for option in (
        click.option("--kind", type=click.Choice(sorted(KINDS)), help="For type `other`."),
        click.option("--issuer", help="The issuing state's three letters, as a passport has them."),
        click.option(
            "--number",
            required=True,
            callback=number_option,
            help="Always -: it is read, or asked.",
        ),
        click.option("--type", "type_", required=True, type=click.Choice(get_args(DocumentType))),
    ):
        command = option(command)
    return in_language(command)


def _of_entry(op: str) -> Callable[[Command], Command]:
    """The options that say which entry is meant, and why it changes."""

    def decorate(command: Command) -> Command:
        for option in (
            click.option("--yes", "-y", is_flag=True, help="Do not ask whether to go on."),
            click.option("--name", help=_NAME),
            click.option("--reason", type=SpokenReason(REASONS[op]), help="Why."),
            click.option("--entry-id", help="Which entry; without it, the only one there is."),
            click.option("--list", "list_", help="On which list."),
        ):
            command = option(command)
        return over_http(_of_document(_json_option(command)))

    return decorate


def _json_option(command: Command) -> Command:
    return click.option("--json", "as_json", is_flag=True, help="The answer as JSON.")(command)


@click.command(cls=SpokenCommand)
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
    for line in verdict_lines(answer):
        click.echo(line)
    invalid = any(reason["code"] == "document_invalid" for reason in answer["reasons"])
    if invalid and (why := doubt(asked["document"])):
        click.echo(why, err=True)


@click.command(cls=SpokenCommand)
@_of_document
@click.option("--name", help=_NAME)
@_json_option
@over_http
def find(**options: Any) -> None:  # noqa: ANN401 -- click's
    """Show all entries of a document, those that have ended too."""
    with open_caller(options["url"], options["key_file"]) as caller:
        answer = caller.find(document(options), options["name"])
    if options["as_json"]:
        print_json(answer)
    elif answer["entries"]:
        show_entries(answer["entries"])
    else:
        click.echo(nothing_found(answer, document(options)), err=True)


@click.command(cls=SpokenCommand)
@_of_entry("remove")
def remove(**options: Any) -> None:  # noqa: ANN401 -- click's
    """Take an entry off its list: it ends at once, everywhere."""
    _change("remove", options)


@click.command(cls=SpokenCommand)
@_of_entry("suspend")
def suspend(**options: Any) -> None:  # noqa: ANN401 -- click's
    """Let an entry rest while a dispute is open."""
    _change("suspend", options)


@click.command(cls=SpokenCommand)
@_of_entry("resume")
def resume(**options: Any) -> None:  # noqa: ANN401 -- click's
    """Let a suspended entry bind again."""
    _change("resume", options)


@click.command(cls=SpokenCommand)
@_of_entry("reinstate")
def reinstate(**options: Any) -> None:  # noqa: ANN401 -- click's
    """Put an entry back that was removed by mistake: it binds again as it did."""
    _change("reinstate", options)


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


def _change(op: str, options: dict[str, Any]) -> None:
    whose = document(options)
    with open_caller(options["url"], options["key_file"]) as caller:
        wanted = {"list": options["list_"], "entry_id": options["entry_id"]}
        entry, others = meant(caller, op, Person(whose, options["name"]), wanted)
        if entry.get("state") in SETTLED[op]:
            click.echo(already(entry), err=True)
            raise click.exceptions.Exit(1)
        if entry.get("name_check") == "mismatch":
            raise click.ClickException(say(OTHER_NAME))
        if not options["yes"]:
            show_meant(entry, lambda: caller.history(whose, entry))
        reason = asked_reason(options["reason"], REASONS[op])
        if not options["yes"]:
            confirm(op)
        change = {
            "op": op,
            "document": whose,
            "list": entry["list"],
            "entry_id": entry["entry_id"],
        }
        result = caller.change(change | _given({"reason": reason}))
    done = result["outcome"] in _DONE
    if options["as_json"]:
        print_json(result)
    else:
        errors = "; ".join(
            f"{each['field']}: {each['message']}" for each in result.get("errors", [])
        )
        outcome = said(OUTCOMES, result["outcome"])
        click.echo(f"{outcome}  {entry['list']}  {entry['entry_id']}  {errors}".rstrip())
        for line in _more(op, entry, others) if done else ():
            click.echo(line, err=True)
    if not done:
        raise click.exceptions.Exit(1)


def _more(op: str, entry: ShownEntry, others: list[ShownEntry] | None) -> list[str]:
    """What is said once it is done: what it does not do, and what binds now."""
    lines = [say(UNTIL_RESUME)] if op == "suspend" else []
    if op in {"remove", "suspend"} and others is not None:
        lines += what_binds(others)
    if op == "reinstate" and others is not None:
        lines += what_binds([entry | {"state": "active"}, *others], also=False)
    return lines


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
