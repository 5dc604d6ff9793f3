"""Runs the service under uvicorn: one process or several, with TLS or on loopback."""

import gc
import ipaddress
import logging
import os
import socket
import ssl
from typing import Any, cast

import msgspec
import structlog
import uvicorn
from litestar import Litestar
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.supervisors import Multiprocess

from roster.errors import SettingsError
from roster.settings import Settings, read_settings
from service.app import create_app
from service.auth import CERT_SCOPE
from service.certificates import fingerprint
from service.corked import Cork

GRACE_S = 2
"""How long open requests may take when the service ends; long polls would hold it for ever."""

BACKLOG = 2_048


class Listen(msgspec.Struct, frozen=True):
    """Where to listen, and with how many processes."""

    host: str
    port: int
    workers: int = 1


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol, corked, which also tells whose certificate the caller has shown."""

    _fingerprint = ""

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 -- uvicorn says no more
        """Look at the certificate once for each connection."""
        corked: Any = Cork(transport, self.loop)
        super().connection_made(corked)
        tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        shown = tls.getpeercert(binary_form=True) if tls is not None else None
        self._fingerprint = fingerprint(shown) if shown else ""

    def on_message_begin(self) -> None:
        """Put it into the request's scope."""
        super().on_message_begin()
        if self._fingerprint:
            cast("dict[str, Any]", self.scope)[CERT_SCOPE] = self._fingerprint


def require_safe(listen: Listen, settings: Settings) -> None:
    """Nothing; raises SettingsError where keys would travel in the clear."""
    if settings.tls_cert or settings.allow_plain_http or is_loopback(listen.host):
        return
    raise SettingsError(
        f"plain HTTP on {listen.host} would show API keys to the network: set "
        "CLEARWAY_TLS_CERT and CLEARWAY_TLS_KEY, or CLEARWAY_ALLOW_PLAIN_HTTP=true "
        "behind something that ends TLS"
    )


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine can reach it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def run(listen: Listen, settings: Settings) -> bool:
    """Whether the service started; returns when it has ended."""
    set_up_logging(settings)
    config = _config(listen, settings)
    listening = _bound(config)  # before anything is started
    try:
        if listen.workers > 1:
            Multiprocess(config, sockets=[listening]).run()
            return True
        server = uvicorn.Server(config)
        server.run(sockets=[listening])
        return server.started
    finally:
        listening.close()


def _bound(config: uvicorn.Config) -> socket.socket:
    try:
        return config.bind_socket()
    except SystemExit as exc:  # uvicorn has logged why
        where = f"{config.host}:{config.port}"
        raise SettingsError(f"cannot listen on {where}: is it in use already?") from exc


def app() -> Litestar:
    """The application of a worker process, which reads its own environment.

    Modules and routes stay for good: were they looked through for garbage again and again,
    every check would wait for it, 60 to 80 ms each time.
    """
    settings = read_settings(os.environ)
    set_up_logging(settings)
    created = create_app(settings)
    gc.collect()
    gc.freeze()
    return created


def set_up_logging(settings: Settings) -> None:
    """Nothing; log lines are JSON, or for people, on standard error."""
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer()
    )
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared)
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    # These say what they ask for, addresses and all.
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _config(listen: Listen, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        "service.server:app",
        factory=True,
        host=listen.host,
        port=listen.port,
        workers=listen.workers,
        http=Protocol,
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=GRACE_S,
        **_tls(settings),
    )


def _tls(settings: Settings) -> dict[str, Any]:
    if settings.tls_cert is None:
        return {}
    options: dict[str, Any] = {
        "ssl_certfile": str(settings.tls_cert),
        "ssl_keyfile": str(settings.tls_key),
    }
    if settings.tls_client_ca is not None:
        options["ssl_ca_certs"] = str(settings.tls_client_ca)
        options["ssl_cert_reqs"] = ssl.CERT_REQUIRED
    return options
