"""Lists of people who do not exist, at any scale, always the same bytes for a seed.

They have the shape of the real ones: 1.78 entries a person with a tail up to dozens,
several lists and document types, courts and case numbers of the real form, terms that are
past, running and still to come.
"""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import msgspec
import numpy as np
from numpy.typing import NDArray

from loader.fictions import DISTRICTS
from loader.people import Ints, People, make_people

COLUMNS = (
    "list",
    "entry_id",
    "document_type",
    "document_number",
    "document_issuer",
    "name",
    "revision",
    "state",
    "from",
    "until",
    "case",
    "court",
)
AS_OF = "2019-01-01"
"""After every revision in a list and before every one among its changes."""

_CHUNK_ROWS = 1 << 16
_DAY_MS = 86_400_000
_AS_OF_MS = 1_546_272_000_000  # 2019-01-01T00:00:00+08:00
_LISTS = ("sx", "xgl", "ndrc-rail-conduct", "ndrc-rail", "ndrc-air")
_LIST_SHARES = (0.66, 0.31, 0.008, 0.012, 0.01)
_COURTS_UP_TO = 2  # only these lists come from courts; the others number their decisions
_STATES = ("", "suspended", "removed")
_STATE_SHARES = (0.99, 0.006, 0.004)
_PARTIES, _PARTY_SHARES = (1, 2, 3), (0.8, 0.15, 0.05)
_FIRST_YEAR, _YEARS = 2013, 6
_FIRST_DAY = np.datetime64("2015-01-01")
_LAST_DAY = np.datetime64("2018-10-31")
_FAR_DAY, _FAR_DAYS = np.datetime64("2090-01-01"), 3_000
# Open end, ended after 180 days to 5 years, ends far ahead, begins far ahead.
_TERM_SHARES = (0.5, 0.3, 0.17, 0.03)
_OPEN, _ENDED, _RUNNING, _COMING = range(4)
_TAIL_SIGMA, _TAIL_MAX = 1.2, 60.0


class Recipe(msgspec.Struct, frozen=True):
    """What to make; `changes` are changes to entries of the list."""

    people: int
    entries: int
    seed: int = 1
    changes: int = 0


class Summary(msgspec.Struct, frozen=True):
    """What was made; `as_of` is a time to load it with."""

    people: int
    entries: int
    changes: int
    as_of: str = AS_OF


class _World(msgspec.Struct):
    """Everything about every entry, by its index; `who` is its person's."""

    people: People
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


def generate(
    recipe: Recipe, out: Path, changes_out: Path | None, progress: Callable[[int], None]
) -> Summary:
    """Writes the list (gzipped if `out` ends in .gz) and the changes; all of both, or nothing.

    `progress` is told how many rows are written. Raises ValueError for a recipe that cannot
    be followed.
    """
    _check(recipe, changes_out)
    rng = np.random.default_rng(recipe.seed)
    world = _make_world(recipe, rng)
    with ExitStack() as stack:
        rows = stack.enter_context(_whole(out))
        rows.write((",".join(COLUMNS) + "\n").encode())
        for start in range(0, recipe.entries, _CHUNK_ROWS):
            end = min(start + _CHUNK_ROWS, recipe.entries)
            lines = map(",".join, zip(*_columns(world, np.arange(start, end)), strict=True))
            rows.write(("\n".join(lines) + "\n").encode())
            progress(end)
        if changes_out is not None:
            changes = stack.enter_context(_whole(changes_out))
            changes.writelines(_changes(world, recipe.changes, rng))
    return Summary(recipe.people, recipe.entries, recipe.changes)


def _check(recipe: Recipe, changes_out: Path | None) -> None:
    if recipe.people < 1 or recipe.entries < recipe.people:
        raise ValueError("there must be people, and at least one entry for each")
    if not 0 <= recipe.changes <= recipe.entries:
        raise ValueError("there can be no more changes than entries")
    if recipe.changes and changes_out is None:
        raise ValueError("changes need a file to go to")


@contextmanager
def _whole(path: Path) -> Iterator[IO[bytes]]:
    """A file that is there when all of it is written, and not before."""
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            if path.suffix == ".gz":
                # Neither name nor time: the same list is the same bytes.
                with gzip.GzipFile("", "wb", 1, file, mtime=0) as packed:
                    buffered = io.BufferedWriter(packed, 1 << 20)
                    yield buffered
                    buffered.flush()
            else:
                yield file
        os.replace(partial, path)  # noqa: PTH105 -- the word for what it does
    finally:
        partial.unlink(missing_ok=True)


