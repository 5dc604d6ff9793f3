"""The compose file: well-formed, whole, and with the settings that Clearway and Valkey take.

Docker is not needed: Clearway's programs and Valkey are started here as the file says, with the
secrets that its script makes.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis
from click.testing import CliRunner

import clearway
from roster.settings import read_settings
from service.commands.serve import serve
from tests.deploy.papers import DEPLOY, MANUAL, config, faults, loaded, schema, section
from tests.faults.test_users import LINE
from tests.loader.loads import row, write
from tests.servers import Server, eventually, free_port
from tests.service.served import Served
from tests.source import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FOLDER = DEPLOY / "compose"
COMPOSE = FOLDER / "compose.yaml"
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
OURS = ("service", "functions", "operator", "loader")
COMMANDS = ("operator", "loader")
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="its files belong to other users")


def services() -> dict[str, Any]:
    found: dict[str, Any] = loaded(COMPOSE)["services"]
    return found


def secret_files() -> dict[str, str]:
    return {name: each["file"] for name, each in loaded(COMPOSE)["secrets"].items()}


def mounts(service: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What a service sees: a file or a volume, and where."""
    for each in service.get("volumes", ()):
        source, target = re.fullmatch(r"(.+?):(/[^:]+)(?::ro)?", each).groups()  # type: ignore[union-attr]
        yield source, target


def secrets(service: dict[str, Any]) -> dict[str, str]:
    """Where a service sees a secret, and its file."""
    found = {}
    for each in service.get("secrets", ()):
        name = each if isinstance(each, str) else each["source"]
        found["/run/secrets/" + name if each == name else each["target"]] = secret_files()[name]
    return found


@pytest.mark.parametrize("path", [COMPOSE, ROOT / "compose.yaml"], ids=["deploy", "root"])
def test_it_is_a_compose_file(path: Path) -> None:
    assert faults(schema("compose.json"), loaded(path)) == []


def test_a_typo_in_a_compose_file_is_found() -> None:
    wrong = loaded(COMPOSE)
    wrong["services"]["service"]["stop_grace"] = "45s"
    assert len(faults(schema("compose.json"), wrong)) == 1


def test_the_repositorys_own_is_that_of_the_folder() -> None:
    (included,) = loaded(ROOT / "compose.yaml")["include"]
    assert ROOT / included == COMPOSE


def test_every_file_volume_network_and_secret_is_there() -> None:
    whole = loaded(COMPOSE)
    for service in services().values():
        for source, _ in mounts(service):
            if source.startswith("."):
                assert (FOLDER / source).is_file(), source
            elif not source.startswith("$"):
                assert source in whole["volumes"]
        assert set(service["networks"]) <= whole["networks"].keys()
        assert set(service.get("depends_on", ())) <= services().keys()
        assert set(secrets(service).values()) <= set(secret_files().values())
    assert (FOLDER / services()["service"]["build"]).resolve() == ROOT
    used = {name for each in services().values() for name in secrets(each).values()}
    assert used == set(secret_files().values())


def test_valkey_is_reached_by_clearway_alone() -> None:
    inside = {name for name, each in services().items() if "data" in each["networks"]}
    assert inside == {*OURS, "valkey"}
    assert loaded(COMPOSE)["networks"]["data"]["internal"]
    assert "ports" not in services()["valkey"]


def test_what_is_published_is_published_to_this_host_alone_and_listens() -> None:
    found = {name: each["ports"] for name, each in services().items() if "ports" in each}
    assert found == {
        "service": ["127.0.0.1:8080:8080"],
        "prometheus": ["127.0.0.1:9090:9090"],
        "grafana": ["127.0.0.1:3000:3000"],
    }
    (port,) = re.findall(r"^EXPOSE (\d+)$", DOCKERFILE, re.MULTILINE)
    (option,) = [each for each in serve.params if each.name == "port"]
    assert str(option.default) == port == "8080"
    (target,) = loaded(FOLDER / "targets.yml")
    assert target["targets"] == [f"service:{port}"]
    (source,) = loaded(FOLDER / "grafana" / "datasources.yml")["datasources"]
    assert source["url"] == "http://prometheus:9090"


