"""What the audit says happened, as it is packed: MessagePack arrays, each behind its kind."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class AuditKind(IntEnum):
    """The kinds of records; a block says by a bit of each which of them it holds."""

    DECISION = 1
    CHANGE = 2
    READ = 3
    KEY = 4
    LIST = 5
    ACCEPT = 6
    RESTORED = 7
    LOAD = 8
    LATE = 9
    LOST = 10
    CLOSED = 11

    @property
    def bit(self) -> int:
        """Its bit."""
        return 1 << self


class _Audited(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A record; persons are tokens, callers ids of API keys, operators `user@host`."""


class Grounds(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Why: a reason code, and the entry; for `court` see `court_bytes`."""

    code: str
    list: str = ""
    entry_id: str = ""
    court: bytes = b""


class Decided(_Audited, frozen=True, tag=int(AuditKind.DECISION)):
    """A check that was denied or referred; `id` are the bytes of the decision id."""

    id: bytes
    key: str
    mode: str
    denied: bool
    reasons: tuple[Grounds, ...]
    position: str
    token: bytes


class EntryChanged(_Audited, frozen=True, tag=int(AuditKind.CHANGE)):
    """A change that was sent; `tokens` are of the documents, first its own."""

    key: str
    op: str
    list: str
    entry_id: str
    revision: int
    outcome: str
    position: str
    tokens: tuple[bytes, ...]
    reason: str = ""
    decided_at_ms: int | None = None


class EntriesRead(_Audited, frozen=True, tag=int(AuditKind.READ)):
    """Somebody's entries that were read: `what` is `find`, `history` or `standing`."""

    key: str
    what: str
    token: bytes


class KeyMade(_Audited, frozen=True, tag=int(AuditKind.KEY)):
    """An API key that was `created`, `rotated` or `revoked`."""

    who: str
    what: str
    key: str
    name: str
    scopes: tuple[str, ...]


class ListSwitched(_Audited, frozen=True, tag=int(AuditKind.LIST)):
    """A list that was `disabled` or `enabled`."""

    who: str
    what: str
    list: str
    reason: str = ""


class RewindAccepted(_Audited, frozen=True, tag=int(AuditKind.ACCEPT)):
    """What is stored was accepted as the roster, which would deny so many people again."""

    who: str
    reason: str
    people: int
    partitions: int


class RosterRestored(_Audited, frozen=True, tag=int(AuditKind.RESTORED)):
    """A backup was said to have been restored."""

    who: str
    partitions: int


class FilesLoaded(_Audited, frozen=True, tag=int(AuditKind.LOAD)):
    """A load, repair or undo that has `begun` or is `completed`; `load` is its number."""

    who: str
    what: str
    stage: str
    load: int
    lists: tuple[str, ...]
    as_of_ms: int | None
    files: tuple[tuple[str, bytes], ...] = ()
    did: dict[str, dict[str, int]] = {}
    undoes: int | None = None


class DeniedLate(_Audited, frozen=True, tag=int(AuditKind.LATE)):
    """A denial for an entry whose removal had been decided, and had not arrived."""

    id: bytes
    key: str
    list: str
    entry_id: str
    court: bytes
    token: bytes
    denied_at_ms: int
    decided_at_ms: int
    applied_at_ms: int


class RecordsLost(_Audited, frozen=True, tag=int(AuditKind.LOST)):
    """So many records could not be written, and were dropped."""

    records: int
    from_ms: int
    upto_ms: int


class ChainClosed(_Audited, frozen=True, tag=int(AuditKind.CLOSED)):
    """The process ended in order: nothing of it follows.

    `blocks` are how many it has sealed in each partition before this one.
    """

    blocks: tuple[int, ...]


AuditRecord: TypeAlias = (
    Decided
    | EntryChanged
    | EntriesRead
    | KeyMade
    | ListSwitched
    | RewindAccepted
    | RosterRestored
    | FilesLoaded
    | DeniedLate
    | RecordsLost
    | ChainClosed
)

_SPELLED = b"name:"

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[tuple[int, AuditRecord]])


class Written(msgspec.Struct, frozen=True, gc=False):
    """A record in its bytes, when it happened, and what kind it is."""

    at_ms: int
    kind: AuditKind
    data: bytes


def court_bytes(court: str, known: Mapping[str, bytes]) -> bytes:
    """A court as records have it: its four bytes in the dictionary, or spelled out."""
    return known.get(court) or (_SPELLED + court.encode() if court else b"")


def court_name(court: bytes, known: Mapping[bytes, str]) -> str:
    """The court that these bytes stand for; where it is not known any more, they themselves."""
    if court.startswith(_SPELLED):
        return court.removeprefix(_SPELLED).decode(errors="replace")
    return known.get(court, court.hex())


def is_named(court: bytes, known: Mapping[bytes, str]) -> bool:
    """Whether it is known which court these bytes stand for, if any."""
    return not court or court.startswith(_SPELLED) or court in known


def written(at_ms: int, record: AuditRecord) -> Written:
    """The record as it goes into a block."""
    kind: int = record.__struct_config__.tag  # type: ignore[assignment]
    return Written(at_ms, AuditKind(kind), _encoder.encode(record))


def pack(records: Sequence[Written], sealed_ms: int) -> bytes:
    """The body of a block that is sealed then: how long before each was, and the record."""
    pairs = [(sealed_ms - each.at_ms, msgspec.Raw(each.data)) for each in records]
    return _encoder.encode(pairs)


def unpack(body: bytes, sealed_ms: int) -> list[tuple[int, AuditRecord]]:
    """When each record happened, and the record; raises msgspec.MsgspecError."""
    return [(sealed_ms - age_ms, record) for age_ms, record in _decoder.decode(body)]
