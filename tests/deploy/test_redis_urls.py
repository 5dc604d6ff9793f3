"""The Redis URL: every form and option of the manual is taken, and what is not there is refused."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
import pytest

from roster.errors import SettingsError, Unavailable
from roster.redis import connection
from roster.redis.target import parse_target
from roster.settings import read_settings
from tests.deploy.papers import DEPLOY, lines, section
from tests.roster.test_tls import found, secured, tls, value
from tests.servers import Server, free_port
from tests.service.test_server import Issuer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MANUAL = section("The Redis URL")
KINDS = {
    "redis": "redis://h",
    "rediss": "rediss://h",
    "unix": "unix:///run/valkey.sock",
    "redis+sentinel": "redis+sentinel://h/roster",
    "rediss+sentinel": "rediss+sentinel://h/roster",
    "redis+cluster": "redis+cluster://h",
    "rediss+cluster": "rediss+cluster://h",
}
GROUPS = {
    "all": set(KINDS),
    "all but clusters": {kind for kind in KINDS if "cluster" not in kind},
    "`rediss…`": {kind for kind in KINDS if kind.startswith("rediss")},
    "Sentinel": {kind for kind in KINDS if "sentinel" in kind},
}
OTHERS = re.findall(
    r"`(\w+)`", MANUAL.partition("What is not in the table")[2].partition("\n\n")[0]
)


def rows(heading: str) -> list[list[str]]:
    """The rows of the table whose first column has this heading."""
    table = MANUAL.split(f"| {heading} |", 1)[1].split("\n\n", 1)[0]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in table.split("\n")[2:]]


OPTIONS = {
    name.strip("`"): (example.strip("`"), where) for name, example, where, _ in rows("option")
}


def with_option(kind: str, name: str, text: str) -> str:
    return f"{KINDS[kind]}?{name}={text}"


@pytest.mark.parametrize("form", [row[0].strip("`") for row in rows("URL")])
def test_every_form_of_the_table_is_taken(form: str) -> None:
    target = parse_target(form)
    assert target.kind == parse_target(KINDS[form.partition("://")[0]]).kind
    assert target.tls == form.startswith("rediss")
    assert (target.username, target.password) == ("USER", "PASSWORD")
    assert target.path if form.startswith("unix") else target.addresses


def test_the_forms_are_all_that_there_are() -> None:
    assert {row[0].strip("`").partition("://")[0] for row in rows("URL")} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_of_the_table_is_taken_where_it_says_so_and_nowhere_else(
    name: str, kind: str
) -> None:
    example, where = OPTIONS[name]
    url = with_option(kind, name, example)
    if kind in GROUPS[where]:
        target = parse_target(url)
        told = msgspec.structs.asdict(target) | dict(target.tls_options)
        assert str(told[name]) == example
    else:
        with pytest.raises(SettingsError, match="has an unknown option; known here are"):
            parse_target(url)


@pytest.mark.parametrize("kind", KINDS)
def test_the_table_has_every_option_that_is_taken(kind: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_target(with_option(kind, "sokcet_timeout", "1"))
    told = str(caught.value)
    assert told.startswith("CLEARWAY_REDIS_URL has an unknown option; known here are ")
    known = set(told.partition(" known here are ")[2].split(", "))
    assert known == {name for name, (_, where) in OPTIONS.items() if kind in GROUPS[where]}


@pytest.mark.parametrize("kind", KINDS)
def test_what_other_programs_take_in_a_url_is_refused_as_the_manual_says(kind: str) -> None:
    assert {"socket_timeout", "max_connections", "protocol", "client_name"} <= set(OTHERS)
    for name in OTHERS:
        with pytest.raises(SettingsError, match="unknown option"):
            parse_target(with_option(kind, name, "1"))


def test_the_times_that_the_manual_gives_are_those_of_the_code() -> None:
    told = {row[0]: row[1] for row in rows("what waits")}
    assert told == {
        "a check": "`CLEARWAY_REDIS_TIMEOUT_MS`",
        "the follower, the doorbell": f"{connection.FOLLOW_TIMEOUT_S:g} s",
        "a change": f"{connection.CHANGE_TIMEOUT_S:g} s",
        "a load": f"{connection.BULK_TIMEOUT_S:g} s",
        "a question to a sentinel, or to a server what it is": f"{connection.ASK_TIMEOUT_S:g} s",
        "a new connection": f"{connection.CONNECT_TIMEOUT_S:g} to {connection.PATIENCE_S:g} s",
    }


@pytest.mark.parametrize(
    "path", sorted(DEPLOY.glob("*/clearway.env")), ids=lambda at: at.parent.name
)
def test_the_settings_of_every_sample_are_settings(path: Path) -> None:
    stated = dict(line.split("=", 1) for line in lines(f"{path.parent.name}/clearway.env"))
    settings = read_settings({"HOME": "/nobody", **stated})
    assert settings.target is not None
    kinds = {"one": "server", "sentinel": "sentinel", "cluster": "cluster"}
    assert settings.target.kind == kinds[path.parent.name]


# On servers -----------------------------------------------------------------------------------


async def test_a_server_that_wants_a_client_certificate_is_shown_that_of_the_url(
    make_server: Callable[..., Server], redis7_binary: str, tmp_path: Path
) -> None:
    port, issuer = free_port(), Issuer(tmp_path)
    wants = {**tls(issuer, port), "tls-auth-clients": "yes"}
    server = make_server(wants, binary=redis7_binary)
    secured(server, "roster")
    certificate, key = issuer.issue("clearway")
    password = tmp_path / "password"
    password.write_text("data\n")
    url = f"rediss://roster@localhost:{port}?ssl_ca_certs={issuer.certificate}&db=3"
    url += f"&password_file={password}"
    own = f"&ssl_certfile={certificate}&ssl_keyfile={key}"
    async with found(url + own) as nodes:
        assert await value(nodes) == b"v"
    async with found(url) as nodes:
        with pytest.raises(Unavailable):
            await value(nodes)


@pytest.mark.parametrize(("asked", "is_taken"), [("required", False), ("none", True)])
async def test_whether_a_servers_certificate_is_looked_at_is_as_the_url_says(
    asked: str,
    is_taken: bool,
    make_server: Callable[..., Server],
    redis7_binary: str,
    tmp_path: Path,
) -> None:
    port = free_port()
    make_server(tls(Issuer(tmp_path), port), binary=redis7_binary)
    async with found(f"rediss://localhost:{port}?ssl_cert_reqs={asked}") as nodes:
        if is_taken:
            assert await value(nodes) == b"v"
        else:
            with pytest.raises(Unavailable) as caught:
                await value(nodes)
            assert caught.value.cause.startswith(f"localhost:{port}: TLS: ")
