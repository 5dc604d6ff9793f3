"""What is shipped for systemd, and the bill of materials: each fits what is there."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from roster.settings import read_settings
from tests.deploy.papers import DEPLOY, section
from tests.source import ROOT
from tests.test_packaging import PINNED, sections

if TYPE_CHECKING:
    from pathlib import Path

UNIT = ROOT / "deploy" / "systemd" / "clearway.service"
LARGEST_EXPOSURE = "15"
"""In tenths: systemd's own measure, of which 0 is a service that can do nothing."""
SANDBOX = {
    "NoNewPrivileges": "true",
    "ProtectSystem": "strict",
    "ProtectHome": "true",
    "PrivateTmp": "true",
    "PrivateDevices": "true",
    "CapabilityBoundingSet": "",
    "MemoryDenyWriteExecute": "true",
    "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
    "UMask": "0077",
    "LimitCORE": "0",
}
SCOPES = {"run": "required", "parquet": "optional", "build": "excluded", "develop": "excluded"}


def test_every_folder_of_samples_is_told_of_in_the_manual() -> None:
    table = section("Where it runs").split("\n\n")[1]
    told = {
        name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])
    }
    assert told == {path.name for path in DEPLOY.iterdir()}


def directives(unit: Path = UNIT) -> list[tuple[str, str]]:
    text = unit.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and line[0] not in "#["]
    return [(name, value) for name, _, value in (line.partition("=") for line in lines)]


def test_the_unit_shuts_off_what_the_service_does_not_need() -> None:
    told = dict(directives())
    assert {name: told[name] for name in SANDBOX} == SANDBOX
    assert told["User"] == told["Group"] == told["StateDirectory"] == "clearway"


def test_the_watching_unit_shuts_off_as_much_and_watches_a_folder_of_its_own() -> None:
    given = directives(UNIT.with_name("clearway-watch.service"))
    told = dict(given)
    assert {name: told[name] for name in SANDBOX} == SANDBOX
    environ = dict(value.split("=", 1) for name, value in given if name == "Environment")
    settings = read_settings({k: v.replace("%d", "/run/c") for k, v in environ.items()})
    assert settings.target is not None
    assert settings.target.username == "clearway-loader"
    *command, folder = told["ExecStart"].split()
    assert command == ["/opt/clearway/bin/clearway", "watch"]
    assert [f"/var/lib/{each}" for each in told["StateDirectory"].split()] == [
        str(settings.data_dir),
        folder,
    ]


def test_the_units_settings_are_settings_and_fit_its_folders_and_its_port() -> None:
    given = [value.split("=", 1) for name, value in directives() if name == "Environment"]
    environ = {name: value.replace("%d", "/run/credentials") for name, value in given}
    settings = read_settings(environ)
    told = dict(directives())
    assert str(settings.data_dir) == f"/var/lib/{told['StateDirectory']}"
    assert str(settings.id_key_file) == "/run/credentials/id-key"
    target = settings.target
    assert target is not None
    assert (target.username, target.password) == ("clearway-service", None)
    assert target.password_file == "/run/credentials/redis-password"
    loaded = {value.partition(":")[0] for name, value in directives() if name == "LoadCredential"}
    assert loaded == {"id-key", "redis-password"}
    host, port = re.findall(r"--(?:host|port) (\S+)", told["ExecStart"])
    assert host == "127.0.0.1"  # plain HTTP is for loopback
    assert int(port) > 1023  # it has no capability to listen below
    assert float(told["TimeoutStopSec"]) >= settings.drain_s + 40


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
@pytest.mark.parametrize("name", ["clearway.service", "clearway-watch.service"])
def test_systemd_takes_the_unit_and_finds_it_safe(name: str, tmp_path: Path) -> None:
    unit = tmp_path / name
    text = UNIT.with_name(name).read_text(encoding="utf-8")
    unit.write_text(text.replace("/opt/clearway/bin/clearway", shutil.which("true") or ""))
    for asked in (
        ["verify", str(unit)],
        ["security", "--offline=true", f"--threshold={LARGEST_EXPOSURE}", str(unit)],
    ):
        command = ["systemd-analyze", "--no-pager", *asked]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        if asked[0] == "verify":
            assert done.stderr == ""


def bill(*arguments: str) -> str:
    command = [sys.executable, str(ROOT / ".ci" / "sbom.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_the_bill_of_materials_lists_the_lock_and_no_other_package(tmp_path: Path) -> None:
    into = tmp_path / "dist" / "sbom.cdx.json"
    bill(str(into))
    assert into.read_text(encoding="utf-8") == bill()
    told: dict[str, Any] = json.loads(bill())
    assert (told["bomFormat"], told["specVersion"], told["version"]) == ("CycloneDX", "1.6", 1)
    packages = [each for each in told["components"] if each["purl"].startswith("pkg:pypi/")]
    listed = {(each["name"], each["version"], each["scope"]): each for each in packages}
    locked = {
        (found["name"], found[0].partition("==")[2].split()[0], SCOPES[section]): set(
            re.findall(r"sha256:([0-9a-f]{64})", found[0])
        )
        for section, text in sections().items()
        for found in PINNED.finditer(text)
    }
    assert listed.keys() == locked.keys()
    assert len(packages) == len(locked)
    for key, hashes in locked.items():
        (distributed,) = listed[key]["externalReferences"]
        assert {each["content"] for each in distributed["hashes"]} == hashes
        assert listed[key]["purl"] == f"pkg:pypi/{key[0]}@{key[1]}"
    references = {each["bom-ref"] for each in told["components"]}
    (needs,) = told["dependencies"]
    assert set(needs["dependsOn"]) < references
    assert needs["ref"] == told["metadata"]["component"]["bom-ref"]


def test_the_bill_of_materials_lists_what_others_made_of_the_pages() -> None:
    page = ROOT / "service" / "page"
    told = [each for each in json.loads(bill())["components"] if "components" in each]
    listed = {
        file["name"]: file["hashes"][0]["content"] for each in told for file in each["components"]
    }
    folders = [each for each in page.iterdir() if each.is_dir()]
    files = [file for folder in folders for file in folder.iterdir()]
    assert listed == {
        file.relative_to(ROOT).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in files
    }
    assert all((folder / "LICENSE").is_file() for folder in folders)
    assert len(told) == len(folders)
    for each in told:
        scripts = [name for file in each["components"] if (name := file["name"]).endswith(".js")]
        code = "".join((ROOT / name).read_text(encoding="utf-8") for name in scripts)
        assert each["version"] in code
