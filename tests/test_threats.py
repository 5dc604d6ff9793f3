"""Every row of SECURITY.md's threats names tests, and they are there."""

from __future__ import annotations

import ast
import re

from tests.source import ROOT

TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
COLUMNS = ["who", "does what", "how it is held", "by which test"]


def rows() -> list[list[str]]:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    table = text.partition("\n## Threats\n")[2].partition("\n## ")[0]
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def defined(path: str) -> set[str]:
    """The tests of a module; what is only defined within something else is none."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return {node.name for node in tree.body if isinstance(node, kinds)}


def test_every_threat_says_who_what_how_and_by_which_tests_it_is_held() -> None:
    head, _, *threats = rows()
    assert head == COLUMNS
    assert len(threats) > 30
    for threat in threats:
        assert len(threat) == len(COLUMNS), threat
        assert all(threat), threat
        assert TEST.sub("", threat[-1]).strip(", ") == "", threat


def test_every_test_that_a_threat_names_is_there() -> None:
    named = [found for threat in rows()[2:] for found in TEST.findall(threat[-1])]
    assert named
    missing = [f"{path}::{name}" for path, name in named if name not in defined(path)]
    assert missing == []
