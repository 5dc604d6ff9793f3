"""What docs/api.md tells of reason codes is so: each code that may be answered has its row."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from roster.storage.api_keys import MEANINGS
from service.openapi.openapi import document
from tests.source import ROOT, modules

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = (ROOT / "docs/api.md").read_text(encoding="utf-8")
GIVE = {"Reason", "reason", "refer", "_refer"}
"""What is called with a code: the reason itself, and the answers that are made of one."""
NAMED = {"code", "doubt"}
"""What a code is called on its way there: a variable, or a function that returns one."""


def given(node: ast.AST) -> list[ast.expr]:
    """What may name a code here."""
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
        return node.args if name in GIVE else []
    if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in NAMED:
        return [node.value]
    if isinstance(node, ast.FunctionDef) and node.name in NAMED:
        returns = (part for part in ast.walk(node) if isinstance(part, ast.Return))
        return [part.value for part in returns if part.value]
    return []


def chosen(expression: ast.expr) -> Iterator[str]:
    """The texts that an expression may give: its conditions are none of them."""
    if isinstance(expression, ast.Constant) and isinstance(expression.value, str):
        yield expression.value
    elif isinstance(expression, ast.IfExp):
        yield from (*chosen(expression.body), *chosen(expression.orelse))
    elif isinstance(expression, ast.BoolOp):
        yield from (text for value in expression.values for text in chosen(value))


def codes() -> set[str]:
    """The codes that the rules, the desk and the routes give."""
    folders = ("roster/rules/*.py", "service/deciding/*.py", "service/routes/*.py")
    nodes = (node for module in modules(*folders) for node in ast.walk(module.tree))
    return {text for node in nodes for value in given(node) for text in chosen(value)}


def test_every_reason_code_has_its_row_and_no_other_has() -> None:
    told = re.findall(
        r"^\| `(\w+)` \| [^|]+ \| [^|]+ \|$",
        PAGE.split("| code |", 1)[1].split("\n\n", 1)[0],
        re.MULTILINE,
    )
    assert len(told) == len(set(told))
    assert set(told) == codes()


def test_every_reason_code_is_said_of_one_decision() -> None:
    rows = re.findall(r"^\| `(?:deny|allow|refer)` \| (.*) \|$", PAGE, re.MULTILINE)
    told = [code for row in rows for code in re.findall(r"`(\w+)`", row)]
    assert sorted(told) == sorted(codes())


def test_every_scope_is_told_in_the_words_of_the_code() -> None:
    table = PAGE.split("| scope | lets |", 1)[1].split("\n\n", 1)[0]
    assert dict(re.findall(r"^\| `([\w:]+)` \| (.*) \|$", table, re.MULTILINE)) == MEANINGS
    assert document()["components"]["securitySchemes"]["key"]["x-scopes"] == MEANINGS
