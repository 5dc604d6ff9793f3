"""Records as bytes: what Redis stores of one document's entries.

A record is `u16 n`, n fixed headers, the registers, the contents, the provenances, each in
the order of the headers; entries are ordered by list and entry hash. Numbers are big-endian.
`lua/records.lua` reads headers and registers; contents are opaque to it.
"""

from __future__ import annotations

import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from roster.errors import Unreadable
from roster.records.content import BROKEN, unpack_content
from roster.records.entry import Entry, Provenance, Registers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

HEADER = struct.Struct(">BB6s8sHB")
COUNT = struct.Struct(">H")
_RAISED = [[bit for bit in range(5) if present >> bit & 1] for present in range(32)]
"""Which registers a header's flags say that there are."""
REGISTER_BYTES = 6
WITHOUT_REVISION = 32

_LOAD = struct.Struct(">cH")
_ACTOR_BYTES = 180
_SOURCES = ("", "api", "load")


class PackedEntry(NamedTuple):
    """One entry, ready for a record: `registers` are the five of `Registers`, in ms.

    `flags` is 0, or `WITHOUT_REVISION` for a file's row that states none.
    """

    list: int
    entry_hash: bytes
    digest: bytes
    registers: tuple[int, int, int, int, int]
    content: bytes
    provenance: bytes = b""
    flags: int = 0


_encode = msgspec.msgpack.Encoder().encode
_decode_provenance = msgspec.msgpack.Decoder(
    tuple[int, str | int, str, int | None, int | None]
).decode


@contextmanager
def readable() -> Iterator[None]:
    """Raise Unreadable where what is read within is not what it should be."""
    try:
        yield
    except BROKEN as exc:
        raise Unreadable("what the roster holds of this person cannot be read") from exc


def pack_load(number: int) -> bytes:
    """The provenance of a row of load `number` that states neither decision nor reason."""
    return _LOAD.pack(b"L", number & 0xFFFF)


def provenance_tail(provenance: Provenance, load: int = 0) -> bytes:
    """All but the time of application, which the roster's clock adds; at most 248 bytes.

    `load` stands for the actor where the edit comes from a file.
    """
    actor = provenance.actor.encode()[:_ACTOR_BYTES].decode(errors="ignore")
    source, times = provenance.source, (provenance.decided_at_ms, provenance.received_at_ms)
    return _encode((_SOURCES.index(source), load or actor, provenance.reason, *times))


def pack_provenance(provenance: Provenance, load: int = 0) -> bytes:
    """The provenance's bytes with its own time of application, as `apply` makes them."""
    applied = (provenance.applied_at_ms or 0).to_bytes(REGISTER_BYTES)
    return b"P" + applied + provenance_tail(provenance, load)


def unpack_provenance(data: bytes, loads: Mapping[int, Provenance]) -> Provenance:
    """The provenance of its bytes; a load's number is looked up in `loads`."""
    if not data:
        return Provenance()
    if data[:1] == b"L":
        return loads.get(_LOAD.unpack(data)[1], Provenance(source="load"))
    source, actor, reason, decided, received = _decode_provenance(data[7:])
    applied: int | None = int.from_bytes(data[1:7]) or None
    if isinstance(actor, int):
        load = loads.get(actor, Provenance())
        actor, received, applied = load.actor, load.received_at_ms, load.applied_at_ms
    return Provenance(_SOURCES[source], actor, reason, decided, received, applied)


def load_of(data: bytes) -> int | None:
    """The number of the load that a provenance's bytes name, if they name one."""
    if data[:1] == b"L":
        return int(_LOAD.unpack(data)[1])
    actor = _decode_provenance(data[7:])[1] if data else None
    return actor if isinstance(actor, int) else None


def pack_record(entries: Iterable[PackedEntry]) -> bytes:
    """One document's entries as Redis stores them; no two may share list and entry hash."""
    ordered = sorted(entries)
    heads, registers, contents, provenances = [COUNT.pack(len(ordered))], [], [], []
    for packed in ordered:
        present = packed.flags
        for bit, register in enumerate(packed.registers):
            if register:
                present |= 1 << bit
                registers.append(register.to_bytes(REGISTER_BYTES))
        sizes = len(packed.content), len(packed.provenance)
        heads.append(HEADER.pack(packed.list, present, packed.entry_hash, packed.digest, *sizes))
        contents.append(packed.content)
        provenances.append(packed.provenance)
    return b"".join([*heads, *registers, *contents, *provenances])


def split_record(data: bytes) -> list[PackedEntry]:
    """A record's entries, contents still packed; raises ValueError and its like for any other.

    See `readable`.
    """
    if not data:
        return []
    (count,) = COUNT.unpack_from(data)
    at = COUNT.size + count * HEADER.size
    heads = list(HEADER.iter_unpack(data[COUNT.size : at]))
    registers, contents, provenances = [], list[bytes](), list[bytes]()
    for head in heads:
        raised = [0] * 5
        for bit in _RAISED[head[1] & len(_RAISED) - 1]:
            raised[bit] = int.from_bytes(data[at : at + REGISTER_BYTES])
            at += REGISTER_BYTES
        registers.append((raised[0], raised[1], raised[2], raised[3], raised[4]))
    for sizes, parts in ((4, contents), (5, provenances)):
        for head in heads:
            parts.append(data[at : at + head[sizes]])
            at += head[sizes]
    if at != len(data):
        raise ValueError("the bytes end too early, or too late")
    return [
        PackedEntry(head[0], head[2], head[3], raised, content, provenance)
        for head, raised, content, provenance in zip(
            heads, registers, contents, provenances, strict=True
        )
    ]


class Dictionaries(NamedTuple):
    """What contents and provenances refer to: courts by id, loads by number."""

    courts: Mapping[bytes, str]
    loads: Mapping[int, Provenance]


def parse_record(data: bytes, dictionaries: Dictionaries) -> list[Entry]:
    """A record's entries in full; raises Unreadable, or KeyError with a court not yet known."""
    with readable():
        return [
            Entry(
                list=packed.list,
                entry_hash=packed.entry_hash,
                registers=Registers(*packed.registers),
                content=unpack_content(packed.content, dictionaries.courts),
                digest=packed.digest,
                provenance=unpack_provenance(packed.provenance, dictionaries.loads),
            )
            for packed in split_record(data)
        ]
