from __future__ import annotations

import csv
import gzip
import uuid
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from stdnum.iso7064 import mod_11_2

from loader.files.sources import Source, SourceOptions
from loader.synthetic.fictions import DISTRICTS
from loader.synthetic.shapes import COLUMNS
from loader.synthetic.synthetic import generate
from loader.synthetic.world import FileShape, Recipe
from roster.times import parse_time, parse_until
from tests.loader.one_by_one import Reader, Row
from tests.loader.rowwise import parse_block

PEOPLE, ENTRIES = 3_000, 5_340
AS_OF_MS = parse_time("2019-01-01")
COURTS = {code: court for code, _, court in DISTRICTS}
HALF = str.maketrans("（）", "()")
Rows = list[dict[str, str]]


def ignore(_rows: int) -> None:
    pass


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    out = tmp_path_factory.mktemp("list") / "list.csv"
    generate(Recipe(PEOPLE, ENTRIES), out, None, ignore)
    with out.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_there_are_exactly_as_many_people_and_entries_as_asked_for(rows: Rows) -> None:
    assert list(rows[0]) == list(COLUMNS)
    assert len(rows) == ENTRIES
    per_person = Counter(
        (row["document_type"], row["document_issuer"], row["document_number"]) for row in rows
    )
    assert len(per_person) == PEOPLE
    assert 12 <= max(per_person.values()) <= 100
    assert 0.5 < sum(count == 1 for count in per_person.values()) / PEOPLE < 0.75


def test_a_person_has_one_name(rows: Rows) -> None:
    assert len({(row["document_number"], row["name"]) for row in rows}) == PEOPLE


def test_entry_ids_are_unique_in_their_list(rows: Rows) -> None:
    assert len({(row["list"], row["entry_id"]) for row in rows}) == ENTRIES


def test_every_number_is_valid_and_nobody_alive_can_own_it(rows: Rows) -> None:
    kinds = Counter[str]()
    for row in rows:
        number = row["document_number"]
        match row["document_type"]:
            case "resident_id" if len(number) == 15:
                kinds["old"] += 1
                assert number[12:] in {"996", "997", "998", "999"}
                assert int(number[6:8]) < 80
            case "resident_id" | "permanent_resident_id" as kind:
                kinds[kind] += 1
                assert mod_11_2.is_valid(number)
                assert 1800 <= int(number[6:10]) <= 1879
                assert number[0] == "9" or kind == "resident_id"
            case "hk_macao_permit":
                kinds["permit"] += 1
                assert number[:2] in {"H9", "M9"}
                assert len(number) == 9
            case "taiwan_permit":
                kinds["taiwan"] += 1
                assert number[0] == "9"
                assert len(number) == 8
            case "passport":
                kinds["chinese" if row["document_issuer"] == "CHN" else "foreign"] += 1
                assert number.startswith(("XQ", "XX", "SYN"))
    assert min(kinds.values()) > 0
    assert set(kinds) == {
        "old", "resident_id", "permanent_resident_id", "permit", "taiwan", "chinese", "foreign",
    }  # fmt: skip
    assert kinds["resident_id"] > 0.9 * ENTRIES


def test_cases_and_courts_belong_together(rows: Rows) -> None:
    for row in rows:
        if row["list"] in {"sx", "xgl"}:
            assert row["entry_id"].rpartition("/")[0] == row["case"]
            assert row["case"][0] == "("
            assert row["court"] == COURTS[row["case"][6:11]]
        else:
            assert not row["case"] + row["court"]


def test_lists_states_and_terms_are_of_every_kind(rows: Rows) -> None:
    assert set(Counter(row["list"] for row in rows)) == {
        "sx", "xgl", "ndrc-rail-conduct", "ndrc-rail", "ndrc-air",
    }  # fmt: skip
    assert {row["state"] for row in rows} == {"", "suspended", "removed"}
    now = AS_OF_MS + 8 * 365 * 86_400_000
    terms = Counter(
        "open" if not row["until"]
        else "coming" if parse_time(row["from"]) > now
        else "past" if parse_until(row["until"]) <= now
        else "running"
        for row in rows
    )  # fmt: skip
    assert min(terms[kind] for kind in ("open", "coming", "past", "running")) > 50
    for row in rows:
        assert not row["until"] or parse_time(row["from"]) < parse_until(row["until"])
        assert parse_time("2015-01-01") <= int(row["revision"]) < AS_OF_MS


def test_a_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    recipe = Recipe(200, 300, seed=7, changes=20)
    written = []
    for index, seed in enumerate((7, 7, 8)):
        out, changes = tmp_path / f"{index}.csv.gz", tmp_path / f"{index}.jsonl"
        generate(msgspec.structs.replace(recipe, seed=seed), out, changes, ignore)
        written.append((out.read_bytes(), changes.read_bytes()))
    assert written[0] == written[1]
    assert written[0][0] != written[2][0]
    with gzip.open(tmp_path / "0.csv.gz", "rt", encoding="utf-8") as file:
        assert sum(1 for _ in file) == 301


SHAPES: tuple[FileShape, ...] = get_args(FileShape)


