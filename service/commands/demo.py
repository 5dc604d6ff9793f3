"""The demo: a listed person is denied, pays, is taken off the list, and is allowed."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import httpx
from rich.console import Console

from roster.opening import Opening
from roster.settings import PREFIX, read_settings
from roster.speech.helps import SpokenCommand
from roster.speech.language import in_language, say
from roster.storage.api_keys import KeyStore, KeyTerms
from roster.times import format_ms, now_ms
from service.commands.cast import Keys, find_cast, to_try
from service.commands.texts import (
    DECISIONS,
    DEMO_AGAIN,
    DEMO_ENDED,
    DEMO_LAG,
    DEMO_LIST,
    DEMO_LOADED,
    DEMO_PAYS,
    DEMO_READY,
    DEMO_SAFE,
    DEMO_SERVICE,
    DEMO_WANTS,
    INSTEAD,
    OUTCOMES,
    said,
)
from service.commands.verdicts import product_text

if TYPE_CHECKING:
    from collections.abc import Iterator

ENTRIES_PER_PERSON = 1.78
"""As in the published lists (docs/domain.md, Volumes)."""
AS_OF = "2019-01-01"
"""What `generate` dates its lists at."""
DESK = KeyTerms(name="demo", scopes=("check", "list:read", "list:add", "list:remove", "ops"))
CARRIER = KeyTerms(name="carrier", scopes=("check", "standing", "feed"))
TEST = KeyTerms(name="tests", scopes=("check", "standing"))
START_TIMEOUT_S = 60.0
POLL_S = 0.05
STOP_TIMEOUT_S = 10.0


@click.command(cls=SpokenCommand)
@click.option("--people", default=20_000, show_default=True, type=click.IntRange(100))
@click.option("--once", is_flag=True, help="End after the story.")
@in_language
def demo(people: int, *, once: bool) -> None:
    """Load a list of people who do not exist, serve it, and tell a story with figures."""
    console = Console(highlight=False)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with tempfile.TemporaryDirectory(prefix="clearway-demo-", dir=_short_tmp()) as folder:
        stage = Stage(Path(folder), console)
        # Held open, so that the embedded server outlives each command.
        with Opening(read_settings(stage.env)) as opening:
            stage.load(people)
            keys = asyncio.run(_make_keys(opening))
            cast = find_cast(stage.list)
            with stage.serving() as (process, url):
                _tell(stage, _client(url, keys.desk), cast.paying)
                if not once:
                    click.echo(to_try(cast, url, keys))
                    _stay(console, process)


class Stage:
    """The demo's folder, and the commands that are run in it."""

    def __init__(self, folder: Path, console: Console) -> None:
        """Other settings than the demo's own are left out."""
        self.console = console
        self.list = folder / "list.csv"
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(PREFIX)} | {
            f"{PREFIX}DATA_DIR": str(folder / "data"),
            f"{PREFIX}DRAIN_S": "0",
            f"{PREFIX}LOG_FORMAT": "console",
            f"{PREFIX}LOG_LEVEL": "warning",
        }

    def load(self, people: int) -> None:
        """Make a list of so many people, and load it."""
        entries = round(people * ENTRIES_PER_PERSON)
        self.say("1", say(DEMO_LIST, people=people, entries=entries))
        size = ("--people", str(people), "--entries", str(entries))
        self._run("generate", *size, "--out", str(self.list))
        started = time.monotonic()
        self._run("load", str(self.list), "--as-of", AS_OF)
        self.tell(say(DEMO_LOADED, seconds=time.monotonic() - started))

    @contextmanager
    def serving(self) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
        """The service, ready, and its address; it ends with the block."""
        self.say("2", say(DEMO_SERVICE))
        port = _free_port()
        command = [*_CLEARWAY, "serve", "--port", str(port)]
        process = subprocess.Popen(command, env=self.env, start_new_session=True)  # noqa: S603 -- ours
        try:
            url = f"http://127.0.0.1:{port}"
            started = time.monotonic()
            _wait_until_ready(process, url)
            self.tell(say(DEMO_READY, seconds=time.monotonic() - started, url=url))
            yield process, url
        finally:
            _end(process)

    def say(self, step: str, text: str) -> None:
        """Print a step of the story."""
        self.console.print(f"[bold cyan]{step}[/] [bold]{text}[/]")

    def tell(self, text: str) -> None:
        """Print what came of it."""
        self.console.print(f"  {text}", soft_wrap=True)

    def _run(self, *arguments: str) -> None:
        command = [*_CLEARWAY, *arguments]
        done = subprocess.run(command, env=self.env, capture_output=True, check=False)  # noqa: S603 -- ours
        if done.returncode:
            error = done.stderr.decode(errors="replace").strip()[-500:]
            raise click.ClickException(f"{arguments[0]} failed: {error}")


