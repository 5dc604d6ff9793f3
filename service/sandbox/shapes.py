"""What a made-up person is: documents, entries, and what checks about them are answered."""

from __future__ import annotations

from typing import Literal

import msgspec

from roster.documents.identity import Document
from roster.documents.names import NameCheck
from roster.records.entry import Content, Registers
from roster.rules.verdict import Decision

LISTED, SUSPENDED = Registers(listed_at=1), Registers(listed_at=1, suspended_at=2)
REMOVED = Registers(listed_at=1, removed_at=2)


class MadeUpEntry(msgspec.Struct, frozen=True):
    """A made-up entry; `content` is without its names."""

    list: str
    content: Content
    names: tuple[str, ...] = ()
    registers: Registers = LISTED


class TableRow(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked about a person, and what is answered.

    `means` is in words. Without `train` and `seat` the journey is a flight; `status` is 200 where
    there is a `decision`. `codes` are those of the reasons, `lists` where these are.
    """

    means: str
    decision: Decision | None = None
    codes: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    name: str | None = None
    name_check: NameCheck | None = None
    train: str | None = None
    seat: str | None = None
    status: int = 200


class MadeUpPerson(msgspec.Struct, frozen=True, kw_only=True):
    """One made-up person, and the `rows` that show what becomes of checks about them.

    `doubt` is the code by which all of them are referred; `wait_s` how long answers take;
    `refusal` the status of a refusal. `disabled` is where their lists count as disabled.
    """

    document: Document
    rows: tuple[TableRow, ...]
    entries: tuple[MadeUpEntry, ...] = ()
    doubt: str = ""
    refusal: Literal[429, 503] | None = None
    wait_s: float = 0.0
    disabled: bool = False
    stale: bool = False
