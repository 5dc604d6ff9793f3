"""Runs the service under uvicorn: one process or several, with TLS or on loopback."""

import asyncio
import gc
import ipaddress
import logging
import os
import signal
import socket
import ssl
from collections.abc import MutableSequence, Sequence
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import msgspec
import structlog
import uvicorn

from roster.build import build
from roster.errors import SettingsError
from roster.settings import Settings, read_settings
from service.app import create_app
from service.logs.repeats import RepeatCounter
from service.server.protocol import Protocol
from service.server.serving import Serving
from service.server.sockets import address_of
from service.server.workers import Workers, shared
from service.web.rates import SIZE, Rates

SAFE_HEADERS = (
    ("x-content-type-options", "nosniff"),
    ("content-security-policy", "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
)
"""On every answer, also on one to what is no request; pages add a policy of their own."""
YOUNG = 10_000
"""The collector's first threshold; Python's 700 is a tenth of what a batch of changes makes."""

log = structlog.get_logger("clearway.server")


class Listen(msgspec.Struct, frozen=True):
    """Where to listen, and with how many processes."""

    host: str
    port: int
    workers: int = 1


def require_safe(listen: Listen, settings: Settings) -> None:
    """Raise SettingsError where keys would travel in the clear."""
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
    repeats = set_up_logging(settings)
    listening = listening_socket(listen)  # before anything is started
    address = address_of(listening, "https" if settings.tls_cert else "http")
    where = repr(settings.target) if settings.target else f"embedded in {settings.data_dir}"
    own = {"workers": listen.workers, "build": build()}
    log.info("starting", listening=address, redis=where, **own)
    try:
        if listen.workers > 1:
            counting = partial(work, shared(SIZE))
            workers = Workers(counting, listening, listen.workers, settings.drain_s)
            return asyncio.run(workers.run())
        server = make_server(settings)
        server.repeats = repeats
        server.run(sockets=[listening])
        return server.started
    finally:
        listening.close()


def work(
    memory: MutableSequence[float],
    listening: socket.socket,
    link: Connection,
    others: bool,  # noqa: FBT001 -- what a process is started with
) -> None:
    """One process of several, until it is told to end; keys' rates are counted in `memory`."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the supervisor's
    settings = read_settings(os.environ)
    repeats = set_up_logging(settings)
    server = make_server(settings, link, others=others, rates=Rates(memory))
    server.repeats = repeats
    server.run(sockets=[listening])


def make_server(
    settings: Settings,
    link: Connection | None = None,
    *,
    others: bool = False,
    rates: Rates | None = None,
) -> Serving:
    """The server of this process.

    Modules and routes stay for good: were they looked through for garbage again and again,
    every check would wait for it, 60 to 80 ms each time. Of what is made later hardly anything
    needs the collector: it looks seldom, while a few large requests go by.
    """
    app = create_app(settings, rates)
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG)
    return Serving(_config(app, settings), app, settings, link, others=others)


def listening_socket(listen: Listen) -> socket.socket:
    """The socket to accept on; raises SettingsError where there can be none."""
    config = uvicorn.Config("", host=listen.host, port=listen.port, log_config=None)
    try:
        return config.bind_socket()
    except SystemExit as exc:  # uvicorn has logged why
        where = f"{config.host}:{config.port}"
        raise SettingsError(
            f"cannot listen on {where}: is it in use already? Choose another with --port"
        ) from exc


def set_up_logging(settings: Settings) -> RepeatCounter:
    """Write log lines as JSON, or for people, on standard error; what counts repeated failures."""
    before: Sequence[Any] = structlog.get_config()["processors"]
    counters = (each for each in before if isinstance(each, RepeatCounter))
    repeats = next(counters, None) or RepeatCounter()
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
        processors=[repeats, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
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
    return repeats


def _config(app: Any, settings: Settings) -> uvicorn.Config:  # noqa: ANN401 -- Litestar is more than an ASGI application
    return uvicorn.Config(
        app,
        http=Protocol,
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        headers=list(SAFE_HEADERS),
        server_header=False,
        proxy_headers=False,
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
