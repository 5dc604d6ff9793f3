"""`clearway serve` on a test's server, with list sx covered; and plain connections to it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import httpx

from roster.documents.tokeniser import Tokeniser
from roster.opening import Opening
from roster.settings import read_settings
from roster.storage.store import Store
from tests.servers import DEADLINE_S, Server, eventually, free_port
from tests.service.apps import ID_KEY, bearer, make_key
from tests.service.parts import cover
from tests.source import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

COMMAND = [sys.executable, str(ROOT / "clearway.py"), "serve"]
CLEAR = {"type": "resident_id", "number": "110105187001010012"}
LISTED = {"type": "resident_id", "number": "110105187912310024"}


class Served:
    """A service before one server; `start` as often as one likes, each time on a new port."""

    def __init__(self, server: Server, folder: Path, **more: str) -> None:
        own = {
            "CLEARWAY_REDIS_URL": server.url,
            "CLEARWAY_DATA_DIR": str(folder / "data"),
            "CLEARWAY_ID_KEY": ID_KEY,
            "CLEARWAY_DRAIN_S": "0",
        }
        self.settings = own | {f"CLEARWAY_{name.upper()}": text for name, text in more.items()}
        self.environ: dict[str, str] = {}
        self.folder = folder
        self.key = asyncio.run(make_key(read_settings(self.settings)))

    @classmethod
    def with_settings(cls, settings: Mapping[str, str], folder: Path, key: str) -> Self:
        """One whose settings are all given, and a key that its roster has."""
        made = cls.__new__(cls)
        made.settings, made.environ = dict(settings), {}
        made.folder, made.key = folder, key
        return made

    def cover(self) -> None:
        """List sx is covered, and has nobody."""
        asyncio.run(_cover(self.settings))

    @contextmanager
    def running(self, *arguments: str, wait: bool = True, **options: Any) -> Iterator[Running]:  # noqa: ANN401 -- Popen's
        port = free_port()
        log = self.folder / f"serve-{port}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [*COMMAND, "--port", str(port), *arguments],
                cwd=ROOT,
                env=_plain(os.environ) | self.settings | self.environ,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                **options,
            )
        running = Running(port, process, log, self.key)
        try:
            if wait:
                eventually(running.ready)
            yield running
        finally:
            running.end()


class Running:
    """One service that runs."""

    def __init__(self, port: int, process: subprocess.Popen[bytes], log: Path, key: str) -> None:
        self.port = port
        self.process = process
        self.url = f"http://127.0.0.1:{port}"
        self.key = key
        self._log = log

    @property
    def log(self) -> str:
        return self._log.read_text()

    def readyz(self) -> tuple[int, Any]:
        """What it says; 0 where nothing is said."""
        assert self.process.poll() is None, self.log
        try:
            answer = httpx.get(f"{self.url}/readyz", timeout=2)
        except httpx.TransportError:
            return 0, {}
        return answer.status_code, answer.json()

    def ready(self) -> bool:
        return self.readyz()[0] == 200

    def connect(self) -> Caller:
        return Caller(self.port, self.key)

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers=bearer(self.key), timeout=10)

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            self.process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


class Caller:
    """A plain connection, byte by byte."""

    def __init__(self, port: int, key: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.key = key
        self._file = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self.socket.close()

    def check(self, document: Mapping[str, str] = CLEAR, *headers: str) -> bytes:
        """A check as it goes over the wire."""
        body = json.dumps({"document": document, "journey": {"mode": "air"}}).encode()
        return self.request("POST", "/v1/check", body, *headers)

    def request(self, method: str, path: str, body: bytes = b"", *headers: str) -> bytes:
        lines = [
            f"{method} {path} HTTP/1.1",
            "Host: 127.0.0.1",
            f"Authorization: Bearer {self.key}",
            *headers,
        ]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join([*lines, "", ""]).encode() + body

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the next answer; status 0 where the connection has ended."""
        first = self._file.readline()
        if not first:
            return 0, {}, b""
        headers: dict[str, str] = {}
        while (line := self._file.readline().strip()) != b"":
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        return int(first.split()[1]), headers, self._file.read(int(headers["content-length"]))

    def ask(self, data: bytes) -> tuple[int, dict[str, str], bytes]:
        self.send(data)
        return self.answer()


def _plain(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in environ.items() if not name.startswith("CLEARWAY_")}


async def _cover(settings: Mapping[str, str]) -> None:
    with Opening(read_settings(settings)) as opening:
        nodes = opening.change_nodes()
        try:
            await nodes.load_library()
            await cover(Store(nodes, Tokeniser(opening.id_key()).check_value))
        finally:
            await nodes.close()