def test_nobody_has_more_than_he_needs_and_all_come_back() -> None:
    for name, each in services().items():
        assert each["cap_drop"] == ["ALL"], name
        assert each["security_opt"] == ["no-new-privileges:true"]
        assert each["read_only"] is True
        assert each["logging"]["options"].keys() == {"max-size", "max-file"}
        if name not in {"functions", *COMMANDS}:
            assert each["restart"] == "unless-stopped"
            assert each.get("healthcheck") or name == "service"
    assert services()["functions"]["restart"] == "no"
    assert all(services()[name]["profiles"] for name in COMMANDS)


def test_what_is_open_is_finished_before_the_service_is_killed() -> None:
    seconds = float(services()["service"]["stop_grace_period"].removesuffix("s"))
    assert seconds >= read_settings(environment("service")).drain_s + 40


def environment(name: str) -> dict[str, str]:
    stated: dict[str, str] = services()[name]["environment"]
    return {"HOME": "/nobody", **stated}


@pytest.mark.parametrize("name", OURS)
def test_its_settings_are_settings_and_name_secrets_that_it_has(name: str) -> None:
    settings = read_settings(environment(name))
    assert settings.target is not None
    assert settings.target.addresses == (("valkey", 6379),)
    assert {str(settings.id_key_file), settings.target.password_file} == set(
        secrets(services()[name])
    )


