"""What `clearway loads` shows."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from loader.jobs.intake import Files
from loader.jobs.load_records import refused
from loader.jobs.manifest import Manifest
from roster.times import now_ms
from tests.loader.loads import ID_KEY, Roster, row, settings_for, write
from tests.source import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server


@pytest.fixture
def roster(valkey: Server, tmp_path: Path) -> Roster:
    return Roster(settings_for(valkey, tmp_path), tmp_path)


def run(roster: Roster, *arguments: str) -> str:
    """What a command prints."""
    own = {
        "CLEARWAY_REDIS_URL": roster.settings.redis_url or "",
        "CLEARWAY_DATA_DIR": str(roster.settings.data_dir),
        "CLEARWAY_ID_KEY": ID_KEY,
    }
    done = subprocess.run(
        [sys.executable, "-m", "clearway", *arguments],
        env={**os.environ, **own}, cwd=ROOT, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_loads_are_shown_the_last_first_with_their_files_and_what_they_did(roster: Roster) -> None:
    assert json.loads(run(roster, "loads", "--json")) == {"loads": []}
    roster.load([row(1), row(2, 2), row(3, 3)])
    roster.load([row(1), row(2, 2, 1_600_000_000_000, case="二号"), row(4, 4)], day=2)
    sha256 = hashlib.sha256((roster.folder / "list.csv").read_bytes()).hexdigest()
    last, first = json.loads(run(roster, "loads", "--json"))["loads"]
    assert (last["load"], first["load"]) == (2, 1)
    assert last["files"] == [{"name": "list.csv", "sha256": sha256}]
    assert (last["kind"], last["lists"]) == ("load", ["sx"])
    assert last["as_of"] == "2020-01-01T16:00:00Z"
    figures = ("added", "changed", "ended", "unchanged", "superseded", "rejected")
    assert [last[name] for name in figures] == [1, 1, 1, 1, 0, {}]
    assert [first[name] for name in figures] == [3, 0, 0, 0, 0, {}]
    assert last["began_at"] <= last["ended_at"]
    assert last["undone_by"] is None
    line = run(roster, "loads").splitlines()[0].split("\t")
    assert line[0] == "2"
    assert sha256 in line


def test_a_load_that_did_not_end_is_shown_as_not_completed(roster: Roster) -> None:
    roster.load([row(1)])
    with roster.opened() as session:
        (load,) = session.run(session.dictionary.all_loads()).values()
        session.run(session.dictionary.open_load(replace(load, applied_at_ms=None, did={})))
    told, _ = json.loads(run(roster, "loads", "--json"))["loads"]
    assert (told["load"], told["ended_at"], told["added"]) == (2, None, None)
    assert run(roster, "loads").splitlines()[0].endswith("\tnot completed")


def test_a_file_that_was_refused_is_shown_with_why(roster: Roster) -> None:
    with roster.opened() as session:
        manifest = Manifest(as_of="2020-01-02", lists=("sx",))
        load = refused("new.csv", manifest, 1, "7 rows, not 8", session.lists.ids)
        session.run(session.dictionary.open_load(load))
    (told,) = json.loads(run(roster, "loads", "--json"))["loads"]
    assert (told["kind"], told["lists"], told["refused"]) == ("refused", ["sx"], "7 rows, not 8")
    assert told["as_of"] == "2020-01-01T16:00:00Z"
    assert run(roster, "loads").splitlines()[0].endswith("\trefused: 7 rows, not 8")


def test_the_lists_are_shown_with_their_age_and_whether_that_is_too_old(roster: Roster) -> None:
    roster.load([row(1)])
    hour_ago = Files((write(roster.folder / "new.csv", [row(1, list="xgl")]),), ("xgl",),
                     now_ms() - 3_600_000)  # fmt: skip
    roster.load_files(hour_ago)
    lines = (line.split("\t") for line in run(roster, "lists").splitlines())
    ages = {line[0]: line[-1] for line in lines}
    assert re.fullmatch(r"\d{4,}\.\d days: older than 7", ages["sx"])
    assert ages["xgl"] == "0.0 days"
    assert ages["ndrc-air"] == ""
