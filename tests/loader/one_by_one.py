"""One row after the other, and its bytes: what blocks of rows are held to (docs/lists.md, Columns).

Of a reject only line, field and reason are ever shown; its `list`, `entry_id` and `number` are
there because it still counts as present.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from operator import itemgetter

import msgspec
import numpy as np

from loader.columns import cells
from loader.columns.cells import Unusable
from loader.columns.columns import pieces_of
from loader.columns.sheets import COLUMNS, Torn
from loader.rows.packed_rows import (
    FIXED_BYTES,
    PLAIN_PROVENANCE_BYTES,
    RAISED,
    RESUMED,
    Context,
    Courts,
    PackedRows,
    fixed_of,
)
from roster.documents.check_digits import holds_id_number
from roster.documents.identity import DocumentNumber, Normalised
from roster.documents.spelling import trimmed
from roster.records.bounds import CASE_MAX, COURT_MAX, ENTRY_ID_MAX
from roster.records.content import pack_content
from roster.records.entry import Content, Provenance
from roster.records.record import HEADER, REGISTER_BYTES, WITHOUT_REVISION, pack_provenance
from roster.times import FUTURE_MAX_MS, beijing_day, parse_time, parse_until

_FIRST_EXTRA = COLUMNS.index("modes")


class Row(msgspec.Struct, frozen=True, gc=False):
    """A row that can be loaded; times are ms since 1970, `until_ms` exclusive.

    `valid` is False where the number cannot be such a document's: a `bad_check_digit`
    warning. `revision` and `state` are None where the row states none.
    """

    line: int
    list: str
    entry_id: str
    number: DocumentNumber
    valid: bool
    names: tuple[str, ...]
    revision: int | None
    state: str | None
    from_ms: int | None
    until_ms: int | None
    case: str
    court: str
    modes: tuple[str, ...] = ()
    lifts: tuple[str, ...] = ()
    cases: tuple[str, ...] = ()
    kind: str = ""
    decided_at_ms: int | None = None
    reason: str = ""


class Reject(msgspec.Struct, frozen=True):
    """A row that cannot be used: where and why, and what is legible of its identity."""

    line: int
    field: str
    reason: str
    list: str | None = None
    entry_id: str | None = None
    number: DocumentNumber | None = None


class Skip(msgspec.Struct, frozen=True):
    """A row that is no person's: `organisation`, or `unpublished`."""

    line: int
    reason: str
    list: str | None = None


class Reader:
    """Reads the rows of one file, whose columns it is told; pure, and the same in any process."""

    def __init__(self, columns: Sequence[str], default_list: str | None, now_ms: int) -> None:
        """`default_list` is for rows that name none; `now_ms` bounds revisions and births."""
        self._width = len(columns)
        place = {name: index for index, name in enumerate(columns)}
        # A column that the file lacks is read from the empty cell that is added to each row.
        indexes = [place.get(name, self._width) for name in COLUMNS]
        self._pick: Callable[[Sequence[str]], tuple[str, ...]] = itemgetter(*indexes)
        self._plain = place.keys().isdisjoint(COLUMNS[_FIRST_EXTRA:])
        self._default_list = default_list or ""
        self._latest_ms = now_ms + FUTURE_MAX_MS
        self._latest_birth = beijing_day(now_ms)

    def read(self, line: int, values: list[str]) -> Row | Reject | Skip:
        """What one row amounts to; `values` are in the order of the file's columns."""
        if values.__class__ is Torn or len(values) != self._width:
            missing = self._width - len(values)
            cells_ = [trimmed(cell).replace("\0", "\ufffd") for cell in values[: self._width]]
            row = self._pick([*cells_, *[""] * missing, ""])
            return self._reject(line, row, Unusable("", "malformed"))
        row = self._pick([*values, ""])
        try:
            return self._row(line, row)
        except Unusable as bad:
            if bad.reason in cells.SKIPPED:
                return Skip(line, bad.reason, trimmed(row[0]) or self._default_list or None)
            return self._reject(line, row, bad)

    def _row(self, line: int, row: tuple[str, ...]) -> Row:
        document = self._document(row)
        name, revision, updated_at, state, from_, until, case, court = row[6:_FIRST_EXTRA]
        list_, entry_id = trimmed(row[0]) or self._default_list, trimmed(row[1])
        if not list_:
            cells.refuse("list", "malformed")
        _check_texts(entry_id, case, court, name)
        plain = Row(
            line,
            list_,
            entry_id,
            document.number,
            document.valid,
            cells.names(name) if name else (),
            cells.revision(revision, updated_at, self._latest_ms),
            cells.state(state) or None,
            cells.moment(parse_time, "from", from_) if from_ else None,
            cells.moment(parse_until, "until", until) if until else None,
            trimmed(case),
            court.strip(),
        )
        if None not in (plain.from_ms, plain.until_ms) and not _lasts(plain):
            cells.refuse("until", "bad_date")
        if self._plain and list_ != "lift":
            return plain
        return _with_extras(plain, row[_FIRST_EXTRA:])

    def _document(self, row: tuple[str, ...]) -> Normalised:
        type_, number, issuer, kind = row[2:6]
        return cells.document(type_, number, issuer, kind, self._latest_birth)

    def _reject(self, line: int, row: tuple[str, ...], bad: Unusable) -> Reject:
        list_, entry_id = trimmed(row[0]) or self._default_list, trimmed(row[1])
        if not 0 < len(entry_id) <= ENTRY_ID_MAX or "\ufffd" in entry_id:
            return Reject(line, bad.field, bad.reason, list_ or None)
        number = None
        if not bad.field.startswith("document_"):  # else it was looked at already
            with suppress(Unusable):
                number = self._document(row).number
        return Reject(line, bad.field, bad.reason, list_ or None, entry_id, number)