def test_grafana_is_given_the_dashboard_and_where_its_figures_are() -> None:
    (provider,) = loaded(FOLDER / "grafana" / "dashboards.yml")["providers"]
    seen = mounts(services()["grafana"])
    found = {Path(target).parent.as_posix(): source for source, target in seen}
    assert found[provider["options"]["path"]] == "../grafana/clearway.json"
    dashboard = json.loads((DEPLOY / "grafana" / "clearway.json").read_text(encoding="utf-8"))
    (asked,) = [each for each in dashboard["templating"]["list"] if each["type"] == "datasource"]
    (source,) = loaded(FOLDER / "grafana" / "datasources.yml")["datasources"]
    assert asked["query"] == source["type"]
    assert source["isDefault"]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_prometheus_takes_its_files_as_they_lie_in_its_container(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("k")
    service = services()["prometheus"]
    key = str(tmp_path / "key")
    for source, target in [*mounts(service), *((key, at) for at in secrets(service))]:
        if target.startswith("/etc/prometheus/"):
            shutil.copy(FOLDER / source, tmp_path / Path(target).name)
    (path,) = [each.partition("=")[2] for each in service["command"] if "config.file" in each]
    command = ["promtool", "check", "config", str(tmp_path / Path(path).name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"rules found", done.stdout)


def test_the_sample_of_users_is_that_of_the_manual() -> None:
    told = LINE.findall(MANUAL)
    stated = (DEPLOY / "one" / "users.acl").read_text(encoding="utf-8").splitlines()
    assert stated == [f"user {name} {rules}" for name, rules in told if name != "clearway-find"]


def test_every_command_of_the_manual_is_one_of_its_services_and_is_taken() -> None:
    told = re.findall(
        r"docker compose run --rm (?:-T )?([a-z]+)\s([^|`]+)",
        section("Compose").replace("\n$", "`"),
    )
    assert {name for name, _ in told} == set(COMMANDS)
    for _, arguments in told:
        done = CliRunner().invoke(clearway.main, [*arguments.split(), "--help"])
        assert done.exit_code == 0, done.output


# What the containers run ----------------------------------------------------------------------


def words(instruction: str) -> list[str]:
    """The last of such an instruction of the Dockerfile, as a list."""
    found = re.findall(rf"^\s*{instruction} (\[.*\])$", DOCKERFILE, re.MULTILINE)
    stated: list[str] = json.loads(found[-1])
    return stated


def test_the_images_command_is_taken_and_wants_tls() -> None:
    name, *arguments = words("CMD")
    assert name == "clearway"
    done = CliRunner().invoke(clearway.main, arguments, env={"CLEARWAY_DATA_DIR": "/nobody"})
    assert done.exit_code == 1
    assert "CLEARWAY_TLS_CERT" in done.output


def health(port: int) -> int:
    """The status of the image's health check, asked at this port."""
    found = re.search(r"HEALTHCHECK .*\\\n\s+CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    assert found
    name, *arguments = json.loads(found[1])
    assert name == "python"
    here = [text.replace("127.0.0.1:8080", f"127.0.0.1:{port}") for text in arguments]
    assert here != arguments
    return subprocess.run([sys.executable, *here], capture_output=True, check=False).returncode


class Site:
    """Valkey and the secrets of the compose file, and Clearway's programs with its settings."""

    def __init__(self, make_server: Callable[..., Server], folder: Path) -> None:
        self.folder, self.secrets, self.port = folder, folder / "secrets", free_port()
        made = ["sh", str(FOLDER / "secrets.sh"), str(self.secrets)]
        subprocess.run(made, check=True)
        users = self.secrets / "users.acl"
        empty = folder / "users"
        empty.touch()
        own = {"port": str(self.port), "aclfile": str(empty)}
        self.server = make_server(config("one/valkey.conf") | own)
        with self.server.client() as client:  # which could not see it start with `default` off
            shutil.copyfile(users, empty)
            client.execute_command("ACL", "LOAD")

    def settings(self, name: str) -> dict[str, str]:
        """Of a service, where its server and its secrets are here."""
        found = dict(environment(name), CLEARWAY_DATA_DIR=str(self.folder / "data"))
        found["CLEARWAY_REDIS_URL"] = found["CLEARWAY_REDIS_URL"].replace(
            "valkey:6379", f"127.0.0.1:{self.port}"
        )
        for target, file in secrets(services()[name]).items():
            at = str(self.secrets / Path(file).name)
            found = {key: text.replace(target, at) for key, text in found.items()}
        return found

    def run(self, name: str, *arguments: str) -> str:
        done = CliRunner().invoke(clearway.main, arguments, env=self.settings(name))
        assert done.exit_code == 0, done.output
        return done.stdout


@AS_ROOT
def test_its_secrets_are_made_once_and_are_each_one_users_own(tmp_path: Path) -> None:
    command = ["sh", str(FOLDER / "secrets.sh"), str(tmp_path)]
    subprocess.run(command, check=True)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    owners = {
        path.name: (path.stat().st_uid, path.stat().st_mode & 0o777) for path in tmp_path.iterdir()
    }
    subprocess.run(command, check=True)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert before.keys() == {Path(file).name for file in secret_files().values()}
    (uid,) = re.findall(r"--uid (\d+)", DOCKERFILE)
    for name, each in services().items():
        mine = {"valkey": 999, "prometheus": 65534, "grafana": 472}.get(name, int(uid))
        assert {owners[Path(file).name] for file in secrets(each).values()} == {(mine, 0o400)}
    assert services()["valkey"]["user"] == "999:999"


@AS_ROOT
def test_it_serves_loads_a_list_and_is_watched_as_the_manual_says(
    make_server: Callable[..., Server], tmp_path: Path
) -> None:
    site = Site(make_server, tmp_path)
    (function,) = services()["functions"]["command"]
    assert "is loaded" in site.run("functions", function)
    made = ["keys", "create", "--name", "prometheus", "--scopes", "ops:read"]
    key = site.run("operator", *made).strip()
    file = write(tmp_path / "sx.csv", map(row, range(30)))
    site.run("loader", "load", file, "--list", "sx", "--as-of", "2020-01-01")
    service = Served.with_settings(site.settings("service"), tmp_path, key)
    with service.running() as running, running.client() as client:
        eventually(lambda: running.readyz()[1]["degraded"] == [])
        eventually(lambda: "clearway_people 30" in client.get("/metrics").text)
        assert health(running.port) == 0
    assert health(running.port) == 1
    valkeys_health_check_is_answered_and_its_user_may_do_no_more(site)


def valkeys_health_check_is_answered_and_its_user_may_do_no_more(site: Site) -> None:
    check = services()["valkey"]["healthcheck"]["test"]
    user, password = (check[check.index(option) + 1] for option in ("--user", "--pass"))
    with redis.Redis(port=site.port, username=user, password=password, protocol=2) as client:
        assert client.execute_command(check[-1])
        for command in ("GET clearway:roster", "INFO", "ACL WHOAMI", "PUBLISH clearway:doorbell x"):
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.execute_command(*command.split())
    with (
        redis.Redis(port=site.port, protocol=2) as client,
        pytest.raises(redis.AuthenticationError),
    ):
        client.ping()
