"""`lists.toml` read and checked: every mistake in it is an error with file and line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from roster.errors import ListsError
from roster.parse_errors import FieldPath, complaint_of, toml_line
from roster.records.entry import BIND, CANARY, LIFT, RESTRICTING_BELOW
from roster.rules.restrictions import Effect, ListRule, Lists, Mode, Place, SeatRule, TrainClass

OWN_LISTS = {"lift": LIFT, "bind": BIND, "canary": CANARY}
"""Clearway's own lists, whose meaning is code: their ids and codes are fixed."""

_EVERY = ("*",)
RHYTHM_DAYS = 7
"""Of a list that restricts, where the file does not say."""

# What a seat code looks like: docs/api.md, Routes.
_SeatCode = Annotated[str, msgspec.Meta(pattern="^[0-9A-Z]{1,2}$")]
_Id = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_-]{0,31}$")]
_Text = Annotated[str, msgspec.Meta(min_length=1)]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: _Id
    title: _Text
    row: tuple[SeatRule, ...]


class _List(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: _Id
    code: Annotated[int, msgspec.Meta(ge=1, le=255)]
    title: _Text
    law: _Text
    contact: str
    lifted_by_default: bool = False
    rhythm_days: Annotated[int, msgspec.Meta(ge=0, le=3_650)] | None = None
    air: Literal["all"] | None = None
    rail: str | None = None
    ship: Literal["all"] | tuple[str, ...] | None = None


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    seats: dict[_SeatCode, str]
    cabins: dict[_Id, str]
    trains: tuple[TrainClass, ...]
    list: tuple[_List, ...]
    table: tuple[_Table, ...] = ()
    aliases: dict[_SeatCode, str] = {}


class _Mistake(Exception):  # noqa: N818 -- never leaves this module
    def __init__(self, path: FieldPath, message: str) -> None:
        super().__init__(message)
        self.path = path


SETTING = "CLEARWAY_LISTS_FILE"


def load_lists(path: Path | None = None) -> Lists:
    """The lists of `path`, or of the file that comes with Clearway.

    Raises `ListsError` with file and line where the file is missing or has a mistake.
    """
    source = path or resources.files("roster") / "lists.toml"
    name = str(path or "lists.toml")
    try:
        text = source.read_text(encoding="utf-8")
    except OSError as exc:
        raise ListsError(f"{SETTING} {name} cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise ListsError(f"{SETTING} {name}:1: cannot be read as UTF-8 text") from exc
    return _parse(text, name)


def _parse(text: str, name: str) -> Lists:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise ListsError(f"{name}:{toml_line(exc, text)}: not TOML: {exc}") from exc
    except (ValueError, RecursionError) as exc:  # of a number, or of what lies in each other
        raise ListsError(f"{name}:1: not TOML that can be read: {exc}") from exc
    try:
        return _lists(_convert(document))
    except _Mistake as exc:
        raise ListsError(f"{name}:{TomlLines(text).find(exc.path)}: {exc}") from exc


def _convert(document: dict[str, object]) -> _File:
    try:
        return msgspec.convert(document, _File)
    except msgspec.ValidationError as exc:
        complaint = complaint_of(exc)
        path = complaint.path
        if complaint.unknown is not None:
            path = (*path, complaint.unknown)
        raise _Mistake(path, complaint.words) from exc


def _lists(file: _File) -> Lists:
    _check_names(file)
    letters = _letters(file)
    tables = {table.id: _cells(index, file) for index, table in enumerate(file.table)}
    rules = tuple(_rule(index, file, tables) for index in range(len(file.list)))
    for own in OWN_LISTS.keys() - {rule.id for rule in rules}:
        raise _Mistake(("list", len(rules) - 1), f"Clearway's own list `{own}` is missing")
    return Lists(
        all=rules,
        trains=file.trains,
        seats=file.seats,
        cabins=file.cabins,
        aliases=file.aliases,
        codes={rule.code: rule for rule in rules},
        ids={rule.id: rule for rule in rules},
        letters=letters,
    )


def _check_names(file: _File) -> None:
    """Refuse what is named twice, or names a seat that there is not."""
    ids: dict[tuple[str, str], Sequence[str | int]] = {
        ("list", "id"): [rule.id for rule in file.list],
        ("list", "code"): [rule.code for rule in file.list],
        ("table", "id"): [table.id for table in file.table],
        ("trains", "id"): [trains.id for trains in file.trains],
    }
    for (table, key), values in ids.items():
        for index, value in enumerate(values):
            if value in values[:index]:
                raise _Mistake((table, index, key), f"duplicate {key} `{value}`")
    for alias, seat in file.aliases.items():
        if alias in file.seats:
            raise _Mistake(("aliases", alias), f"`{alias}` is a seat of its own")
        _known(seat, file.seats, "seat", ("aliases", alias))


def _letters(file: _File) -> dict[str, str]:
    letters: dict[str, str] = {}
    for index, trains in enumerate(file.trains):
        path: FieldPath = ("trains", index, "letters")
        if not trains.letters:
            raise _Mistake(path, f"trains `{trains.id}` have no letters")
        for letter in trains.letters:
            if not re.fullmatch("[A-Z]?", letter):
                raise _Mistake(path, f"`{letter}` is no train letter")
            if letter in letters:
                raise _Mistake(path, f"duplicate train letter `{letter}`")
            letters[letter] = trains.id
        for seat in trains.usual:
            _known(seat, file.seats, "seat", ("trains", index, "usual"))
    return letters


def _cells(index: int, file: _File) -> dict[Place, Effect]:
    """The effect of one table on every seat of every class of trains."""
    cells: dict[Place, Effect] = {}
    for number, row in enumerate(file.table[index].row):
        path = ("table", index, "row", number)
        for place in _places(row, file, path):
            if place in cells:
                where = f"seat `{place.seat}` on trains `{place.train}`"
                raise _Mistake((*path, "seats"), f"{where} has a rule already")
            cells[place] = row.rule
    for trains in file.trains:
        for seat in file.seats:
            if Place("rail", trains.id, seat) not in cells:
                where = f"seat `{seat}` on trains `{trains.id}`"
                raise _Mistake(("table", index), f"{where} has no rule in this table")
    return cells


def _places(row: SeatRule, file: _File, path: FieldPath) -> Iterator[Place]:
    for trains in row.trains:
        _known(trains, [known.id for known in file.trains], "trains", (*path, "trains"))
        for seat in file.seats if row.seats == _EVERY else row.seats:
            _known(seat, file.seats, "seat", (*path, "seats"))
            yield Place("rail", trains, seat)


def _rule(index: int, file: _File, tables: dict[str, dict[Place, Effect]]) -> ListRule:
    given = file.list[index]
    path = ("list", index)
    whole: set[Mode] = set()
    cells: dict[Mode, dict[Place, Effect]] = {}
    if given.air:
        whole.add("air")
    if given.rail == "all":
        whole.add("rail")
    elif given.rail is not None:
        _known(given.rail, tables, "table", (*path, "rail"))
        cells["rail"] = tables[given.rail]
    if given.ship == "all":
        whole.add("ship")
    elif given.ship is not None:
        cells["ship"] = _cabins(given.ship, file, (*path, "ship"))
    _check_kind(given, path, forbids=bool(whole or cells))
    if given.code == CANARY:
        whole.add("air")  # so that a check shows whether the probe's person is listed
    return ListRule(
        id=given.id,
        code=given.code,
        title=given.title,
        law=given.law,
        contact=given.contact,
        lifted_by_default=given.lifted_by_default,
        rhythm_days=_rhythm_days(given),
        whole=frozenset(whole),
        cells=cells,
    )


def _rhythm_days(given: _List) -> int:
    if given.rhythm_days is not None:
        return given.rhythm_days
    return RHYTHM_DAYS if given.code < RESTRICTING_BELOW else 0


def _cabins(forbidden: tuple[str, ...], file: _File, path: FieldPath) -> dict[Place, Effect]:
    for cabin in forbidden:
        _known(cabin, file.cabins, "cabin", path)
    return {
        Place("ship", seat=cabin): "forbidden" if cabin in forbidden else "allowed"
        for cabin in file.cabins
    }


def _check_kind(given: _List, path: FieldPath, *, forbids: bool) -> None:
    """Refuse a list that forbids nothing, and one of Clearway's own that is not as it must be."""
    if given.code < RESTRICTING_BELOW and given.id not in OWN_LISTS:
        if not forbids:
            raise _Mistake(path, f"list `{given.id}` forbids nothing")
        if not given.contact:
            raise _Mistake((*path, "contact"), f"list `{given.id}` has no contact")
    elif OWN_LISTS.get(given.id) != given.code:
        message = f"codes from {RESTRICTING_BELOW} on are Clearway's own: {OWN_LISTS}"
        raise _Mistake((*path, "code"), message)
    elif forbids or given.lifted_by_default:
        raise _Mistake(path, f"Clearway's own list `{given.id}` forbids nothing")


def _known(name: str, names: Iterable[str], kind: str, path: FieldPath) -> None:
    if name not in names:
        raise _Mistake(path, f"unknown {kind} `{name}`")


_HEADER = re.compile(r"\s*(\[\[?)\s*([\w.-]+)\s*\]")
_KEY = re.compile(r"""\s*["']?([\w-]+)["']?\s*=""")


class TomlLines:
    """Finds lines by path; counted from 1."""

    def __init__(self, text: str) -> None:
        """Index the headers and keys of `text`, which is valid TOML."""
        self._lines: dict[FieldPath, int] = {}
        counts: dict[FieldPath, int] = {}
        prefix: FieldPath = ()
        for number, line in enumerate(text.splitlines(), 1):
            if header := _HEADER.match(line):
                prefix = _open(header[2].split("."), counts, array=header[1] == "[[")
                self._lines.setdefault(prefix, number)
            elif key := _KEY.match(line):
                self._lines.setdefault((*prefix, key[1]), number)

    def find(self, path: FieldPath) -> int:
        """The line of `path`, or of the nearest table around it."""
        for length in range(len(path), 0, -1):
            if line := self._lines.get(path[:length]):
                return line
        return 1


def _open(names: list[str], counts: dict[FieldPath, int], *, array: bool) -> FieldPath:
    path: FieldPath = ()
    for name in names[:-1]:
        path = (*path, name)
        if path in counts:
            path = (*path, counts[path])
    path = (*path, names[-1])
    if not array:
        return path
    counts[path] = counts.get(path, -1) + 1
    return (*path, counts[path])
