"""The walks of a check and of a removal are drawn in docs/architecture.md as they really run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.service.apps import ID_KEY
from tests.source import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server

PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")


LENGTHS = {
    "cleared": 16,
    "cleared, by a journey that is known": 14,
    "denied": 35,
    "batch": 38,
    "removal, up to its answer": 34,
    "removal": 45,
}
"""How many modules each runs through at most."""


def drawn(title: str) -> set[str]:
    """The modules of the picture below this title: each box begins with their folder."""
    below = PAGE.split(f"\n### {title}\n", 1)[1]
    picture = below.split("```mermaid", 1)[1].split("```", 1)[0]
    boxes = re.findall(r'\["([\w/]+/)<br>([^"]+)"\]', picture)
    return {folder + name for folder, text in boxes for name in re.findall(r"\b\w+\.py\b", text)}


def walks(server: Server, folder: Path) -> dict[str, list[str]]:
    """Of each walk the modules that ran, in their order."""
    own = {
        "CLEARWAY_REDIS_URL": server.url,
        "CLEARWAY_DATA_DIR": str(folder),
        "CLEARWAY_ID_KEY": ID_KEY,
        "CLEARWAY_REDIS_TIMEOUT_MS": "10000",
        "CLEARWAY_DRAIN_S": "0",
    }
    command = [sys.executable, "-m", "tests.walked"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | own,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert not done.returncode, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_the_walks_are_drawn_as_they_run_and_are_no_longer(valkey: Server, tmp_path: Path) -> None:
    found = walks(valkey, tmp_path)
    ran = {title: set(names) for title, names in found.items()}
    cleared, denied = drawn("A check that is cleared"), drawn("A check that is denied")
    answered, told = drawn("Up to its answer"), drawn("In every process")
    assert ran["cleared"] == cleared
    assert ran["cleared, by a journey that is known"] < cleared
    assert ran["denied"] == denied
    assert ran["batch"] - denied == drawn("A batch")
    assert ran["removal, up to its answer"] == answered
    assert ran["removal"] == answered | told
    assert {title for title, most in LENGTHS.items() if len(ran[title]) > most} == set()
