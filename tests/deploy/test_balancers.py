"""The samples for nginx and HAProxy: taken, and nobody's check is lost while a process ends."""

from __future__ import annotations

import re
import shutil
import signal
import ssl
import subprocess
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.deploy.papers import DEPLOY
from tests.servers import DEADLINE_S, Server, eventually, free_port
from tests.service.apps import bearer
from tests.service.rosters import AIR
from tests.service.served import CLEAR, Running, Served
from tests.service.test_server import Issuer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from httpx import Response

NGINX = """
pid {folder}/pid;
error_log {folder}/log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/clearway.conf;
}}
"""
FROM_A_TO_B = 30
"""Checks before one of the two is told to end, and after it has."""


class Balancer:
    """One of the samples, with ports and certificate of the test's."""

    def __init__(self, name: str, folder: Path, ports: Sequence[int]) -> None:
        self.name, self.folder, self.port = name, folder, free_port()
        issuer = Issuer(folder)
        certificate, key = issuer.issue("balancer")
        self.authority = issuer.certificate
        whole = folder / "whole.pem"
        whole.write_bytes(certificate.read_bytes() + key.read_bytes())
        own = {
            "/etc/nginx/clearway.pem": str(certificate),
            "/etc/nginx/clearway.key": str(key),
            "/etc/haproxy/clearway.pem": str(whole),
            "listen 443": f"listen 127.0.0.1:{self.port}",
            "bind :443": f"bind 127.0.0.1:{self.port}",
            " A:8080": f" 127.0.0.1:{ports[0]}",
            " B:8080": f" 127.0.0.1:{ports[1]}",
        }
        (sample,) = (DEPLOY / name).iterdir()
        text = sample.read_text(encoding="utf-8")
        for there, here in own.items():
            text = text.replace(there, here)
        folder.joinpath(sample.name).write_text(text)
        folder.joinpath("nginx.conf").write_text(NGINX.format(folder=folder))

    def command(self, *, tests: bool) -> list[str]:
        if self.name == "haproxy":
            return ["haproxy", "-c" if tests else "-db", "-f", str(self.folder / "haproxy.cfg")]
        stay = ["-t"] if tests else ["-g", "daemon off;"]
        return ["nginx", "-p", str(self.folder), "-c", str(self.folder / "nginx.conf"), *stay]

    @contextmanager
    def running(self) -> Iterator[httpx.Client]:
        log = (self.folder / "balancer.log").open("wb")
        process = subprocess.Popen(self.command(tests=False), stdout=log, stderr=log)
        trust = ssl.create_default_context(cafile=str(self.authority))
        try:
            base = f"https://localhost:{self.port}"
            with httpx.Client(base_url=base, verify=trust, timeout=DEADLINE_S) as client:
                eventually(lambda: process.poll() is not None or answered(client))
                assert process.poll() is None, (self.folder / "balancer.log").read_text()
                yield client
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(DEADLINE_S)
            log.close()


def answered(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def check(client: httpx.Client, key: str) -> Response:
    body = {"document": CLEAR, "journey": AIR}
    return client.post("/v1/check", json=body, headers=bearer(key))


@pytest.fixture(params=["nginx", "haproxy"])
def name(request: pytest.FixtureRequest) -> str:
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    return str(request.param)


def test_it_takes_the_sample(name: str, tmp_path: Path) -> None:
    command = Balancer(name, tmp_path, [1, 2]).command(tests=True)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not re.search(r"warn", done.stderr, re.IGNORECASE), done.stderr


@contextmanager
def two_of_them(valkey: Server, folder: Path) -> Iterator[tuple[str, list[Running]]]:
    service = Served(valkey, folder, drain_s="2.5")
    service.cover()
    with ExitStack() as stack:
        yield service.key, [stack.enter_context(service.running()) for _ in range(2)]


def test_no_check_is_lost_while_one_of_two_drains_and_ends_and_bodies_pass_whole(
    name: str, valkey: Server, tmp_path: Path
) -> None:
    with two_of_them(valkey, tmp_path) as (key, processes):
        ports = [each.port for each in processes]
        with Balancer(name, tmp_path, ports).running() as client:
            bodies_pass_whole(client, key)
            assert not any((tmp_path / "body").glob("**/*"))
            assert client.get("/metrics", headers=bearer(key)).status_code == 404
            one = processes[0].process
            before = [check(client, key) for _ in range(FROM_A_TO_B)]
            one.terminate()
            before += iter(lambda: check(client, key) if one.poll() is None else None, None)
            before += [check(client, key) for _ in range(FROM_A_TO_B)]
            assert {each.status_code for each in before} == {200}
            assert len(before) > 2 * FROM_A_TO_B


def bodies_pass_whole(client: httpx.Client, key: str) -> None:
    """Of 4 MiB, and one of more has Clearway's own answer."""
    for size, status in ((4 << 20, 200), ((4 << 20) + 1, 413)):
        body = b'{"items": [{}]}'.ljust(size)
        told = client.post("/v1/check/batch", content=body, headers=bearer(key))
        assert told.status_code == status
        assert "json" in told.headers["content-type"]