def read(shape: FileShape, path: Path) -> list[Row]:
    """The rows of a list of that shape; each can be loaded, without a warning."""
    generate(Recipe(2_000, 3_500, seed=3, shape=shape), path, None, ignore)
    options = SourceOptions(format="zxgk" if shape == "zxgk" else "auto")
    with Source(str(path), options) as source:
        reader = Reader(source.layout.columns, None, AS_OF_MS)
        rows = [
            reader.read(0, cells)
            for block in source.blocks()
            for _, cells in parse_block(block, source.layout)
        ]
    loadable = [row for row in rows if isinstance(row, Row) and row.valid]
    assert len(loadable) == len(rows) == 3_500
    return loadable


@pytest.mark.parametrize("shape", SHAPES)
def test_every_row_of_every_shape_can_be_loaded(shape: FileShape, tmp_path: Path) -> None:
    found = read(shape, tmp_path / "list.csv")
    assert len({(row.list, row.entry_id, row.number) for row in found}) == 3_500
    assert len({row.number for row in found}) == 2_000
    assert read(shape, tmp_path / "list.jsonl") == found
    assert read(shape, tmp_path / "list.jsonl.gz") == found


def test_shapes_differ_in_what_they_are_named_after(tmp_path: Path) -> None:
    found = {shape: read(shape, tmp_path / f"{shape}.csv") for shape in SHAPES}
    assert found["quoted"] == found["party"]
    assert (tmp_path / "quoted.csv").read_bytes().count(b'"') == 2 * 12 * 3_501
    for shape in ("numeric", "uuid"):
        assert len({row.entry_id for row in found[shape]}) == 3_500
        assert [row.case for row in found[shape]] == [row.case for row in found["party"]]
    assert all(len(row.entry_id) == 10 and row.entry_id.isdigit() for row in found["numeric"])
    assert all(str(uuid.UUID(row.entry_id)) == row.entry_id for row in found["uuid"])
    assert [row.revision for row in found["uuid"]] == [row.revision for row in found["party"]]
    assert len({(row.from_ms or 0) % 86_400_000 for row in found["times"]}) > 100
    assert all(row.decided_at_ms for row in found["decided"])
    assert {row.reason for row in found["decided"]} == {"", "dispute", "performed"}
    kinds = Counter(row.number[0] for row in found["documents"])
    assert min(kinds[kind] for kind in "RHTWP") > 100
    assert any(row.number.startswith("R:83") for row in found["documents"])
    assert {row.list for row in found["zxgk"]} == {"sx", "xgl"}
    assert any(row.entry_id == row.case.translate(HALF) for row in found["zxgk"])


@pytest.mark.parametrize("shape", SHAPES)
def test_changes_name_entries_of_every_shape(shape: FileShape, tmp_path: Path) -> None:
    out, changes_out = tmp_path / "l.csv", tmp_path / "c.jsonl"
    recipe = Recipe(2_000, 3_500, seed=3, changes=200, shape=shape)
    generate(recipe, out, changes_out, ignore)
    listed = {(row.list, row.entry_id) for row in read(shape, tmp_path / "again.csv")}
    changes = [msgspec.json.decode(line) for line in changes_out.read_bytes().splitlines()]
    assert {(change["list"], change["entry_id"]) for change in changes} <= listed


def test_progress_ends_with_all_rows(tmp_path: Path) -> None:
    told: list[int] = []
    summary = generate(Recipe(5, 70_000), tmp_path / "l.csv", None, told.append)
    assert told == [65_536, 70_000]
    assert (summary.people, summary.entries, summary.as_of) == (5, 70_000, "2019-01-01")


def test_changes_name_listed_entries_and_all_have_an_effect(tmp_path: Path) -> None:
    out, changes_out = tmp_path / "l.csv", tmp_path / "c.jsonl"
    generate(Recipe(2_000, 3_500, changes=1_000), out, changes_out, ignore)
    with out.open(newline="", encoding="utf-8") as file:
        listed = {(row["list"], row["entry_id"]): row for row in csv.DictReader(file)}
    changes = [msgspec.json.decode(line) for line in changes_out.read_bytes().splitlines()]
    assert len({(change["list"], change["entry_id"]) for change in changes}) == 1_000
    allowed = {"": {"put", "remove", "suspend"}, "suspended": {"resume"}, "removed": {"put"}}
    for change in changes:
        row = listed[change["list"], change["entry_id"]]
        assert change["op"] in allowed[row["state"]]
        assert change["revision"] > AS_OF_MS
        assert change["document"]["number"] == row["document_number"]
        assert change["document"].get("issuer", "") == row["document_issuer"]
        assert ("entry" in change) is (change["op"] == "put")
    assert {change["op"] for change in changes} == {"put", "remove", "suspend", "resume"}
    assert [change["revision"] for change in changes] == sorted(
        change["revision"] for change in changes
    )


def broken(_rows: int) -> None:
    raise KeyboardInterrupt


def test_what_is_interrupted_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        generate(Recipe(10, 10), tmp_path / "l.csv.gz", None, broken)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "recipe", [Recipe(0, 5), Recipe(5, 4), Recipe(5, 5, changes=6), Recipe(5, 5, changes=1)]
)
def test_a_recipe_that_cannot_be_followed_is_refused(recipe: Recipe, tmp_path: Path) -> None:
    make: Callable[[], object] = partial(generate, recipe, tmp_path / "l.csv", None, ignore)
    with pytest.raises(ValueError, match=r"there|changes"):
        make()
    assert list(tmp_path.iterdir()) == []
