"""Who is calling, what they may do, and how much of it: API keys as this process knows them.

A known key costs one dictionary look-up. The keys are read anew several times a second, so
a revoked one stops within a second; one that is not known is looked up directly, so a new
one works at once. While Redis does not answer, those that were valid when they were last read
stay so: then the answer is `refer`, not 401. What it has lost stays for `CLEARWAY_SERVE_STALE_S`.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec
from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler
from msgspec.structs import replace

from roster.errors import Forbidden, TooMany, Unauthorised, Unavailable, cause_of
from roster.redis.logins import NOT_ALLOWED
from roster.storage.api_keys import INCLUDED_IN, ApiKey, KeyStore, hash_of, key_id
from roster.times import boot_s, now_ms
from service.web.ended import Ended
from service.web.rates import Rates, TokenBucket

CERT_SCOPE = "clearway.client_cert"
"""Where `service/server/server.py` puts the fingerprint of the caller's certificate."""

CANARY_KEY = "canary"
"""The id of the key that the canary calls with; no key in Redis can have it."""

LOOKUPS_PER_S = 50.0
"""Unknown keys are looked up this often at most: guessing must not load Redis."""
LOOKUP_S = 1.0
"""No longer does Redis have to find one; once it has not, none is looked up until it answers."""

ONLY_CHECKS = "a test key may check, and ask for standings, of made-up people; nothing else"

MISSHAPEN = (
    "what stands in Authorization has not the form of a key: Bearer cw_..., whole, without quotes"
)
HEADERS_MAX = 10_000
_BEARER = b"bearer "


class _Known(msgspec.Struct):
    """A key by one of its texts, and until when that stays valid if nothing is read any more.

    Of a `particular` one there is more to see to: a certificate, or whom it may be told of.
    `used_s` is when it was last used here; to remember that is all that a check pays for it.
    """

    key: ApiKey
    hash: bytes
    until_s: float
    particular: bool
    used_s: float = 0.0


class Access:
    """The keys of this process; times are those of `boot_s`."""

    def __init__(self, store: KeyStore, serve_stale_s: float, rates: Rates | None = None) -> None:
        """Nothing is known yet: see `refresh`. Without `rates` the keys' count for it alone."""
        self._store = store
        self.ended = Ended()
        self._serve_stale_s = serve_stale_s
        self._keys: dict[str, _Known] = {}
        self._headers: dict[bytes, _Known] = {}
        self._used: dict[str, float] = {}
        self._rates = rates or Rates()
        self._lookups = TokenBucket(LOOKUPS_PER_S, LOOKUPS_PER_S, boot_s())
        self._read = self._silent = False
        self._trusted: dict[bytes, ApiKey] = {}

    def trust(self, header: bytes, key: ApiKey) -> None:
        """Let this process call itself with a key that is in no roster (its canary)."""
        self._trusted[header] = key

    async def refresh(self) -> None:
        """Read the keys that Redis has now; raises Unavailable.

        They outlive one that does not answer: a process without news only refers. One that answers,
        and forbids to read them, lets this process decide on: their time runs as if they were lost.
        """
        asked_s = boot_s()
        try:
            found = await self._store.all()
        except Unavailable as exc:
            if NOT_ALLOWED in cause_of(exc):
                self._learn({}, asked_s)
            raise
        self._read, self._silent = True, False
        self._learn(self.ended.standing(found), asked_s)

    def known(self, header: bytes | None) -> ApiKey | None:
        """The key of a header that was seen before and still holds."""
        known = self._headers.get(header) if header is not None else None
        if known is None and header in self._trusted:
            return self._trusted[header]
        now_s = boot_s()
        if known is None or known.until_s < now_s or known.particular:
            return None
        known.used_s = now_s
        return known.key

    def named(self, header: bytes | None) -> str:
        """The id of the key whose header this is, whether it still holds or not; else nothing."""
        known = self._headers.get(header) if header is not None else None
        return known.key.id if known is not None else ""

    async def authorise(self, header: bytes | None, client_cert: str = "") -> ApiKey:
        """The key of an Authorization header; raises Unauthorised.

        `client_cert` is the fingerprint of the certificate that the caller has shown.
        """
        key = self.known(header)
        if key is not None:
            return key
        shown = header or b""
        known = await self._identify(shown)
        if known.key.client_cert not in {None, client_cert}:
            raise Unauthorised("this key works with its client certificate only")
        self._used[known.key.id] = boot_s()
        if _is_plain(shown) and len(self._headers) < HEADERS_MAX:
            self._headers[shown] = known
        return known.key

    @property
    def has_read(self) -> bool:
        """Whether they have ever been read."""
        return self._read

    @property
    def keys(self) -> list[ApiKey]:
        """Those that this process knows, revoked and expired ones too."""
        return [known.key for known in self._keys.values()]

    def uses(self) -> dict[str, float]:
        """When each key that is known was last used here."""
        for known in self._headers.values():
            if known.used_s > self._used.get(known.key.id, 0.0):
                self._used[known.key.id] = known.used_s
        self._used = {name: used_s for name, used_s in self._used.items() if name in self._keys}
        return self._used

    def spend(self, key: ApiKey, checks: int) -> None:
        """Count checks of a key; raises TooMany where it has asked for too much lately."""
        if key.rate and (wait_s := self._rates.take(key, checks, boot_s())):
            raise TooMany(max(1, round(wait_s * 1000)))

    async def _identify(self, header: bytes) -> _Known:
        if not header.strip():
            raise Unauthorised("an API key is required: Authorization: Bearer cw_...")
        text = header[len(_BEARER) :].strip()
        identifier = key_id(text)
        if header[: len(_BEARER)].lower() != _BEARER or identifier is None:
            raise Unauthorised(MISSHAPEN)
        hashed = hash_of(text)
        found = _by_text(self._keys.get(identifier), hashed)
        found = found or _by_text(await self._look_up(identifier), hashed)
        if found is None:
            raise Unauthorised("this API key is unknown, expired or revoked")
        return found

    async def _look_up(self, identifier: str) -> _Known | None:
        if self._silent or self._lookups.take(1, boot_s()):
            return None
        try:
            key = await self._find(identifier)
        except Unavailable:
            if not self._read:
                raise
            self._silent = True
            return None  # whoever was known when Redis went away still is
        if key is None:
            return None
        self._keys[identifier] = known = _lasting(self.ended.of(key))
        return known

    async def _find(self, identifier: str) -> ApiKey | None:
        try:
            async with asyncio.timeout(LOOKUP_S):
                return await self._store.find(identifier)
        except TimeoutError as exc:
            raise Unavailable("Redis did not answer in time", "no answer in time") from exc

    def _learn(self, found: Mapping[str, ApiKey], asked_s: float) -> None:
        """Keys that Redis lost stay until their time is up; headers of changed ones go."""
        self.uses()
        known = {key.id: _lasting(key) for key in found.values()}
        for identifier in self._keys.keys() - known.keys():
            old = self._keys[identifier]
            until_s = min(old.until_s, asked_s + self._serve_stale_s)
            if until_s > asked_s:
                known[identifier] = replace(old, until_s=until_s)
        self._keys = known
        self._headers = {
            header: now
            for header, was in self._headers.items()
            if (now := _by_text(known.get(was.key.id), was.hash)) is not None
        }


