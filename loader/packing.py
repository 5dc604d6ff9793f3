"""Rows as bytes that sort by person: what the scatter writes and the merge reads.

A packed row is a token's place (14 bytes: bucket, field), the header of a record's entry
(roster/record.py), its registers, its content and its provenance. The provenance of a plain
row is the load's, the same for all, and left out: its size in the header stands for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import msgspec

from loader.rows import Row
from roster.entry import Content, NameToken, Provenance
from roster.errors import LoadRefused
from roster.record import (
    HEADER,
    REGISTER_BYTES,
    WITHOUT_REVISION,
    court_id,
    pack_content,
    pack_load,
    pack_provenance,
)
from roster.tokeniser import SCHEME, Tokeniser

PLACE_BYTES = 14
LIST_AT, PRESENT_AT = PLACE_BYTES, PLACE_BYTES + 1
HASH = slice(PLACE_BYTES + 2, PLACE_BYTES + 8)
DIGEST = slice(PLACE_BYTES + 8, PLACE_BYTES + 16)
CONTENT_SIZE = slice(PLACE_BYTES + 16, PLACE_BYTES + 18)
PROVENANCE_SIZE_AT = PLACE_BYTES + 18
HEAD_BYTES = PLACE_BYTES + HEADER.size
PLAIN_PROVENANCE_BYTES = len(pack_load(0))

LISTED, REMOVED, SUSPENDED, RESUMED = 1, 2, 4, 8
RAISED: dict[str | None, int] = {
    None: LISTED,
    "active": LISTED | RESUMED,
    "suspended": LISTED | SUSPENDED,
    "removed": REMOVED,
}
"""Which registers a row raises, as bits of the header."""

_COURTS_MAX = 200_000


class Context(msgspec.Struct, frozen=True):
    """What the packing of rows depends on, the same in every process.

    `codes` are the codes of the lists that the files may name. `courts` are names that
    Redis holds by their four bytes; `spelled` those whose four bytes another one has. `scheme`
    is the roster's.
    """

    key: bytes
    codes: dict[str, int]
    as_of: int
    load: int
    now_ms: int
    courts: dict[bytes, str]
    spelled: frozenset[str] = frozenset()
    scheme: int = SCHEME

    @property
    def tokeniser(self) -> Tokeniser:
        """A new one, of key and scheme."""
        return Tokeniser(self.key, self.scheme)

    def __repr__(self) -> str:
        """Nothing of the key."""
        return f"<Context of load {self.load}>"


class Courts(dict[str, bytes]):
    """The four bytes of every court that a process has met, but those to be spelled out."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._known: Mapping[bytes, str] = context.courts
        self._spelled = context.spelled

    def __missing__(self, court: str) -> bytes:
        """Four bytes, or none; raises LoadRefused where there are more courts than exist."""
        if len(self) > _COURTS_MAX:
            raise LoadRefused(f"more than {_COURTS_MAX} different courts: not a list")
        identifier = court_id(court)
        if court in self._spelled or self._known.get(identifier, court) != court:
            identifier = b""
        self[court] = identifier
        return identifier

    def get(self, court: str, _default: object = None) -> bytes:
        """As `pack_content` asks."""
        return self[court]


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
            names=sorted_names(names),
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
    raised = RAISED[row.state]
    return raised if row.revision is not None else (raised & ~RESUMED) | WITHOUT_REVISION


def sorted_names(names: set[NameToken]) -> tuple[NameToken, ...]:
    """The names' tokens in their one order."""
    return tuple(sorted(names))