def _make_world(recipe: Recipe, rng: np.random.Generator) -> _World:
    count = recipe.entries
    people = make_people(recipe.people, rng)
    lists = rng.choice(len(_LISTS), size=count, p=_LIST_SHARES).astype(np.uint8)
    who = _who(recipe, rng)
    districts, years, serials, parties = _cases(count, rng)
    from_days, until_days = _terms(years, rng)
    begun = np.minimum(from_days, _LAST_DAY).astype("M8[ms]").astype(np.int64)
    return _World(
        people,
        who,
        lists,
        districts,
        years,
        serials,
        parties,
        rng.choice(len(_STATES), size=count, p=_STATE_SHARES).astype(np.uint8),
        from_days,
        until_days,
        begun + rng.integers(60 * _DAY_MS, size=count),
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
    filed = (years + (_FIRST_YEAR - 1970)).astype("M8[Y]").astype("M8[D]")
    first = np.maximum(filed, _FIRST_DAY).astype(np.int64)
    last = _LAST_DAY.astype(np.int64)
    from_days = (first + rng.integers(last - first)).astype("M8[D]")
    until_days = from_days + rng.integers(180, 5 * 365, size=count)
    far = _FAR_DAY + rng.integers(_FAR_DAYS, size=count)
    from_days = np.where(kinds == _COMING, far, from_days)
    until_days = np.where(kinds == _RUNNING, far, until_days)
    until_days = np.where(kinds == _COMING, far + 730, until_days)
    return from_days, np.where(kinds == _OPEN, np.datetime64("NaT"), until_days)


def _columns(world: _World, which: Ints) -> list[list[str]]:
    """The cells of these entries, column by column, in the order of `COLUMNS`."""
    cases, courts, entry_ids = _named_cases(world, which)
    types, numbers, issuers = world.people.document(world.who[which])
    return [
        [_LISTS[code] for code in world.lists[which].tolist()],
        entry_ids,
        types,
        numbers,
        issuers,
        world.people.named(world.who[which]),
        list(map(str, world.revisions[which].tolist())),
        [_STATES[state] for state in world.states[which].tolist()],
        _spelled(world.from_days[which]),
        _spelled(world.until_days[which]),
        cases,
        courts,
    ]


def _named_cases(world: _World, which: Ints) -> tuple[list[str], list[str], list[str]]:
    """Case number, court and entry_id of each."""
    cases, courts, entry_ids = [], [], []
    for code, district, year, serial, party in zip(
        world.lists[which].tolist(),
        world.districts[which].tolist(),
        world.years[which].tolist(),
        world.serials[which].tolist(),
        world.parties[which].tolist(),
        strict=True,
    ):
        court_code, _, court = DISTRICTS[district]
        case = f"({_FIRST_YEAR + year}){court_code}执{serial}号"
        from_court = code < _COURTS_UP_TO
        cases.append(case if from_court else "")
        courts.append(court if from_court else "")
        entry_ids.append(
            f"{case}/{party}"
            if from_court
            else f"{_FIRST_YEAR + year}-{court_code}-{serial}-{party}"
        )
    return cases, courts, entry_ids


def _spelled(days: NDArray[np.datetime64]) -> list[str]:
    return ["" if day == "NaT" else day for day in np.datetime_as_string(days).tolist()]


def _changes(world: _World, count: int, rng: np.random.Generator) -> Iterator[bytes]:
    """JSON Lines of changes that all have an effect, each to another entry, oldest first."""
    which = rng.choice(len(world.who), size=count, replace=False)
    lots = rng.random(count).tolist()
    rows = zip(*_columns(world, which), strict=True)
    for index, (row, lot) in enumerate(zip(rows, lots, strict=True)):
        cells = dict(zip(COLUMNS, row, strict=True))
        change = _change(cells, lot, _AS_OF_MS + (index + 1) * 1000)
        yield msgspec.json.encode(change) + b"\n"


def _change(cells: dict[str, str], lot: float, revision: int) -> dict[str, object]:
    document = {"type": cells["document_type"], "number": cells["document_number"]}
    if cells["document_issuer"]:
        document["issuer"] = cells["document_issuer"]
    op, reason = _op(cells["state"], lot)
    change: dict[str, object] = {
        "op": op,
        "list": cells["list"],
        "entry_id": cells["entry_id"],
        "revision": revision,
        "document": document,
    }
    if op == "put":
        entry = {key: cells[key] or None for key in ("name", "from", "case", "court")}
        given = {key: value for key, value in entry.items() if value}
        return {**change, "entry": {**given, "until": "2099-12-31"}}
    return {**change, "reason": reason}


def _op(state: str, lot: float) -> tuple[str, str]:
    """What has an effect on an entry in that state, and why it might be done."""
    if state == "suspended":
        return "resume", "dispute"
    if state == "removed" or lot < 0.25:  # noqa: PLR2004 -- shares of a synthetic day
        return "put", ""
    return ("remove", "performed") if lot < 0.85 else ("suspend", "dispute")  # noqa: PLR2004
