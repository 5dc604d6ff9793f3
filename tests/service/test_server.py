"""Serving: TLS, client certificates, and no plain HTTP where others could listen."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import socket
import ssl
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from roster.errors import SettingsError
from roster.settings import read_settings
from service.server.certificates import fingerprint_of_file
from service.server.server import Listen, is_loopback, require_safe
from tests.servers import eventually, free_port
from tests.service.apps import ID_KEY, bearer, make_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.servers import Server

ROOT = Path(__file__).resolve().parent.parent.parent


_UNUSED = (
    "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "encipher_only", "decipher_only",
)  # fmt: skip


class Issuer:
    """A certificate authority in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        self.certificate = folder / "ca.pem"
        self._write(self.certificate, self._name, self._key, authority=True)

    def issue(self, name: str) -> tuple[Path, Path]:
        """Certificate and key of somebody."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate, private = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        self._write(certificate, subject, key, authority=False)
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return certificate, private

    def _write(
        self, path: Path, name: x509.Name, key: ec.EllipticCurvePrivateKey, *, authority: bool
    ) -> None:
        now = dt.datetime.now(dt.UTC)
        names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
        mine, theirs = key.public_key(), self._key.public_key()
        # Python 3.13 verifies as RFC 5280 has it: it wants the identifiers, and an authority's use.
        usage = x509.KeyUsage(
            digital_signature=not authority,
            key_cert_sign=authority,
            crl_sign=authority,
            **dict.fromkeys(_UNUSED, False),
        )
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(mine)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(names, critical=False)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(mine), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(theirs), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


@contextmanager
def serving(settings: Mapping[str, str], folder: Path, context: ssl.SSLContext) -> Iterator[str]:
    port = free_port()
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "clearway", "serve", "--port", str(port)],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **settings}
            | {"CLEARWAY_DRAIN_S": "0"},
            stdout=log,
            stderr=log,
        )
    url = f"https://localhost:{port}"

    def answers() -> bool:
        assert process.poll() is None, (folder / "serve.log").read_text()
        try:
            return httpx.get(f"{url}/healthz", verify=context).is_success
        except httpx.TransportError:
            return False

    try:
        eventually(answers)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def test_a_key_bound_to_a_certificate_needs_it(valkey: Server, short_folder: Path) -> None:
    issuer = Issuer(short_folder)
    cert, key = issuer.issue("server")
    settings = {
        "CLEARWAY_REDIS_URL": valkey.url,
        "CLEARWAY_DATA_DIR": str(short_folder / "data"),
        "CLEARWAY_ID_KEY": ID_KEY,
        "CLEARWAY_TLS_CERT": str(cert),
        "CLEARWAY_TLS_KEY": str(key),
        "CLEARWAY_TLS_CLIENT_CA": str(issuer.certificate),
    }
    contexts = {}
    for name in ("airline", "other"):
        context = ssl.create_default_context(cafile=str(issuer.certificate))
        context.load_cert_chain(*issuer.issue(name))
        contexts[name] = context
    bound = asyncio.run(
        make_key(
            read_settings(settings),
            ["ops"],
            client_cert=fingerprint_of_file(short_folder / "airline.pem"),
        )
    )
    with serving(settings, short_folder, contexts["airline"]) as url:

        def status(name: str) -> int:
            answer = httpx.get(f"{url}/v1/roster", headers=bearer(bound), verify=contexts[name])
            return answer.status_code

        assert status("other") == 401
        assert status("airline") == 200
        assert status("other") == 401
        nobody = ssl.create_default_context(cafile=str(issuer.certificate))
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{url}/healthz", verify=nobody)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_no_tls(host: str) -> None:
    assert is_loopback(host)
    require_safe(Listen(host, 8080), read_settings({}))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "clearway.example"])
def test_keys_never_travel_in_the_clear_unless_it_is_allowed(host: str) -> None:
    with pytest.raises(SettingsError, match="CLEARWAY_ALLOW_PLAIN_HTTP"):
        require_safe(Listen(host, 8080), read_settings({}))
    require_safe(Listen(host, 8080), read_settings({"CLEARWAY_ALLOW_PLAIN_HTTP": "true"}))


def test_pem_and_der_have_one_fingerprint(tmp_path: Path) -> None:
    cert, key = Issuer(tmp_path).issue("airline")
    der = tmp_path / "airline.der"
    der.write_bytes(ssl.PEM_cert_to_DER_cert(cert.read_text()))
    assert fingerprint_of_file(cert) == fingerprint_of_file(der)
    with pytest.raises(ValueError, match=r"certificate|PEM"):
        fingerprint_of_file(key)


def test_a_port_in_use_ends_with_status_1_and_a_reason(valkey: Server, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        own = {
            "CLEARWAY_REDIS_URL": valkey.url,
            "CLEARWAY_DATA_DIR": str(tmp_path),
            "CLEARWAY_ID_KEY": ID_KEY,
        }
        ended = subprocess.run(
            [sys.executable, "-m", "clearway", "serve", "--port", port],
            cwd=ROOT,
            env=os.environ | own,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert ended.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in ended.stderr
