"""The roster as a plain dict, written from words alone (docs/architecture.md, The merge law)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import NamedTuple

SX, XGL, LIFT, BIND = 1, 2, 200, 201
TOMBSTONE_MS = 6


class Name(NamedTuple):
    """An entry: which document, which list, which id."""

    token: bytes
    list: int
    entry_id: str


@dataclass(frozen=True)
class Known:
    """What is known of an entry; 0 is never."""

    put: int = 0
    remove: int = 0
    suspend: int = 0
    resume: int = 0
    absent: int = 0
    content: bytes = b""

    @property
    def state(self) -> str:
        if self.remove and self.remove >= self.put:
            return "removed"
        if self.put == 0:
            return "unknown"
        if self.absent >= self.put:
            return "absent"
        if self.suspend > self.remove and self.suspend >= self.resume:
            return "suspended"
        return "active"

    @property
    def live(self) -> bool:
        return self.state in ("active", "suspended")

    @property
    def newest(self) -> int:
        return max(self.put, self.remove, self.suspend, self.resume, self.absent)


@dataclass(frozen=True)
class FileRow:
    """A row: its state (empty: not given), and its revision or None."""

    state: str
    revision: int | None
    content: bytes


@dataclass
class Model:
    """Everything that is known, and how far back whole files speak."""

    known: dict[Name, Known] = field(default_factory=dict)
    floors: dict[int, int] = field(default_factory=dict)

    def get(self, name: Name) -> Known:
        return self.known.get(name, Known())

    def edit(self, name: Name, op: str, revision: int, content: bytes) -> None:
        old = self.get(name)
        if op == "put":
            self.known[name] = listed(old, revision, content, self.floors.get(name.list, 0))
        elif revision > getattr(old, op):
            self.known[name] = replace(
                old,
                **{op: revision},
                content=old.content or content,
            )

    def refuses(self, lists: set[int], as_of: int) -> bool:
        return any(self.floors.get(code, 0) > as_of for code in lists)

    def file(self, lists: set[int], as_of: int, rows: dict[Name, FileRow]) -> None:
        """A whole file of these lists, or with no lists a partial one."""
        for name, row in rows.items():
            floor = 0 if name.list in lists else self.floors.get(name.list, 0)
            after = with_row(self.get(name), row, as_of, floor)
            if name.list in lists and row.state != "removed" and after.absent <= as_of:
                after = replace(after, absent=0)
            self.known[name] = after
        for name in [name for name in self.known if name.list in lists and name not in rows]:
            self._lack(name, as_of)
        self.floors |= dict.fromkeys(lists, as_of)

    def _lack(self, name: Name, as_of: int) -> None:
        old = self.known[name]
        dated = old.put or old.newest
        if dated <= as_of and not (old.absent and old.absent >= old.put):
            old = self.known[name] = replace(old, absent=as_of)
        if old.absent and not old.live and as_of - old.newest >= TOMBSTONE_MS:
            del self.known[name]

    def blocked(self, token: bytes, twin: bytes) -> bool:
        """Whether whoever holds this document may not fly."""
        sides = [self.get(Name(each, BIND, "b")).state for each in (token, twin)]
        documents = {token, twin} if sides == ["active", "active"] else {token}
        active = [
            name.list
            for name, known in self.known.items()
            if name.token in documents and known.state == "active"
        ]
        return any(code in (SX, XGL) for code in active) and LIFT not in active

    def digest(self, partition: int, code: int) -> bytes:
        """The XOR of the words of everything that is live there on that list."""
        total = 0
        for name, known in self.known.items():
            if name.token[1] == partition and name.list == code and known.live:
                total ^= int.from_bytes(word(name, known.content))
        return total.to_bytes(8)


def word(name: Name, content: bytes) -> bytes:
    """An entry's digest word."""
    return hashlib.sha256(name.token + bytes((name.list,)) + content).digest()[:8]


def listed(old: Known, at: int, content: bytes, floor: int) -> Known:
    """After a listing: the newer counts, and of two at once the greater content."""
    if (at, content) <= (old.put, old.content) and old.put:
        return old
    late = at > old.put and old.absent >= old.put and at <= floor
    absent = max(old.absent, floor) if late else old.absent
    return replace(old, put=at, content=content, absent=absent)


def with_row(old: Known, row: FileRow, as_of: int, floor: int) -> Known:
    """After a row; one without a revision changes nothing of what it finds removed."""
    if row.revision is not None:
        return _dated(old, row, row.revision, floor)
    if old.state == "removed":
        return old
    if row.state == "removed":
        content = old.content or row.content
        return replace(old, remove=max(old.remove, as_of), content=content)
    after = old
    if not old.put or old.content != row.content:
        after = listed(old, as_of, row.content, floor)
    if row.state == "suspended" and old.state != "suspended":
        after = replace(after, suspend=max(after.suspend, as_of))
    return after


def _dated(old: Known, row: FileRow, at: int, floor: int) -> Known:
    if row.state == "removed":
        return replace(old, remove=max(old.remove, at), content=old.content or row.content)
    after = listed(old, at, row.content, floor)
    if row.state == "suspended":
        return replace(after, suspend=max(after.suspend, at))
    if row.state == "active":
        return replace(after, resume=max(after.resume, at))
    return after
