"""The rows of a block of JSON Lines by column."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from operator import attrgetter

import msgspec
import numpy as np

from loader.layout import COLUMNS, LINE_MAX_BYTES, Block, Layout, Torn, spelled, whole
from loader.sheets import Sheet, sheet_of_cells
from loader.utf8 import utf8_of

_Cell = str | int | float | list[str] | None
_FIELDS = [f"{column}_" for column in COLUMNS]
_Row = msgspec.defstruct(
    "_Row",
    [(field, _Cell, "") for field in _FIELDS],
    rename=lambda field: field[:-1],
    forbid_unknown_fields=True,
    gc=False,
)
_decode = msgspec.json.Decoder(_Row).decode
_NOTHING = _Row()
_NUL = b"\\u0000"


def json_sheet(block: Block, layout: Layout) -> Sheet:
    """The block's rows, in the order of `COLUMNS`; blank lines are none."""
    data, broken = utf8_of(block.data, layout.encoding)
    raws = data.split(b"\n")
    doubtful = set(broken) | _doubtful(raws, data)
    rows: list[object] = []
    lines, odd = [], {}
    for index, raw in enumerate(raws):
        row = None if index in doubtful else _decoded(raw)
        if row is None:
            if not raw.strip():
                continue
            odd[len(rows)] = Torn() if index in broken else _torn(raw)
        rows.append(_NOTHING if row is None else row)
        lines.append(index)
    columns = [list(map(attrgetter(field), rows)) for field in _FIELDS]
    return sheet_of_cells(columns, np.array(lines, np.int64) + block.first_line, odd)


def _doubtful(raws: Sequence[bytes], data: bytes) -> set[int]:
    """Which lines hold NUL, spelled out, or are too long."""
    found = set[int]()
    if _NUL in data:
        found.update(index for index, raw in enumerate(raws) if _NUL in raw)
    if max(map(len, raws)) > LINE_MAX_BYTES:
        found.update(index for index, raw in enumerate(raws) if len(raw) > LINE_MAX_BYTES)
    return found


def _decoded(raw: bytes) -> object | None:
    try:
        return _decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return None


def _torn(raw: bytes) -> Torn:
    """What is legible of a row that is none."""
    record = None if len(raw) > LINE_MAX_BYTES else loose(raw)
    if not isinstance(record, dict):
        return Torn()
    return Torn(whole([spelled(record.get(column)) for column in COLUMNS]))


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
        return map(_on_a_line, records) if isinstance(records, list) else None
    return (bytes(raw).replace(b"\n", b" ") for raw in raws)  # there are none in its texts


def _on_a_line(record: object) -> bytes:
    return json.dumps(record).encode()
