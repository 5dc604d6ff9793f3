"""The entries of a synthetic list: whose, on which list, in which case, for which term."""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from loader.synthetic.fictions import DISTRICTS
from loader.synthetic.people import (
    CARD_SHARES,
    MANY_SHARES,
    USUAL_SHARES,
    Ints,
    SyntheticPeople,
    make_people,
)
from roster.times import DAY_MS

FileShape = Literal["party", "numeric", "uuid", "times", "decided", "quoted", "documents", "zxgk"]

LISTS = ("sx", "xgl", "ndrc-rail-conduct", "ndrc-rail", "ndrc-air")
_LIST_SHARES = (0.66, 0.31, 0.008, 0.012, 0.01)
COURTS_UP_TO = 2  # only these lists come from courts; the others number their decisions
STATES = ("", "suspended", "removed")
_STATE_SHARES = (0.99, 0.006, 0.004)
_PARTIES, _PARTY_SHARES = (1, 2, 3), (0.8, 0.15, 0.05)
FIRST_YEAR, _YEARS = 2013, 6
_FIRST_DAY = np.datetime64("2015-01-01")
_LAST_DAY = np.datetime64("2018-10-31")
_FAR_DAY, _FAR_DAYS = np.datetime64("2090-01-01"), 3_000
# Open end, ended after 180 days to 5 years, ends far ahead, begins far ahead.
_TERM_SHARES = (0.5, 0.3, 0.17, 0.03)
_OPEN, _ENDED, _RUNNING, _COMING = range(4)
_TAIL_SIGMA, _TAIL_MAX = 1.2, 60.0


_SHARES = {"documents": MANY_SHARES, "zxgk": CARD_SHARES}


class Recipe(msgspec.Struct, frozen=True):
    """What to make; `changes` are changes to entries of the list."""

    people: int
    entries: int
    seed: int = 1
    changes: int = 0
    shape: FileShape = "party"


class World(msgspec.Struct):
    """Everything about every entry, by its index; `who` is its person's."""

    people: SyntheticPeople
    who: Ints
    lists: NDArray[np.uint8]
    districts: NDArray[np.uint8]
    years: NDArray[np.uint8]
    serials: Ints
    parties: Ints
    states: NDArray[np.uint8]
    from_days: NDArray[np.datetime64]
    until_days: NDArray[np.datetime64]
    revisions: Ints


def make_world(recipe: Recipe, rng: np.random.Generator) -> World:
    """As many people and entries as the recipe says."""
    count = recipe.entries
    people = make_people(recipe.people, rng, _SHARES.get(recipe.shape, USUAL_SHARES))
    lists = rng.choice(len(LISTS), size=count, p=_LIST_SHARES).astype(np.uint8)
    who = _who(recipe, rng)
    districts, years, serials, parties = _cases(count, rng)
    from_days, until_days = _terms(years, rng)
    begun = np.minimum(from_days, _LAST_DAY).astype("M8[ms]").astype(np.int64)
    states = rng.choice(len(STATES), size=count, p=_STATE_SHARES).astype(np.uint8)
    if recipe.shape == "zxgk":  # of the courts' lists only, and without a life-cycle
        lists, states = lists % COURTS_UP_TO, np.zeros_like(states)
    return World(
        people,
        who,
        lists,
        districts,
        years,
        serials,
        parties,
        states,
        from_days,
        until_days,
        begun + rng.integers(60 * DAY_MS, size=count),
    )


def _who(recipe: Recipe, rng: np.random.Generator) -> Ints:
    """Whose each entry is: everybody's once, the rest by lot, with weights of a long tail."""
    weights = np.minimum(rng.lognormal(0, _TAIL_SIGMA, recipe.people), _TAIL_MAX)
    edges = np.cumsum(weights)
    extra = recipe.entries - recipe.people
    drawn = np.searchsorted(edges, np.sort(rng.random(extra)) * edges[-1], side="right")
    who = np.concatenate([np.arange(recipe.people), np.minimum(drawn, recipe.people - 1)])
    rng.shuffle(who)
    return who.astype(np.int64)


def _cases(
    count: int, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], Ints, Ints]:
    """District, year, serial number and party of each entry: no two have the same four."""
    sizes = rng.choice(_PARTIES, size=count, p=_PARTY_SHARES)
    case = np.repeat(np.arange(count), sizes)[:count]
    parties = np.arange(count) - np.searchsorted(case, case) + 1
    courts = rng.integers(len(DISTRICTS) * _YEARS, size=int(case[-1]) + 1).astype(np.uint16)
    # A case's serial number is its rank among those of its court and year.
    order = np.argsort(courts, kind="stable")
    ends = np.cumsum(np.bincount(courts, minlength=len(DISTRICTS) * _YEARS))
    ranks = np.arange(len(courts)) - np.concatenate([[0], ends])[courts[order]] + 1
    serials = np.empty(len(courts), np.int64)
    serials[order] = ranks
    district, year = np.divmod(courts[case], _YEARS)
    return district.astype(np.uint8), year.astype(np.uint8), serials[case], parties


def _terms(
    years: NDArray[np.uint8], rng: np.random.Generator
) -> tuple[NDArray[np.datetime64], NDArray[np.datetime64]]:
    """First day of each term, not before its case, and last; NaT where it has no end."""
    count = len(years)
    kinds = rng.choice(len(_TERM_SHARES), size=count, p=_TERM_SHARES)
    filed = (years + (FIRST_YEAR - 1970)).astype("M8[Y]").astype("M8[D]")
    first = np.maximum(filed, _FIRST_DAY).astype(np.int64)
    last = _LAST_DAY.astype(np.int64)
    from_days = (first + rng.integers(last - first)).astype("M8[D]")
    until_days = from_days + rng.integers(180, 5 * 365, size=count)
    far = _FAR_DAY + rng.integers(_FAR_DAYS, size=count)
    from_days = np.where(kinds == _COMING, far, from_days)
    until_days = np.where(kinds == _RUNNING, far, until_days)
    until_days = np.where(kinds == _COMING, far + 730, until_days)
    return from_days, np.where(kinds == _OPEN, np.datetime64("NaT"), until_days)
