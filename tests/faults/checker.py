"""Decides whether any order of the changes explains every answer (G1 to G6).

Per person, all states in which the roster can be are followed through time. A change takes
effect at one instant between its sending and its acknowledgement, or at any time at all, or
never, where it was not acknowledged. An answer that rests on a look-up has to be right in
one of these states, at an instant between question and answer; a state in which it never
was right is no longer possible. An `allow` of the filter has to be right at some instant
since the newest addition that it had to know.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from functools import reduce
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tests.faults.history import (
    LIFT,
    MS,
    Accepted,
    Answered,
    Changed,
    Copied,
    Event,
    Loaded,
    Lost,
    wall_ms,
)
from tests.faults.states import NOTHING, State, Step, explains, loaded, whole
from tests.faults.worlds import World

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Violation(NamedTuple):
    """An answer that no order explains, and the states that were possible then."""

    person: int
    answer: Answered
    states: str


def violations(events: Iterable[Event], fresh_ms: int) -> list[Violation]:
    """Every answer that no order of changes explains; the list of a correct run is empty."""
    return [
        violation
        for person, mine in sorted(_by_person(events).items())
        for violation in _Person(person, mine, fresh_ms).check()
    ]


def _by_person(events: Iterable[Event]) -> dict[int, list[Event]]:
    people: defaultdict[int, list[Event]] = defaultdict(list)
    everybody: list[Event] = []
    for event in events:
        if isinstance(event, Answered):
            people[event.document // 2].append(event)
        elif isinstance(event, Changed):
            people[event.name[0] // 2].append(event)
        else:
            everybody.append(event)
    return {
        person: mine + [part for event in everybody for part in _parts(event, person)]
        for person, mine in people.items()
    }


def _parts(event: Event, person: int) -> list[Event]:
    """What a file says of each document of one person; anything else as it is."""
    if not isinstance(event, Loaded):
        return [event]
    return [
        msgspec.structs.replace(
            event,
            rows=tuple((name, at) for name, at in event.rows if name[0] == document),
            document=document,
        )
        for document in (2 * person, 2 * person + 1)
    ]


class _Person:
    """The sweep over one person's events."""

    def __init__(self, person: int, events: list[Event], fresh_ms: int) -> None:
        self.person = person
        self.fresh_ns = fresh_ms * MS
        self.events = events
        self.open: dict[int, Step] = {}
        self.asked: dict[int, Answered | Changed] = {}
        self.states: set[State] = {State(NOTHING)}
        self.free_since: dict[int, int | None] = {}
        self.free: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)

    def check(self) -> Iterator[Violation]:
        for at, _, number, starts in self._timeline():
            event = self.events[number]
            if starts:
                self._begin(number, event)
            elif isinstance(event, Answered):
                if event.never or not self._answered(number):
                    yield Violation(self.person, event, event.never or self._told())
                    self.asked.pop(number, None)
            elif not self._done(number, event):
                yield Violation(self.person, _as_answer(event), self._told())
                return
            self._note(at)
        yield from self._unexplained_clears()

    def _timeline(self) -> list[tuple[int, int, int, bool]]:
        """Begins and ends in order: at one instant, begins come first."""
        points = []
        for number, event in enumerate(self.events):
            if isinstance(event, Answered) and not _looked_up(event):
                continue
            points.append((event.began, 0, number, True))
            if event.ended is not None:
                points.append((event.ended, 1, number, False))
        return sorted(points)

    def _begin(self, number: int, event: Event) -> None:
        if isinstance(event, Answered):
            self.asked[number] = event
        else:
            self.open[number] = event
        if isinstance(event, Changed) and event.state:
            self.asked[number] = event
        self._spread()

    def _spread(self) -> None:
        """Let open steps take effect, in every order."""
        pending = {self._seen(state) for state in self.states}
        known: set[State] = set()
        while pending:
            state = pending.pop()
            steps = [item for item in self.open.items() if item[0] not in state.taken]
            after = [
                (self._seen(s), s, step) for n, step in steps for s in self._taken(state, n, step)
            ]
            idle = [
                seen
                for seen, s, step in after
                if not isinstance(step, (Lost, Copied)) and s._replace(taken=state.taken) == state
            ]
            # What changes nothing may as well have happened; a copy may have more later.
            pending |= {idle[0]} if idle else {seen for seen, _, _ in after} - known
            known |= set() if idle else {state}
        self.states = known
        self._settle()

    def _settle(self) -> None:
        """Forget unacknowledged steps that have taken effect wherever it matters."""
        settled = frozenset(
            number
            for number, step in self.open.items()
            if isinstance(step, Changed)
            and step.ended is None
            and all(number in state.taken for state in self.states)
        )
        for number in settled:
            del self.open[number]
        if settled:
            self.states = {s._replace(taken=s.taken - settled) for s in self.states}

    def _taken(self, state: State, number: int, step: Step) -> Iterator[State]:
        """What a step can make of a state."""
        taken = state.taken | {number}
        if isinstance(step, Changed):
            world, kept = state.world.changed(step), state.kept.changed(step)
            yield state._replace(taken=taken, world=world, kept=kept if state.how else NOTHING)
        elif isinstance(step, Loaded):
            yield loaded(state, step)._replace(taken=taken)
        elif isinstance(step, Copied):
            yield state._replace(taken=taken, copy=state.stored)
        elif isinstance(step, Accepted):
            world = state.stored
            yield whole(state._replace(taken=taken), world)
        else:
            yield from self._lost(state._replace(taken=taken), step)

    def _lost(self, state: State, loss: Lost) -> Iterator[State]:
        """What is left; any part of what was not acknowledged may be gone, and come again."""
        unsafe = [(n, step) for n, step in self.open.items() if n in state.taken]
        changes = [(n, step) for n, step in unsafe if isinstance(step, Changed)]
        if loss.how != "failed over":
            kept = NOTHING if loss.how == "flushed" else state.copy
            lost_ms = wall_ms(loss.began)
            state = state._replace(how=loss.how, kept=kept, lost_ms=lost_ms, mended=frozenset())
        for size in range(len(changes) + 1):
            for left in combinations(changes, size):
                world = reduce(World.changed, (step for _, step in left), state.safe)
                gone = {n for n, _ in changes} - {n for n, _ in left}
                yield state._replace(taken=state.taken - gone, world=world) if gone else state

    def _seen(self, state: State) -> State:
        """The state, with the look-ups that are right in it."""
        right = {number for number, asked in self.asked.items() if explains(state, number, asked)}
        return state if right <= state.right else state._replace(right=state.right | right)

    def _answered(self, number: int) -> bool:
        """Whether some possible state explains the look-up; the others are no longer possible."""
        left = {state for state in self.states if number in state.right}
        if left:
            self.states = {s._replace(right=s.right - {number}) for s in left}
            del self.asked[number]
        return bool(left)

    def _done(self, number: int, event: Event) -> bool:
        """Whether some possible state has the step; nothing else is possible from now on."""
        told = number in self.asked
        left = {s for s in self.states if number in s.taken and (not told or number in s.right)}
        self.open.pop(number)
        self.asked.pop(number, None)
        gone = {number}
        self.states = {
            s._replace(
                taken=s.taken - gone,
                right=s.right - gone,
                safe=s.safe.changed(event) if isinstance(event, Changed) else s.safe,
            )
            for s in left
        }
        return bool(left)

    def _note(self, at: int) -> None:
        """Keep in mind since when, and until when, somebody may have been free to fly."""
        for document in (2 * self.person, 2 * self.person + 1):
            free = any(not state.world.blocked(document) for state in self.states)
            since = self.free_since.get(document, 0)
            if free and since is None:
                self.free_since[document] = at
            elif not free and since is not None:
                self.free[document].append((since, at))
                self.free_since[document] = None

    def _unexplained_clears(self) -> Iterator[Violation]:
        for document in (2 * self.person, 2 * self.person + 1):
            since = self.free_since.get(document, 0)
            if since is not None:
                self.free[document].append((since, 1 << 63))
        additions = self._additions()
        for event in self.events:
            if isinstance(event, Answered) and event.decision == "allow" and not event.looked_up:
                least = self._must_know(event, additions)
                spans = self.free[event.document]
                last = bisect_right(spans, (event.ended, 1 << 64)) - 1
                if last < 0 or spans[last][1] <= least:
                    yield Violation(self.person, event, f"blocked since {least}")

    def _additions(self) -> list[tuple[int, int]]:
        """When each addition was acknowledged, and whose document every process knew then.

        The other document of the person is in another partition, of which that says
        nothing; -1 where nothing is said of any.
        """
        return sorted(
            (
                event.ended,
                event.name[0] if isinstance(event, Changed) and event.everywhere else -1,
            )
            for event in self.events
            if isinstance(event, (Changed, Loaded, Accepted))
            and event.ended is not None
            and _adds(event)
        )

    def _must_know(self, answer: Answered, additions: list[tuple[int, int]]) -> int:
        """When the newest addition that this answer had to know was acknowledged."""
        for ended, known in reversed(additions[: bisect_left(additions, (answer.began, -1))]):
            everywhere = known == answer.document
            if wall_ms(ended) < answer.fresh_as_of_ms:
                return ended
            if not answer.stale and (everywhere or ended + self.fresh_ns < answer.began):
                return ended
        return 0

    def _told(self) -> str:
        shown = [(s.how, [(n, e.state) for n, e in s.stored.entries]) for s in self.states]
        return f"{len(shown)} possible: {shown[:2]}"


def _looked_up(answer: Answered) -> bool:
    return answer.decision in ("deny", "find") or (answer.decision == "allow" and answer.looked_up)


def _adds(event: Changed | Loaded | Accepted) -> bool:
    if not isinstance(event, Changed):
        return True
    if event.name[1] == LIFT:
        return event.op in ("remove", "suspend")
    return event.op in ("put", "resume")


def _as_answer(event: Event) -> Answered:
    """A step whose own acknowledgement nothing explains, as an answer to be shown."""
    assert event.ended is not None
    if isinstance(event, Changed):
        document, name, state = event.name[0], event.name, event.state
    else:
        document, name, state = 0, None, type(event).__name__
    return Answered(
        document, "", event.began, event.ended, "find", looked_up=True, name=name, state=state
    )
