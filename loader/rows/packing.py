"""Rows as bytes that sort by person: what the scatter writes and the merge reads.

A packed row is a token's place (14 bytes: bucket, field), the header of a record's entry
(roster/records/record.py), its registers, its content and its provenance. The provenance of a plain
row is the load's, the same for all, and left out: its size in the header stands for it.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from roster.documents.tokeniser import SCHEME, Tokeniser
from roster.errors import LoadRefused
from roster.records.content import court_id
from roster.records.record import HEADER, pack_load

PLACE_BYTES = 14
LIST_AT, PRESENT_AT = PLACE_BYTES, PLACE_BYTES + 1
HASH = slice(PLACE_BYTES + 2, PLACE_BYTES + 8)
DIGEST = slice(PLACE_BYTES + 8, PLACE_BYTES + 16)
CONTENT_SIZE = slice(PLACE_BYTES + 16, PLACE_BYTES + 18)
PROVENANCE_SIZE_AT = PLACE_BYTES + 18
HEAD_BYTES = PLACE_BYTES + HEADER.size
PLAIN_PROVENANCE_BYTES = len(pack_load(0))

LISTED, REMOVED, SUSPENDED, RESUMED = 1, 2, 4, 8
RAISED = {
    "": LISTED,
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
