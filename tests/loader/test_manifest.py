"""What a source states about its file is checked, and who states it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from clearway import main
from loader.jobs.intake import Files
from loader.jobs.manifest import read_manifest
from roster.errors import LoadRefused
from roster.times import parse_time
from tests.loader.loads import ID_KEY, Roster, row, settings_for, write
from tests.servers import Server
from tests.source import ROOT

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))


def pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


@pytest.fixture
def guarded(valkey: Server, tmp_path: Path) -> Roster:
    """A roster that takes signed files only."""
    public = tmp_path / "public.pem"
    public.write_bytes(
        KEY.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return Roster(settings_for(valkey, tmp_path, signature_key_file=str(public)), tmp_path)


def signed(folder: Path, key: Ed25519PrivateKey = KEY, *options: str) -> str:
    path = write(folder / "list.csv", [row(1), row(2, 2)])
    private = folder / "private.pem"
    private.write_bytes(pem(key))
    arguments = ["sign", path, "--private-key", str(private), "--as-of", "2020-01-01", *options]
    assert CliRunner().invoke(main, arguments, catch_exceptions=False).exit_code == 0
    return path


def test_a_signed_file_loads_without_further_ado(guarded: Roster) -> None:
    path = signed(guarded.folder)
    stated = json.loads(Path(path + ".manifest.json").read_text())
    assert stated.keys() == {"as_of", "lists", "rows", "sha256"}
    assert (stated["as_of"], stated["lists"], stated["rows"]) == ("2019-12-31T16:00:00Z", ["sx"], 2)
    summary = guarded.load_files(Files((path,)))
    assert (summary.added, summary.as_of) == (2, "2019-12-31T16:00:00Z")


def test_a_signature_may_be_in_base64(guarded: Roster) -> None:
    path = signed(guarded.folder)
    signature = Path(path + ".manifest.json.sig")
    signature.write_bytes(base64.b64encode(signature.read_bytes()) + b"\n")
    assert guarded.load_files(Files((path,))).added == 2


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("no manifest", "only signed files"),
        ("no signature", "only signed files"),
        ("stranger", "not a signature by the key"),
        ("manifest changed", "not a signature by the key"),
        ("file changed", "its SHA-256 is"),
        ("no sha256", "its signature says nothing about the file"),
        ("empty signature", "not a signature by the key"),
    ],
)
def test_nothing_loads_without_a_valid_signature(guarded: Roster, fault: str, reason: str) -> None:
    path = signed(guarded.folder, STRANGER if fault == "stranger" else KEY)
    manifest, signature = Path(path + ".manifest.json"), Path(path + ".manifest.json.sig")
    match fault:
        case "no manifest":
            manifest.unlink()
        case "no signature":
            signature.unlink()
        case "manifest changed":
            manifest.write_text(manifest.read_text().replace('"rows": 2', '"rows": 3'))
        case "file changed":
            write(Path(path), [row(1), row(3, 3)])
        case "no sha256":
            data = b'{"as_of": "2020-01-01"}'
            manifest.write_bytes(data)
            signature.write_bytes(KEY.sign(data))
        case "empty signature":
            signature.write_bytes(b"")
    with pytest.raises(LoadRefused, match=reason):
        guarded.load_files(Files((path,)))
    assert guarded.entries() == {}


def test_standard_input_cannot_be_signed(guarded: Roster) -> None:
    with pytest.raises(LoadRefused, match="standard input has no signature"):
        guarded.load_files(Files(("-",), as_of=0))


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        ({"rows": 3}, "has 2 rows, the manifest states 3"),
        ({"rows": 2, "sha256": "0" * 64}, "the manifest states 0000"),
        ({"as_of": "2020-01-02"}, "--as-of and the manifests disagree"),
        ({"as_of": "soon"}, "the manifest's as_of"),
        ({"lists": ["xgl"]}, "this load is not for: sx"),
        ({"lists": ["nolist"]}, "not in lists.toml"),
        ({"digest": "0" * 16}, "the manifest states 0000000000000000"),
        ({"row": 2}, "is no manifest"),
        ({"rows": -1}, "is no manifest"),
    ],
)
def test_what_a_manifest_states_is_checked(
    roster: Roster, manifest: dict[str, object], reason: str
) -> None:
    Path(roster.folder / "list.csv.manifest.json").write_text(json.dumps(manifest))
    path = write(roster.folder / "list.csv", [row(1), row(2, 2)])
    lists = () if "lists" in manifest else ("sx",)
    with pytest.raises(LoadRefused, match=reason):
        roster.load_files(Files((path,), lists, parse_time("2020-01-01")))
    assert roster.entries() == {}


def test_a_manifest_that_tells_the_truth_is_taken(roster: Roster) -> None:
    roster.load([row(1), row(2, 2)])
    digest = 0
    for meta in roster.metas():
        digest ^= int.from_bytes(meta.get(b"d:1", b""))
    stated = {"as_of": "2020-01-02", "lists": ["sx"], "rows": 2, "digest": f"{digest:016x}"}
    Path(roster.folder / "list.csv.manifest.json").write_text(json.dumps(stated))
    assert roster.load([row(1), row(2, 2)], day=2).unchanged == 2


def test_a_manifest_without_rows_loads_an_empty_list(roster: Roster) -> None:
    roster.load([row(1)])
    stated = {"as_of": "2020-01-02", "lists": ["sx"], "rows": 0}
    Path(roster.folder / "list.csv.manifest.json").write_text(json.dumps(stated))
    assert roster.load([], day=2).ended == 1


def test_the_private_key_is_never_repeated(tmp_path: Path) -> None:
    path = write(tmp_path / "list.csv", [row(1)])
    private = tmp_path / "private.pem"
    private.write_text("-----BEGIN PRIVATE KEY-----\nsecretsecret\n-----END PRIVATE KEY-----\n")
    done = CliRunner().invoke(main, ["sign", path, "--private-key", str(private)])
    assert done.exit_code == 1
    assert "secretsecret" not in done.output
    assert "not an Ed25519 private key" in done.output


def test_the_commands_speak_json_and_status(valkey: Server, tmp_path: Path) -> None:
    path = write(tmp_path / "list.csv", [row(1), row(2, 2)])
    env = {
        "CLEARWAY_REDIS_URL": valkey.url,
        "CLEARWAY_DATA_DIR": str(tmp_path / "data"),
        "CLEARWAY_ID_KEY": ID_KEY,
    }

    def clearway(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(main, arguments, env=env)
        return done.exit_code, done.stdout if "--json" in arguments else done.output

    assert clearway("load")[0] == 2
    status, text = clearway("load", path)
    assert status == 2
    assert "needs --as-of" in text
    stated = Path(path + ".manifest.json")
    stated.write_text('{"rows": 2}')
    assert clearway("load", path)[0] == 2
    stated.write_text('{"as_of": "2199-01-01"}')
    assert clearway("load", path)[0] == 1
    stated.unlink()
    assert clearway("load", path, "--max-removals", "x")[0] == 2
    status, text = clearway("load", path, "--list", "sx", "--as-of", "2020-01-01", "--json")
    assert (status, json.loads(text)["added"]) == (0, 2)
    assert clearway("verify", path)[0] == 0
    write(Path(path), [row(1)])
    status, text = clearway("verify", path, "--json")
    assert (status, json.loads(text)["lists"]["sx"]["extra"]) == (1, 1)


def test_the_manuals_shell_writes_a_manifest_that_loads(roster: Roster) -> None:
    manual = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"^```sh\n(file=list\.csv\n.*?)^```$", manual, re.MULTILINE | re.DOTALL)
    path = write(roster.folder / "list.csv", [row(1)])
    subprocess.run(["sh", "-euc", script], cwd=roster.folder, check=True)
    manifest = read_manifest(path, None)
    assert manifest is not None
    assert manifest.sha256 == hashlib.sha256(Path(path).read_bytes()).hexdigest()
    assert roster.load_files(Files((path,))).added == 1
