"""The rows of a block of JSON Lines by column."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np

from loader.columns.columns import Numbers
from loader.columns.sheets import (
    COLUMNS,
    LINE_MAX_BYTES,
    Block,
    Layout,
    Sheet,
    Torn,
    sheet_of_cells,
    spelled,
    whole,
)
from loader.columns.texts import utf8_of

_Cell = str | int | float | list[str] | None
_FIELDS = [f"{column}_" for column in COLUMNS]
_JsonRow = msgspec.defstruct(
    "_JsonRow",
    [(field, _Cell, "") for field in _FIELDS],
    rename=lambda field: field[:-1],
    forbid_unknown_fields=True,
    gc=False,
)
_decode = msgspec.json.Decoder(_JsonRow).decode


def json_sheet(block: Block, layout: Layout) -> Sheet:
    """The block's rows, in the order of `COLUMNS`; blank lines are none."""
    rows, lines = values_of(block, layout, _decode, _torn)
    torn = set_apart(rows, _JsonRow())
    columns = [list(map(attrgetter(field), rows)) for field in _FIELDS]
    return sheet_of_cells(columns, lines, torn)


def values_of(
    block: Block,
    layout: Layout,
    decode: Callable[[bytes], Any],
    otherwise: Callable[[bytes], Iterable[Any]],
) -> tuple[list[Any], Numbers]:
    """What lines that are not blank hold, each with its line number.

    It is what `decode` makes of one, or `otherwise` if that raises DecodeError, or the line is
    very long; and what is no text is torn.
    """
    data, broken = utf8_of(block.data, layout.encoding)
    values, lines, wrong = [], [], set(broken)
    for line, raw in enumerate(data.split(b"\n")):
        try:
            values.append(decode(b"" if line in wrong or len(raw) > LINE_MAX_BYTES else raw))
            lines.append(line)
        except (msgspec.DecodeError, RecursionError):
            if raw.strip():
                values += [Torn()] if line in wrong else otherwise(raw)
                lines += [line] * (len(values) - len(lines))
    return values, np.array(lines, np.int64) + block.first_line


def set_apart(values: list[Any], nothing: object) -> dict[int, list[str]]:
    """The values that are torn, by their places, where nothing is now."""
    torn: dict[int, list[str]] = {
        at: value for at, value in enumerate(values) if value.__class__ is Torn
    }
    for at in torn:
        values[at] = nothing
    return torn


def _torn(raw: bytes) -> Iterable[Torn]:
    """What is legible of a row that is none."""
    record = None if len(raw) > LINE_MAX_BYTES else loose(raw)
    if not isinstance(record, dict):
        return [Torn()]
    return [Torn(whole([spelled(record.get(column)) for column in COLUMNS]))]


def loose(raw: bytes, encoding: str = "utf-8") -> object:
    """What the JSON says, with control characters let be; None if it says nothing."""
    try:
        return json.loads(raw.decode(encoding), strict=False)
    except (ValueError, RecursionError):
        return None


def records_of(data: bytes, layout: Layout) -> Iterator[bytes] | None:
    """The values of a JSON array in UTF-8, each without line breaks; None where there is none."""
    text, broken = utf8_of(data, layout.encoding)
    if broken:
        return None
    try:
        raws = msgspec.json.decode(text, type=list[msgspec.Raw])
    except (msgspec.DecodeError, RecursionError):
        records = loose(text)
        if not isinstance(records, list):
            return None
        return (json.dumps(record).encode() for record in records)
    return (bytes(raw).replace(b"\n", b" ") for raw in raws)  # there are none in its texts
