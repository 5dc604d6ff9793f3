"""Blocks of rows packed column by column, whatever CONTRACT.md 3 allows in them.

A cell is read from the block's bytes where it is beyond doubt what it says, else by what
`cells` makes of its text. Rows with a cell that cannot be used go the long way through `rows`,
which says what is wrong. Both ways give the same bytes: a test says so.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from loader import cells
from loader.cells import Unusable
from loader.columns import Column, Columns
from loader.documents import Documents
from loader.entry_ids import EntryIds
from loader.extras import Extras, Named
from loader.hashing import digests, entry_hashes
from loader.instants import NEVER, instants, packed_times
from loader.layout import COLUMNS
from loader.names import Names
from loader.numbers import whole_numbers
from loader.packing import (
    CONTENT_SIZE,
    DIGEST,
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
    Packer,
)
from loader.parts import Cache, Table
from loader.pieces import Bools, Numbers, Octets, Pieces, rows_of, woven
from loader.table import FIXED_BYTES, Packed
from loader.texts import Numbered, bare, identifying, longer_than, may_be_padded
from roster.bounds import CASE_MAX, ENTRY_ID_MAX
from roster.check_digits import beijing_day
from roster.entry import Content
from roster.record import EXTRA, FROM, UNTIL, WITHOUT_REVISION, pack_content
from roster.spelling import trimmed
from roster.times import FUTURE_MAX_MS

_TWO = (LISTED | RESUMED, LISTED | SUSPENDED, LISTED | SUSPENDED | WITHOUT_REVISION)
"""What raises two registers."""
_NOT_RESUMED = 0xFF ^ RESUMED
_REVISION_DIGITS = 16
_KEY_BYTES = 18
"""A token and a list's code: they are in a digest before the content."""


class Judged(msgspec.Struct, frozen=True):
    """The rows of a block: `packed` are those that are not `odd`.

    `warned` are those of them whose document cannot have its number: it is loaded as spelled.
    """

    packed: Packed
    odd: Bools
    warned: Bools


