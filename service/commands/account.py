"""What commands that speak to Redis themselves leave in the audit; that they cannot is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import click

from roster.documents.check_digits import holds_id_number
from roster.documents.tokeniser import UNKNOWN, Tokeniser
from roster.errors import ClearwayError, cause_of
from roster.storage.account import Account, log_line

if TYPE_CHECKING:
    from roster.opening import Opening
    from roster.records.audited import AuditRecord
    from roster.redis.nodes import Nodes


Text = TypeVar("Text", bound=str | None)


def free_text(_context: click.Context, _option: click.Parameter, text: Text) -> Text:
    """An option's text, which the audit keeps; raises click's error where it has an ID number."""
    if text is not None and holds_id_number(text):
        raise click.BadParameter("an ID number does not belong here")
    return text


async def accounted(opening: Opening, nodes: Nodes, record: AuditRecord) -> None:
    """Write what was done to the audit; standard error says where it is not there."""
    try:
        key = Tokeniser(opening.id_key(), UNKNOWN).seal_key
        account = Account(nodes, key)
        await account.record(record, last=True)
    except ClearwayError as exc:
        click.echo(f"done, but not in the audit: {cause_of(exc)}", err=True)
    else:
        log_line(account.stated)
