"""Records as bytes: what Redis stores of one document's entries.

A record is `u16 n`, n fixed headers, the registers, the contents, the provenances, each in
the order of the headers; entries are ordered by list and entry hash. Numbers are big-endian.
`lua/records.lua` reads headers and registers; contents are opaque to it. Equal contents are
equal bytes, so that the digest and the merge law may compare them.
"""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from roster.records import case_number
from roster.records.entry import Content, Entry, Provenance, Registers
from roster.records.reader import NUMBER, Reader, readable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

HEADER = struct.Struct(">BB6s8sHB")
COUNT = struct.Struct(">H")
_RAISED = [[bit for bit in range(5) if present >> bit & 1] for present in range(32)]
"""Which registers a header's flags say that there are."""
REGISTER_BYTES = 6
WITHOUT_REVISION = 32

FROM, UNTIL, CASE, CASE_TEXT = 1, 2, 4, 8
COURT, COURT_TEXT, ID_FROM_CASE, EXTRA = 16, 32, 64, 128
"""The flags that a content begins with: what is in it, and in which form."""
ID_DIGITS = 19
"""Numbers of so many digits fit into eight bytes."""
_U32 = struct.Struct(">I")
_LOAD = struct.Struct(">cH")
_MINUTE_MS = 60_000
_ACTOR_BYTES = 180
_SOURCES = ("", "api", "load")


class Packed(NamedTuple):
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


class _Extra(msgspec.Struct, array_like=True, frozen=True):
    modes: tuple[str, ...] = ()
    lifts: tuple[str, ...] = ()
    cases: tuple[str, ...] = ()
    kind: str = ""
    tokens: tuple[bytes, ...] = ()


_NOTHING_EXTRA = _Extra()
_encode = msgspec.msgpack.Encoder().encode
_decode_extra = msgspec.msgpack.Decoder(_Extra).decode
_decode_provenance = msgspec.msgpack.Decoder(
    tuple[int, str | int, str, int | None, int | None]
).decode


def court_id(court: str) -> bytes:
    """The four bytes that stand for a court's name in a content."""
    return hashlib.blake2b(court.encode(), digest_size=4).digest()


def pack_content(
    content: Content, courts: Mapping[str, bytes], *, packs_ids: bool = False
) -> bytes:
    """The content's canonical bytes; a court that `courts` lacks is spelled out.

    `packs_ids` is the tokeniser's.
    """
    flags = 0
    parts = [b""]
    if content.case:
        packed = case_number.pack(content.case)
        flags |= CASE if packed else CASE_TEXT
        parts.append(packed or _text(content.case))
    suffix = _suffix(content)
    flags |= ID_FROM_CASE if suffix else 0
    number = _number(content.entry_id) if packs_ids else b""
    parts.append(suffix or number or _text(content.entry_id))
    if content.from_ms is not None:
        flags |= FROM
        parts.append(_time(content.from_ms))
    if content.until_ms is not None:
        flags |= UNTIL
        parts.append(_time(content.until_ms))
    if content.court:
        court = courts.get(content.court)
        flags |= COURT if court else COURT_TEXT
        parts.append(court or _text(content.court))
    parts.append(struct.pack(f">B{len(content.names)}I", len(content.names), *content.names))
    extra = _Extra(content.modes, content.lifts, content.cases, content.kind, content.tokens)
    if extra != _NOTHING_EXTRA:
        flags |= EXTRA
        parts.append(_encode(extra))
    parts[0] = bytes((flags,))
    return b"".join(parts)


def _suffix(content: Content) -> bytes:
    """The party number of an entry id that is its case number and a party number."""
    head, slash, party = content.entry_id.rpartition("/")
    if not slash or head != content.case or not head or not party.isascii():
        return b""
    if not party.isdecimal() or party[0] == "0" or len(party) > 2:  # noqa: PLR2004 -- one byte
        return b""
    return bytes((int(party),))


def _number(text: str) -> bytes:
    """A number without zeros before it behind its size and a mark, which no text's size has."""
    if not text.isdecimal() or not text.isascii() or len(text) > ID_DIGITS:
        return b""
    number = int(text)
    size = max((number.bit_length() + 7) // 8, 1)
    return bytes((NUMBER | size,)) + number.to_bytes(size) if str(number) == text else b""


def _text(text: str) -> bytes:
    data = text.encode()
    return COUNT.pack(len(data)) + data


def _time(ms: int) -> bytes:
    """Whole minutes in four or five bytes, anything else in seven: zigzag LEB128."""
    minutes, rest = divmod(ms, _MINUTE_MS)
    value = ms << 1 | 1 if rest else minutes << 1
    value = value << 1 if value >= 0 else (-value << 1) - 1
    out = bytearray()
    while value > 0x7F:  # noqa: PLR2004 -- LEB128: seven bits a byte
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def unpack_content(data: bytes, courts: Mapping[bytes, str]) -> Content:
    """The content of `pack_content`'s bytes.

    Raises KeyError with the court's id where `courts` does not know it.
    """
    flags = data[0]
    reader = Reader(data, 1)
    case = ""
    if flags & (CASE | CASE_TEXT):
        packed = flags & CASE
        case = case_number.unpack(reader.take(case_number.SIZE)) if packed else reader.text()
    entry_id = f"{case}/{reader.number()}" if flags & ID_FROM_CASE else reader.entry_id()
    from_ms = reader.time() if flags & FROM else None
    until_ms = reader.time() if flags & UNTIL else None
    court = ""
    if flags & (COURT | COURT_TEXT):
        court = courts[reader.take(4)] if flags & COURT else reader.text()
    names = reader.names()
    extra = _decode_extra(data[reader.at :]) if flags & EXTRA else _NOTHING_EXTRA
    return Content(
        entry_id=entry_id,
        names=names,
        from_ms=from_ms,
        until_ms=until_ms,
        case=case,
        court=court,
        modes=extra.modes,
        lifts=extra.lifts,
        cases=extra.cases,
        kind=extra.kind,
        tokens=extra.tokens,
    )


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


def pack_record(entries: Iterable[Packed]) -> bytes:
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


def split_record(data: bytes) -> list[Packed]:
    """A record's entries, contents still packed; raises ValueError and its like for any other.

    See `reader.readable`.
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
        Packed(head[0], head[2], head[3], raised, content, provenance)
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
