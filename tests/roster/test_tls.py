"""Sentinel and clusters behind TLS, host names and passwords, found and asked."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from roster.errors import Unavailable
from roster.redis.connection import change_client
from roster.redis.nodes import Nodes, open_nodes
from roster.redis.target import parse_target
from tests.servers import Server, eventually, free_port
from tests.service.test_server import Issuer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

USERS = {
    "roster": ["on", ">data", "~*", "&*", "+@all"],
    "finder": ["on", ">find", "&*", "+ping", "+sentinel|get-master-addr-by-name"],
    "default": ["resetpass", ">nobody", "off"],
}


def secured(server: Server, user: str) -> None:
    """From now on the server knows this user only."""
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", user, *USERS[user])
        client.execute_command("ACL", "SETUSER", "default", *USERS["default"])


def tls(issuer: Issuer, port: int) -> Mapping[str, str]:
    certificate, key = issuer.issue(f"server-{port}")
    return {
        "tls-port": str(port),
        "tls-cert-file": str(certificate),
        "tls-key-file": str(key),
        "tls-ca-cert-file": str(issuer.certificate),
        "tls-auth-clients": "no",
    }


@asynccontextmanager
async def found(url: str) -> AsyncIterator[Nodes]:
    nodes = open_nodes(parse_target(url), change_client)
    try:
        yield nodes
    finally:
        await nodes.close()


async def value(nodes: Nodes) -> Any:  # noqa: ANN401 -- a raw reply
    _, got = await nodes.keyed("k", [("SET", "k", "v"), ("GET", "k")])
    return got


async def test_a_cluster_is_found_by_host_name_over_tls_with_a_password(
    make_server: Callable[..., Server], redis7_binary: str, tmp_path: Path
) -> None:
    port, issuer = free_port(), Issuer(tmp_path)
    settings = {
        "cluster-enabled": "yes",
        "cluster-port": str(free_port()),
        "tls-cluster": "yes",
        "cluster-announce-hostname": "localhost",
        "cluster-preferred-endpoint-type": "hostname",
        **tls(issuer, port),
    }
    server = make_server(settings, binary=redis7_binary)
    with server.client() as client:
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        eventually(lambda: client.execute_command("CLUSTER INFO")["cluster_state"] == "ok")
    secured(server, "roster")
    trust = f"ssl_ca_certs={issuer.certificate}"
    async with found(f"rediss+cluster://roster:data@localhost:{port}?{trust}") as nodes:
        assert await value(nodes) == b"v"
        assert nodes.server(0) == ("localhost", port)
    async with found(f"rediss+cluster://roster:data@localhost:{port}") as nodes:
        with pytest.raises(Unavailable) as caught:
            await value(nodes)
    assert "TLS: " in caught.value.cause
    server.kill()


async def test_sentinels_with_a_user_of_their_own_are_asked_over_tls(
    make_server: Callable[..., Server], redis7_binary: str, tmp_path: Path, short_folder: Path
) -> None:
    port, sentinel_port, issuer = free_port(), free_port(), Issuer(tmp_path)
    server = make_server({**tls(issuer, port), "tls-replication": "yes"}, binary=redis7_binary)
    binary = short_folder / "redis-sentinel"  # the name makes it one
    binary.symlink_to(redis7_binary)
    settings = {
        **tls(issuer, sentinel_port),
        "tls-replication": "yes",
        "sentinel resolve-hostnames": "yes",
        "sentinel announce-hostnames": "yes",
        f"sentinel monitor roster localhost {port}": "1",
    }
    sentinel = make_server(settings, binary=str(binary))
    secured(server, "roster")
    secured(sentinel, "finder")
    trust = f"ssl_ca_certs={issuer.certificate}"
    own = "sentinel_username=finder&sentinel_password=find"
    url = f"rediss+sentinel://roster:data@localhost:{sentinel_port}/roster?{trust}"
    async with found(f"{url}&{own}") as nodes:
        assert await value(nodes) == b"v"
    async with found(url) as nodes:
        with pytest.raises(Unavailable) as caught:
            await value(nodes)
    said = "it said NOAUTH: it wants a user and a password, and was given none"
    assert caught.value.cause == f"localhost:{sentinel_port}: {said}"
    server.kill()
    sentinel.kill()