def _with_extras(plain: Row, row: tuple[str, ...]) -> Row:
    """The columns that few rows fill: what a lift is for, and what is told about a removal."""
    if not any(row) and plain.list != "lift":
        return plain
    modes, lifts, cases, kind, decided_at, reason = row
    extras = msgspec.structs.replace(
        plain,
        modes=cells.modes(modes),
        lifts=cells.lifts(lifts),
        cases=cells.cases(cases),
        kind=cells.kind(kind),
        decided_at_ms=cells.moment(parse_time, "decided_at", decided_at),
        reason=cells.reason(plain.state or "", reason),
    )
    if extras.list == "lift" and extras.state != "removed":
        _check_lift(extras)
    return extras


def _check_texts(entry_id: str, case: str, court: str, name: str) -> None:
    """None is too long, none holds an ID number, and there is an `entry_id`."""
    texts = {"entry_id": entry_id, "case": case, "court": court, "name": name}
    most = {"entry_id": ENTRY_ID_MAX, "case": CASE_MAX, "court": COURT_MAX}
    if not entry_id:
        cells.refuse("entry_id", "malformed")
    for field, size in most.items():
        if len(texts[field]) > size:
            cells.refuse(field, "too_long")
    for field, text in texts.items():
        if holds_id_number(text):
            cells.refuse(field, "number_in_text")


def _lasts(row: Row) -> bool:
    """Whether its term ends after it begins."""
    return (row.until_ms or 0) > (row.from_ms or 0)


def _check_lift(lift: Row) -> None:
    if lift.until_ms is None:
        cells.refuse("until", "bad_date")
    if lift.kind and not lift.names:
        cells.refuse("name", "malformed")


class Packer:
    """Packs rows of any shape."""

    def __init__(self, context: Context) -> None:
        """`courts` are what it has met so far."""
        self.tokeniser = context.tokeniser
        self.courts = Courts(context)
        self._codes = context.codes
        self._as_of = context.as_of
        self._load = context.load
        self.names = lru_cache(maxsize=1 << 16)(self.tokeniser.names)

    def pack(self, row: Row) -> tuple[bytes, bytes]:
        """The row's token and bytes; KeyError with the name of a list that is not known."""
        code = self._codes[row.list]
        token = self.tokeniser.token(row.number)
        packs_ids = self.tokeniser.packs_ids
        content = pack_content(self.content(row), self.courts, packs_ids=packs_ids)
        provenance = self._provenance(row)
        head = HEADER.pack(
            code,
            present_of(row),
            self.tokeniser.entry_hash(code, row.entry_id),
            self.tokeniser.digest(token, code, content),
            len(content),
            len(provenance) or PLAIN_PROVENANCE_BYTES,
        )
        return token, token[2:] + head + self._registers(row) + content + provenance

    def content(self, row: Row) -> Content:
        """What the row publishes."""
        names = {token for name in row.names for token in self.names(name)}
        return Content(
            entry_id=row.entry_id,
            names=tuple(sorted(names)),
            from_ms=row.from_ms,
            until_ms=row.until_ms,
            case=row.case,
            court=row.court,
            modes=row.modes,
            lifts=row.lifts,
            cases=row.cases,
            kind=row.kind,
        )

    def _registers(self, row: Row) -> bytes:
        revision = self._as_of if row.revision is None else row.revision
        return revision.to_bytes(REGISTER_BYTES) * (present_of(row) % WITHOUT_REVISION).bit_count()

    def _provenance(self, row: Row) -> bytes:
        if not row.reason and row.decided_at_ms is None:
            return b""
        stated = Provenance("load", "", row.reason, row.decided_at_ms)
        return pack_provenance(stated, self._load)


def present_of(row: Row) -> int:
    """The header's bits: a row without a revision never ends a suspension."""
    raised = RAISED[row.state or ""]
    return raised if row.revision is not None else (raised & ~RESUMED) | WITHOUT_REVISION


def packed_of(rows: Sequence[tuple[bytes, bytes]]) -> PackedRows:
    """Rows that were packed one by one: the token and the bytes of each."""
    partitions = np.array([token[1] for token, _ in rows], np.uint8)
    fixed = fixed_of(row[:FIXED_BYTES] for _, row in rows)
    return PackedRows(fixed, pieces_of([row[FIXED_BYTES:] for _, row in rows]), partitions)
