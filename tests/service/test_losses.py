"""What is remembered of a rewound log, and what the merge law makes of it."""

from __future__ import annotations

from roster.documents.tokeniser import Tokeniser
from roster.records.content import pack_content
from roster.records.entry import CANARY, Content, Entry, Op, Registers, State
from roster.records.position import Position
from roster.records.replies import LogEntry
from service.commands.losses import after
from tests.service.parts import KEY

HASH = Tokeniser(KEY).entry_hash
SX = 1


def stored(**registers: int) -> Entry:
    return Entry(
        list=SX,
        entry_hash=HASH(SX, "e"),
        registers=Registers(**registers),
        content=Content("e", case="kept"),
    )


def lost(op: Op, revision: int, case: str = "lost", code: int = SX) -> LogEntry:
    place = Position(0, 1, 1, bytes(4))
    content = pack_content(Content("e", case=case), {})
    return LogEntry(
        place, op, code, State.ACTIVE, State.REMOVED, bytes(14), revision, 1, content, b""
    )


def states(entries: list[Entry]) -> list[tuple[str, str]]:
    return [(entry.state.name.lower(), entry.content.case) for entry in entries]


def test_a_lost_removal_frees_and_a_newer_listing_binds_again() -> None:
    assert states(after([stored(listed_at=5)], [lost(Op.REMOVE, 6)], HASH)) == [("removed", "kept")]
    assert states(after([stored(listed_at=7)], [lost(Op.REMOVE, 6)], HASH)) == [("active", "kept")]
    assert states(after([stored(listed_at=6)], [lost(Op.REMOVE, 6)], HASH)) == [("removed", "kept")]


def test_a_lost_listing_binds_and_brings_its_content() -> None:
    assert states(after([], [lost(Op.PUT, 6)], HASH)) == [("active", "lost")]
    assert states(after([stored(listed_at=5)], [lost(Op.PUT, 6)], HASH)) == [("active", "lost")]
    assert states(after([stored(listed_at=7)], [lost(Op.PUT, 6)], HASH)) == [("active", "kept")]
    sent_again = after([stored(listed_at=5, removed_at=9)], [lost(Op.PUT, 6)], HASH)
    assert states(sent_again) == [("removed", "lost")]


def test_lost_suspensions_resumptions_and_files_count_in_any_order() -> None:
    several = [lost(Op.SUSPEND, 6), lost(Op.RESUME, 7), lost(Op.ABSENT, 4)]
    for changes in (several, several[::-1]):
        assert states(after([stored(listed_at=5)], changes, HASH)) == [("active", "kept")]
    assert states(after([stored(listed_at=5)], several[:1], HASH)) == [("suspended", "kept")]
    assert states(after([stored(listed_at=4)], several[2:], HASH)) == [("absent", "kept")]


def test_what_is_of_nobodys_entry_changes_nothing() -> None:
    silent = lost(Op.REMOVE, 9, code=CANARY)._replace(content=b"")
    reset = lost(Op.RESET, 9)._replace(content=b"")
    assert after([stored(listed_at=5)], [silent, reset], HASH) == [stored(listed_at=5)]
