"""Blocks of rows packed or refused column by column (docs/lists.md, Columns).

A cell is read from the block's bytes where it is beyond doubt what it says, else by what
`cells` makes of its text. Of a row that cannot be used the fault is found that comes first in
`faults`, and what keeps its entry as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from loader.columns import cells
from loader.columns.cells import ENDLESS, FAULT, NO_SUCH_LIST, REJECTED, SOUND, blame, no_faults
from loader.columns.columns import (
    Bools,
    Column,
    Columns,
    Numbers,
    Octets,
    Pieces,
    concatenated,
    rows_of,
)
from loader.columns.digits import NEVER, instants, packed_times, whole_numbers
from loader.columns.memo import BytesMemo, CodeMemo, one_by_one
from loader.columns.sheets import COLUMNS
from loader.columns.texts import IdNumberFinder, identifying, longer_than, may_be_padded, stripped
from loader.rows.contents import EntryIds, Extras, NamedColumns
from loader.rows.packed_rows import (
    CONTENT_SIZE,
    DIGEST,
    FIXED_BYTES,
    HASH,
    HEAD_BYTES,
    LIST_AT,
    LISTED,
    PLACE_BYTES,
    PLAIN_PROVENANCE_BYTES,
    PRESENT_AT,
    PROVENANCE_SIZE_AT,
    RAISED,
    REMOVED,
    RESUMED,
    SUSPENDED,
    Context,
    Courts,
    PackedRows,
    are_legible,
    digests,
    entry_hashes,
    kept_of,
)
from loader.rows.persons import Documents, Names
from roster.documents.spelling import trimmed
from roster.records.bounds import CASE_MAX, ENTRY_ID_MAX
from roster.records.content import EXTRA, FROM, UNTIL, pack_content
from roster.records.entry import Content
from roster.records.record import WITHOUT_REVISION
from roster.times import FUTURE_MAX_MS, beijing_day

_TWO = (LISTED | RESUMED, LISTED | SUSPENDED, LISTED | SUSPENDED | WITHOUT_REVISION)
"""What raises two registers."""
_NOT_RESUMED = 0xFF ^ RESUMED
_REVISION_DIGITS = 16
_KEY_BYTES = 18
"""A token and a list's code: they are in a digest before the content."""


class PackedBlock(msgspec.Struct, frozen=True):
    """The rows of a block: each one's fault and list, and `packed` are those without a fault.

    `warned` are those of them whose document cannot have its number: it is loaded as spelled.
    `kept` are the entries of rejected rows, `unknown` names of lists that no roster has.
    """

    packed: PackedRows
    warned: Bools
    faults: Octets
    codes: Octets
    kept: list[bytes]
    unknown: list[str]


