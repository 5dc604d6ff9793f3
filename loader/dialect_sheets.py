"""The courts' feeds by column: for whole blocks what `dialects` makes of each record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np

from loader import dialects
from loader.csv_sheets import csv_sheet
from loader.dialect_documents import FIRM, xycj_documents, zxgk_documents
from loader.fields import Cells, Fields, either, where
from loader.json_sheets import loose
from loader.layout import COLUMNS, Block, Dialect, Layout, Torn
from loader.pieces import Bools
from loader.sheets import Sheet, sheet_of_cells
from loader.utf8 import utf8_of

_NAMES = {
    "zxgk": (
        "iname", "caseCode", "cardNum", "id", "loc", "partyTypeName", "businessEntity", "lastmod",
        "_update_time", "publishDate", "publishDateStamp", "courtName", "XM", "AH", "ZJHM",
        "sfzhm", "partyCardNum", "ZXFYMC", "ID",
    ),
    "xycj": (
        "ID", "AH", "BZXRMC", "BZXRLXMC", "ZJLXMC", "ZJHM", "ZZJGDM", "ZXFYMC", "FBSJ", "JZSJ",
        "PBSJ", "PBYYMC", "CXSJ", "CXYYMC", "LASTUPDATE",
    ),
}  # fmt: skip
_DATES = frozenset({"lastmod", "_update_time", "publishDate", "publishDateStamp", "FBSJ", "JZSJ",
                    "PBSJ", "CXSJ", "LASTUPDATE"})  # fmt: skip
_PAGE, _PLAIN = ("jsonObject", "result", "data"), ("", "", "")
_RECORDS = {
    dialect: msgspec.defstruct(
        "_Record", [(f"{name}_", Any, "") for name in (*names, *_PAGE)],
        rename=lambda field: field[:-1], gc=False,
    )
    for dialect, names in _NAMES.items()
}  # fmt: skip
_DECODERS: dict[str, Callable[[bytes], Any]] = {
    dialect: msgspec.json.Decoder(type_).decode for dialect, type_ in _RECORDS.items()
}
_ESCAPES = (b"\0", b"\\u0000", b"\\ud", b"\\uD")
"""What spells NUL, or half of a surrogate pair."""
_NOTHING = sheet_of_cells([()] * len(COLUMNS), np.zeros(0, np.int64), {})


class _Read(msgspec.Struct):
    """The records of a block with their lines and what they stand in.

    Those that are read one by one are odd.
    """

    records: list[Any] = msgspec.field(default_factory=list)
    lines: list[int] = msgspec.field(default_factory=list)
    raws: list[bytes] = msgspec.field(default_factory=list)
    odd: dict[int, list[str]] = msgspec.field(default_factory=dict)

    def add(self, line: int, raw: bytes, record: object) -> None:
        """Nothing; one more record is in it."""
        self.records.append(record)
        self.lines.append(line)
        self.raws.append(raw)


def dialect_sheet(block: Block, layout: Layout) -> Sheet:
    """The block's rows, in the order of `COLUMNS`."""
    return (_of_table if layout.form == "csv" else _of_lines)(block, layout)


def _of_table(block: Block, layout: Layout) -> Sheet:
    dialect, names = layout.dialect, layout.header
    table = csv_sheet(block, layout, (*_NAMES[dialect], "jsonObject"))
    if not len(table):
        return _NOTHING
    fields = Fields(table.columns, names)
    named, unclear = _MADE[dialect](fields)
    odd: dict[int, list[str]] = {}
    which = np.flatnonzero(unclear | table.are_odd)
    for index, (_, cells) in zip(which.tolist(), table.rows(which), strict=True):
        torn = cells.__class__ is Torn or len(cells) != len(names)
        record = None if torn else dict(zip(names, cells, strict=True))
        odd[index] = dialects.row_of(dialect, record)
    return Sheet(fields.columns(named), table.lines, odd)


def _of_lines(block: Block, layout: Layout) -> Sheet:
    dialect = layout.dialect
    read = _read(block, layout)
    columns = [_cells(read.records, name) for name in _NAMES[dialect]]
    table = sheet_of_cells(columns, np.array(read.lines, np.int64), read.odd)
    if not len(table):
        return _NOTHING
    fields = Fields(table.columns, _NAMES[dialect])
    named, unclear = _MADE[dialect](fields)
    for index in np.flatnonzero(unclear & ~table.are_odd).tolist():
        (read.odd[index],) = dialects.rows_of(dialect, loose(read.raws[index]))
    return Sheet(fields.columns(named), table.lines, read.odd)


def _read(block: Block, layout: Layout) -> _Read:
    data, broken = utf8_of(block.data, layout.encoding)
    read, decode = _Read(), _DECODERS[layout.dialect]
    wrong, escapes = set(broken), any(each in data for each in _ESCAPES)
    for index, raw in enumerate(data.split(b"\n")):
        line, record = block.first_line + index, None
        if not (wrong and index in wrong) and not (escapes and _is_unfit(raw)):
            with suppress(msgspec.DecodeError, RecursionError):
                record = decode(raw)
        if record is not None and (record.jsonObject_, record.result_, record.data_) == _PLAIN:
            read.add(line, raw, record)
        elif raw.strip():
            value = None if index in wrong else loose(raw)
            _add_slowly(read, line, raw, value, layout.dialect)
    return read