def require(key: ApiKey, scope: str, list_name: str | None = None) -> None:
    """Raise Forbidden, which says the scope, where the key lacks it."""
    if not key.allows(scope, list_name):
        raise Forbidden(f"{scope}@{list_name}" if list_name else scope)


def require_real(key: ApiKey, scope: str) -> None:
    """Raise Forbidden for a test key, where a real one would need this scope."""
    if key.sandbox:
        raise Forbidden(scope, ONLY_CHECKS)


async def caller(access: Access, scope: Mapping[str, Any]) -> ApiKey:
    """The key of an ASGI request, which may be a test key; raises Unauthorised."""
    header = authorization(scope["headers"])
    return access.known(header) or await access.authorise(header, scope.get(CERT_SCOPE, ""))


def authorization(headers: Sequence[tuple[bytes, bytes]]) -> bytes | None:
    """The Authorization header of an ASGI request, whose names are lower case.

    Whoever reads requests from the network refuses one that has two.
    """
    for name, value in headers:
        if name == b"authorization":
            return value
    return None


def scoped(
    *scopes: str, sandbox: bool = False
) -> Callable[[ASGIConnection[Any, Any, Any, Any], BaseRouteHandler], Awaitable[None]]:
    """A guard that lets keys with any of these scopes pass, and leaves the key in `auth`.

    Test keys pass only where the handler sees to it that they are told of nobody (`sandbox`).
    """
    needed = " or ".join(INCLUDED_IN.get(scope, scope) for scope in scopes)

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        access: Access = connection.app.state.service.access
        key = await caller(access, connection.scope)
        connection.scope["auth"] = key
        if not sandbox:
            require_real(key, needed)
        if not any(key.allows(scope) for scope in scopes):
            raise Forbidden(needed)

    return guard


async def real_caller(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """A guard that leaves the caller's key in `auth`, whatever its scopes."""
    key = await caller(connection.app.state.service.access, connection.scope)
    require_real(key, "any scope")
    connection.scope["auth"] = key


async def known_caller(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """A guard that leaves the caller's key in `auth`; the handler asks for the scopes."""
    key = await caller(connection.app.state.service.access, connection.scope)
    require_real(key, "list:add, list:remove or list:lift")
    connection.scope["auth"] = key


def _is_plain(header: bytes) -> bool:
    """Whether there is nothing beside the key: else each number of blanks would be remembered."""
    return header[len(_BEARER) :].strip() == header[len(_BEARER) :]


def _lasting(key: ApiKey) -> _Known:
    """A key that has just been read; it lasts until it expires."""
    until_s = math.inf
    if key.expires_ms is not None:
        until_s = boot_s() + (key.expires_ms - now_ms()) / 1000
    return _Known(key, key.hash, until_s, bool(key.client_cert) or key.sandbox)


def _by_text(known: _Known | None, hashed: bytes) -> _Known | None:
    """What is known of a key by the text with this hash; None where that has ended, or is none."""
    at_s, at_ms = boot_s(), now_ms()
    if known is None or known.until_s < at_s or not known.key.works(at_ms):
        return None
    if not known.key.is_of(hashed, at_ms):
        return None
    if hashed == known.hash:
        return known
    old_until_s = at_s + (known.key.old_until_ms - at_ms) / 1000
    return _Known(known.key, hashed, min(known.until_s, old_until_s), known.particular)
