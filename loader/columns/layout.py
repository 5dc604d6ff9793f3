"""What the parts of the loader pass on: a file's layout, blocks of it, and torn rows."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from loader.columns.sheets import Sheet

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
"""Every column (docs/lists.md, Columns), in the order in which rows without a header have them."""
REQUIRED = ("entry_id", "document_type", "document_number")

_EXACT_BELOW = 1 << 53
LINE_MAX_BYTES = 1 << 20
"""A longer line is no row."""
UNFIT = "\ufffd"
"""What stands for a character that no text may hold."""

Encoding = Literal["utf-8", "gb18030"]
Form = Literal["csv", "json", "rows"]
Dialect = Literal["", "zxgk", "xycj"]


class Torn(list[str]):
    """A row that could not be read whole: the cells that are legible, if any."""


def whole(row: list[str]) -> list[str]:
    """The row, `Torn` where it holds what no text may: NUL, or half of a surrogate pair."""
    text = "".join(row)
    if text.isprintable():
        return row
    fit = [cell.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for cell in row]
    return Torn(fit) if fit != row or "\0" in text else row


def spelled(value: object, exact_below: int = _EXACT_BELOW) -> str:
    """A cell of a format that has types, as the text that a CSV would have.

    A float from `exact_below` on has lost digits: its text says so.
    """
    if value is None or value != value:  # noqa: PLR0124 -- NaN is how data frames say nothing
        return ""
    if isinstance(value, list):
        return "|".join(map(spelled, value))
    if isinstance(value, Decimal) and value == value.to_integral_value():
        return str(int(value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value)) if abs(value) < exact_below else f"{value:e}"
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


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
        """The columns of the sheets that its blocks are."""
        return self.header if self.form == "csv" and not self.dialect else COLUMNS


class Block(msgspec.Struct, frozen=True):
    """Whole rows of a file: as bytes, or (where the format is no text) already by column."""

    first_line: int
    data: bytes = b""
    sheet: Sheet | None = None
