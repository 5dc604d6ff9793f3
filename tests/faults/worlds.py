"""One person's entries as the promises say they change: the checker's own merge law.

Written from its words (docs/architecture.md, The merge law), not from tests/roster/law.py.
"""

from __future__ import annotations

from typing import NamedTuple

from tests.faults.history import BIND, LIFT, Changed, Loaded, Name


class Edits(NamedTuple):
    """The newest edit of each kind of one entry; 0 is never."""

    put: int = 0
    remove: int = 0
    suspend: int = 0
    resume: int = 0
    lacked: int = 0

    @property
    def state(self) -> str:
        if self.remove and self.remove >= self.put:
            return "removed"
        if not self.put:
            return "unknown"
        if self.lacked >= self.put:
            return "absent"
        if self.suspend > self.remove and self.suspend >= self.resume:
            return "suspended"
        return "active"


NEVER = Edits()


class World(NamedTuple):
    """A person's entries, by name, and how far back files speak, by document and list."""

    entries: tuple[tuple[Name, Edits], ...] = ()
    floors: tuple[tuple[tuple[int, str], int], ...] = ()

    def edits(self, name: Name) -> Edits:
        return dict(self.entries).get(name, NEVER)

    def changed(self, change: Changed) -> World:
        """The world after a change."""
        entries = dict(self.entries)
        old = entries.get(change.name, NEVER)
        lacked = old.lacked
        if change.op == "put" and change.revision > old.put and old.lacked >= old.put:
            floor = dict(self.floors).get(change.name[:2], 0)
            lacked = max(lacked, floor) if change.revision <= floor else lacked
        new = old._replace(lacked=lacked)
        entries[change.name] = new._replace(
            **{change.op: max(getattr(new, change.op), change.revision)}
        )
        return World(tuple(sorted(entries.items())), self.floors)

    def loaded(self, load: Loaded) -> World:
        """The world after what a file says of one document; an older file says nothing."""
        entries, rows, floors = dict(self.entries), dict(load.rows), dict(self.floors)
        places = [(load.document, each) for each in load.lists]
        if any(floors.get(place, 0) > load.as_of for place in places):
            return self
        for name in entries.keys() | rows.keys():
            if name[:2] in places:
                entries[name] = _merged(entries.get(name, NEVER), rows.get(name), load.as_of)
        floors |= dict.fromkeys(places, load.as_of)
        return World(tuple(sorted(entries.items())), tuple(sorted(floors.items())))

    def documents(self, document: int) -> set[int]:
        """The documents of whoever holds this one, as far as they are bound."""
        bound = any(name[1] == BIND and edits.state == "active" for name, edits in self.entries)
        return {document, document ^ 1} if bound else {document}

    def blocked(self, document: int) -> bool:
        """Whether this document's holder may not fly."""
        documents = self.documents(document)
        active = [
            name
            for name, edits in self.entries
            if name[0] in documents and name[1] != BIND and edits.state == "active"
        ]
        return bool(active) and all(name[1] != LIFT for name in active)


def _merged(old: Edits, row: int | None, as_of: int) -> Edits:
    if row is None:
        lacks = 0 < old.put <= as_of and old.lacked < old.put
        return old._replace(lacked=as_of) if lacks else old
    lacked = 0 if old.lacked <= as_of else old.lacked
    return old._replace(put=max(old.put, row), lacked=lacked)
