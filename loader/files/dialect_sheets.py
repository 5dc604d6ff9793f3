"""The courts' feeds by column: tables, and JSON of records, of pages of them, or arrays."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from operator import attrgetter
from typing import Any, Literal

import msgspec
import numpy as np

from loader.columns.columns import Numbers
from loader.columns.sheets import UNFIT, Block, Dialect, Layout, Sheet, Torn, sheet_of_cells
from loader.files.csv_sheets import csv_sheet
from loader.files.dialects import DATES, LIST_FIELDS, READERS, TEXTS
from loader.files.fields import Fields, spell
from loader.files.json_sheets import loose, set_apart, values_of

_NAMES = {dialect: (*TEXTS[dialect], *DATES[dialect]) for dialect in TEXTS}
_INNER = "jsonObject"
_RECORDS: dict[str, Callable[..., Any]] = {
    dialect: msgspec.defstruct(
        "_Record",
        [
            *((f"{name}_", str | None if name in LIST_FIELDS else Any, "") for name in names),
            # What says something here is no record, or not a whole one.
            *((f"{name}_", Literal[""], "") for name in (_INNER, "result", "data")),
        ],
        rename=lambda field: field[:-1],
        gc=False,
    )
    for dialect, names in _NAMES.items()
}
_DECODERS: dict[str, Callable[[bytes], Any]] = {
    dialect: msgspec.json.Decoder(type_).decode for dialect, type_ in _RECORDS.items()
}


def dialect_sheet(block: Block, layout: Layout) -> Sheet:
    """The block's rows, in the order of `COLUMNS`; what is no record is torn."""
    if layout.form == "csv":
        return _of_table(block, layout)
    decode = _zxgk_of if layout.dialect == "zxgk" else _DECODERS[layout.dialect]
    records, lines = values_of(block, layout, decode, partial(_slowly, layout.dialect))
    return _sheet(records, lines, layout.dialect)


def _of_table(block: Block, layout: Layout) -> Sheet:
    dialect, names = layout.dialect, layout.header
    table = csv_sheet(block, layout, (*_NAMES[dialect], _INNER))
    if not len(table):
        return table
    fields = Fields(table.columns, names)
    found, unclear = READERS[dialect](fields)
    unclear[list(table.odd)] = True
    which = np.flatnonzero(unclear | (fields.raw(_INNER)[1] > 0))
    records = [
        Torn()
        if cells.__class__ is Torn or len(cells) != len(names)
        else _record(dialect, dict(zip(names, cells, strict=True)))
        for _, cells in table.rows(which)
    ]
    rows = _sheet(records, table.lines[which], dialect).rows()
    odd = {index: row for index, (_, row) in zip(which.tolist(), rows, strict=True)}
    return Sheet(fields.columns(found), table.lines, odd)


def _sheet(records: list[Any], lines: Numbers, dialect: Dialect) -> Sheet:
    torn = set_apart(records, _RECORDS[dialect]())
    table = sheet_of_cells([_cells(records, name, dialect) for name in _NAMES[dialect]], lines, {})
    if not len(table):
        return table
    fields = Fields(table.columns, _NAMES[dialect])
    found, unclear = READERS[dialect](fields)
    columns = fields.columns(found)
    torn |= {index: Torn() for index in np.flatnonzero(unclear).tolist()}
    for index in table.odd.keys() - torn.keys():
        row = columns.row(index)
        if UNFIT in "".join(row):
            torn[index] = Torn(row)
    return Sheet(columns, lines, torn)


def _zxgk_of(raw: bytes) -> Any:  # noqa: ANN401 -- a struct made above
    """The record, if it is clear of which list it is."""
    record = _DECODERS["zxgk"](raw)
    if record.iname_ or record.caseCode_ or record.XM_ or record.AH_:
        return record
    raise msgspec.ValidationError


def _slowly(dialect: Dialect, raw: bytes) -> Iterator[Any]:
    """The records in a line; torn ones for what is none."""
    values = [loose(raw)]
    while values:
        value = values.pop()
        if isinstance(value, list):
            values += reversed(value)
        elif not isinstance(value, dict):
            yield Torn()
        elif isinstance(page := value.get("result", value.get("data")), list):
            values.append(page)
        else:
            yield _record(dialect, value)


def _record(dialect: Dialect, record: Mapping[str, object]) -> object:
    """With what `jsonObject` repeats of it as JSON; blanks where all telling fields are empty."""
    try:
        inner = json.loads(str(record.get(_INNER, "")).strip(), strict=False)
    except (ValueError, RecursionError):
        inner = None
    whole = {**inner, **record} if isinstance(inner, dict) else {**record}
    if not any(_said(whole.get(name)) for name in LIST_FIELDS):
        whole |= dict.fromkeys(whole.keys() & set(LIST_FIELDS), " ")
    known = {f"{name}_": whole[name] for name in _NAMES[dialect] if name in whole}
    return _RECORDS[dialect](**known)


def _cells(records: list[Any], name: str, dialect: Dialect) -> list[str]:
    column = list(map(attrgetter(f"{name}_"), records))
    if set(map(type, column)) <= {str}:
        return column
    said = spell if name in DATES[dialect] else _said
    return [cell if cell.__class__ is str else said(cell) for cell in column]


def _said(value: object) -> str:
    return "" if value is None or isinstance(value, (dict, list, bool)) else str(value)
