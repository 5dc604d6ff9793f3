"""What undoing a load puts back, and what it leaves alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roster import keys
from roster.entry import Registers
from roster.record import unpack_content
from roster.undoing import Noted, noted
from tests.loader.loads import row, token

if TYPE_CHECKING:
    from loader.session import Session
    from tests.loader.loads import Roster


def notes(roster: Roster) -> list[Noted]:
    """What every load has noted."""
    with roster.opened() as session:
        (names,) = session.run(session.store.nodes.on_partitions([(0, ("KEYS", "*:h:*"))]))
        hashes = [
            session.run(session.store.nodes.on_partitions([(0, ("HKEYS", n))])) for n in names
        ]
        nonces = {f[5:].decode() for (found,) in hashes for f in found if f[:5] == b"undo:"}
        return [
            each
            for nonce in sorted(nonces)
            for partition in range(keys.PARTITIONS)
            for each in session.run(noted(session.store, partition, nonce))
        ]


async def known_courts(session: Session) -> dict[bytes, str]:
    await session.dictionary.refresh()
    return session.dictionary.courts


def states(note: Noted) -> tuple[str, str]:
    before, left = Registers(*note.before.registers), Registers(*note.left.registers)
    return before.state.name, left.state.name


def test_a_load_notes_how_each_entry_was_that_it_changes(roster: Roster) -> None:
    roster.load([row(n, n) for n in range(1, 6)])
    assert notes(roster) == []
    roster.load(
        [row(1, 1), row(2, 2, 1_550_000_000_000, court="上海市徐汇区人民法院"),
         row(3, 3, 1_550_000_000_000, state="removed"), row(4, 4, state="suspended"), row(6, 6)],
        day=2,
    )  # fmt: skip
    found = {note.token: note for note in notes(roster)}
    assert {each: states(note) for each, note in found.items()} == {
        token(2): ("ACTIVE", "ACTIVE"),
        token(3): ("ACTIVE", "REMOVED"),
        token(4): ("ACTIVE", "SUSPENDED"),
        token(5): ("ACTIVE", "ABSENT"),
        token(6): ("UNKNOWN", "ACTIVE"),
    }
    assert found[token(2)].before.registers == (1_500_000_000_000, 0, 0, 0, 0)
    with roster.opened() as session:
        courts = session.run(known_courts(session))
    assert unpack_content(found[token(2)].before.content, courts).court == "北京市朝阳区人民法院"
