"""What docs/start.md tells to do, done on the demo that it begins with."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from clearway_client import Client
from roster.records.cursor import Cursor, from_feed
from roster.records.position import Position
from tests.client.gateway import Trouble, gateway
from tests.servers import free_port
from tests.source import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = (ROOT / "docs/start.md").read_text(encoding="utf-8")
*BLOCKS, IN_CI = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
COMMANDS = re.findall(r"^\| [^|]+ \| `([^`]+)` \|$", PAGE, re.MULTILINE)
MARK = "== the next =="
TROUBLES = [Trouble(), Trouble(503, retry_after="0"), Trouble(429, retry_after="0")]
END = "Ctrl-C ends the demo."


NEEDS_CURL = pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")


@dataclass(frozen=True)
class Demo:
    """What the demo has printed, and the environment after its lines were pasted."""

    told: str
    env: dict[str, str]

    def run(self, script: str, **more: str) -> subprocess.CompletedProcess[str]:
        """A script as a person pastes it, with the environment of these tests for `.venv`."""
        here = shlex.quote(f"{Path(sys.executable).parent}/")
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script.replace(".venv/bin/", here)],
            cwd=ROOT,
            env=self.env | more,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    plain = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    env = plain | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "clearway", "demo", "--people", "1000"]
    with subprocess.Popen(
        command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            told = ""
            while END not in told:
                line = process.stdout.readline()
                assert line, told
                told += line
            exports = re.findall(r"^export (\w+)=(\S+)$", told, re.MULTILINE)
            yield Demo(told, env | dict(exports))
        finally:
            process.terminate()


@NEEDS_CURL
def test_the_demo_gives_two_numbers_and_what_to_paste(demo: Demo) -> None:
    assert set(demo.env) >= {
        *("CLEARWAY_URL", "CLEARWAY_API_KEY", "DESK_KEY", "TEST_KEY"),
        *("LISTED", "LISTED_NAME", "FREE"),
    }
    born = {demo.env[name][6:14] for name in ("LISTED", "FREE")}
    assert all("18000101" <= birth <= "18791231" for birth in born)
    listed, free = re.findall(r"^curl .*$", demo.told, re.MULTILINE)
    assert '"decision":"deny"' in demo.run(listed).stdout
    assert '"decision":"allow"' in demo.run(free).stdout


@NEEDS_CURL
def test_every_command_works_as_it_is_written(demo: Demo) -> None:
    done = demo.run(f"\necho '{MARK}'\n".join(BLOCKS))
    assert done.returncode == 0, done.stderr
    told = [each.strip() for each in done.stdout.split(MARK)]
    nothing, refused, sold, manifest, suspended, news, again, resumed, patient, made_up = told
    assert '"decision":"deny"' in refused
    assert '"name_check":"match"' in refused
    assert '"allowed_instead":[{' in refused
    assert '"reference":"PNR-7"' in refused
    assert '"decision":"allow"' in sold
    assert re.findall(r'"reference":"(\w+)"', manifest) == ["1A", "1C"]
    assert '"counts":{"allow":1,"deny":1,"refer":0,"error":1}' in manifest
    assert '"list_disabled"' in made_up
    assert nothing == ""
    assert "applied" in suspended
    assert re.search(r'"subject":"([^"]+)"', news)[1] in refused  # type: ignore[index]
    assert '"decision":"allow"' in again
    assert "applied" in resumed
    assert '"decision":"allow"' in patient


@NEEDS_CURL
def test_curl_asks_until_it_is_answered(demo: Demo) -> None:
    (patient,) = (block for block in BLOCKS if "--retry" in block)
    with gateway(demo.env["CLEARWAY_URL"]) as between:
        between.plan += TROUBLES
        done = demo.run(patient, CLEARWAY_URL=between.url)
        assert len(between.bodies) == len(TROUBLES) + 1
    assert done.returncode == 0, done.stderr
    assert '"decision":"allow"' in done.stdout


def is_there(command: str) -> bool:
    """Whether the program is; Java's may be there without its compiler."""
    program = next(word for word in command.split() if "=" not in word)
    if program == "java":
        return shutil.which("javac") is not None
    return program.startswith(".venv/") or shutil.which(program) is not None


@pytest.mark.parametrize("command", COMMANDS)
def test_every_snippet_asks_until_it_is_answered(demo: Demo, command: str) -> None:
    if not is_there(command):
        pytest.skip(f"nothing here runs {command}")
    url = demo.env["CLEARWAY_URL"]
    with Client(url, demo.env["CLEARWAY_API_KEY"]) as client:
        events = client.feed(wait_s=0).poll()
    with gateway(url) as between:
        between.plan += TROUBLES
        done = demo.run(command, CLEARWAY_URL=between.url)
        assert len(between.bodies) >= len(TROUBLES) + 5
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "listed: deny listed",
        "free: allow",
        "manifest 1A: deny",
        "manifest 1B: error",
        "manifest 1C: allow",
        *(f"changed: ask again about {event.subject}" for event in events),
        "feed: read to its end",
    ]
    assert events


@pytest.mark.parametrize("command", COMMANDS)
def test_a_snippet_whose_key_is_wrong_does_not_take_it_for_silence(
    demo: Demo, command: str
) -> None:
    if not is_there(command):
        pytest.skip(f"nothing here runs {command}")
    done = demo.run(command, CLEARWAY_API_KEY="cw_0123456789ab_" + "k" * 43)
    assert done.returncode != 0
    assert "refused (401): mend the request or the key" in done.stderr
    assert "no answer" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_a_snippet_whose_position_is_too_old_goes_on_from_the_oldest(
    demo: Demo, command: str
) -> None:
    if not is_there(command):
        pytest.skip(f"nothing here runs {command}")
    with Client(demo.env["CLEARWAY_URL"], demo.env["CLEARWAY_API_KEY"]) as client:
        feed = client.feed("now")
        feed.poll()
        events = client.feed(wait_s=0).poll()
    places = list(from_feed(feed.position or "").places)
    places[7] = Position(7, 1, 1, b"gone")
    done = demo.run(command, SAVED=Cursor(tuple(places)).text)
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stdout.splitlines() if line.startswith(("feed", "changed"))]
    assert told == [
        "feed: too old a position, ask again about everybody whom you have refused",
        *(f"changed: ask again about {event.subject}" for event in events),
        "feed: read to its end",
    ]


@NEEDS_CURL
def test_the_ci_of_ones_own_asks_a_service_without_a_list(demo: Demo, tmp_path: Path) -> None:
    script = IN_CI.replace("8099", str(free_port()))
    done = demo.run(script, TMPDIR=str(tmp_path), CLEARWAY_DRAIN_S="0")
    assert done.returncode == 0, done.stderr
    assert '"decision":"deny"' in done.stdout


def test_every_language_is_told_of() -> None:
    there = {path.name for path in (ROOT / "docs/snippets").iterdir() if path.is_file()}
    assert {command.split("/")[-1] for command in COMMANDS} == there
    assert len(COMMANDS) == 4
