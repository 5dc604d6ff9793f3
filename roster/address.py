"""Where the service is, with which key and how it is asked; mistakes are told before it is."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import msgspec

from roster.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path
    from urllib.parse import SplitResult

    from roster.settings import Settings

KEY_FILE_MAX_BYTES = 4_096
CONNECT_S = 3.0
PROBE_S = 2.0
_BOM = "\ufeff"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_QUOTES = frozenset("'\"`\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u00ab\u00bb\uff02\uff07")
_SCHEMES = frozenset({"http", "https"})
_UNREADABLE = "the URL's host or port cannot be read: write http://HOST:PORT"
# What stands behind the root of every service: somebody has copied a route's address.
_ROUTE = re.compile(
    r"/(v1(/(check|standing|changes|entries|audit|roster)\b.*)?|readyz|healthz|metrics|schema.*)/*$"
)


class ServiceAddress(msgspec.Struct, frozen=True):
    """A service's root, the key to ask it with, and the proxy on the way, where one was named."""

    url: str
    key: str
    proxy: str | None = None

    def __repr__(self) -> str:
        """Without the key, and without a proxy's password."""
        return f"<ServiceAddress {self.url}>"


def address_of(settings: Settings, url: str | None, key_file: Path | None) -> ServiceAddress:
    """The address that a command's options and the settings say; raises SettingsError.

    No proxy is ever asked about this machine, and none that only the environment names: it
    would see the key and the numbers.
    """
    root = url or _setting("CLEARWAY_URL", settings.url)
    proxy = _setting("CLEARWAY_PROXY", settings.proxy) if settings.proxy else None
    key = read_api_key(settings, key_file)
    return ServiceAddress(root, key, None if is_here(urlsplit(root).hostname or "") else proxy)


def open_client(address: ServiceAddress, timeout_s: float) -> httpx.Client:
    """A client for the service there; no proxy of the environment's ever sees what it sends.

    Raises SettingsError where the URL cannot be read.
    """
    try:
        return httpx.Client(
            base_url=address.url,
            headers={"authorization": f"Bearer {address.key}"},
            timeout=httpx.Timeout(timeout_s, connect=CONNECT_S),
            proxy=address.proxy,
            trust_env=False,
            verify=httpx.create_ssl_context(),  # with SSL_CERT_FILE, which is no proxy
        )
    except httpx.InvalidURL:
        raise SettingsError("the URL's host or port cannot be read") from None


def _setting(name: str, text: str) -> str:
    try:
        return checked_url(text, of_proxy=name.endswith("PROXY"))
    except ValueError as exc:
        raise SettingsError(f"{name}: {exc}") from None


def checked_url(text: str, *, of_proxy: bool = False) -> str:
    """The service's root, or a proxy's address; raises ValueError, which says what is wrong.

    The message repeats nothing: a key may have been taken for an address. Only a proxy's may
    hold a user.
    """
    text = text.strip()
    if not _QUOTES.isdisjoint(text):
        raise ValueError("the URL has quotes in it: write it without")
    if "://" not in text:
        raise ValueError("the URL has no scheme: write http://HOST:PORT, or https:// for TLS")
    try:
        parts = urlsplit(text)
        host, port = (parts.hostname or "").encode("idna"), parts.port
    except ValueError:
        raise ValueError(_UNREADABLE) from None
    if not text.isprintable() or " " in text or not host or port == 0:
        raise ValueError(_UNREADABLE)
    _check_parts(parts, of_proxy=of_proxy)
    return text


def _check_parts(parts: SplitResult, *, of_proxy: bool) -> None:
    if parts.scheme not in _SCHEMES:
        raise ValueError("the URL's scheme is not http:// or https://")
    if parts.query or parts.fragment or _ROUTE.search(parts.path):
        raise ValueError("the URL is not the service's root: end it behind the port")
    if "@" in parts.netloc and not of_proxy:
        raise ValueError("the URL holds a user: the key goes into CLEARWAY_API_KEY or --key-file")


def is_here(host: str) -> bool:
    """Whether a host is surely this machine: a loopback address in any spelling."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(name)
    except ValueError:
        try:
            address = ipaddress.IPv4Address(socket.inet_aton(name))  # `127.1` and the like
        except (OSError, UnicodeEncodeError):
            return False
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address
    return address.is_loopback or address.is_unspecified


def read_api_key(settings: Settings, key_file: Path | None) -> str:
    """The API key of a command that speaks HTTP; raises SettingsError where there is none.

    It says what is wrong with a text that can be no key, and never repeats it.
    """
    if key_file is not None:
        return _checked_key(f"the key file {key_file}", _text_of(key_file))
    if settings.api_key is None:
        raise SettingsError("an API key is required: CLEARWAY_API_KEY, or --key-file")
    return _checked_key("CLEARWAY_API_KEY", settings.api_key)


def _text_of(key_file: Path) -> str:
    try:
        with key_file.open("rb") as file:
            data = file.read(KEY_FILE_MAX_BYTES + 1)
    except OSError as exc:
        raise SettingsError(f"the key file {key_file} cannot be read: {exc.strerror}") from exc
    if len(data) > KEY_FILE_MAX_BYTES:
        raise SettingsError(f"the key file {key_file} is too long: it must hold the key alone")
    if data.startswith(_UTF_16):
        raise SettingsError(f"the key file {key_file} is UTF-16: save it as plain text, ASCII")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise SettingsError(f"the key file {key_file} is not plain text") from None


def _checked_key(where: str, text: str) -> str:
    if _BOM in text:
        raise SettingsError(f"{where} has a byte order mark (BOM): save it as ASCII, without one")
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) != 1:
        what = f"holds {len(lines)} lines" if lines else "is empty"
        raise SettingsError(f"{where} {what}: it must hold the key alone, on one line")
    key = lines[0].strip()
    if not _QUOTES.isdisjoint(key):
        raise SettingsError(f"{where} has quotes in it: write the key without")
    if key[:6].lower() == "bearer" or any(character.isspace() for character in key):
        raise SettingsError(f"{where} has a blank in the key, or a word before it: the key alone")
    if not (key.isascii() and key.isprintable()):
        raise SettingsError(f"{where} has a character that no key has: keys are plain ASCII")
    return key


def silence_of(exc: BaseException) -> str:
    """Why nobody has answered, in a few words; never what was sent, or a foreign text."""
    if isinstance(exc, httpx.ConnectTimeout):
        return "nobody took the connection in time"
    if isinstance(exc, httpx.TimeoutException):
        return "no answer in time"
    cause: BaseException | None = exc
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno:
            return os.strerror(cause.errno)
        cause = cause.__cause__ or cause.__context__
    return "the connection was broken off"


def fault_of(exc: BaseException, hung_up: str = "") -> str | None:
    """What is wrong with the address where that is why nobody answers, else None.

    Asking again would not help then. `hung_up` is the root of who took the connection and ended
    it without a word, as TLS does with plain HTTP.
    """
    cause: BaseException | None = exc
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the certificate there is not trusted here: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return "what answers there does not speak TLS as asked: is it http:// or https://?"
        if isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_NONAME:
            return "there is no host of that name: look at the URL"
        cause = cause.__cause__ or cause.__context__
    if hung_up.startswith("http://") and _speaks_tls(hung_up):
        return "what answers there speaks TLS: write https://"
    return None


def _speaks_tls(url: str) -> bool:
    parts = urlsplit(url)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # nothing is sent
    try:
        with (
            socket.create_connection((parts.hostname, parts.port or 80), PROBE_S) as plain,
            context.wrap_socket(plain, server_hostname=parts.hostname),
        ):
            return True
    except OSError:
        return False
