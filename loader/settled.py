"""Which people of a partition Redis holds so that the merge of the file changes nothing.

roster.lua judges one person after the other; this judges all of them at once, and leaves to
roster.lua whoever is not plainly settled. Every condition is `merge_row`'s, `lack`'s or
`expired`'s there. Contents are compared by size and keyed digest, provenances not at all.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from loader.buckets import Parts
from loader.entry_columns import Held, Words, entries_held, entries_told
from loader.packing import PLACE_BYTES
from loader.pieces import Bools, Numbers, Octets
from roster.merging import Fate, Snapshot

_MIX = np.uint64(0x9E3779B97F4A7C15)


class Settled(NamedTuple):
    """Whom a merge may change, and what it makes of all others' entries.

    `changing` marks the file's people; `lacking` are places of people whom it has nothing of.
    `exceptions` are fields, and whether their people are on a list: the file says otherwise.
    """

    changing: Bools
    lacking: Octets
    fates: dict[int, Fate]
    exceptions: dict[bytes, bool]


def places_of(parts: Parts) -> Octets:
    """The file's people's places, in shape (n, 14)."""
    return parts.fixed[parts.first, :PLACE_BYTES]


def match(wanted: Octets, known: Octets) -> Numbers:
    """Where each wanted place is among those known, or -1; both in shape (n, 14)."""
    keys, asked = _words(known, 0), _words(wanted, 0)
    order = np.argsort(keys)
    keys = keys[order]
    spots = np.searchsorted(keys, asked)
    found = np.append(keys, np.uint64(0))[spots] == asked
    found &= spots < len(keys)
    at = np.where(found, np.append(order, -1)[spots], -1)
    hits = np.flatnonzero(found)
    alike = _words(known, 6)[at[hits]] == _words(wanted, 6)[hits]
    if alike.all() and not (keys[1:] == keys[:-1]).any():
        return at
    where = {place.tobytes(): index for index, place in enumerate(known)}
    return np.array([where.get(place.tobytes(), -1) for place in wanted], np.int64)


def settle(parts: Parts, held: Held, snapshot: Snapshot) -> Settled:
    """The file's people beside the people of the same buckets that Redis holds."""
    return _Beside(parts, held, snapshot).settled()