class BlockPacker:
    """Judges blocks of rows of the same columns."""

    def __init__(
        self, columns: Sequence[str], default_list: str | None, context: Context, courts: Courts
    ) -> None:
        """`default_list` is for rows that name none; `courts` are what was met so far."""
        self._place = {name: index for index, name in enumerate(columns)}
        self._default_list = default_list or ""
        self._tokeniser = context.tokeniser
        self._as_of = context.as_of
        self._latest_ms = context.now_ms + FUTURE_MAX_MS
        self._documents = Documents(self._tokeniser, beijing_day(context.now_ms))
        self._known = context.codes
        self._lift_code = context.codes.get("lift", -1)
        self._codes = CodeMemo(self._code)
        self._states = CodeMemo(lambda text: RAISED[cells.state(text)])
        self._named_courts = courts
        self._courts = BytesMemo(self._court)
        self._names = Names(self._tokeniser)
        self._ids = EntryIds(packs_ids=self._tokeniser.packs_ids)
        self._extras = Extras(context)

    def judge(self, columns: Columns, torn: Bools) -> PackedBlock:
        """What becomes of the rows."""
        named = {name: columns.column(self._place.get(name)) for name in COLUMNS}
        if may_be_padded(columns.text):
            named |= {name: stripped(named[name]) for name in self._place}
        faults = no_faults(len(columns))
        tokens, warned = self._documents.tokens(named, faults)
        blame(faults, torn, FAULT["", "malformed"])
        self._identify(named, faults)
        codes = self._codes.of(named["list"], faults)
        packed = self._packed(named, tokens, codes, faults)
        kept, unknown = list[bytes](), list[str]()
        if len(packed.fixed) < len(faults):
            kept = self._kept(named["entry_id"], tokens, codes, faults)
            nowhere = np.flatnonzero(faults == FAULT["list", NO_SUCH_LIST])
            unknown = [self._list(named["list"].at(row)) for row in nowhere.tolist()]
        return PackedBlock(packed, warned[faults == SOUND], faults, codes, kept, unknown)

    def _identify(self, named: NamedColumns, faults: Octets) -> None:
        """Trim entry ids and cases as they are compared; blame those that are none."""
        case, numbered = named["case"], IdNumberFinder(named["case"].text)
        named["case"] = identifying(case)
        ids = named["entry_id"] = identifying(named["entry_id"])
        blame(faults, longer_than(case, CASE_MAX), FAULT["case", "too_long"])
        blame(faults, numbered.holding(case), FAULT["case", "number_in_text"])
        blame(faults, ids.sizes == 0, FAULT["entry_id", "malformed"])
        blame(faults, longer_than(ids, ENTRY_ID_MAX), FAULT["entry_id", "too_long"])
        blame(faults, numbered.holding(ids), FAULT["entry_id", "number_in_text"])

    def _list(self, text: str) -> str:
        return trimmed(text) or self._default_list

    def _code(self, text: str) -> int:
        name = self._list(text)
        if name not in self._known:
            cells.refuse("list", NO_SUCH_LIST if name else "malformed")
        return self._known[name]

    def _kept(self, ids: Column, tokens: Octets, codes: Octets, faults: Octets) -> list[bytes]:
        """The entries of rejected rows."""
        rows = np.flatnonzero((codes > 0) & REJECTED[faults])
        rows = rows[are_legible(ids.chosen(rows))]
        return kept_of(ids.chosen(rows), codes[rows], tokens[rows], self._tokeniser)

    def _packed(
        self, named: NamedColumns, table: Octets, codes: Octets, faults: Octets
    ) -> PackedRows:
        """The rows without a fault."""
        revisions, presents = self._revisions(named, faults)
        contents = self._content(named, codes, presents, faults)
        provenances = self._extras.provenances(named, presents, faults)
        keys = np.zeros((len(faults), _KEY_BYTES), np.uint8)
        keys[:, :16] = table
        keys[:, 17] = codes
        fixed = np.empty((len(faults), FIXED_BYTES), np.uint8)
        fixed[:, :PLACE_BYTES] = table[:, -PLACE_BYTES:]
        fixed[:, LIST_AT] = codes
        fixed[:, PRESENT_AT] = presents
        fixed[:, HEAD_BYTES:] = _six_bytes(revisions)
        sizes = np.where(provenances.sizes, provenances.sizes, PLAIN_PROVENANCE_BYTES)
        fixed[:, PROVENANCE_SIZE_AT] = sizes
        texts, ids = [rows_of(keys), *contents], named["entry_id"]
        which = np.flatnonzero(faults == SOUND)
        if len(which) < len(faults):
            fixed, ids, provenances = fixed[which], ids.chosen(which), provenances.chosen(which)
            texts = [text.chosen(which) for text in texts]
            table = table[which]
        return self._hashed(PackedRows(fixed, provenances, table[:, 1]), ids, concatenated(texts))

    def _hashed(self, packed: PackedRows, ids: Column, texts: Pieces) -> PackedRows:
        """The rows with all that is left: hashes, and the contents before the provenances."""
        fixed, tokeniser = packed.fixed, self._tokeniser
        fixed[:, HASH] = entry_hashes(ids, fixed[:, LIST_AT], tokeniser)
        fixed[:, DIGEST] = digests(texts, tokeniser)
        contents = Pieces(texts.source, texts.starts + _KEY_BYTES, texts.sizes - _KEY_BYTES)
        fixed[:, CONTENT_SIZE] = contents.sizes.astype(">u2").view(np.uint8).reshape(-1, 2)
        two = np.isin(fixed[:, PRESENT_AT], _TWO)
        rests = contents
        if two.any() or packed.rests.sizes.any():
            registers = rows_of(np.ascontiguousarray(fixed[:, HEAD_BYTES:]))
            rests = concatenated([registers.where(two), contents, packed.rests])
        return PackedRows(fixed, rests, packed.partitions)

    def _revisions(self, named: NamedColumns, faults: Octets) -> tuple[Numbers, Octets]:
        """When each row was edited, and its header's bits."""
        columns = stated, updated = named["revision"], named["updated_at"]
        found, good = whole_numbers(stated, _REVISION_DIGITS)
        blank = np.flatnonzero(stated.sizes == 0)
        if len(blank):
            wrong = no_faults(len(blank))
            found[blank] = instants(updated.chosen(blank), wrong, "updated_at", "bad_revision")
            blame(faults, blank, wrong)
            good[blank] = True
        none = found == NEVER
        good &= none | (found >= cells.FIRST_REVISION_MS) & (found <= self._latest_ms)
        for row, ms in one_by_one(np.flatnonzero(~good), columns, self._revision, faults):
            none[row], found[row] = ms is None, ms or 0
        found[none] = self._as_of
        presents = self._states.of(named["state"], faults)
        presents = np.where(none, presents & _NOT_RESUMED | WITHOUT_REVISION, presents)
        return found, presents

    def _revision(self, stated: str, updated_at: str) -> int | None:
        return cells.revision(stated, updated_at, self._latest_ms)

    def _content(
        self, named: NamedColumns, codes: Octets, presents: Octets, faults: Octets
    ) -> list[Pieces]:
        """The parts of each row's content."""
        flags, ids = self._ids.of(named["entry_id"], named["case"])
        from_ms, until_ms = (instants(named[name], faults, name) for name in ("from", "until"))
        ended = (from_ms != NEVER) & (until_ms != NEVER) & (until_ms <= from_ms)
        blame(faults, ended, FAULT["until", "bad_date"])
        starts, ends = packed_times(from_ms), packed_times(until_ms)
        court_flags, courts = _parted(self._courts.of(named["court"], faults))
        names, extras = self._names.of(named["name"], faults), self._extras.lift(named, faults)
        lifts = (codes == self._lift_code) & (presents & REMOVED == 0)
        if lifts.any():
            blame(faults, lifts & (until_ms == NEVER), ENDLESS)
            unnamed = np.flatnonzero(lifts & (named["kind"].sizes > 0) & (_parted(names)[0] == 0))
            for _ in one_by_one(unnamed, (named["kind"], named["name"]), _check_named, faults):
                pass
        flags |= court_flags
        for flag, pieces in ((FROM, starts), (UNTIL, ends), (EXTRA, extras)):
            flags |= (pieces.sizes > 0) * np.uint8(flag)
        return [rows_of(flags[:, None]), *ids, starts, ends, courts, names, extras]

    def _court(self, text: str) -> bytes:
        """The flag and the part of a content."""
        packed = pack_content(Content("", court=cells.court(text)), self._named_courts)
        return packed[:1] + packed[3:-1]  # without entry id and names, which are empty


def _check_named(kind: str, name: str) -> None:
    """What lifts a mistaken identity says whose: nothing, or raises `Unusable`."""
    if cells.kind(kind) and not cells.names(name):
        cells.refuse("name", "malformed")


def _parted(pieces: Pieces) -> tuple[Octets, Pieces]:
    """The first byte of each, and the rest; 0 and nothing of those that are empty."""
    some = pieces.sizes > 0
    first = np.zeros(len(some), np.uint8)
    first[some] = np.frombuffer(pieces.source, np.uint8)[pieces.starts[some]]
    return first, Pieces(pieces.source, pieces.starts + some, pieces.sizes - some)


def _six_bytes(ms: Numbers) -> Octets:
    return ms.astype(">u8").view(np.uint8).reshape(-1, 8)[:, 2:]
