"""The states in which the roster may be, as far as a client can hold it to one."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from tests.faults.history import BIND, Accepted, Answered, Changed, Copied, Loaded, Lost
from tests.faults.worlds import World

Step: TypeAlias = Changed | Loaded | Lost | Copied | Accepted
NOTHING = World()


class State(NamedTuple):
    """One possibility: what clients may hold the roster to, and how it came about.

    `taken` are steps under way that have taken effect, `right` look-ups under way that have
    been right. `safe` is the world without what was not acknowledged. `kept` is what the
    server really has after a loss, `how` which; `mended` are the documents that a file has
    spoken of since. `copy` is what was copied.
    """

    world: World
    safe: World = NOTHING
    taken: frozenset[int] = frozenset()
    right: frozenset[int] = frozenset()
    how: str = ""
    kept: World = NOTHING
    mended: frozenset[int] = frozenset()
    copy: World = NOTHING

    @property
    def stored(self) -> World:
        return self.kept if self.how else self.world


def whole(state: State, world: World) -> State:
    """The state in which nothing is lost any more."""
    return state._replace(world=world, safe=world, how="", kept=NOTHING, mended=frozenset())


def loaded(state: State, load: Loaded) -> State:
    """The state after what a file says of one document."""
    if not state.how:
        return whole(state, state.world.loaded(load))
    mended = state.mended | {load.document}
    kept = state.kept.loaded(load)
    return whole(state, kept) if len(mended) == 2 else state._replace(kept=kept, mended=mended)


def explains(state: State, number: int, asked: Answered | Changed) -> bool:
    """Whether what was answered is right in this state."""
    if isinstance(asked, Changed):
        return number in state.taken and _shown(state, asked) == asked.state
    if asked.decision == "find":
        assert asked.name is not None
        return state.stored.edits(asked.name).state == asked.state
    if state.how == "flushed":
        covered = state.kept.documents(asked.document) <= state.mended
        return covered and state.kept.blocked(asked.document) == (asked.decision == "deny")
    return state.world.blocked(asked.document) == (asked.decision == "deny")


def _shown(state: State, change: Changed) -> str:
    found = state.stored.edits(change.name).state
    return "removed" if change.name[1] == BIND and found != "active" else found
