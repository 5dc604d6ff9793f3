"""Rows of list files as entries to merge, or as rejects with line, field and reason.

CONTRACT.md 3 is the law here. Of a reject only line, field and reason are ever shown;
its `list`, `entry_id` and `number` are there because it still counts as present.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from operator import itemgetter

import msgspec

from loader import cells
from loader.cells import Skipped, Unusable
from loader.layout import COLUMNS, Torn
from roster.bounds import ENTRY_ID_MAX
from roster.check_digits import beijing_day
from roster.identity import DocumentNumber
from roster.spelling import trimmed
from roster.times import FUTURE_MAX_MS, parse_from, parse_time, parse_until

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
            row = self._pick([*values[: self._width], *[""] * missing, ""])
            return self._reject(line, row, Unusable("", "malformed"))
        row = self._pick([*values, ""])
        try:
            return self._row(line, row)
        except Unusable as bad:
            return self._reject(line, row, bad)
        except Skipped as skipped:
            return Skip(line, str(skipped), trimmed(row[0]) or self._default_list or None)

    def _row(self, line: int, row: tuple[str, ...]) -> Row:
        document = cells.document(row, self._latest_birth)
        name, revision, updated_at, state, from_, until, case, court = row[6:_FIRST_EXTRA]
        list_, entry_id = trimmed(row[0]) or self._default_list, trimmed(row[1])
        if not list_:
            cells.refuse("list", "malformed")
        cells.check_texts(entry_id, case, court, name)
        plain = Row(
            line,
            list_,
            entry_id,
            document.number,
            document.valid,
            cells.names(name) if name else (),
            cells.revision(revision, updated_at, self._latest_ms),
            cells.state(state) if state else None,
            cells.moment(parse_from, "from", from_) if from_ else None,
            cells.moment(parse_until, "until", until) if until else None,
            trimmed(case),
            court.strip(),
        )
        if None not in (plain.from_ms, plain.until_ms) and not _lasts(plain):
            cells.refuse("until", "bad_date")
        if self._plain and list_ != "lift":
            return plain
        return _with_extras(plain, row[_FIRST_EXTRA:])

    def _reject(self, line: int, row: tuple[str, ...], bad: Unusable) -> Reject:
        list_, entry_id = trimmed(row[0]) or self._default_list, trimmed(row[1])
        if not 0 < len(entry_id) <= ENTRY_ID_MAX or "\0" in entry_id or "\ufffd" in entry_id:
            return Reject(line, bad.field, bad.reason, list_ or None)
        number = None
        if not bad.field.startswith("document_"):  # else it was looked at already
            with suppress(Unusable, Skipped):
                number = cells.document(row, self._latest_birth).number
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
        reason=cells.reason(plain.state, reason),
    )
    if extras.list == "lift" and extras.state != "removed":
        _check_lift(extras)
    return extras


def _lasts(row: Row) -> bool:
    """Whether its term ends after it begins."""
    return (row.until_ms or 0) > (row.from_ms or 0)


def _check_lift(lift: Row) -> None:
    if lift.until_ms is None:
        cells.refuse("until", "bad_date")
    if lift.kind and not lift.names:
        cells.refuse("name", "malformed")
