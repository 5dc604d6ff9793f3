from __future__ import annotations

from pathlib import Path

import pytest

from roster.errors import ListsError
from roster.records.entry import Content, Entry
from roster.rules.lists import TomlLines, load_lists
from roster.rules.restrictions import Place
from roster.rules.rules import decide
from roster.rules.verdict import Journey, Question
from tests.roster.people import LISTS, NOW_MS, SEATS, STATES, entry

SMALL = """\
[seats]
O = "second"
M = "first"
[aliases]
OO = "O"
[cabins]
first = "first"
[[trains]]
id = "all"
letters = ["G", ""]
usual = ["O"]
[[table]]
id = "high"
title = "t"
[[table.row]]
trains = ["all"]
seats = ["O"]
rule = "allowed"
law = "l"
[[table.row]]
trains = ["all"]
seats = ["M"]
rule = "forbidden"
law = "l"
[[list]]
id = "tax"
code = 9
title = "t"
law = "l"
contact = "c"
rail = "high"
ship = ["first"]
[[list]]
id = "lift"
code = 200
title = "t"
law = "l"
contact = ""
[[list]]
id = "bind"
code = 201
title = "t"
law = "l"
contact = ""
[[list]]
id = "canary"
code = 202
title = "t"
law = "l"
contact = ""
"""


def load(text: str, folder: Path) -> Path:
    path = folder / "rules.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_packaged_file_has_the_lists_and_codes_that_the_roster_stores() -> None:
    assert [(rule.id, rule.code) for rule in LISTS.all] == [
        ("sx", 1),
        ("xgl", 2),
        ("ndrc-rail-conduct", 3),
        ("ndrc-rail", 4),
        ("ndrc-air", 5),
        ("lift", 200),
        ("bind", 201),
        ("canary", 202),
    ]
    assert [rule.id for rule in LISTS.restricting] == [
        "sx",
        "xgl",
        "ndrc-rail-conduct",
        "ndrc-rail",
        "ndrc-air",
    ]
    assert LISTS.lifted_by_default == ("sx", "xgl")


def test_a_list_is_old_after_its_own_rhythm_or_a_week_and_our_own_never_are() -> None:
    assert [rule.rhythm_days for rule in LISTS.all] == [7, 7, 40, 40, 40, 0, 0, 0]


def test_every_seat_code_of_the_contract_is_known_and_no_other() -> None:
    contract = set("9PDMOAIJF643215780BCEGHKLQSW")
    assert set(LISTS.seats) == contract == set(SEATS)
    assert LISTS.aliases == {"WZ": "W"}
    assert set(LISTS.cabins) == {"special", "first", "second", "third", "fourth", "fifth", "seat"}


def test_every_list_that_restricts_says_by_which_law_and_whom_to_ask() -> None:
    assert all(rule.law and rule.contact for rule in LISTS.restricting)


def test_lists_are_found_by_code_and_by_name() -> None:
    sx = LISTS.by_id("sx")
    assert sx is not None
    assert LISTS.by_code(1) is sx
    assert (LISTS.by_id("nothing"), LISTS.by_code(99)) == (None, None)
    assert (LISTS.name(1), LISTS.name(99)) == ("sx", "#99")


@pytest.mark.parametrize(
    ("train", "trains"),
    [
        ("G101", "high_speed"),
        ("g101", "high_speed"),
        ("Ｄ３０１", "emu"),
        ("C2001", "emu"),
        ("Z9", "ordinary"),
        ("T110", "ordinary"),
        ("K123", "ordinary"),
        ("Y501", "ordinary"),
        ("L7", "ordinary"),
        ("1461", "ordinary"),
        ("X12", ""),
        ("S5", ""),
    ],
)
def test_a_train_belongs_to_the_class_of_its_letter(train: str, trains: str) -> None:
    assert LISTS.rail(train, "wz") == Place("rail", trains, "W")


def test_every_place_has_an_effect_on_every_list() -> None:
    places = list(LISTS.places())
    assert len(places) == len(set(places)) == 1 + 3 * 28 + 7
    for rule in LISTS.restricting:
        assert {rule.effect(place) for place in places} <= {"forbidden", "allowed", "unknown"}
        assert "forbidden" in {rule.effect(place) for place in places}


