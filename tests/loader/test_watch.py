"""A folder whose files are loaded as they come, by a real process."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from loader.jobs.intake import Files
from loader.jobs.load import Loading
from loader.jobs.reading import Options
from loader.jobs.session import Session
from loader.jobs.sign import sign
from loader.jobs.undo_plan import undoable
from roster.errors import LoadRefused
from roster.rules.lists import load_lists
from roster.storage.dictionary import standing_refusals
from roster.times import DAY_MS
from tests.loader.loads import ID_KEY, Roster, row, write
from tests.servers import DEADLINE_S, eventually
from tests.source import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "spool"
    made.mkdir()
    return made


def drop(folder: Path, name: str, lines: Iterable[str], day: int = 1, **stated: Any) -> None:  # noqa: ANN401 -- as a manifest has them
    """A file and its manifest, which comes last."""
    data = Path(write(folder / name, lines)).read_bytes()
    manifest = {
        "as_of": f"2020-01-0{day}", "lists": ["sx"], "rows": data.count(b"\n") - 1,
        "sha256": hashlib.sha256(data).hexdigest(),
    } | stated  # fmt: skip
    (folder / f"{name}.manifest.json").write_text(json.dumps(manifest))


class Watch:
    """A process that watches, and what it has said."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process = process
        self._log = log

    def said(self) -> str:
        return self._log.read_text()

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(DEADLINE_S)


@contextmanager
def watching(roster: Roster, folder: Path, *more: str, **env: str) -> Iterator[Watch]:
    own = {
        "CLEARWAY_REDIS_URL": roster.settings.redis_url or "",
        "CLEARWAY_DATA_DIR": str(roster.settings.data_dir),
        "CLEARWAY_ID_KEY": ID_KEY,
    }
    log = roster.folder / "watch.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "clearway", "watch", str(folder), *more],
            env={**os.environ, **own, **env}, cwd=ROOT, stdout=file, stderr=file, text=True,
        )  # fmt: skip
        try:
            yield Watch(process, log)
        finally:
            process.kill()
            process.wait(DEADLINE_S)