class Quick:
    """Packs blocks of rows of the same columns."""

    def __init__(
        self, columns: Sequence[str], default_list: str | None, context: Context, packer: Packer
    ) -> None:
        """`default_list` is for rows that name none."""
        self._place = {name: index for index, name in enumerate(columns)}
        self._width = len(columns)
        self._packer = packer
        self._as_of = context.as_of
        self._latest_ms = context.now_ms + FUTURE_MAX_MS
        self._documents = Documents(packer.tokeniser, beijing_day(context.now_ms))
        self._codes = Table(lambda text: context.codes[trimmed(text) or default_list or ""])
        self._lift_code = context.codes.get("lift", 0)
        self._states = Table(lambda text: RAISED[cells.state(text)])
        self._courts = Cache(self._court)
        self._names = Names(packer)
        self._ids = EntryIds(packs_ids=packer.tokeniser.packs_ids)
        self._extras = Extras(context)

    def pack_columns(self, columns: Columns, odd: Bools | None = None) -> Judged:
        """The packed rows, and which have to go the long way; some may be known to be `odd`."""
        odd = np.zeros(len(columns), np.bool_) if odd is None else odd
        named = {name: columns.column(self._place.get(name)) for name in COLUMNS}
        if may_be_padded(columns.text):
            named |= {name: bare(named[name]) for name in self._place}
        self._identify(named, odd)
        tokens, warned = self._documents.tokens(named, odd)
        packed = self._packed(named, tokens, odd)
        return Judged(packed, odd, warned[~odd])

    def _identify(self, named: Named, odd: Bools) -> None:
        """Nothing; entry ids and cases are as they are compared, and those that may not be odd."""
        numbered = Numbered(named["entry_id"].text)
        odd |= longer_than(named["case"], CASE_MAX) | numbered.holding(named["case"])
        ids = named["entry_id"] = identifying(named["entry_id"])
        named["case"] = identifying(named["case"])
        odd |= (ids.sizes == 0) | longer_than(ids, ENTRY_ID_MAX) | numbered.holding(ids)

    def _packed(self, named: Named, table: Octets, odd: Bools) -> Packed:
        """The rows that are not odd."""
        codes = self._codes.of(named["list"], odd)
        revisions, presents = self._revisions(named, odd)
        contents = self._content(named, codes, presents, odd)
        provenances = self._extras.provenances(named, presents, odd)
        keys = np.zeros((len(odd), _KEY_BYTES), np.uint8)
        keys[:, :16] = table
        keys[:, 17] = codes
        fixed = np.empty((len(odd), FIXED_BYTES), np.uint8)
        fixed[:, :PLACE_BYTES] = table[:, -PLACE_BYTES:]
        fixed[:, LIST_AT] = codes
        fixed[:, PRESENT_AT] = presents
        fixed[:, HEAD_BYTES:] = _six_bytes(revisions)
        sizes = np.where(provenances.sizes, provenances.sizes, PLAIN_PROVENANCE_BYTES)
        fixed[:, PROVENANCE_SIZE_AT] = sizes
        texts, ids = [rows_of(keys), *contents], named["entry_id"]
        if odd.any():
            which = np.flatnonzero(~odd)
            fixed, ids, provenances = fixed[which], ids.chosen(which), provenances.chosen(which)
            texts = [text.chosen(which) for text in texts]
            table = table[which]
        return self._hashed(Packed(table[:, 1], fixed, provenances), ids, woven(texts))

    def _hashed(self, packed: Packed, ids: Column, texts: Pieces) -> Packed:
        """The rows with all that is left: hashes, and the contents before the provenances."""
        fixed, tokeniser = packed.fixed, self._packer.tokeniser
        fixed[:, HASH] = entry_hashes(ids, fixed[:, LIST_AT], tokeniser)
        fixed[:, DIGEST] = digests(texts, tokeniser)
        contents = Pieces(texts.source, texts.starts + _KEY_BYTES, texts.sizes - _KEY_BYTES)
        fixed[:, CONTENT_SIZE] = contents.sizes.astype(">u2").view(np.uint8).reshape(-1, 2)
        two = np.isin(fixed[:, PRESENT_AT], _TWO)
        rests = contents
        if two.any() or packed.rests.sizes.any():
            registers = rows_of(np.ascontiguousarray(fixed[:, HEAD_BYTES:]))
            rests = woven([registers.where(two), contents, packed.rests])
        return Packed(packed.partitions, fixed, rests)

    def _revisions(self, named: Named, odd: Bools) -> tuple[Numbers, Octets]:
        """When each row was edited, and its header's bits."""
        stated, updated = named["revision"], named["updated_at"]
        found, good = whole_numbers(stated, _REVISION_DIGITS)
        blank = np.flatnonzero(stated.sizes == 0)
        if len(blank):
            wrong = np.zeros(len(blank), np.bool_)
            found[blank] = instants(updated.chosen(blank), wrong)
            good[blank] = ~wrong
        none = found == NEVER
        found[none] = self._as_of
        good &= none | (found >= cells.FIRST_REVISION_MS) & (found <= self._latest_ms)
        for index in np.flatnonzero(~good & ~odd).tolist():
            cell = stated.at(index), updated.at(index)
            try:
                ms = cells.revision(*cell, self._latest_ms)
            except Unusable:
                odd[index] = True
            else:
                none[index] = ms is None
                found[index] = self._as_of if ms is None else ms
        presents = self._states.of(named["state"], odd)
        presents = np.where(none, presents & _NOT_RESUMED | WITHOUT_REVISION, presents)
        return found, presents

    def _content(self, named: Named, codes: Octets, presents: Octets, odd: Bools) -> list[Pieces]:
        """The parts of each row's content."""
        flags, ids = self._ids.of(named["entry_id"], named["case"])
        from_ms, until_ms = instants(named["from"], odd), instants(named["until"], odd, until=True)
        odd |= (from_ms != NEVER) & (until_ms != NEVER) & (until_ms <= from_ms)
        starts, ends = packed_times(from_ms), packed_times(until_ms)
        court_flags, courts = _parted(self._courts.of(named["court"], odd))
        names, extras = self._names.of(named["name"], odd), self._extras.lift(named, odd)
        lifts = (codes == self._lift_code) & (presents & REMOVED == 0)
        if lifts.any():
            unnamed = (named["kind"].sizes > 0) & (_parted(names)[0] == 0)
            odd |= lifts & ((until_ms == NEVER) | unnamed)
        flags |= court_flags
        for flag, pieces in ((FROM, starts), (UNTIL, ends), (EXTRA, extras)):
            flags |= (pieces.sizes > 0) * np.uint8(flag)
        return [rows_of(flags[:, None]), *ids, starts, ends, courts, names, extras]

    def _court(self, text: str) -> bytes:
        """The flag and the part of a content."""
        cells.check_texts("-", "", text, "")
        packed = pack_content(Content("", court=text.strip()), self._packer.courts)
        return packed[:1] + packed[3:-1]  # without entry id and names, which are empty


def _parted(pieces: Pieces) -> tuple[Octets, Pieces]:
    """The first byte of each, and the rest; 0 and nothing of those that are empty."""
    some = pieces.sizes > 0
    first = np.zeros(len(some), np.uint8)
    first[some] = np.frombuffer(pieces.source, np.uint8)[pieces.starts[some]]
    return first, Pieces(pieces.source, pieces.starts + some, pieces.sizes - some)


def _six_bytes(ms: Numbers) -> Octets:
    return ms.astype(">u8").view(np.uint8).reshape(-1, 8)[:, 2:]