_CLEARWAY = (sys.executable, "-m", "clearway")


def _tell(stage: Stage, client: httpx.Client, row: dict[str, str]) -> None:
    """The story: asked, denied, paid, removed, asked, allowed."""
    document = {"type": row["document_type"], "number": row["document_number"]}
    flight = {"document": document, "journey": {"mode": "air"}}
    with client:
        stage.say("3", say(DEMO_WANTS))
        first = _post(client, "/v1/check", flight)
        _show(stage, first)
        stage.say("4", say(DEMO_PAYS))
        decided_ms = now_ms()
        sent = time.perf_counter()
        change = _removal(row, document, format_ms(decided_ms))
        result = _post(client, "/v1/changes", {"changes": [change]})["results"][0]
        acknowledged_ms = (time.perf_counter() - sent) * 1000
        outcome = said(OUTCOMES, result["outcome"])
        stage.tell(say(DEMO_SAFE, outcome=outcome, ms=acknowledged_ms))
        stage.say("5", say(DEMO_AGAIN))
        second = _post(client, "/v1/check", flight)
        allowed_ms = (time.perf_counter() - sent) * 1000
        _show(stage, second)
        stage.tell(say(DEMO_LAG, ms=allowed_ms))
    if (first["decision"], second["decision"]) != ("deny", "allow"):
        raise click.ClickException("this is not the story that was promised")


def _removal(row: dict[str, str], document: dict[str, str], decided_at: str) -> dict[str, Any]:
    return {
        "op": "remove",
        "list": row["list"],
        "entry_id": row["entry_id"],
        "document": document,
        "decided_at": decided_at,
        "reason": "performed",
    }


def _show(stage: Stage, answer: dict[str, Any]) -> None:
    colour = {"deny": "red", "allow": "green"}.get(answer["decision"], "yellow")
    stage.tell(f"[bold {colour}]{said(DECISIONS, answer['decision'])}[/]")
    for reason in answer["reasons"]:
        facts = (str(reason[name]) for name in ("list", "case", "court") if reason.get(name))
        stage.tell("  " + ", ".join(facts))
    for product in answer["allowed_instead"][:2]:
        stage.tell("  " + say(INSTEAD, product=product_text(product)))


def _client(url: str, key: str) -> httpx.Client:
    """For this machine only: no proxy of the environment's is asked."""
    headers = {"authorization": f"Bearer {key}"}
    return httpx.Client(base_url=url, headers=headers, trust_env=False)


def _post(client: httpx.Client, path: str, content: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = client.post(path, json=content).raise_for_status().json()
    return answer


def _stay(console: Console, process: subprocess.Popen[bytes]) -> None:
    """Keep serving until Ctrl-C, or until the service ends."""
    try:
        process.wait()
    except KeyboardInterrupt:
        console.print(say(DEMO_ENDED))


async def _make_keys(opening: Opening) -> Keys:
    async with opening.changing() as nodes:
        store = KeyStore(nodes, opening.wait(await opening.facts(nodes)))
        _, carrier = await store.create(CARRIER, now_ms())
        _, desk = await store.create(DESK, now_ms())
        _, test = await store.create(TEST, now_ms(), sandbox=True)
    return Keys(carrier, desk, test)


def _wait_until_ready(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/readyz", timeout=1, trust_env=False).is_success:
                return
        except httpx.TransportError:
            pass  # it does not listen yet
        time.sleep(POLL_S)
    raise click.ClickException("the service did not become ready")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _short_tmp() -> str:
    """Where sockets' paths stay short enough."""
    return "/tmp" if Path("/tmp").is_dir() else tempfile.gettempdir()  # noqa: S108 -- private below
