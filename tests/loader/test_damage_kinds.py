"""Each kind of damage in each shape of a list: nobody who is listed is allowed in silence.

Either the person is found by the true number, or the row is in the rejects, or the file is refused;
and nobody is listed whom the file does not name.
"""

from __future__ import annotations

import csv
import hashlib
import io
import random
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, get_args

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loader.jobs.guard import Limits
from loader.jobs.intake import Files
from loader.synthetic.shapes import Cells, cells_of, csv_lines, header_of, joined
from loader.synthetic.world import FileShape, Recipe, make_world
from roster.documents.identity import Document, DocumentType, Token, normalise
from roster.errors import LoadRefused
from roster.records.record import parse_record
from roster.storage.buckets import buckets_of
from roster.storage.dictionary import Dictionary
from roster.times import parse_time
from tests.loader.loads import FREE, TOKENISER, Roster, settings_for

if TYPE_CHECKING:
    from loader.jobs.session import Session
    from tests.servers import Server

AS_OF = parse_time("2019-01-01")
ENTRIES, PEOPLE = 90, 60
SHAPES: tuple[FileShape, ...] = get_args(FileShape)
Damage = Callable[[str, str], str]
"""What becomes of a number of a type."""


def _float(number: str, _type: str) -> str:
    return f"{number}.0" if number.isdecimal() else number


def _rounded(number: str, _type: str) -> str:
    """As a spreadsheet shows a long number."""
    return f"{float(number):.5E}" if number.isdecimal() else number


def _shorter(number: str, type_: str) -> str:
    """A passport with a digit less is another passport."""
    return number if type_ == "passport" else number[:-1]


WRAPPERS: dict[str, Damage] = {
    "a formula": lambda number, _: f'="{number}"',
    "an apostrophe": lambda number, _: f"'{number}",
    "a backtick": lambda number, _: f"`{number}",
    "quotes": lambda number, _: f"“{number}”",
    "a stop": lambda number, _: f"{number}。",
    "a label": lambda number, _: f"证件号码：{number}",
    "blanks": lambda number, _: f"\u3000\u200b{number}\u00a0",
    "full width": lambda number, _: "".join(chr(ord(each) + 0xFEE0) for each in number),
}
DAMAGE: dict[str, Damage] = {
    "a float": _float,
    "scientific": _rounded,
    "a digit less": _shorter,
    "a comment": lambda number, _: f"{number}(本人)",
    "somebody else's": lambda number, _: f"父亲{number}",
    "two numbers": lambda number, _: f"{number}/{number}",
    "MD5": lambda number, _: hashlib.md5(number.encode()).hexdigest(),
    "SHA-256": lambda number, _: hashlib.sha256(number.encode()).hexdigest(),
    "masked": lambda number, _: f"{number[:3]}****{number[-3:]}",
    "question marks": lambda number, _: "?" * len(number),
    "NULL": lambda _number, _type: "NULL",
    "nothing in Chinese": lambda _number, _type: "无",
    "a hyphen": lambda _number, _type: "-",
    "not a number": lambda _number, _type: "nan",
    "nothing": lambda _number, _type: "",
}
EVERY = WRAPPERS | DAMAGE


def made(shape: FileShape, seed: int) -> Cells:
    """A small list, column by column."""
    recipe = Recipe(PEOPLE, ENTRIES, shape=shape, seed=seed)
    world = make_world(recipe, np.random.default_rng(seed))
    return cells_of(world, np.arange(ENTRIES), shape)


def written(path: Path, cells: Cells, shape: FileShape) -> Path:
    if shape == "zxgk":
        path.write_bytes(joined([header_of(shape)], shape) + csv_lines(cells, shape))
        return path
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n", quoting=1 if shape == "quoted" else 0)
    writer.writerows([cells.keys(), *zip(*cells.values(), strict=True)])
    path.write_text(text.getvalue(), encoding="utf-8")
    return path


def damaged(cells: Cells, kinds: dict[int, str]) -> Cells:
    """The list with some rows' numbers damaged, each in its way."""
    numbers = list(cells["document_number"])
    for row, kind in kinds.items():
        numbers[row] = EVERY[kind](numbers[row], cells["document_type"][row])
    return cells | {"document_number": numbers}


def persons(cells: Cells) -> list[Token]:
    issuers = cells.get("document_issuer") or [""] * ENTRIES
    rows = zip(cells["document_type"], cells["document_number"], issuers, strict=True)
    return [_person(type_, number, issuer) for type_, number, issuer in rows]  # type: ignore[arg-type]


