"""API keys: how they read, what they may do, and where they are kept.

A key is `cw_`, 12 hexadecimal digits that name it, `_` and a secret of 256 random bits. A test key
is named by `test_` and such digits: to a version that knows of no test keys its text is no key, and
a text that such a version gives it is none either.

The roster keeps the SHA-256 of the whole text: enough for random keys, and 200,000 times faster
than a password's hash. Revoked keys stay for long, so that a key that is missing means that Redis
was emptied, not that somebody took the key away: when `forget` drops one, no process has believed
in it for months.
"""

from __future__ import annotations

import hmac
import math
import re
import secrets
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

from roster import keys
from roster.errors import InvalidInput
from roster.times import DAY_MS, now_ms

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from roster.redis.calls import Wait
    from roster.redis.nodes import Nodes

MEANINGS = {
    "check": "ask whether a person may be sold a journey, one or many",
    "standing": "ask what a person may and may not ride at all",
    "feed": "read whose standing may have changed, as pseudonyms",
    "list:read": "read entries, their history, and the log of changes",
    "list:add": "put entries on lists, resume and reinstate them, bind documents",
    "list:remove": "remove and suspend entries, unbind documents",
    "list:lift": "make every change on list lift: permissions, mistaken identities",
    "audit": "read who asked, what was answered, what was changed",
    "ops": "run the service over HTTP, which so far is to read its figures and metrics",
    "ops:read": "read figures and metrics, and do nothing",
}
"""What each scope lets a key do, in plain words."""
SCOPES = tuple(MEANINGS)
INCLUDED_IN = {"ops:read": "ops"}
"""Scopes that a wider one includes, which a refusal names."""
NARROWABLE = frozenset({"list:add", "list:remove"})
"""Scopes that may be narrowed to one list: `list:remove@ndrc-rail`."""

OVERLAP_MAX_MS = 30 * DAY_MS
"""A text that was replaced works for no longer."""
EXPIRES_SOON_MS = 14 * DAY_MS
"""From then on before its end a key is warned of."""

ID_BYTES = 6
SECRET_BYTES = 32
NAME_BYTES = 150
"""It stands as `actor` beside every change, in one byte's length with the rest."""
LEAST_BURST = 1_000
BURST_PER_RATE = 3

SANDBOX = "test_"
"""The ids of test keys begin so, and those of no other."""
SANDBOX_SCOPES = frozenset({"check", "standing"})
"""Nothing else can be asked of people who are made up."""

_KEY = re.compile(r"cw_((?:test_)?[0-9a-f]{12})_[A-Za-z0-9_-]{43}")
_DROP = (
    "if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end "
    "return redis.call('HDEL', KEYS[1], ARGV[1])"
)
"""A key that was rotated meanwhile stays."""
_TEXT_BYTES = len("cw_") + 2 * ID_BYTES + len("_") + 43
_LENGTHS = (_TEXT_BYTES, len(SANDBOX) + _TEXT_BYTES)


class KeyTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What a key is created with; `rate` is in checks per second, None for no limit.

    `client_cert` is the SHA-256 of the certificate (DER, hexadecimal) that the caller has to
    show.
    """

    name: str
    scopes: tuple[str, ...]
    rate: float | None = None
    burst: int | None = None
    expires_ms: int | None = None
    client_cert: str | None = None


class ApiKey(KeyTerms, frozen=True, kw_only=True):
    """A key as the roster keeps it: all but the secret.

    `old_hash` is that of the text before the last rotation, which works until `old_until_ms`.
    """

    id: str
    hash: bytes
    created_ms: int
    revoked_ms: int | None = None
    old_hash: bytes = b""
    old_until_ms: int = 0

    def allows(self, scope: str, list_name: str | None = None) -> bool:
        """Whether it may do `scope`, at least on this list."""
        narrowed = f"{scope}@{list_name}" if list_name else scope
        return (
            scope in self.scopes or narrowed in self.scopes or INCLUDED_IN.get(scope) in self.scopes
        )

    def is_of(self, hashed: bytes, now_ms: int) -> bool:
        """Whether a text with this hash is this key's; takes the same time wherever they differ."""
        if hmac.compare_digest(self.hash, hashed):
            return True
        return now_ms < self.old_until_ms and hmac.compare_digest(self.old_hash, hashed)

    def works(self, now_ms: int) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked_ms is None and (self.expires_ms is None or now_ms < self.expires_ms)

    @property
    def sandbox(self) -> bool:
        """Whether it is a test key, which is told of people who are made up, and of nobody else."""
        return self.id.startswith(SANDBOX)

    def ends_soon(self, now_ms: int) -> bool:
        """Whether it works, and will not much longer."""
        soon = self.expires_ms is not None and self.expires_ms - now_ms < EXPIRES_SOON_MS
        return soon and self.works(now_ms)

    @property
    def worked_until_ms(self) -> float:
        """When it was revoked or expired; infinity while that lies open."""
        return min(self.revoked_ms or math.inf, self.expires_ms or math.inf)

    @property
    def burst_checks(self) -> float:
        """How many checks may come at once."""
        return self.burst or max(BURST_PER_RATE * (self.rate or 0), LEAST_BURST)


def key_id(text: bytes) -> str | None:
    """The id within a key's text, or None where it is no key."""
    if len(text) not in _LENGTHS or not text.isascii():
        return None
    found = _KEY.fullmatch(text.decode("ascii"))
    return found[1] if found else None


