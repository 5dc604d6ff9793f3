"""The client as a package: what it says of the service, and what its wheel holds."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from typing import TYPE_CHECKING

import pytest

import clearway_client
from clearway_client import answers, questions, transport
from service.deciding.answers import CheckAnswer
from service.openapi import documented
from service.web import shapes
from service.web.problems import Problem
from tests.source import ROOT, imports, modules, tracked

if TYPE_CHECKING:
    from pathlib import Path

    import msgspec

FOLDER = ROOT / "clients" / "python"
PROJECT = tomllib.loads((FOLDER / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def names(kind: type[msgspec.Struct]) -> set[str]:
    return set(kind.__struct_encode_fields__)


@pytest.mark.parametrize(
    ("ours", "the_services"),
    [
        (answers.Answer, CheckAnswer),
        (answers.Answer, documented.Answer),
        (answers.Reason, documented.ReasonReply),
        (answers.Product, documented.ProductReply),
        (answers.Problem, Problem),
        (answers.Standing, documented.StandingAnswer),
        (answers.Remaining, documented.RemainingReply),
        (answers.Acknowledged, documented.ChangesAnswer),
        (answers.Result, documented.ChangeAnswer),
        (answers.Current, documented.Current),
        (answers.Confirmed, documented.Confirmation),
        (answers.Page, documented.LogAnswer),
        (answers.Event, documented.Logged),
        (questions.Check, shapes.Check),
        (questions.Entry, shapes.EntryShape),
        (questions.Change, shapes.ChangeShape),
    ],
)
def test_the_client_knows_every_field_of_the_service(
    ours: type[msgspec.Struct], the_services: type[msgspec.Struct]
) -> None:
    assert names(the_services) - names(ours) == set()


def test_the_client_asks_nothing_that_the_service_does_not_take() -> None:
    assert names(questions.Check) == names(shapes.Check)
    assert names(questions.Entry) == names(shapes.EntryShape)
    assert names(questions.Change) == names(shapes.ChangeShape)


def test_the_wheel_holds_the_typed_package_and_asks_for_what_it_imports(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    subprocess.run([*command, "--directory", tmp_path], cwd=FOLDER, check=True, capture_output=True)
    (path,) = tmp_path.glob("*.whl")
    wheel = zipfile.ZipFile(path)
    sources = {each.relative_to(ROOT).as_posix() for each in tracked()}
    inside = {name for name in wheel.namelist() if ".dist-info/" not in name}
    prefix = "clients/python/src/"
    assert inside == {name.removeprefix(prefix) for name in sources if name.startswith(prefix)}
    assert "clearway_client/py.typed" in inside
    (metadata,) = (name for name in wheel.namelist() if name.endswith("/METADATA"))
    told = wheel.read(metadata).decode()
    wheel.close()
    assert f"Version: {clearway_client.__version__}" in told
    wanted = {line.split(": ")[1] for line in told.splitlines() if line.startswith("Requires-Dist")}
    assert wanted == set(PROJECT["dependencies"])
    imported = {n for each in modules(f"{prefix}**/*.py") for n in imports(each)}
    foreign = imported - set(sys.stdlib_module_names) - {"clearway_client"}
    assert foreign == {each.split(">")[0] for each in wanted}


def test_the_client_says_who_it_is() -> None:
    assert f"clearway-client/{clearway_client.__version__}" == transport.AGENT
