"""What contributors are told and given: where things go, hooks, and what runs for each change."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import yaml

from tests.source import ROOT


def test_the_hooks_before_a_commit_fetch_nothing_and_are_those_of_lint() -> None:
    text = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    repositories = yaml.safe_load(text)["repos"]
    hooks = [hook for repository in repositories for hook in repository["hooks"]]
    asked = [hook["entry"].replace(" --force-exclude", "") for hook in hooks]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    linted = re.search(r"^lint:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert linted is not None
    commands = linted[1].replace("$(BIN)", ".venv/bin").splitlines()
    assert [each.strip().removesuffix(" .") for each in commands] == asked
    assert {repository["repo"] for repository in repositories} == {"local"}
    assert {hook["language"] for hook in hooks} == {"system"}


def test_every_python_that_is_supported_is_tested() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yaml").read_text(encoding="utf-8"))
    named = [job["strategy"]["matrix"]["python"] for job in workflow["jobs"].values()]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    supported = re.findall(r"Python :: (3\.\d+)", " ".join(project["project"]["classifiers"]))
    assert named == [supported, supported]
    steps = [str(step.get("run")) for job in workflow["jobs"].values() for step in job["steps"]]
    assert ".ci/run" in steps
    assert any("clearway" in step and "demo --once" in step for step in steps)


def defined(path: Path) -> set[str]:
    """What a module names at its top: functions, classes, values."""
    found: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            found |= {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    return found


def test_where_new_things_go_is_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    told = set(re.findall(r"`([\w.-]+/[\w./-]*\w)`", text))
    assert len(told) > 15
    assert {path for path in told if not (ROOT / path).exists()} == set()
    places = re.findall(r"((?:`\w+`[, and]+)*`\w+`) (?:of|in)\s+`([\w/]+\.py)`", text)
    assert len(places) >= 5
    for named, path in places:
        assert set(re.findall(r"`(\w+)`", named)) <= defined(ROOT / path), path


def test_what_is_measured_and_what_is_left_out_of_it_are_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    measured = project["tool"]["coverage"]["run"]["source"]
    timed = re.search(r"^TIMED := (.+)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert timed is not None
    told = [*measured, *(f"tests/roster/test_{name}.py" for name in timed[1].split())]
    assert [path for path in told if not (ROOT / path).exists()] == []
    assert all(f"`{path}`" in (ROOT / "CONTRIBUTING.md").read_text("utf-8") for path in measured)
