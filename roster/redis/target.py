"""Where the roster's Redis is: `CLEARWAY_REDIS_URL`, taken apart."""

from __future__ import annotations

from typing import Any, Literal, NoReturn
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import msgspec

from roster.errors import SettingsError

TargetKind = Literal["server", "sentinel", "cluster"]

_KINDS: dict[str, tuple[TargetKind, bool]] = {
    "redis": ("server", False),
    "rediss": ("server", True),
    "unix": ("server", False),
    "redis+sentinel": ("sentinel", False),
    "rediss+sentinel": ("sentinel", True),
    "redis+cluster": ("cluster", False),
    "rediss+cluster": ("cluster", True),
}
_TLS_OPTIONS = frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs"})
_SENTINEL_PASSWORDS = frozenset({"sentinel_password", "sentinel_password_file"})
_PORTS = {"server": 6379, "sentinel": 26379, "cluster": 6379}
_PORT_MAX = 65535


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A Redis to connect to; its `repr` leaves the passwords out.

    `path` is a Unix socket's, `service` the name that the sentinels know.
    """

    kind: TargetKind
    addresses: tuple[tuple[str, int], ...] = ()
    path: str = ""
    service: str = ""
    username: str | None = None
    password: str | None = None
    password_file: str = ""
    sentinel_username: str | None = None
    sentinel_password: str | None = None
    sentinel_password_file: str = ""
    db: int = 0
    tls: bool = False
    tls_options: tuple[tuple[str, str], ...] = ()

    @property
    def replicated(self) -> bool:
        """Whether there are replicas that may take over: with Sentinel or a cluster."""
        return self.kind != "server"

    def __repr__(self) -> str:
        """The target without credentials, fit for a log."""
        where = self.path or ",".join(f"{host}:{port}" for host, port in self.addresses)
        return f"<{self.kind} {where}{'/' + self.service if self.service else ''}>"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """No fields, for rich's tracebacks."""
        return []


def parse_target(url: str) -> Target:
    """The target that a URL names; raises SettingsError, which never repeats the URL.

    TLS takes `?ssl_ca_certs=`, `ssl_certfile`, `ssl_keyfile` and `ssl_cert_reqs`; sentinels
    with a password of their own take `sentinel_username` and `sentinel_password`. Either
    password may stand in a file: `password_file`, `sentinel_password_file`.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        _refuse("is not a URL")
    if parts.scheme not in _KINDS:
        _refuse(
            "must begin with redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://"
        )
    if parts.fragment:
        _refuse("has a '#' in it; write %23 in a password")
    kind, tls = _KINDS[parts.scheme]
    login, _, hosts = parts.netloc.rpartition("@")
    username, _, password = login.partition(":")
    query = _query(parts, kind, tls=tls)
    if (password and "password_file" in query) or query.keys() >= _SENTINEL_PASSWORDS:
        _refuse("has a password and a file of it; one is enough")
    return Target(
        kind=kind,
        addresses=() if parts.scheme == "unix" else _addresses(hosts, _PORTS[kind]),
        path=_socket(parts, hosts) if parts.scheme == "unix" else "",
        service=_service(parts) if kind == "sentinel" else "",
        username=unquote(username) or None,
        password=unquote(password) or None,
        password_file=query.pop("password_file", ""),
        sentinel_username=query.pop("sentinel_username", None),
        sentinel_password=query.pop("sentinel_password", None),
        sentinel_password_file=query.pop("sentinel_password_file", ""),
        db=_db(parts, query.pop("db", ""), kind),
        tls=tls,
        tls_options=tuple(sorted(query.items())),
    )


def _refuse(why: str) -> NoReturn:
    raise SettingsError(f"CLEARWAY_REDIS_URL {why}") from None


def _query(parts: SplitResult, kind: TargetKind, *, tls: bool) -> dict[str, str]:
    """The options after the question mark; an unknown one is a typo."""
    known = {"password_file", "db"} if kind != "cluster" else {"password_file"}
    known |= {"sentinel_username", *_SENTINEL_PASSWORDS} if kind == "sentinel" else set[str]()
    known |= _TLS_OPTIONS if tls else set[str]()
    try:
        query = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True))
    except ValueError:
        query = {} if not parts.query else _refuse("has options that are not name=value")
    if not query.keys() <= known:
        _refuse(f"has an unknown option; known here are {', '.join(sorted(known)) or 'none'}")
    if query.get("ssl_cert_reqs", "required") not in {"required", "optional", "none"}:
        _refuse("has a bad ssl_cert_reqs; it is required, optional or none")
    return query


def _addresses(hosts: str, default_port: int) -> tuple[tuple[str, int], ...]:
    return tuple(_address(host, default_port) for host in hosts.split(","))


def _address(text: str, default_port: int) -> tuple[str, int]:
    """Host and port of `h`, `h:p`, `[v6]` or `[v6]:p`."""
    host, bracket, rest = text.rpartition("]")
    if bracket:
        host, port = host.removeprefix("["), rest.removeprefix(":")
    else:
        host, _, port = text.partition(":")
    if not host:
        _refuse("lacks a host")
    if port and not (port.isascii() and port.isdecimal() and 0 < int(port) <= _PORT_MAX):
        _refuse("has a bad port; in a password, write %2F for / and %3F for ?")
    return unquote(host), int(port or default_port)


def _socket(parts: SplitResult, hosts: str) -> str:
    if hosts or parts.path in {"", "/"}:
        _refuse("names no absolute path: unix:///path/to/valkey.sock")
    return unquote(parts.path, errors="surrogateescape")


def _service(parts: SplitResult) -> str:
    service = unquote(parts.path.removeprefix("/"))
    if not service:
        _refuse("lacks the sentinels' service: redis+sentinel://h:p,h:p/service")
    return service


def _db(parts: SplitResult, option: str, kind: TargetKind) -> int:
    """The database from `?db=`, or from the path of one server; a cluster has only 0."""
    in_path = parts.scheme in {"redis", "rediss"} or kind == "cluster"
    path = parts.path.strip("/") if in_path else ""
    if kind == "cluster" and path:
        _refuse("names a database, but a cluster has only one")
    text = option or path or "0"
    if not (text.isascii() and text.isdecimal()) or (option and path):
        _refuse("has a bad database; it is one number")
    return int(text)
