"""Users and passwords of Redis: from files, and what is said where a server does not let us."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from roster.errors import SettingsError, Unavailable
from roster.redis.target import parse_target
from tests.roster.test_tls import found, secured, tls, value
from tests.servers import Server, free_port
from tests.service.test_server import Issuer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


async def refused(url: str) -> str:
    """Why, as operators are told; the password is never in it."""
    async with found(url) as nodes:
        with pytest.raises(Unavailable) as caught:
            await value(nodes)
    shown = f"{caught.value} {caught.value.cause} {caught.value.__cause__!r}"
    assert "s3cret" not in shown
    return caught.value.cause


async def test_a_password_is_read_from_its_file_for_each_connection(
    any_server: Server, make_server: Callable[..., Server], tmp_path: Path
) -> None:
    server, file = make_server(binary=any_server.binary), tmp_path / "password"
    secured(server, "roster")
    url = f"unix://roster@{server.socket}?password_file={file}"
    file.write_text("data\n")
    async with found(url) as nodes:
        assert await value(nodes) == b"v"
        await nodes.keyed("k", [("ACL", "SETUSER", "roster", "resetpass", ">s3cret")])
    why = await refused(url)
    assert why == f"{server.socket}: it said WRONGPASS: it takes no such user and password"
    file.write_text("s3cret")
    async with found(url) as nodes:
        assert await value(nodes) == b"v"


async def test_a_password_file_that_holds_no_password_is_named(
    valkey: Server, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    url = f"unix://roster@{valkey.socket}?password_file={file}"
    missing = f"{valkey.socket}: the password file {file} cannot be read: No such file or directory"
    assert await refused(url) == missing
    for text in ("", "\n", "s3cret\nand more\n", "s3cret" * 1_000):
        file.write_text(text)
        alone = f"the password file {file} must hold the password alone, on one line"
        assert await refused(url) == f"{valkey.socket}: {alone}"


async def test_what_a_user_may_not_do_is_told_with_the_address(
    any_server: Server, make_server: Callable[..., Server]
) -> None:
    server = make_server(binary=any_server.binary)
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "u", "on", ">s3cret", "~k", "+get", "+eval")
    async with found(f"unix://u:s3cret@{server.socket}") as nodes:
        for command, what in (
            (("SET", "k", "v"), "do 'set'"),
            (("GET", "other"), "use a key there"),
            (("EVAL", "return redis.call('GET', 'other')", 1, "k"), "use a key there"),
        ):
            with pytest.raises(Unavailable) as caught:
                await nodes.on_partitions([(0, command)])
            assert str(caught.value) == "Redis refused: NOPERM"
            why = f"{server.socket}: it said NOPERM: this user may not {what} (docs/operations.md"
            assert caught.value.cause.startswith(why)
        with pytest.raises(Unavailable, match="lacks this version's functions") as caught:
            await nodes.load_library()
    assert "run `clearway functions` as one who may" in caught.value.cause
    assert caught.value.cause.startswith(f"{server.socket}: ")


async def test_a_server_without_a_password_of_ours_says_so(
    make_server: Callable[..., Server],
) -> None:
    server = make_server()
    secured(server, "roster")
    why = "it said NOAUTH: it wants a user and a password, and was given none"
    assert await refused(server.url) == f"{server.socket}: {why}"


async def test_a_server_that_wants_a_certificate_is_shown_one(
    make_server: Callable[..., Server], redis7_binary: str, tmp_path: Path
) -> None:
    port, issuer = free_port(), Issuer(tmp_path)
    make_server({**tls(issuer, port), "tls-auth-clients": "yes"}, binary=redis7_binary)
    certificate, key = issuer.issue("client")
    trust = f"ssl_ca_certs={issuer.certificate}"
    mine = f"ssl_certfile={certificate}&ssl_keyfile={key}"
    async with found(f"rediss://localhost:{port}?{trust}&{mine}") as nodes:
        assert await value(nodes) == b"v"
    assert (await refused(f"rediss://localhost:{port}?{trust}")).startswith(f"localhost:{port}: ")
    why = await refused(f"rediss://localhost:{port}?{mine}")
    assert why.startswith(f"localhost:{port}: TLS: ")


@pytest.mark.parametrize(
    "url",
    [
        "redis://u:s3cret@h?password_file=/f",
        "redis+sentinel://h/r?sentinel_password=s3cret&sentinel_password_file=/f",
        "redis://h?sentinel_password_file=/f",
    ],
)
def test_a_password_is_stated_once(url: str) -> None:
    with pytest.raises(SettingsError, match=r"^CLEARWAY_REDIS_URL ") as caught:
        parse_target(url)
    assert "s3cret" not in str(caught.value)


def test_sentinels_have_a_password_file_of_their_own() -> None:
    target = parse_target(
        "redis+sentinel://u@h/r?password_file=/a&sentinel_username=f&sentinel_password_file=/b"
    )
    assert (target.password_file, target.sentinel_password_file) == ("/a", "/b")
    assert target.sentinel_username == "f"