def hash_of(text: bytes) -> bytes:
    """What is kept of a key's text."""
    return sha256(text).digest()


def check_scopes(
    scopes: Iterable[str], lists: Iterable[str], *, sandbox: bool = False
) -> tuple[str, ...]:
    """The scopes, sorted and each once; raises InvalidInput for one that there is not.

    Of a `sandbox`: for one that test keys cannot have.
    """
    known = set(lists)
    if sandbox and not SANDBOX_SCOPES.issuperset(scopes):
        raise InvalidInput("scopes", "a test key may have check and standing, and nothing else")
    for scope in scopes:
        plain, at, name = scope.partition("@")
        if plain not in SCOPES:
            raise InvalidInput("scopes", f"unknown scope; there are {', '.join(SCOPES)}")
        if at and (plain not in NARROWABLE or name not in known):
            raise InvalidInput("scopes", "only list:add and list:remove narrow to a known list")
    return tuple(sorted(set(scopes)))


class KeyStore:
    """The keys in Redis; raises Unavailable, and NotDurable where a change may not be safe."""

    def __init__(self, nodes: Nodes, wait: Wait) -> None:
        """`wait` says when a change counts as safe."""
        self._nodes = nodes
        self._wait = wait

    async def create(
        self, terms: KeyTerms, now_ms: int, *, sandbox: bool = False
    ) -> tuple[ApiKey, str]:
        """A new key, and its text, which nobody can tell again. Raises InvalidInput."""
        if len(terms.name.encode(errors="surrogatepass")) > NAME_BYTES:
            raise InvalidInput("name", f"longer than {NAME_BYTES} bytes")
        identifier = SANDBOX * sandbox + secrets.token_hex(ID_BYTES)
        text = _text(identifier)
        return await self._write(
            ApiKey(
                id=identifier,
                hash=hash_of(text.encode()),
                created_ms=now_ms,
                **msgspec.structs.asdict(terms),
            )
        ), text

    async def rotate(self, identifier: str, old_until_ms: int = 0) -> tuple[ApiKey, str]:
        """Give a key another text; the old one works until then. Raises InvalidInput."""
        known = await self._standing(identifier)
        if not known.works(now_ms()):
            raise InvalidInput("id", "this key has expired: make another")
        text = _text(identifier)
        rotated = msgspec.structs.replace(
            known,
            hash=hash_of(text.encode()),
            old_hash=known.hash if old_until_ms else b"",
            old_until_ms=old_until_ms,
        )
        return await self._write(rotated), text

    async def revoke(self, identifier: str, now_ms: int) -> ApiKey:
        """The key, which does not work any more. Raises InvalidInput."""
        known = await self._standing(identifier)
        return await self._write(msgspec.structs.replace(known, revoked_ms=now_ms))

    async def all(self) -> dict[str, ApiKey]:
        """Every key by its id, revoked ones too."""
        held = await self._nodes.hash(keys.KEYS)
        return {key.id: key for key in map(_parse, held.values())}

    async def find(self, identifier: str) -> ApiKey | None:
        """The key of this id."""
        (data,) = await self._nodes.keyed(keys.KEYS, [("HGET", keys.KEYS, identifier)])
        return _parse(data) if data else None

    async def forget(self, cutoff_ms: int) -> list[str]:
        """The ids of keys that have not worked since `cutoff_ms`, which are gone now."""
        held = await self._nodes.hash(keys.KEYS)
        old = [(name, data) for name, data in held.items() if _is_over(data, cutoff_ms)]
        if not old:
            return []
        drops = [("EVAL", _DROP, 1, keys.KEYS, name, data) for name, data in old]
        dropped = await self._nodes.keyed(keys.KEYS, drops)
        gone = [name for (name, _), is_gone in zip(old, dropped, strict=True) if is_gone]
        if gone:
            await self._nodes.keyed(keys.USED, [("HDEL", keys.USED, *gone)])
        return [name.decode() for name in gone]

    async def note_uses(self, uses: Mapping[str, int]) -> None:
        """Write when keys were last used, in ms since 1970; whoever comes last is believed."""
        flat = [part for use in uses.items() for part in use]
        await self._nodes.keyed(keys.USED, [("HSET", keys.USED, *flat)])

    async def uses(self) -> dict[str, int]:
        """When each key was last used, in ms since 1970; not of keys that never were."""
        found = await self._nodes.hash(keys.USED)
        return {name.decode(): int(at_ms) for name, at_ms in found.items()}

    async def _standing(self, identifier: str) -> ApiKey:
        key = await self.find(identifier)
        if key is None:
            raise InvalidInput("id", "there is no such key")
        if key.revoked_ms is not None:
            raise InvalidInput("id", "this key is revoked")
        return key

    async def _write(self, key: ApiKey) -> ApiKey:
        data = msgspec.json.encode(key)
        await self._nodes.keyed(keys.KEYS, [("HSET", keys.KEYS, key.id, data)], self._wait)
        return key


def _text(identifier: str) -> str:
    return f"cw_{identifier}_{secrets.token_urlsafe(SECRET_BYTES)}"


def _is_over(data: bytes, cutoff_ms: int) -> bool:
    return _parse(data).worked_until_ms < cutoff_ms


def _parse(data: bytes) -> ApiKey:
    return msgspec.json.decode(data, type=ApiKey)
