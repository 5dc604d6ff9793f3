"""Loads that get little time, wait long, lose a process or are broken off: all end well."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from roster import keys
from tests.loader.loads import HEADER, ID_KEY, Roster, row, settings_for, write
from tests.loader.short_lease import LEASE_MS
from tests.loader.throttled import half_a_core, half_the_time
from tests.servers import DEADLINE_S, Server, eventually
from tests.source import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

pytestmark = pytest.mark.timeout(300)
PEOPLE = 15_000
AS_OF = "2020-01-01"


@pytest.fixture
def roster(valkey: Server, tmp_path: Path) -> Roster:
    return Roster(settings_for(valkey, tmp_path), tmp_path)


@contextmanager
def loading(
    roster: Roster, *arguments: str, before: Sequence[str] = ()
) -> Iterator[subprocess.Popen[str]]:
    """A load under way, with a lease of a few seconds, in a group of processes of its own."""
    env = os.environ | {
        "CLEARWAY_REDIS_URL": roster.settings.redis_url or "",
        "CLEARWAY_DATA_DIR": str(roster.settings.data_dir),
        "CLEARWAY_ID_KEY": ID_KEY,
    }
    command = [*before, sys.executable, "-m", "tests.loader.short_lease", "load", *arguments]
    with subprocess.Popen(
        [*command, "--list", "sx", "--as-of", AS_OF, "--json"],
        cwd=ROOT, env=env, text=True, start_new_session=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def ended(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The summary of a load that is done."""
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, out + err
    summary = json.loads(out)
    assert isinstance(summary, dict)
    return summary


def processes(group: int, parent: int | None = None) -> list[int]:
    """The processes of a group, only the children of one of them if it is named."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            fields = (path / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        mine = parent is None or int(fields[1]) == parent
        if int(fields[2]) == group and fields[0] != "Z" and mine:
            found.append(int(path.name))
    return found


def rows() -> list[str]:
    return [row(n, n % 20_000 + 1) for n in range(PEOPLE)]


def is_whole(roster: Roster) -> bool:
    return roster.verify(rows()).equal and roster.count(b"people") == PEOPLE


def test_a_load_with_half_a_core_ends_well(roster: Roster) -> None:
    path = write(roster.folder / "list.csv", rows())
    with half_a_core() as before, loading(roster, path, "--jobs", "2", before=before) as process:
        assert ended(process)["added"] == PEOPLE
    assert is_whole(roster)


def test_a_load_that_is_stopped_again_and_again_ends_well(roster: Roster) -> None:
    path = write(roster.folder / "list.csv", rows())
    with loading(roster, path, "--jobs", "2") as process, half_the_time(process.pid):
        assert ended(process)["added"] == PEOPLE
    assert is_whole(roster)


def test_a_load_with_more_workers_than_processors_ends_well(roster: Roster) -> None:
    path = write(roster.folder / "list.csv", rows())
    with loading(roster, path, "--jobs", "24") as process:
        assert ended(process)["added"] == PEOPLE
    assert is_whole(roster)


def test_a_load_that_waits_for_its_file_keeps_its_lease(roster: Roster, valkey: Server) -> None:
    with loading(roster, "-", "--jobs", "1") as process, valkey.client() as client:
        assert process.stdin is not None
        process.stdin.write(f"{HEADER}\n{row(1)}\n")
        process.stdin.flush()
        eventually(lambda: bool(client.exists(keys.LOAD)))
        began_s = client.time()[0]
        eventually(lambda: client.time()[0] - began_s > 2 * LEASE_MS / 1000)
        process.stdin.write(f"{row(2, 2)}\n")
        assert ended(process)["added"] == 2


def test_a_worker_that_is_killed_ends_the_load_and_says_so(roster: Roster) -> None:
    lines = [HEADER, *rows()]
    with loading(roster, "-", "--jobs", "2") as process:
        assert process.stdin is not None
        process.stdin.write("\n".join(lines[:5_000]) + "\n")
        process.stdin.flush()
        eventually(lambda: len(processes(process.pid, process.pid)) == 2)
        os.kill(processes(process.pid, process.pid)[0], signal.SIGKILL)
        out, err = process.communicate("\n".join(lines[5_000:]) + "\n", timeout=DEADLINE_S)
    assert (process.returncode, out) == (1, "")
    assert err.startswith("Error: a worker process of the load has ended (Killed)")
    eventually(lambda: not processes(process.pid))
    assert roster.count(b"people") == 0
    path = write(roster.folder / "list.csv", rows())
    with loading(roster, path) as process:
        assert ended(process)["added"] == PEOPLE


@pytest.mark.parametrize("after_s", [0.5, 1.0, 1.5, 2.0, 3.0])
def test_ctrl_c_leaves_a_consistent_roster_and_no_processes(roster: Roster, after_s: float) -> None:
    path = write(roster.folder / "list.csv", rows())
    with loading(roster, path, "--jobs", "2") as process:
        try:
            process.wait(after_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode in {0, 1, -signal.SIGINT}
    assert "Traceback" not in err
    eventually(lambda: not processes(process.pid))
    assert set(roster.states().values()) <= {"ACTIVE"}
    roster.load(rows(), lists=("sx",))
    assert is_whole(roster)
