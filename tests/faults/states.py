"""The states in which the roster may be, as far as a client can hold it to one."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from tests.faults.history import BIND, LISTS, Accepted, Answered, Changed, Copied, Loaded, Lost
from tests.faults.worlds import World

Step: TypeAlias = Changed | Loaded | Lost | Copied | Accepted
NOTHING = World()


class State(NamedTuple):
    """One possibility: what clients may hold the roster to, and how it came about.

    `taken` are steps under way that have taken effect, `right` look-ups under way that have
    been right. `safe` is the world without what was not acknowledged. `kept` is what the
    server really has after a loss, `how` which and `lost_ms` when; `mended` are the documents
    and lists of which a file has spoken since that was not cut before it. `copy` is what was
    copied.
    """

    world: World
    safe: World = NOTHING
    taken: frozenset[int] = frozenset()
    right: frozenset[int] = frozenset()
    how: str = ""
    kept: World = NOTHING
    lost_ms: int = 0
    mended: frozenset[tuple[int, str]] = frozenset()
    copy: World = NOTHING

    @property
    def stored(self) -> World:
        return self.kept if self.how else self.world

    def is_whole_again(self, document: int) -> bool:
        """Whether files have spoken of every list since the loss, about whoever has this."""
        every = {(each, of) for each in self.kept.documents(document) for of in LISTS}
        return every <= self.mended


def whole(state: State, world: World) -> State:
    """The state in which nothing is lost any more."""
    return state._replace(world=world, safe=world, how="", kept=NOTHING, mended=frozenset())


def loaded(state: State, load: Loaded) -> State:
    """The state after what a file says of one document."""
    if not state.how:
        return whole(state, state.world.loaded(load))
    mends = state.how == "flushed" or load.as_of >= state.lost_ms
    mended = state.mended | {(load.document, of) for of in load.lists if mends}
    # Where nothing of the partition was lost, the file counts as ever.
    world = state.world if state.how == "flushed" else state.world.loaded(load)
    state = state._replace(world=world, kept=state.kept.loaded(load), mended=mended)
    return whole(state, state.kept) if len(mended) == 2 * len(LISTS) else state


def explains(state: State, number: int, asked: Answered | Changed) -> bool:
    """Whether what was answered is right in this state."""
    if isinstance(asked, Changed):
        return number in state.taken and _shown(state, asked) == asked.state
    if asked.decision == "find":
        assert asked.name is not None
        return state.stored.edits(asked.name).state == asked.state
    if state.how and state.is_whole_again(asked.document):
        return state.kept.blocked(asked.document) == (asked.decision == "deny")
    if state.how == "flushed":
        return False
    return state.world.blocked(asked.document) == (asked.decision == "deny")


def _shown(state: State, change: Changed) -> str:
    found = state.stored.edits(change.name).state
    return "removed" if change.name[1] == BIND and found != "active" else found
