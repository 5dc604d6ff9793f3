"""What docs/architecture.md tells is all of it: rooms, keys, every field of `meta`."""

from __future__ import annotations

import ast
import graphlib
import re

import pytest

from roster import keys
from roster.records.meta import Field, ListField
from tests.source import ROOT, Module, lua, modules, product, texts

COMMON = {"keys", "parse_errors", "times", "errors", "settings", "address", "build"}
"""Modules of the roster beside its rooms."""

PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")


def rows(section: str) -> set[str]:
    """What the first cells of a section's tables name."""
    text = PAGE.split(f"\n## {section}\n", 1)[1].split("\n## ", 1)[0]
    return set(re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE))


def made() -> set[str]:
    """The pattern of every key that `roster/keys.py` makes."""
    values = [value for name, value in vars(keys).items() if name.isupper()]
    found = {value for value in values if isinstance(value, str)}
    found |= {value[0] for value in values if isinstance(value, tuple)}
    found |= {keys.doorbell(b"ID"), keys.bucket(0, 0), keys.history(0, 0)}
    return {key.replace("{00}", "{NN}").replace(":0000", ":BBBB") for key in found}


def fields(code: str) -> set[str]:
    """The fields of `meta` that these functions spell; those of each list end in a colon."""
    calls = re.findall(
        r"'H(?:SET|GET|MGET|DEL|INCRBY)', (?:p\.)?(?:meta|keys\[1\]), ([^()]*)", code
    )
    plain = {name for call in calls for name in re.findall(r"'([a-z_]+)'", call)}
    counted = re.findall(r"\badd_count\([\w.]+, '([a-z_]+)'", code)
    return plain | set(counted) | set(re.findall(r"'([a-z]{1,2}:)'", code))


def arrows(package: str) -> set[tuple[str, str]]:
    """Which room of a package imports which other; what every room may know is left out."""
    found = set()
    for module in modules(f"{package}/**/*.py"):
        room = module.path.removesuffix(".py").split("/")[1]
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{package}."):
                found.add((room, str(node.module).split(".")[1]))
    return {(a, b) for a, b in found if a != b and a not in COMMON and b not in COMMON}


def test_the_rooms_of_the_roster_are_drawn_as_they_know_of_one_another() -> None:
    picture = (
        PAGE.split("The rooms of `roster/`", 1)[1].split("```mermaid", 1)[1].split("```", 1)[0]
    )
    drawn = set(re.findall(r"^ *(\w+)(?:\[.*?\])? --> (\w+)", picture, re.MULTILINE))
    assert drawn == arrows("roster")
    graphlib.TopologicalSorter({a: {c for b, c in drawn if b == a} for a, _ in drawn}).prepare()


def test_every_key_is_told_with_who_writes_it() -> None:
    told = {name for name in rows("Redis keys") if name.startswith("clearway:")}
    drawn = set(re.findall(r"^\| (clearway:[^\s|]+)", keys.__doc__ or "", re.MULTILINE))
    assert told == made() == drawn


def test_every_function_is_told_with_its_file_and_its_caller() -> None:
    row = r"^\| `(\w+)` \| [^|]+ \| `(\w+\.lua)` \| `(roster/[\w/]+\.py)` \|$"
    told = re.findall(row, PAGE, re.MULTILINE)
    registered = {
        (name, path.rpartition("/")[2])
        for path, code in lua().items()
        for name in re.findall(r"\bregister\('(\w+)'", code)
    }
    assert sorted((name, file) for name, file, _ in told) == sorted(registered)
    callers = {module.path: module.text for module in product()}
    assert [name for name, _, path in told if f'"{name}"' not in callers[path]] == []


def test_every_field_of_meta_is_told() -> None:
    told = {re.sub(r":[A-Z:]+$", ":", name) for name in rows("Fields of meta")}
    named = {*Field, *(f"{each}:" for each in ListField)}
    assert told == named == fields("\n".join(lua().values()))


def named_by(node: ast.AST) -> list[ast.expr]:
    """What a command about `meta` names; or a look-up, where it is of bytes."""
    if isinstance(node, ast.Tuple):
        return node.elts if "keys.META" in ast.unparse(node) else []
    names = node.args[:1] if isinstance(node, ast.Call) else []
    names += [node.slice] if isinstance(node, ast.Subscript) else []
    return [name for name in names if ast.unparse(name).startswith("b")]


def spelled(module: Module) -> list[str]:
    """The literals that name a field of `meta`."""
    literals = [each for node in ast.walk(module.tree) for each in named_by(node)]
    values = [each.value for each in literals if isinstance(each, ast.Constant)]
    found = [each for each in values if each in {*Field} | {name.encode() for name in Field}]
    of_list = re.compile(rf"({'|'.join(ListField)}):(\d|%d|$)")
    return [*map(str, found)] + [text for _, text in texts(module) if of_list.match(text)]


def test_only_the_module_of_meta_spells_its_fields() -> None:
    elsewhere = [module for module in product() if module.stem != "meta"]
    assert {module.path: found for module in elsewhere if (found := spelled(module))} == {}
    script = next(module for module in elsewhere if module.stem == "doorbell")
    assert "'{Field.ROSTER}'" in script.text


@pytest.mark.parametrize(
    "code",
    ['x.get(b"covered")', 'f"n:{code}:1"', 'b"f:%d" % 1', '("HGET", keys.META[0], "check")'],
)
def test_a_field_that_is_spelled_is_found(code: str) -> None:
    assert spelled(Module("x.py", code, ast.parse(f"y = {code}")))
