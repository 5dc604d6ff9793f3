"""Outputs are no inputs, a pipe is read once, and a full disk is told."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from loader.jobs.intake import Files, check_outputs
from roster.errors import LoadRefused, WrongUsage
from roster.records.content import court_id
from roster.times import parse_time
from tests.loader.loads import HEADER, ID_KEY, Roster, row, write

if TYPE_CHECKING:
    from collections.abc import Sequence

AS_OF = parse_time("2020-01-01")
ROOT = Path(__file__).parent.parent.parent
FULL = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.argv = ["clearway", *sys.argv[2:]]
from clearway import main
main()
"""
"""The command, where no file can become larger than so many bytes, as on a disk that is full."""
UNCOMPILED = {"PYTHONDONTWRITEBYTECODE": "1"}
"""Modules that were compiled there would be cut off, too."""


def command(roster: Roster, *arguments: str, before: Sequence[str] = ("-m", "clearway"),
            stdin: str = "") -> subprocess.CompletedProcess[str]:  # fmt: skip
    env = {name: value for name, value in os.environ.items() if not name.startswith("CLEARWAY_")}
    env |= UNCOMPILED | {
        "CLEARWAY_REDIS_URL": roster.settings.redis_url or "",
        "CLEARWAY_DATA_DIR": str(roster.settings.data_dir),
        "CLEARWAY_ID_KEY": ID_KEY,
    }
    return subprocess.run(
        [sys.executable, *before, *arguments], env=env, input=stdin, text=True, cwd=ROOT,
        capture_output=True, check=False, timeout=120,
    )  # fmt: skip


def test_a_data_folder_that_takes_nothing_is_told_in_one_line(tmp_path: Path) -> None:
    env = UNCOMPILED | {"CLEARWAY_DATA_DIR": str(tmp_path / "data"), "PATH": os.environ["PATH"]}
    path = write(tmp_path / "list.csv", [row(1)])
    arguments = ("load", path, "--list", "sx", "--as-of", "2020-01-01")
    done = subprocess.run(
        [sys.executable, "-c", FULL, "100", *arguments], env=env, text=True, cwd=ROOT,
        capture_output=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1
    assert "cannot be written: File too large" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_output_that_is_an_input_touches_nothing(roster: Roster) -> None:
    path = Path(write(roster.folder / "x.csv", [row(1), row(2, document_number="none")]))
    before = path.read_bytes()
    other = write(roster.folder / "y.csv", [row(3)])
    hard, soft = roster.folder / "hard.csv", roster.folder / "soft.csv"
    hard.hardlink_to(path)
    soft.symlink_to(path)
    for output in (path, hard, soft, roster.folder / ".." / roster.folder.name / "x.csv"):
        for inputs in ([str(path)], [other, str(path)], [str(soft)]):
            with pytest.raises(WrongUsage, match="nothing was done"):
                check_outputs(inputs, [output])
    for suffix in (".manifest.json", ".manifest.json.sig"):
        with pytest.raises(WrongUsage):
            check_outputs([other, str(path)], [Path(str(path) + suffix)])
    with pytest.raises(WrongUsage):
        check_outputs([other], [roster.folder / "new.csv", None, roster.folder / "new.csv"])
    check_outputs([other], [path, None, roster.folder / "new.csv"])
    done = command(roster, "load", other, str(path), "--partial", "--rejects", str(hard))
    assert (done.returncode, path.read_bytes()) == (2, before)
    assert "Traceback" not in done.stderr
    assert roster.entries() == {}


def alike() -> tuple[str, str]:
    """Two courts whose four bytes are the same."""
    seen: dict[bytes, str] = {}
    for number in range(1 << 20):
        court = f"第{number}法院"
        if (other := seen.setdefault(court_id(court), court)) != court:
            return other, court
    raise AssertionError("no two are alike")


def test_a_pipe_is_read_once(roster: Roster) -> None:
    """All of its rows are loaded; where that takes a second look, it is refused as a whole."""
    plain = [row(n, n + 1) for n in range(10)]
    one, other = alike()
    newer = 1_500_000_000_001
    doubtful = [*(row(n, n + 1, newer, court=one) for n in range(5)),
                *(row(n, n + 1, newer, court=other) for n in range(5, 10))]  # fmt: skip
    pipe = roster.folder / "pipe.csv"
    os.mkfifo(pipe)
    for rows, said in ((doubtful, "this can be read only once"), (plain, "")):
        text = "\n".join([HEADER, *rows]) + "\n"
        writing = Thread(target=pipe.write_text, args=(text,))
        writing.start()
        files = Files((str(pipe),), ("sx",), AS_OF)
        if said:
            with pytest.raises(LoadRefused, match=said):
                roster.load_files(files)
            assert roster.entries() == {}
        else:
            assert roster.load_files(files).added == 10
        writing.join()
    path = write(roster.folder / "file.csv", doubtful)
    assert roster.load_files(Files((path,), ("sx",), AS_OF + 1)).unchanged == 0
    assert {entry.content.court for entry in roster.entries().values()} == {one, other}


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_new_courts_that_are_alike_the_first_by_name_is_the_short_one(
    roster: Roster, order: int
) -> None:
    courts = sorted(alike())
    with roster.opened() as session:
        session.intern(courts[::order])
        assert set(session.dictionary.court_ids) == {courts[0]}
    rows = [row(n, n + 1, court=courts[n % 2]) for n in range(6)]
    roster.load(rows)
    told = [entry.content.court for entry in roster.entries().values()]
    assert Counter(told) == dict.fromkeys(courts, 3)


@pytest.mark.parametrize("jobs", ["0", "2"])
def test_a_full_disk_is_told_in_one_line_and_nothing_is_done(roster: Roster, jobs: str) -> None:
    good = [row(n, n + 1) for n in range(3_000)]
    bad = [row(n, n + 1, until="?") for n in range(1_000)]
    roster.settings.data_dir.mkdir(parents=True, exist_ok=True)
    named = ("--list", "sx", "--as-of", "2020-01-01", "--jobs", jobs)
    for rows in (good, bad):
        path = write(roster.folder / "list.csv", rows)
        full = ("-c", FULL, "2048")
        done = command(roster, "load", path, *named, "--max-rejects", "100%", before=full)
        assert done.returncode == 1
        assert "cannot be written: File too large" in done.stderr
        assert "Traceback" not in done.stderr
        assert roster.entries() == {}
        assert list(roster.settings.data_dir.glob("load-*")) == []
    assert command(roster, "load", write(roster.folder / "list.csv", good), *named).returncode == 0