def _add_slowly(read: _Read, line: int, raw: bytes, value: object, dialect: Dialect) -> None:
    """Nothing; what a line holds that is not one plain record is in it."""
    type_ = _RECORDS[dialect]
    for part in dialects.records_of(value):
        if part is None or _is_unfit(raw):
            read.odd[len(read.records)] = dialects.row_of(dialect, part)
            read.add(line, raw, type_())
        else:
            whole = dialects.with_inner(part) if dialect == "zxgk" else part
            read.add(line, msgspec.json.encode(whole), msgspec.convert(whole, type_))


def _is_unfit(raw: bytes) -> bool:
    """Whether it may hold NUL, or half of a surrogate pair."""
    return any(each in raw for each in _ESCAPES)


def _cells(records: Sequence[object], name: str) -> list[str]:
    column = list(map(attrgetter(f"{name}_"), records))
    if set(map(type, column)) <= {str}:
        return column
    said = _stated if name in _DATES else _said
    if name == "lastmod":  # where it is nothing, another field counts
        column = [cell or "" for cell in column]
    return [cell if cell.__class__ is str else said(cell) for cell in column]


def _said(value: object) -> str:
    return "" if value is None or isinstance(value, (dict, list, bool)) else str(value)


def _stated(value: object) -> str:
    """Of a date, which may be one as Java's JSON-lib writes it."""
    stated = value.get("time") if isinstance(value, dict) else value
    return "" if stated is None else str(stated)


def _zxgk(fields: Fields) -> tuple[dict[str, Cells], Bools]:
    """Defaulters and restricted people; what is neither is unclear."""
    name, case = fields.text("iname"), fields.text("caseCode")
    listed = either(name, case)[1] > 0
    other_name, other_case = fields.text("XM"), fields.text("AH")
    unclear = ~listed & (either(other_name, other_case)[1] == 0)
    unclear |= fields.raw("jsonObject")[1] > 0
    name, case = np.where(listed, name, other_name), np.where(listed, case, other_case)
    number = np.where(
        listed, fields.text("cardNum"), fields.text("cardNum", "ZJHM", "sfzhm", "partyCardNum")
    )
    types, issuers, _ = zxgk_documents(fields, number, listed).written()
    updated = either(fields.raw("lastmod"), fields.raw("_update_time"))
    found = {
        "list": fields.write(["xgl", "sx"])[:, listed.astype(np.int64)],
        "entry_id": _site_ids(fields, case, listed),
        "document_type": types,
        "document_number": number,
        "document_issuer": issuers,
        "name": name,
        "updated_at": where(listed, fields.spelled(updated)),
        "from": where(listed, fields.day("publishDate", "publishDateStamp")),
        "case": case,
        "court": _courts(fields, listed),
    }
    return found, unclear


def _site_ids(fields: Fields, case: Cells, listed: Bools) -> Cells:
    """The ids of the site's rows; where there is none, the id in its address, or the case."""
    ids = np.where(listed, fields.text("id"), fields.text("id", "ID"))
    rows = np.flatnonzero(ids[1] == 0)
    places = fields.texts(where(listed, fields.text("loc")), rows)
    cases = fields.texts(case, rows)
    return fields.replaced(ids, rows, list(map(dialects.entry_id, places, cases)))


def _courts(fields: Fields, listed: Bools) -> Cells:
    """Of restricted people crawlers found the sex in the field whose name says court."""
    named, other = fields.text("courtName"), fields.text("ZXFYMC")
    return np.where(listed, named, either(fields.mapped(other, dialects.court), named))


def _xycj(fields: Fields) -> tuple[dict[str, Cells], Bools]:
    """The exchange table's entries; each is clear."""
    number = fields.text("ZJHM")
    revoked, suppressed, published = (fields.day(name) for name in ("CXSJ", "PBSJ", "FBSJ"))
    removed = revoked[1] > 0
    suspended = ~removed & (suppressed[1] > 0)
    state = np.where(removed, 2, suspended)
    documents = xycj_documents(fields, number)
    unpublished = (published[1] == 0) & (state == 0) & ~documents.are(FIRM[0])
    documents.put_type("unpublished", unpublished)
    types, issuers, kinds = documents.written()
    reasons = np.where(
        removed,
        fields.mapped(fields.text("CXYYMC"), dialects.removal_reason),
        where(suspended, fields.mapped(fields.text("PBYYMC"), dialects.suspension_reason)),
    )
    found = {
        "list": fields.write(["sx"])[:, np.zeros(len(fields), np.int64)],
        "entry_id": fields.text("ID"),
        "document_type": types,
        "document_number": number,
        "document_issuer": issuers,
        "document_kind": kinds,
        "name": fields.text("BZXRMC"),
        "updated_at": fields.day("LASTUPDATE"),
        "state": fields.write(["active", "suspended", "removed"])[:, state],
        "from": published,
        "until": fields.day("JZSJ"),
        "case": fields.text("AH"),
        "court": fields.text("ZXFYMC"),
        "decided_at": either(revoked, suppressed),
        "reason": reasons,
    }
    return found, np.zeros(len(fields), np.bool_)


_MADE: dict[str, Callable[[Fields], tuple[dict[str, Cells], Bools]]] = {
    "zxgk": _zxgk,
    "xycj": _xycj,
}
