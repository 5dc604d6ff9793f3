"""The rooms of each package: no circles between them, and each says what may not live in it."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from tests.source import Module, modules

PACKAGES = ("roster", "service", "loader")
OUTSIDE = {
    "roster": {
        "address",
        "build",
        "errors",
        "filter",
        "id_key",
        "keys",
        "opening",
        "parse_errors",
        "settings",
        "times",
    },
    "service": {"app", "parts", "upkeep"},
    "loader": {"commands"},
}
"""What lies in no room, and is a room by itself."""
BARRED = re.compile(r"\b(no|not|nothing|nobody|never|none|only|elsewhere)\b", re.IGNORECASE)
"""How a room says what may not live there."""


def dotted(module: Module) -> str:
    return module.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def room(name: str) -> str:
    """Where a module lives: a folder of its package, or outside of all by itself."""
    return ".".join(name.split(".")[:2])


def imported(module: Module, names: frozenset[str]) -> set[str]:
    """The modules among these that one imports, also where only types are checked."""
    found = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{each.name}" for each in node.names)}
        elif isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
    return found & names


@cache
def arrows(package: str) -> dict[str, set[str]]:
    """Which rooms of a package each of them imports from."""
    found = modules(f"{package}/**/*.py")
    names = frozenset(dotted(module) for module in found if not module.path.endswith("__init__.py"))
    drawn: dict[str, set[str]] = {room(name): set() for name in names}
    for module in found:
        if dotted(module) in names:
            here = room(dotted(module))
            drawn[here] |= {room(name) for name in imported(module, names)} - {here}
    return drawn


def reached(package: str, start: str) -> set[str]:
    """The rooms to which arrows lead from this one."""
    found: set[str] = set()
    left = [start]
    while left:
        new = arrows(package)[left.pop()] - found
        found |= new
        left += new
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_there_is_no_circle_between_rooms(package: str) -> None:
    assert [name for name in sorted(arrows(package)) if name in reached(package, name)] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_room_says_what_lives_there_and_what_may_not(package: str) -> None:
    rooms = modules(f"{package}/*/__init__.py")
    told = {module.path: ast.get_docstring(module.tree) or "" for module in rooms}
    assert [path for path, text in told.items() if not BARRED.search(text)] == []
    assert {room(dotted(module)) for module in rooms} | {
        f"{package}.{name}" for name in OUTSIDE[package]
    } == set(arrows(package))


@pytest.mark.parametrize("package", PACKAGES)
def test_only_a_few_modules_lie_outside_the_rooms(package: str) -> None:
    found = {module.stem for module in modules(f"{package}/*.py")} - {"__init__"}
    assert found == OUTSIDE[package]
