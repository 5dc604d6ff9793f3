"""What the parts of the loader pass on: a file's layout, blocks of it, and torn rows."""

from __future__ import annotations

from typing import Literal

import msgspec

COLUMNS = (
    "list",
    "entry_id",
    "document_type",
    "document_number",
    "document_issuer",
    "document_kind",
    "name",
    "revision",
    "updated_at",
    "state",
    "from",
    "until",
    "case",
    "court",
    "modes",
    "lifts",
    "cases",
    "kind",
    "decided_at",
    "reason",
)
"""Every column of CONTRACT.md 3, in the order in which rows without a header have them."""
REQUIRED = ("entry_id", "document_type", "document_number")

LINE_MAX_BYTES = 1 << 20
"""A longer line is no row."""

Encoding = Literal["utf-8", "gb18030"]
Form = Literal["csv", "json", "rows"]
Dialect = Literal["", "zxgk", "xycj"]


class Torn(list[str]):
    """A row that could not be read whole: the cells that are legible, if any."""


class Layout(msgspec.Struct, frozen=True):
    """How to read the blocks of one file; small, so that it travels to other processes.

    `header` are the file's own columns; `columns` those of the rows that come out.
    """

    form: Form
    encoding: Encoding = "utf-8"
    header: tuple[str, ...] = COLUMNS
    dialect: Dialect = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of each row that `parse_block` yields."""
        return self.header if self.form == "csv" and not self.dialect else COLUMNS


class Block(msgspec.Struct, frozen=True):
    """Whole rows of a file: as bytes, or (where the format is no text) already as cells."""

    first_line: int
    data: bytes = b""
    rows: tuple[list[str], ...] = ()
