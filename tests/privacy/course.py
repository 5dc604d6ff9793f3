"""What a roster goes through from its first list on, by its own commands, and all that is left.

Nothing of Clearway runs in the test's process. Whatever a program says, writes or shows of itself
is copied to one folder, `seen`, beside the folders in which it stays by itself.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.servers import eventually, free_port
from tests.service.apps import ID_KEY
from tests.source import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.servers import Server

CLEARWAY = [sys.executable, str(ROOT / "clearway.py")]
FIRST, SECOND, THIRD = (f"2020-01-0{day}" for day in (1, 2, 3))
GUARDS = [f"--max-{what}=20%" for what in ("removals", "additions", "rejects", "warnings")]
PATIENCE_S = 300.0


class Course:
    """Programs with a home, a folder for temporary files and a data folder of their own."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.seen, self.data, self.inputs, self.watched = (
            folder / name for name in ("seen", "data", "inputs", "watched")
        )
        self._temporary = folder / "tmp"
        for each in (self.seen, self.inputs, self.watched, self._temporary):
            each.mkdir()
        self.url = f"http://127.0.0.1:{free_port()}"
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "TMPDIR": str(self._temporary),
            "CLEARWAY_REDIS_URL": server.url,
            "CLEARWAY_DATA_DIR": str(self.data),
            "CLEARWAY_ID_KEY": ID_KEY,
            "CLEARWAY_DRAIN_S": "0",
            "CLEARWAY_LOG_LEVEL": "debug",
            "CLEARWAY_URL": self.url,
            "PYTHONFAULTHANDLER": "1",
        }
        self._number = 0

    def places(self) -> list[Path]:
        """Every file that is left anywhere, but the lists themselves."""
        folders = (self.seen, self.data, self.watched, self._temporary, self.server.folder)
        files = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
        return [path for path in files if path.suffix != ".csv" or "rejects" in path.name]

    def keep(self, name: str, data: bytes | str) -> None:
        """Something that was seen."""
        self._number += 1
        data = data.encode() if isinstance(data, str) else data
        (self.seen / f"{self._number:04d}-{name}").write_bytes(data)

    def run(self, *arguments: str, text: str = "", statuses: Sequence[int] = (0,)) -> str:
        """What a command says on standard output; all that it says is kept."""
        with self.started(*arguments) as process:
            said, _ = process.communicate(text.encode(), timeout=PATIENCE_S)
        assert process.returncode in statuses, (arguments[0], process.returncode)
        self.keep(f"{arguments[0]}.out", said)
        return said.decode()

    @contextmanager
    def started(self, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        self._number += 1
        errors = self.seen / f"{self._number:04d}-{arguments[0]}.err"
        with errors.open("wb") as file:
            process = subprocess.Popen(
                [*CLEARWAY, *arguments],
                cwd=self.inputs,
                env=self.env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
            )
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.kill()
                    process.communicate()

    def look_at_processes(self) -> None:
        """Keep what everybody on this machine may see of our programs."""
        for pid in _descendants(os.getpid()):
            for name in ("cmdline", "comm", "environ", "status"):
                with suppress(OSError):
                    self.keep(f"proc-{name}", Path(f"/proc/{pid}/{name}").read_bytes())

    def load_and_look(self, path: Path, lists: Sequence[str]) -> None:
        """Load a list, and look at the rows that are put aside meanwhile.

        Redis stands still until they have been copied, so the load cannot end before.
        """
        named = [part for name in lists for part in ("--list", name)]
        command = ["load", "-", *named, "--as-of", FIRST, *GUARDS]
        with self.started(*command, "--rejects", str(self.seen / "rejects.csv")) as process:
            assert process.stdin is not None
            head, _, rest = path.read_bytes().partition(b"\n")
            process.stdin.write(head + b"\n")
            process.stdin.flush()
            # From here on it reads, and asks Redis for nothing until all is put aside.
            eventually(lambda: any(self.data.glob("load-*")), PATIENCE_S)
            self.server.pause()
            try:
                process.stdin.write(rest)
                process.stdin.close()
                eventually(lambda: self._spills() > len(rest) // 8, PATIENCE_S)
                self.look_at_processes()
                shutil.copytree(self.data, self.seen / "data-in-between")
            finally:
                self.server.resume()
            process.stdin = None
            process.communicate(timeout=PATIENCE_S)
        if process.returncode:  # it has waited for too long; the same command completes it
            self.run("load", str(path), *named, "--as-of", FIRST, *GUARDS)

    def _spills(self) -> int:
        return sum(each.stat().st_size for each in self.data.glob("load-*/*"))

    def watch(self, path: Path, lists: Sequence[str]) -> None:
        """Have a file loaded that appears in a folder, and another that is refused."""
        shutil.copy(path, self.watched / path.name)
        (self.watched / "refused.csv").write_bytes(path.read_bytes()[:3_000])
        for name in (path.name, "refused.csv"):
            manifest = json.dumps({"as_of": THIRD, "lists": lists})
            (self.watched / f"{name}.manifest.json").write_text(manifest)
        done = self.watched / "done" / f"{path.name}.report.json"
        refused = self.watched / "refused" / "refused.csv.report.json"
        with self.started("watch", str(self.watched), *GUARDS) as process:
            eventually(lambda: done.exists() and refused.exists(), PATIENCE_S)
            self.look_at_processes()
            process.send_signal(signal.SIGTERM)
            said, _ = process.communicate(timeout=PATIENCE_S)
        self.keep("watch.out", said)

    @contextmanager
    def serving(self) -> Iterator[subprocess.Popen[bytes]]:
        port = self.url.rpartition(":")[2]
        with self.started("serve", "--port", port, "--workers", "2") as process:
            yield process
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=PATIENCE_S)


def _descendants(root: int) -> list[int]:
    """The processes that this one has started, and those that they have."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            stat = (folder / "stat").read_text(errors="replace")
            parents[int(folder.name)] = int(stat.rpartition(")")[2].split()[1])
    found: list[int] = []
    new = [root]
    while new:
        new = [pid for pid, parent in parents.items() if parent in new]
        found += new
    return found


def workers_of(process: subprocess.Popen[bytes]) -> list[int]:
    """Its worker processes; the first child may be Python's own resource tracker."""
    found = []
    for pid in _descendants(process.pid):
        with suppress(OSError):
            if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


def as_lines(values: Sequence[Any]) -> str:
    return "".join(f"{json.dumps(value, ensure_ascii=False)}\n" for value in values)