def report(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def there(path: Path) -> None:
    eventually(path.exists, DEADLINE_S * 2)


def test_files_are_loaded_in_the_order_of_their_times_and_moved_with_a_report(
    roster: Roster, folder: Path
) -> None:
    drop(folder, "a.csv", [row(1), row(3, 3)], day=2)
    drop(folder, "b.csv", [row(1), row(2, 2), "sx,,,,,,,,,,"], day=1)
    with watching(roster, folder) as watch:
        there(folder / "done" / "a.csv.report.json")
        eventually(lambda: not (folder / "a.csv.manifest.json").exists())
        assert watch.end() == 0
    names = {path.name for path in (folder / "done").iterdir()}
    assert names - {"b.csv.rejects.csv"} == {
        f"{name}{more}" for name in ("a.csv", "b.csv")
         for more in ("", ".manifest.json", ".report.json")
    }  # fmt: skip
    told = report(folder / "done" / "a.csv.report.json")
    assert (told["outcome"], told["message"]) == ("done", None)
    assert (told["summary"]["added"], told["summary"]["ended"]) == (1, 1)
    assert told["summary"]["rejects_file"] is None
    summary = report(folder / "done" / "b.csv.report.json")["summary"]
    assert summary["rejected"]
    assert summary["rejects_file"] == str(folder / "done" / "b.csv.rejects.csv")
    assert "unknown_type" in (folder / "done" / "b.csv.rejects.csv").read_text()
    assert [path.name for path in folder.iterdir() if path.is_file()] == [".clearway-watch"]
    assert sorted(roster.states().values()) == ["ABSENT", "ACTIVE", "ACTIVE"]
    assert where_rejects_lie(roster) == ["", str(folder / "done")]


def where_rejects_lie(roster: Roster) -> list[str]:
    """Where the loads on record say so, the last first."""
    with Session(roster.settings) as session:
        return [each.rejects_file for each in session.run(session.dictionary.all_loads()).values()]


def test_a_refused_file_goes_with_the_reason_and_stops_no_other(
    roster: Roster, folder: Path
) -> None:
    with watching(roster, folder):
        drop(folder, "bad.csv", [row(1), row(2, 2)], day=1, rows=7)
        drop(folder, "none.csv", [row(1)], day=1, as_of="yesterday")
        drop(folder, "good.csv", [row(1), row(2, 2)], day=2)
        for name in ("refused/bad.csv", "refused/none.csv", "done/good.csv"):
            there(folder / f"{name}.report.json")
            eventually((folder / f"{name}.manifest.json").exists)
    told = report(folder / "refused" / "bad.csv.report.json")
    assert told["outcome"] == "refused"
    assert "the manifest states 7" in told["message"]
    assert told["summary"] is None


def test_a_refusal_says_where_its_rejects_lie_then(roster: Roster, folder: Path) -> None:
    with watching(roster, folder) as watch:
        for name in ("bad.csv", "2-bad.csv"):
            drop(folder, "bad.csv", [row(1), *("sx,,,,,,,,,," for _ in range(9))])
            there(folder / "refused" / f"{name}.report.json")
            rejects = folder / "refused" / f"{name}.rejects.csv"
            eventually(rejects.exists)
            assert str(rejects) in report(folder / "refused" / f"{name}.report.json")["message"]
            eventually(lambda: not (folder / "bad.csv.manifest.json").exists())
        eventually(lambda: watch.said().count("the rejects are in ") == 2)
        assert f"{rejects}\n" in watch.said()


def stands(roster: Roster) -> dict[str, tuple[str, str]]:
    """File and reason of each refusal that counts, by list."""
    with Session(roster.settings) as session:
        loads = session.run(session.dictionary.all_loads())
    found = standing_refusals(loads, time.time_ns() // 1_000_000)
    told = {name: loads[number] for name, number in found.items()}
    assert all(each.refused for each in told.values())
    return {name: (each.actor, each.refused.why) for name, each in told.items() if each.refused}


def test_a_refusal_is_on_record_until_a_newer_file_of_its_list_is_loaded(
    roster: Roster, folder: Path
) -> None:
    with watching(roster, folder):
        drop(folder, "a.csv", [row(1), row(2, 2)], day=2)
        there(folder / "done" / "a.csv.report.json")
        drop(folder, "old.csv", [row(1)], day=1)
        drop(folder, "bad.csv", [row(1)], day=3, rows=7)
        drop(folder, "none.csv", [row(1)], day=3, as_of="yesterday", lists=["nope"])
        for name in ("old", "bad", "none"):
            there(folder / "refused" / f"{name}.csv.report.json")
        found = stands(roster)
        assert {name: file for name, (file, _) in found.items()} == {
            "sx": "bad.csv",
            "": "none.csv",
        }
        assert found["sx"][1] == report(folder / "refused" / "bad.csv.report.json")["message"]
        drop(folder, "good.csv", [row(1), row(2, 2)], day=4)
        there(folder / "done" / "good.csv.report.json")
    assert stands(roster).keys() == {""}
    with Session(roster.settings) as session:
        later_ms = time.time_ns() // 1_000_000 + DAY_MS
        loads = session.run(session.dictionary.all_loads())
    assert standing_refusals(loads, later_ms) == {}
    refused = next(number for number, load in loads.items() if load.refused)
    with pytest.raises(LoadRefused, match=f"load {refused} was refused"):
        undoable(refused, loads, 90)
    with roster.opened() as session:
        again = Options(files=Files((str(folder / "done" / "good.csv"),)))
        assert Loading(session, again, lambda *_: None).run().same_as is not None


def test_a_file_that_is_not_whole_yet_is_waited_for(roster: Roster, folder: Path) -> None:
    rows = [row(n, n) for n in range(50)]
    whole = Path(write(roster.folder / "whole.csv", rows)).read_bytes()
    with watching(roster, folder) as watch:
        drop(folder, "a.csv", rows[:20], sha256=hashlib.sha256(whole).hexdigest(), rows=50)
        (folder / "later.csv").write_text("no manifest\n")
        (folder / ".hidden").write_text("no file of ours\n")
        eventually(lambda: "a.csv is tried again" in watch.said())
        (folder / "a.csv").write_bytes(whole)
        there(folder / "done" / "a.csv.report.json")
        assert watch.said().count("later.csv waits for its manifest") == 1
    assert (folder / "later.csv").exists()
    assert ".hidden" not in watch.said()
    assert not (folder / "refused").exists()


def test_a_watch_that_is_killed_loads_and_moves_each_file_once(
    roster: Roster, folder: Path
) -> None:
    rows = [row(n, n) for n in range(3_000)]
    for kill in range(3):
        drop(folder, "list.csv", rows[kill:], day=kill + 1)
        with watching(roster, folder) as watch:
            if kill < 2:
                eventually(lambda: bool(roster.count(b"n:1:1")) or (folder / "done").exists())
                watch.end(signal.SIGKILL)
        with watching(roster, folder, "--max-removals", "100%") as watch:
            eventually(lambda: not (folder / "list.csv.manifest.json").exists(), DEADLINE_S * 3)
            assert watch.end() == 0
        assert not [each for each in folder.iterdir() if each.name.startswith(".list")]
    names = {path.name for path in (folder / "done").iterdir()}
    for base in ("list.csv", "2-list.csv", "3-list.csv"):
        assert {base, f"{base}.manifest.json", f"{base}.report.json"} <= names
    assert roster.count(b"n:1:1") == 2_998
    assert not (folder / "refused").exists()


def test_a_move_that_was_killed_half_way_is_finished(roster: Roster, folder: Path) -> None:
    drop(folder, "a.csv", [row(1)])
    with watching(roster, folder) as watch:
        there(folder / "done" / "a.csv.report.json")
        eventually(lambda: not (folder / "a.csv.manifest.json").exists())
        watch.end(signal.SIGKILL)
    manifest = folder / "done" / "a.csv.manifest.json"
    stamp = [
        [(s := path.stat()).st_ino, s.st_size, s.st_mtime_ns]
        for path in (folder / "done" / "a.csv", manifest)
    ]
    manifest.rename(folder / "a.csv.manifest.json")
    note = {"name": "a.csv", "stamp": [*stamp, [0, 0, 0]], "folder": "done", "base": "a.csv",
            "report": {"outcome": "done"}}  # fmt: skip
    (folder / ".a.csv.moving").write_text(json.dumps(note))
    with watching(roster, folder) as watch:
        there(manifest)
        eventually(lambda: not (folder / ".a.csv.moving").exists())
    with roster.opened() as session:
        assert len(session.run(session.dictionary.all_loads())) == 1


def test_one_process_watches_a_folder(roster: Roster, folder: Path) -> None:
    with watching(roster, folder):
        eventually((folder / ".clearway-watch").exists)
        with watching(roster, folder) as second:
            eventually(lambda: second.process.poll() is not None, DEADLINE_S * 2)
            assert second.process.returncode == 1
            assert "another process watches" in second.said()


def test_a_file_waits_while_another_load_is_under_way(roster: Roster, folder: Path) -> None:
    with roster.opened() as session:
        session.take_lease()
        drop(folder, "a.csv", [row(1)])
        with watching(roster, folder) as watch:
            eventually(lambda: "another load is under way" in watch.said(), DEADLINE_S * 2)
    with watching(roster, folder):
        there(folder / "done" / "a.csv.report.json")


def test_where_signatures_are_required_a_file_waits_for_its_own(
    roster: Roster, folder: Path
) -> None:
    openssl = ["openssl", "genpkey", "-algorithm", "ed25519", "-out", "key.pem"]
    subprocess.run(openssl, cwd=roster.folder, check=True, capture_output=True)
    public = ["openssl", "pkey", "-in", "key.pem", "-pubout", "-out", "public.pem"]
    subprocess.run(public, cwd=roster.folder, check=True, capture_output=True)
    key_file = str(roster.folder / "public.pem")
    drop(folder, "a.csv", [row(1)])
    with watching(roster, folder, CLEARWAY_SIGNATURE_KEY_FILE=key_file) as watch:
        eventually(lambda: "a.csv waits" in watch.said(), DEADLINE_S * 2)
        files = Files((str(folder / "a.csv"),), ("sx",))
        sign(files, roster.folder / "key.pem", load_lists(None), 1_600_000_000_000)
        there(folder / "done" / "a.csv.manifest.json.sig")