class _Beside:
    """The entries of both sides, and which belong together."""

    def __init__(self, parts: Parts, held: Held, snapshot: Snapshot) -> None:
        self._told, self._held = entries_told(parts), entries_held(held)
        self._places, self._held_places = places_of(parts), held.places
        self._match = match(self._places, held.places)
        self._snapshot = snapshot
        self._full = np.zeros(256, np.bool_)
        self._full[list(snapshot.lists)] = True
        self._pairs = self._paired()

    def settled(self) -> Settled:
        changing, superseded = self._rows()
        unsettled, live = self._others(), self._live()
        known = self._match >= 0
        changing[known] |= unsettled[self._match[known]]
        alone = np.ones(len(unsettled), np.bool_)
        alone[self._match[known]] = False
        alone &= bool(self._snapshot.lists)
        return Settled(
            changing,
            self._held_places[alone & unsettled],
            self._fates(changing, superseded),
            self._exceptions(changing, alone & ~unsettled, live),
        )

    def _paired(self) -> Numbers:
        """The held entry of each row, or -1: mostly it has the same place in its record."""
        told, held = self._told, self._held
        counts = np.bincount(held.people, minlength=len(self._held_places))
        theirs = self._match[told.people]
        likely = np.flatnonzero((theirs >= 0) & (told.ordinals < np.append(counts, 0)[theirs]))
        guess = (np.cumsum(counts) - counts)[theirs[likely]] + told.ordinals[likely]
        hit = held.names[guess] == told.names[likely]
        pairs = np.full(len(theirs), -1, np.int64)
        pairs[likely[hit]] = guess[hit]
        self._search(pairs, np.flatnonzero((theirs >= 0) & (pairs < 0)), theirs)
        return pairs

    def _search(self, pairs: Numbers, lost: Numbers, theirs: Numbers) -> None:
        """Nothing; rows whose entries are elsewhere in their records have them in `pairs`.

        A collision of two mixed keys leaves a row without its entry: roster.lua judges then.
        """
        told, held = self._told, self._held
        looked = np.zeros(len(self._held_places), np.bool_)
        looked[theirs[lost]] = True
        among = np.flatnonzero(looked[held.people])
        keys = _mixed(held.names[among], held.people[among])
        order = np.argsort(keys)
        spots = np.searchsorted(keys[order], _mixed(told.names[lost], theirs[lost]))
        inside = np.flatnonzero(spots < len(keys))
        found, rows = among[order[spots[inside]]], lost[inside]
        right = (held.names[found] == told.names[rows]) & (held.people[found] == theirs[rows])
        pairs[rows[right]] = found[right]

    def _rows(self) -> tuple[Bools, Bools]:
        """Which people have rows that may change something; which rows are superseded."""
        told = self._told
        changing, superseded = np.zeros(len(self._match), np.bool_), self._pairs < 0
        changing[self._match < 0] = True
        changing[told.people[superseded]] = True
        superseded[:] = False
        rows = np.flatnonzero(self._pairs >= 0)
        stays, superseded[rows] = self._judged(rows)
        changing[told.people[rows[~stays]]] = True
        return changing, superseded

    def _judged(self, rows: Numbers) -> tuple[Bools, Bools]:
        """Which of these rows change nothing, and which are superseded then: `merge_row`."""
        told, held, as_of = self._told, self._held, self._snapshot.as_of
        entries = self._pairs[rows]
        listed, removed, suspended, resumed, absent = held.registers[:, entries]
        lists, removes, suspends, resumes, _ = told.registers[:, rows]
        same = held.digests[entries] == told.digests[rows]
        same &= held.sizes[entries] == told.sizes[rows]
        is_removed = (removed > 0) & (removed >= listed)
        superseded = is_removed & (removes == 0)
        stated = (removed >= removes) & (suspended >= suspends) & (resumed >= resumes)
        stated &= ((lists == listed) & (same | (lists == 0))) | (
            (lists < listed) & (same | superseded)
        )
        is_suspended = (absent < listed) & (suspended > removed) & (suspended >= resumed)
        ends_well = (suspends == 0) | is_suspended | (as_of <= suspended)
        unstated = is_removed | ((removes == 0) & (listed > 0) & same & ends_well)
        clears = self._full[told.lists[rows]] & (absent > 0) & (absent <= as_of) & (lists > 0)
        stays = np.where(told.without_revision[rows], unstated, stated) & ~clears
        return stays, superseded

    def _live(self) -> Bools:
        """Which held entries are active or suspended."""
        listed, removed, _, _, absent = self._held.registers
        live: Bools = (listed > 0) & (removed < listed) & (absent < listed)
        return live

    def _others(self) -> Bools:
        """Which held people have entries that the file lacks, and that it may change: `lack`."""
        held, as_of = self._held, self._snapshot.as_of
        alone = self._full[held.lists]
        alone[self._pairs[self._pairs >= 0]] = False
        mine = np.flatnonzero(alone)
        listed, removed, suspended, resumed, absent = held.registers[:, mine]
        edited = np.maximum(np.maximum(removed, suspended), resumed)
        stays = (listed > as_of) | ((listed == 0) & (edited > as_of))
        stays |= (absent > 0) & (absent >= listed)
        old = as_of - np.maximum(edited, absent) >= self._snapshot.tombstone_ms
        stays &= ~(old & (absent > 0) & ~self._live()[mine])
        unsettled = np.zeros(len(self._held_places), np.bool_)
        unsettled[held.people[mine[~stays]]] = True
        return unsettled

    def _fates(self, changing: Bools, superseded: Bools) -> dict[int, Fate]:
        """What became of the settled people's entries, by list."""
        settled = ~changing[self._told.people]
        lists = self._told.lists
        kept = np.bincount(lists[settled & ~superseded], minlength=256)
        refused = np.bincount(lists[settled & superseded], minlength=256)
        return {
            code: Fate(unchanged=int(kept[code]), superseded=int(refused[code]))
            for code in np.flatnonzero(kept + refused).tolist()
        }

    def _exceptions(self, changing: Bools, alone: Bools, live: Bools) -> dict[bytes, bool]:
        """Who of the settled people is on a list, and who is not, other than the file says."""
        told = self._told
        on_list = np.zeros(len(self._held_places), np.bool_)
        on_list[self._held.people[live]] = True
        expected = np.zeros(len(changing), np.bool_)
        lists, removes = told.registers[:2]
        expected[told.people[(lists > 0) & (removes < lists)]] = True
        settled = np.flatnonzero(~changing)
        wrong = settled[on_list[self._match[settled]] != expected[settled]]
        fields = [place[2:].tobytes() for place in self._places[wrong]]
        others = [place[2:].tobytes() for place in self._held_places[alone & on_list]]
        told_wrong = zip(fields, (~expected[wrong]).tolist(), strict=True)
        return dict(told_wrong) | dict.fromkeys(others, True)


def _words(places: Octets, at: int) -> Words:
    """Eight bytes of each place as a number."""
    part = np.ascontiguousarray(places[:, at : at + 8])
    return part.view(">u8").reshape(-1).astype(np.uint64)


def _mixed(names: Words, people: Numbers) -> Words:
    """One number for a person's entry of that name, hardly another one's."""
    return (names * _MIX) ^ (people.astype(np.uint64) * _MIX >> np.uint64(5))