def _person(type_: DocumentType, number: str, issuer: str) -> Token:
    issued = issuer if type_ == "passport" else None
    return TOKENISER.token(normalise(Document(type_, number, issued)).number)


async def _ids(session: Session, token: Token) -> set[str]:
    dictionary = Dictionary(session.store.nodes)
    await dictionary.refresh()
    (bucket,) = await buckets_of(session.store, token[1], [int.from_bytes(token[2:4])])
    record = bucket.get(token[4:], b"\0\0")
    return {entry.content.entry_id for entry in parse_record(record, dictionary.known)}


def rejected_rows(path: Path) -> set[int]:
    """The rows of a list, from 0 on, that its rejects name; a row may have several lines."""
    rejects = path.with_suffix(".rejects")
    if not rejects.exists():
        return set()
    lines = [1]
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        lines += [reader.line_num + 1 for _ in reader]
    told = list(csv.reader(rejects.read_text(encoding="utf-8").splitlines()))[1:]
    return {lines.index(int(line)) - 1 for _, line, *_ in told}


def unnoticed(roster: Roster, path: Path, cells: Cells, shape: FileShape) -> list[int]:
    """Rows that are neither on the roster nor in the rejects after a load; raises LoadRefused."""
    rejects = path.with_suffix(".rejects")
    files = Files((str(path),), tuple(sorted(set(cells["list"]))), AS_OF,
                  format="zxgk" if shape == "zxgk" else "auto")  # fmt: skip
    summary = roster.load_files(files, rejects=rejects)
    rejected = rejected_rows(path)
    tokens = persons(cells)
    with roster.opened() as session:
        ids = {token: session.run(_ids(session, token)) for token in set(tokens)}
    # Rows of one entry would be the same row: there are none in a synthetic list.
    assert sum(map(len, ids.values())) + len(rejected) == ENTRIES
    assert summary.people <= sum(map(bool, ids.values()))
    found = [
        entry_id in ids[token] for entry_id, token in zip(cells["entry_id"], tokens, strict=True)
    ]
    return [row for row in range(ENTRIES) if not found[row] and row not in rejected]


@pytest.mark.parametrize("shape", SHAPES)
def test_each_kind_of_damage_in_each_shape_is_undone_or_rejected(
    roster: Roster, shape: FileShape
) -> None:
    cells = made(shape, 1)
    kinds = dict(zip(range(0, ENTRIES, 3), (*EVERY, *WRAPPERS), strict=False))
    path = written(roster.folder / "list.csv", damaged(cells, kinds), shape)
    assert unnoticed(roster._replace(limits=FREE), path, cells, shape) == []
    rejected = rejected_rows(path)
    assert rejected <= kinds.keys()
    assert not {kinds[row] for row in rejected} & WRAPPERS.keys()


@pytest.mark.parametrize("shape", SHAPES)
def test_a_list_that_a_spreadsheet_has_wrapped_loads_whole(
    roster: Roster, shape: FileShape
) -> None:
    cells = made(shape, 2)
    path = written(
        roster.folder / "list.csv",
        damaged(cells, dict.fromkeys(range(ENTRIES), "a formula")),
        shape,
    )
    assert unnoticed(roster._replace(limits=Limits()), path, cells, shape) == []
    assert rejected_rows(path) == set()


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    shape=st.sampled_from(SHAPES),
    kinds=st.lists(st.sampled_from(sorted(EVERY)), min_size=1, max_size=3),
    count=st.integers(1, ENTRIES),
    seed=st.integers(0, 1_000),
)
def test_no_damage_lets_somebody_through_in_silence(
    valkey: Server, shape: FileShape, kinds: list[str], count: int, seed: int
) -> None:
    lot = random.Random(seed)
    cells = made(shape, seed)
    rows = {row: lot.choice(kinds) for row in lot.sample(range(ENTRIES), count)}
    valkey.empty()
    with TemporaryDirectory(prefix="cw-kinds-", dir="/tmp") as name:
        folder = Path(name)
        roster = Roster(settings_for(valkey, folder), folder, Limits())
        path = written(folder / "list.csv", damaged(cells, rows), shape)
        try:
            assert unnoticed(roster, path, cells, shape) == []
        except LoadRefused:
            assert not set(kinds) <= WRAPPERS.keys()
            assert roster.metas() == [{}] * 64 or roster.count(b"people") == 0
