"""What the Lua functions answer, as types: outcomes, records, log entries, images."""

from __future__ import annotations

import struct
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from roster.records.entry import CANARY, Op, Outcome, State
from roster.records.position import Position, from_wire

if TYPE_CHECKING:
    from collections.abc import Iterator

MARK_BYTES = 4
EVENT = struct.Struct(">BBBB14sHIHIH")
"""What each event begins with: op, list, states, place, revision, time, the content's size."""
TIME_AT = 24
"""Where an event says when it was applied."""
HEADER_BYTES = 24
_EVENT_AT = 6 + MARK_BYTES
_OP, _LIST, _STATE = _EVENT_AT, _EVENT_AT + 1, _EVENT_AT + 3
_PLACE = slice(_EVENT_AT + 4, _EVENT_AT + 18)
_APPLIED = struct.Struct(">BBBHIIHI4sHI")
_CHANGED = struct.Struct(">14sII")
_OUTCOMES = {int(outcome): outcome for outcome in Outcome}
_STATES = tuple(State)
CANARY_WEIGHT = 0.1
_ON_LIST = (int(State.ACTIVE), int(State.SUSPENDED))
_RESET = int(Op.RESET)
_NO_RECORD = b"\0"
"""What stands for a record that is there, but empty: nobody can read it, either."""


class Applied(NamedTuple):
    """What a change amounted to; `revision` is the entry's now, `change_revision` its own."""

    outcome: Outcome
    was: State
    state: State
    revision: int
    position: Position
    applied_at_ms: int
    change_revision: int


class Refusal(Enum):
    """Why a change was not applied, while others of its request were; the value is the reason."""

    MEMORY = "memory: the server's memory is full; only what ends or suspends entries is applied"
    UNREADABLE = "unreadable: what is stored of this person cannot be read; it stays as it is"


class Found(NamedTuple):
    """A look-up's record (empty: none), and what says whether it may be believed.

    `covered` are list codes; `reached` whether `at_least` is; `now_ms` is Redis' clock.
    """

    record: bytes
    position: Position
    covered: bytes
    rewound: bool
    reached: bool
    now_ms: int


class LogEntry(NamedTuple):
    """A change as the log holds it; `place` is bucket number and field of its token."""

    position: Position
    op: Op
    list: int
    was: State
    state: State
    place: bytes
    revision: int
    applied_at_ms: int
    content: bytes
    provenance: bytes

    @property
    def token(self) -> bytes:
        """The token's sixteen bytes."""
        return bytes((0, self.position.partition)) + self.place

    @property
    def joins(self) -> bool:
        """Whether it left its person on a list."""
        return int(self.state) in _ON_LIST and self.op is not Op.RESET


class Tail(NamedTuple):
    """A partition as a poll sees it; `continues` is False where the follower must start again.

    `image` is the position that the image includes and the seq of the newest reset that it
    covers, or None where there is no image. `logged` are the log's entries in their bytes:
    every process reads every one of them, and most only for whom it adds to the filter.
    `roster` is the roster's id, `b""` where it is not known; `lost` the furthest position that a
    rewound partition had.
    """

    position: Position
    covered: bytes
    rewound: bool
    acknowledged: Position | None
    image: ImageHeader | None
    now_ms: int
    continues: bool
    logged: list[bytes]
    roster: bytes = b""
    lost: Position | None = None

    @property
    def entries(self) -> list[LogEntry]:
        """The log's entries."""
        here = self.position
        return [_log_entry(here.partition, here.history, data) for data in self.logged]

    @property
    def last(self) -> Position:
        """Of the last entry."""
        return _position(self.position.partition, self.position.history, self.logged[-1])

    @property
    def weight(self) -> float:
        """How many changes it tells of; those of the canary weigh a tenth: they are many."""
        return sum(CANARY_WEIGHT if data[_LIST] == CANARY else 1.0 for data in self.logged)

    @property
    def joining(self) -> list[bytes]:
        """The tokens of the people whom an entry left on a list."""
        start = bytes((0, self.position.partition))
        return [
            start + data[_PLACE]
            for data in self.logged
            if data[_STATE] in _ON_LIST and data[_OP] != _RESET
        ]

    @property
    def resets(self) -> list[Position]:
        """Where a first load ended."""
        here = self.position
        return [
            _position(here.partition, here.history, data)
            for data in self.logged
            if data[_OP] == _RESET
        ]


