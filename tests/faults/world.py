"""Service processes on ports of their own, before one private server; and a way to hurt each."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.faults.history import LISTS
from tests.servers import DEADLINE_S, Server, eventually, free_port
from tests.source import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ID_KEY = "5a" * 32
HOST = "127.0.0.1"
EVERYBODY = "1000000"
SCOPES = "check,standing,feed,list:read,list:add,list:remove,list:lift,audit,ops"
COLUMNS = (
    *("list", "entry_id", "document_type", "document_number", "document_issuer"),
    *("document_kind", "name", "revision"),
)
LOAD_TIMEOUT_S = 600.0
COMMAND = [sys.executable, str(ROOT / "clearway.py")]
NOW = ROOT
"""Where this version's code is; a test of an upgrade has another one's elsewhere."""


class Cut:
    """A proxy to the server; see `tests.faults.proxy`."""

    def __init__(self, port: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.proxy", HOST, str(port)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = int(self._line())

    def tell(self, word: str) -> None:
        """`silence`, `forget`, `part`, `refuse`, `narrow` or `heal`; it is so on return."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        self._line()

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(DEADLINE_S)
        self._process.stdout.close()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


class Process:
    """One `clearway serve` of the code in `home`; `url` is its own, `log` what it wrote."""

    def __init__(self, folder: Path, settings: Mapping[str, str], home: Path = NOW) -> None:
        self.home = home
        self.port = free_port()
        self.url = f"http://{HOST}:{self.port}"
        self.log = folder / "serve.log"
        self.settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command(self.home), "serve", "--port", str(self.port)],
                cwd=self.home,
                env={**_plain_env(self.home), **self.settings},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def status(self) -> int | None:
        """The exit status, once it has ended."""
        return None if self._process is None else self._process.poll()

    def ready(self) -> bool:
        """Whether it says that it decides checks."""
        return self.condition()[0] == 200

    def has_looked(self) -> bool:
        """Whether it has read the roster, whatever that holds."""
        status, told = self.condition()
        return bool(status) and told["conditions"]["loaded"]["ok"]

    def condition(self) -> tuple[int, Any]:
        """What `/readyz` says; 0 where nothing is said."""
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=2) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as exc:
            with exc:
                return exc.code, json.load(exc)
        except OSError:
            return 0, None

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End it; it may be stopped."""
        if self._process is None:
            return
        if self._process.poll() is None:
            os.kill(self._process.pid, how)
            os.kill(self._process.pid, signal.SIGCONT)
        self._process.wait(DEADLINE_S)

    def pause(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)


class World:
    """A server on a port, and service processes that reach it through a proxy each.

    With a `url`, of sentinels, a cluster or another database, they reach that without one.
    What is started is the code in `home` at that moment.
    """

    def __init__(
        self, stack: ExitStack, server: Server, folder: Path, url: str = "", id_key: str = ID_KEY
    ) -> None:
        self.stack = stack
        self.server = server
        self.folder = folder
        self.home = NOW
        self.redis_port = int(server._settings["port"])
        self.processes: list[Process] = []
        self.cuts: list[Cut] = []
        self.key = ""
        self.told = ""
        self._url = url
        self._id_key = id_key

    def settings(self, port: int, **more: str) -> dict[str, str]:
        """The environment of a process that reaches the server by this port."""
        values = {
            "redis_url": self._url or f"redis://{HOST}:{port}",
            "id_key": self._id_key,
            "data_dir": str(self.folder / "data"),
            "log_level": "warning",
            **more,
        }
        return {f"CLEARWAY_{name.upper()}": value for name, value in values.items()}

    def run(
        self, *args: str, timeout_s: float = 60, **more: str
    ) -> subprocess.CompletedProcess[str]:
        """A command, done; it reaches the server without a proxy."""
        return subprocess.run(
            [*command(self.home), *args],
            cwd=self.home,
            env={**_plain_env(self.home), **self.settings(self.redis_port, **more)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
        )

    def make_key(self) -> None:
        made = self.run("keys", "create", "--name", "tests", "--scopes", SCOPES)
        assert made.returncode == 0, made.stderr
        self.key = made.stdout.strip()

    def add_process(self, **more: str) -> Process:
        """One more process with a data folder and a proxy of its own; not yet ready."""
        number = len(self.processes)
        folder = self.folder / f"process-{number}"
        folder.mkdir()
        port = self.redis_port if self._url else self._add_cut().port
        process = Process(folder, self.settings(port, data_dir=str(folder), **more), self.home)
        self.stack.callback(process.kill)
        process.start()
        self.processes.append(process)
        return process

    def _add_cut(self) -> Cut:
        cut = Cut(self.redis_port)
        self.stack.callback(cut.close)
        self.cuts.append(cut)
        return cut

    def all_ready(self) -> None:
        for process in self.processes:
            eventually(lambda p=process: p.ready() or not p.running)  # type: ignore[misc]
            assert process.running, process.log.read_text()[-2000:]

    def all_looked(self) -> None:
        """Wait until each process knows the roster as it is: what comes later is news to it."""
        for process in self.processes:
            eventually(lambda p=process: p.has_looked() or not p.running)  # type: ignore[misc]
            assert process.running, process.log.read_text()[-2000:]

    def load(
        self,
        rows: Sequence[Mapping[str, object]],
        as_of: str,
        *more: str,
        lists: Sequence[str] = LISTS,
    ) -> int:
        """The status of a load of these lists, whatever the file does to them.

        `more` are options, or files beside the one with these rows.
        """
        path = self.folder / "list.csv"
        lines = [",".join(COLUMNS)]
        lines += [",".join(str(row.get(name, "")) for name in COLUMNS) for row in rows]
        path.write_text("\n".join(lines) + "\n")
        done = self.run(
            "load", str(path), *(arg for of in lists for arg in ("--list", of)), "--as-of", as_of,
            "--max-removals", EVERYBODY, "--max-additions", EVERYBODY, "--allow-empty",
            "--jobs", "1", *more, timeout_s=LOAD_TIMEOUT_S,
        )  # fmt: skip
        self.told = done.stdout + done.stderr
        return done.returncode


class Caller:
    """A keep-alive HTTP client of one process, cheap enough to ask thousands of times a second."""

    def __init__(self, port: int, key: str) -> None:
        self.port = port
        self._head = (
            f"Host: {HOST}\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json"
        )
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, body: object, timeout_s: float = 5) -> tuple[int, Any]:
        """Status and body; raises OSError or TimeoutError where there is no whole answer."""
        data = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\n{self._head}\r\nContent-Length: {len(data)}\r\n\r\n"
        try:
            async with asyncio.timeout(timeout_s):
                return await self._exchange(head.encode() + data)
        except (OSError, EOFError, TimeoutError, asyncio.CancelledError) as exc:
            self.close()
            if isinstance(exc, EOFError):
                raise ConnectionError("the process has gone") from exc
            raise

    async def _exchange(self, request: bytes) -> tuple[int, Any]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(HOST, self.port)
        reader, writer = self._streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length: ")[1].split("\r\n")[0])
        body = await reader.readexactly(length)
        return int(head.split(" ")[1]), json.loads(body) if body else None

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].transport.abort()
        self._streams = None


def command(home: Path) -> list[str]:
    """How the command is called whose code is in `home`."""
    return [sys.executable, str(home / "clearway.py")]


def _plain_env(home: Path = NOW) -> dict[str, str]:
    """This environment without settings, but for one: no load balancer has to be told here.

    A version of before does not know it.
    """
    kept = {name: text for name, text in os.environ.items() if not name.startswith("CLEARWAY_")}
    return kept | ({"CLEARWAY_DRAIN_S": "0"} if home == NOW else {})
