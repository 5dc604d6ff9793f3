"""openapi-generator makes a client in TypeScript that type-checks, asks and understands."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import msgspec
import openapi_generator_cli
import pytest

from roster.settings import read_settings
from service.openapi.openapi import document
from tests.service.apps import make_key
from tests.service.served import CLEAR, LISTED, Served
from tests.source import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server

JAR = files(openapi_generator_cli) / "openapi-generator.jar"
MISSING = [name for name in ("java", "node", "tsc") if shutil.which(name) is None]
# TypeScript before 4.9 takes no `any` that is not written for what the generator itself writes.
STRICT = ["--strict", "--noImplicitAny", "false", "--target", "es2020", "--lib", "es2020,dom"]


def ran(folder: Path, *command: str, **environ: str) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | environ,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a program over the client that was made, type-checked and compiled."""
    folder = tmp_path_factory.mktemp("typescript")
    (folder / "openapi.json").write_bytes(msgspec.json.encode(document()))
    made = ["generate", "-g", "typescript-fetch", "-i", "openapi.json", "-o", "client"]
    ran(folder, "java", "-jar", str(JAR), *made)
    shutil.copy(ROOT / "tests/service/carrier.ts", folder)
    ran(folder, "tsc", *STRICT, "--module", "commonjs", "--outDir", "js", "carrier.ts")
    return folder


def told(program: Path, base: str, court: str, carrier: str) -> Any:  # noqa: ANN401 -- JSON
    people = {"LISTED": LISTED["number"], "FREE": CLEAR["number"]}
    keys = {"BASE": base, "COURT": court, "CARRIER": carrier}
    return json.loads(ran(program, "node", "js/carrier.js", **keys, **people))


@pytest.mark.skipif(MISSING != [], reason=f"not here: {', '.join(MISSING)}")
def test_a_client_in_typescript_asks_and_understands(
    program: Path, valkey: Server, tmp_path: Path
) -> None:
    served = Served(valkey, tmp_path)
    served.cover()
    carrier = asyncio.run(make_key(read_settings(served.settings), ["check", "feed"]))
    with served.running() as service:
        answer = told(program, service.url, service.key, carrier)
    assert abs(answer.pop("age")) < 60_000
    assert answer == {
        "outcomes": ["applied"],
        "sold": False,
        "seats": {"O": "allow", "9": "deny"},
        "reasons": [["listed", "c/1"]],
        "instead": [["D", "C"], ["*"], ["D", "C"], ["*"], None],
        "reference": "PNR-7",
        "batch": ["deny", "allow"],
        "counts": {"allow": 1, "deny": 1, "refer": 0, "error": 0},
        "heard": [True],
        "faults": ["document.issuer"],
    }