def test_a_new_list_and_a_changed_seat_table_need_no_code(tmp_path: Path) -> None:
    lists = load_lists(load(SMALL, tmp_path))
    listed = [Entry(9, b"", STATES["active"], Content("a"))]
    first = Question(Journey("rail", "G1", ("M",)), NOW_MS)
    second = Question(Journey("rail", "G1", ("OO",)), NOW_MS)
    assert decide(listed, first, lists).decision == "deny"
    assert decide(listed, first, lists).reasons[0].contact == "c"
    assert decide(listed, second, lists).decision == "allow"
    swapped = load_lists(
        load(
            SMALL.replace('["O"]\nrule', '["x"]\nrule')
            .replace('["M"]\nrule', '["O"]\nrule')
            .replace('["x"]\nrule', '["M"]\nrule'),
            tmp_path,
        )
    )
    assert decide(listed, first, swapped).decision == "allow"
    assert decide(listed, second, swapped).decision == "deny"


def test_the_default_for_emu_sleepers_is_moved_by_an_edit_of_one_row(tmp_path: Path) -> None:
    packaged = (Path(__file__).parents[2] / "roster" / "lists.toml").read_text(encoding="utf-8")
    journeys = {seat: Question(Journey("rail", "D301", (seat,)), NOW_MS) for seat in "FJ"}
    listed = [entry("sx", Content("a"))]
    strict = packaged.replace('seats = ["F"]', 'seats = ["F", "J"]').replace(
        'seats = ["J", "5"]', 'seats = ["5"]'
    )
    mild = packaged.replace('seats = ["F"]\nrule = "forbidden"', 'seats = ["F"]\nrule = "allowed"')
    for text, expected in {
        packaged: "deny allow",
        strict: "deny deny",
        mild: "allow allow",
    }.items():
        lists = load_lists(load(text, tmp_path))
        given = [decide(listed, question, lists).decision for question in journeys.values()]
        assert " ".join(given) == expected


def test_a_list_may_forbid_all_ships(tmp_path: Path) -> None:
    text = SMALL.replace('ship = ["first"]', 'ship = "all"')
    rule = load_lists(load(text, tmp_path)).by_code(9)
    assert rule is not None
    assert rule.effect(Place("ship", seat="first")) == "forbidden"
    assert rule.effect(Place("ship", seat="unheard of")) == "forbidden"
    assert rule.effect(Place("air")) == "allowed"


def test_the_small_file_of_the_mistakes_is_right(tmp_path: Path) -> None:
    assert [rule.id for rule in load_lists(load(SMALL, tmp_path)).restricting] == ["tax"]


MISTAKES = [
    ('O = "second"', "O = second", 2, "not TOML"),
    ('O = "second"', "O = 5", 1, "Expected `str`"),
    ('O = "second"', 'ooo = "second"', 1, "matching regex"),
    ('M = "first"', 'O = "first"', 3, "not TOML"),
    ('OO = "O"', 'M = "O"', 5, "`M` is a seat of its own"),
    ('OO = "O"', 'OO = "X"', 5, "unknown seat `X`"),
    ('letters = ["G", ""]', 'letters = ["G", "G"]', 10, "duplicate train letter `G`"),
    ('letters = ["G", ""]', 'letters = ["g"]', 10, "`g` is no train letter"),
    ('letters = ["G", ""]', "letters = []", 10, "have no letters"),
    ('usual = ["O"]', 'usual = ["X"]', 11, "unknown seat `X`"),
    ('usual = ["O"]', 'usally = ["O"]', 11, "unknown field `usally`"),
    ('[[table]]\nid = "high"', '[[table]]\nid = ""', 13, "matching regex"),
    ('title = "t"\n[[table.row]]', "[[table.row]]", 12, "missing required field `title`"),
    ('trains = ["all"]\nseats = ["O"]', 'trains = ["some"]\nseats = ["O"]', 16, "unknown trains"),
    ('seats = ["M"]', 'seats = ["X"]', 22, "unknown seat `X`"),
    ('seats = ["M"]', 'seats = ["O"]', 22, "seat `O` on trains `all` has a rule already"),
    ('seats = ["M"]', 'seats = ["*"]', 22, "seat `O` on trains `all` has a rule already"),
    ('seats = ["M"]', "seats = []", 12, "seat `M` on trains `all` has no rule"),
    ('rule = "forbidden"', 'rule = "forbiden"', 23, "Invalid enum value 'forbiden'"),
    ('rule = "forbidden"\nlaw = "l"', 'rule = "forbidden"', 20, "missing required field `law`"),
    ('rule = "forbidden"', 'rule = "forbidden"\nnote = 1', 24, "unknown field `note`"),
    ('id = "tax"', 'id = "lift"', 34, "duplicate id `lift`"),
    ('id = "tax"', 'id = "Tax"', 26, "matching regex"),
    ("code = 9", "code = 200", 35, "duplicate code `200`"),
    ("code = 9", "code = 203", 27, "codes from 200 on are Clearway's own"),
    ("code = 9", "code = 0", 27, "Expected `int` >= 1"),
    ("code = 9", "code = 256", 27, "Expected `int` <= 255"),
    ("code = 9", 'code = "9"', 27, "Expected `int`, got `str`"),
    ('contact = "c"', 'contact = ""', 30, "list `tax` has no contact"),
    ('rail = "high"', 'rail = "low"', 31, "unknown table `low`"),
    ('rail = "high"', 'bus = "all"', 31, "unknown field `bus`"),
    ('rail = "high"', 'air = "some"', 31, "Invalid enum value 'some'"),
    ('ship = ["first"]', 'ship = ["frist"]', 32, "unknown cabin `frist`"),
    ('ship = ["first"]', 'ship = "most"', 32, "Invalid enum value 'most'"),
    ('rail = "high"\nship = ["first"]\n', "", 25, "list `tax` forbids nothing"),
    ("code = 200", "code = 200\nrhythm_days = -1", 36, "Expected `int` >= 0"),
    ("code = 201", "code = 203", 41, "codes from 200 on are Clearway's own"),
    ("code = 201", "code = 8", 41, "codes from 200 on are Clearway's own"),
    ("code = 201", 'code = 201\nair = "all"', 39, "own list `bind` forbids nothing"),
    ("code = 200", "code = 200\nlifted_by_default = true", 33, "`lift` forbids nothing"),
    ('[[list]]\nid = "canary"\ncode = 202\ntitle = "t"\nlaw = "l"\ncontact = ""\n', "", 39,
     "Clearway's own list `canary` is missing"),
]  # fmt: skip


