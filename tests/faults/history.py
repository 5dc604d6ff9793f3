"""What clients did and were told, with times: the checker's only evidence.

Times are monotonic nanoseconds of this machine. People are numbers: documents 2k and 2k + 1
are the two that person k may have, so a document's person is half its number.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

MS = 1_000_000
OFFSET_NS = time.time_ns() - time.monotonic_ns()
"""How far the clock on the wall is ahead; nobody sets it while a test runs."""

Name = tuple[int, str, str]
"""An entry: document, list, entry id. A binding is of its person's even document."""

BIND = "bind"
LIFT = "lift"
LISTS = ("sx", "xgl")
"""The lists that are loaded from files, all of which are required."""


class Changed(msgspec.Struct, frozen=True, tag=True):
    """One change, all of its retries together; `ended` is None where it was never acknowledged.

    `everywhere` says that it was acknowledged with `wait: all` and nothing in `missing`;
    `state` is what the acknowledgement gave as the entry's current state.
    """

    op: Literal["put", "remove", "suspend", "resume"]
    name: Name
    revision: int
    began: int
    ended: int | None = None
    everywhere: bool = False
    state: str = ""


class Loaded(msgspec.Struct, frozen=True, tag=True):
    """A whole file, its rows with their revisions.

    `ended` is None where the load did not say that it was done. `document` is for the
    checker: the part of a file that is about one document takes effect by itself.
    """

    lists: tuple[str, ...]
    rows: tuple[tuple[Name, int], ...]
    as_of: int
    began: int
    ended: int | None = None
    document: int = -1


class Lost(msgspec.Struct, frozen=True, tag=True):
    """The server lost everything, or what came after the last `Copied`.

    Failed over: it may have lost what was not acknowledged.
    """

    how: Literal["flushed", "rewound", "failed over"]
    began: int
    ended: int


class Copied(msgspec.Struct, frozen=True, tag=True):
    """The server's data was copied while it stood still."""

    began: int
    ended: int


class Accepted(msgspec.Struct, frozen=True, tag=True):
    """`clearway accept`: what the copy and later changes make is the roster."""

    began: int
    ended: int


class Answered(msgspec.Struct, frozen=True, tag=True):
    """One check and its answer.

    `looked_up` where the answer must come from a look-up: a denial, an answer with a
    subject or one that was asked with `at_least`. `name` and `state` are for `find`: an entry's
    name and its state. `never` says why nobody could be denied who asked so: the journey is
    one that no list forbids, or the traveller's name is another's.
    """

    document: int
    process: str
    began: int
    ended: int
    decision: Literal["allow", "deny", "refer", "find"]
    looked_up: bool = False
    stale: bool = False
    fresh_as_of_ms: int = 0
    code: str = ""
    name: Name | None = None
    state: str = ""
    never: str = ""


Event: TypeAlias = Changed | Loaded | Lost | Copied | Accepted | Answered


class History:
    """What happened, in no order; `written` keeps it for whoever has to explain a violation."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def add(self, event: Event) -> None:
        self.events.append(event)

    def written(self, path: Path) -> None:
        """One JSON line an event."""
        encoder = msgspec.json.Encoder()
        path.write_bytes(b"\n".join(map(encoder.encode, self.events)))


def read(path: Path) -> list[Event]:
    """The events that `written` wrote."""
    decoder = msgspec.json.Decoder(Event)
    return [decoder.decode(line) for line in path.read_bytes().splitlines()]


def wall_ms(at: int) -> int:
    """A monotonic time as milliseconds since 1970, rounded up."""
    return -(-(at + OFFSET_NS) // MS)
