"""What a load says where the roster stays rewound: which lists are still to be loaded, and why."""

from __future__ import annotations

from loader.runs.report import StillRewound, ToLoad
from loader.runs.session import Session
from roster.storage.rewinds import rewound
from roster.storage.snapshots import Snapshot
from roster.times import format_ms


def still_rewound(session: Session, snapshot: Snapshot) -> StillRewound | None:
    """The partitions that this load has left rewound; None where nothing is."""
    found = rewound(session.run(session.store.metas()))
    if found is None:
        return None
    lists = {
        session.lists.name(code): ToLoad(format_ms(at), _why(snapshot, code, at))
        for code, at in found.until.items()
    }
    return StillRewound(found.partitions, lists)


def _why(snapshot: Snapshot, code: int, lost_ms: int) -> str:
    if not snapshot.lists:
        return "a partial file does not speak for the list"
    if code not in snapshot.lists:
        return "this load was not of that list"
    if snapshot.as_of <= lost_ms:
        return f"this file is older, as of {format_ms(snapshot.as_of)}"
    return "this load began before the loss was found, or changed nothing yet"