class Polled(NamedTuple):
    """Tails; whether the process was listed before, as safely as it has to be; how many are."""

    tails: dict[int, Tail]
    listed: bool
    processes: int


class ImageHeader(NamedTuple):
    """What an image's bits include, and the newest reset that they cover."""

    position: Position
    covers: tuple[int, int]


class Image(NamedTuple):
    """A partition's filter in pybloom-live's format, with its header."""

    header: ImageHeader
    bits: bytes


def parse_log_entry(position: Position, data: bytes) -> LogEntry:
    """The entry of a log's bytes behind its mark."""
    op, code, was, state, place, high, low, ms_high, ms_low, size = EVENT.unpack_from(data)
    ends = EVENT.size + size
    return LogEntry(
        position,
        Op(op),
        code,
        State(was),
        State(state),
        place,
        high << 32 | low,
        ms_high << 32 | ms_low,
        data[EVENT.size : ends],
        data[ends:],
    )


def header(partition: int, data: bytes) -> ImageHeader | None:
    """An image's header, None where there is no image."""
    if not data:
        return None
    covers = int.from_bytes(data[14:18]), int.from_bytes(data[18:24])
    return ImageHeader(from_wire(partition, data), covers)


def applied_at_ms(data: bytes) -> int:
    """When the change of a log's bytes, mark included, was applied."""
    at = MARK_BYTES + TIME_AT
    return int.from_bytes(data[at : at + 6])


def applied(partition: int, reply: list[Any]) -> list[Applied | Refusal]:
    """What each change of a call amounted to, of `apply`."""
    applied_at_ms, joined = reply
    return [_applied(partition, applied_at_ms, each) for each in _APPLIED.iter_unpack(joined)]


def _applied(partition: int, applied_at_ms: int, fields: tuple[Any, ...]) -> Applied | Refusal:
    outcome, was, state, high, low, history, seq_high, seq_low, mark, own_high, own_low = fields
    if not outcome:
        return Refusal.UNREADABLE
    return Applied(
        _OUTCOMES[outcome],
        _STATES[was],
        _STATES[state],
        high << 32 | low,
        Position(partition, history, seq_high << 32 | seq_low, mark),
        applied_at_ms,
        own_high << 32 | own_low,
    )


def found(partition: int, reply: list[Any]) -> Found:
    """A record, and whether it may be believed, of `lookup`."""
    position, covered, rewound, reached, now_ms, record = reply
    if record == b"":
        record = _NO_RECORD
    return Found(
        record or b"",
        from_wire(partition, position),
        covered,
        rewound == b"1",
        bool(reached),
        now_ms,
    )


def tail(partition: int, reply: list[Any]) -> Tail:
    """A partition and the log behind a position, of `tail`."""
    position, covered, rewound, ack, image, now_ms, status, roster, lost, *entries = reply
    here = from_wire(partition, position)
    return Tail(
        here,
        covered,
        rewound == b"1",
        from_wire(partition, ack) if ack else None,
        header(partition, image),
        now_ms,
        status == 0,
        entries,
        roster,
        from_wire(partition, lost) if lost else None,
    )


def _log_entry(partition: int, history: int, data: bytes) -> LogEntry:
    return parse_log_entry(_position(partition, history, data), data[10:])


def _position(partition: int, history: int, data: bytes) -> Position:
    return Position(partition, history, int.from_bytes(data[:6]), data[6:10])


def image(partition: int, data: bytes | None) -> Image | None:
    """A partition's filter with its header, of `GET`."""
    known = header(partition, data or b"")
    return Image(known, data[HEADER_BYTES:]) if known and data else None


def events(partition: int, data: bytes) -> list[LogEntry]:
    """What happened to a person, oldest first; the positions are empty."""
    nowhere = Position(partition, 0, 0, bytes(MARK_BYTES))
    events, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 2])
        events.append(parse_log_entry(nowhere, data[at + 2 : at + 2 + size]))
        at += 2 + size
    return events


class Rewritten(NamedTuple):
    """A person whose record changes: where it is, before and after; `b""` is no record."""

    place: bytes
    before: bytes
    after: bytes


def rewritten(joined: bytes) -> Iterator[Rewritten]:
    """Each of them, of the reply's bytes."""
    at = 0
    while at < len(joined):
        place, before, after = _CHANGED.unpack_from(joined, at)
        middle = at + _CHANGED.size + before
        yield Rewritten(place, joined[middle - before : middle], joined[middle : middle + after])
        at = middle + after