@pytest.mark.parametrize(("right", "wrong", "line", "message"), MISTAKES)
def test_a_mistake_is_told_with_file_and_line(
    right: str, wrong: str, line: int, message: str, tmp_path: Path
) -> None:
    assert SMALL.count(right) == 1
    path = load(SMALL.replace(right, wrong), tmp_path)
    with pytest.raises(ListsError) as raised:
        load_lists(path)
    assert str(raised.value).startswith(f"{path}:{line}: ")
    assert message in str(raised.value)


def test_a_table_or_train_that_is_named_twice_is_told_with_its_second_line(tmp_path: Path) -> None:
    again = '[[table]]\nid = "high"\ntitle = "t"\nrow = []\n'
    with pytest.raises(ListsError, match=r"rules.toml:52: duplicate id `high`"):
        load_lists(load(SMALL + again, tmp_path))
    again = '[[trains]]\nid = "all"\nletters = ["D"]\n'
    with pytest.raises(ListsError, match=r"rules.toml:52: duplicate id `all`"):
        load_lists(load(SMALL + again, tmp_path))


def test_a_missing_or_unreadable_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        ListsError, match=r"CLEARWAY_LISTS_FILE \S+absent.toml cannot be read: No such"
    ):
        load_lists(tmp_path / "absent.toml")
    (tmp_path / "gbk.toml").write_bytes("# 限制".encode("gb18030"))
    with pytest.raises(ListsError, match=r"CLEARWAY_LISTS_FILE \S+gbk.toml:1: cannot be read as"):
        load_lists(tmp_path / "gbk.toml")


def test_a_whole_file_that_is_not_there_names_its_first_line(tmp_path: Path) -> None:
    with pytest.raises(ListsError, match=r"rules.toml:1: Object missing required field"):
        load_lists(load("", tmp_path))


def test_lines_are_found_by_path() -> None:
    lines = TomlLines(
        'a = 1\n[t]\n"b" = 2\n[[x]]\n[[x.y]]\nc = 3\n[[x]]\n[[x.y]]\n[[x.y]]\nd = [\n1]'
    )
    assert lines.find(("a",)) == 1
    assert lines.find(("t", "b")) == 3
    assert lines.find(("x", 0, "y", 0, "c")) == 6
    assert lines.find(("x", 1, "y", 1, "d", 0)) == 10
    assert lines.find(("x", 1, "y", 0, "d")) == 8
    assert lines.find(("nothing",)) == 1
