from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.source import ROOT

if TYPE_CHECKING:
    from pathlib import Path

_TRACED = """
import json, os, sys
import clearway
loader, ran = os.path.join(os.getcwd(), "loader", ""), {}
def seen(frame, event, arg):
    path = frame.f_code.co_filename
    if event == "call" and path.startswith(loader) and frame.f_code.co_name != "<module>":
        ran.setdefault(path[len(loader):])
for name in clearway.COMMANDS:
    clearway.main.get_command(None, name)
sys.setprofile(seen)
try:
    clearway.main()
except SystemExit as exc:
    sys.setprofile(None)
    print(json.dumps([exc.code, list(ran)]), file=sys.stderr)
"""
_MOST = 33
"""So many modules at most does a row pass through."""


def _picture() -> str:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    section = text.split("\n## The walk of a row\n", 1)[1]
    return section.split("```mermaid", 1)[1].split("```", 1)[0]


def _ran(folder: Path, *words: str) -> list[str]:
    """The modules of the loader of which a load ran anything but their definitions, in order."""
    command = [sys.executable, "-c", _TRACED, *words]
    env = os.environ | {"CLEARWAY_DATA_DIR": str(folder / "data"), "CLEARWAY_LOG_LEVEL": "warning"}
    done = subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=120
    )
    code, ran = json.loads(done.stderr.strip().splitlines()[-1])
    assert not code, done.stderr
    return list(ran)


def test_the_walk_of_a_row_is_drawn_as_it_runs(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    made = ("--people", "300", "--entries", "500", "--shape", "decided", "--out", str(path))
    _ran(tmp_path, "generate", *made)
    with path.open("a", encoding="utf-8") as file:
        file.write("a row that is none\n")
    loaded = ("load", str(path), "--as-of", "2019-01-01", "--jobs", "0")
    first, again = _ran(tmp_path, *loaded), _ran(tmp_path, *loaded, "--again")
    ran = {*first, *again}
    assert {path.rpartition("/")[2] for path in ran} == set(
        re.findall(r"(?<![\w/])(\w+\.py)", _picture())
    )
    assert len(ran) <= _MOST
    rooms = dict.fromkeys(path.partition("/")[0] for path in first if "/" in path)
    assert list(rooms) == re.findall(r"subgraph (\w+) ", _picture())
