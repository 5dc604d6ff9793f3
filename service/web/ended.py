"""What had ended before: keys that were revoked or rotated, lists that were disabled.

A backup that is restored brings them back. Whoever remembers goes on as before, and names
them, until they are ended again or, for a list, enabled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import structlog

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from roster.storage.api_keys import ApiKey
    from roster.storage.disabled import Disabled

MOST_KEYS = 10_000

log = structlog.get_logger("clearway.ended")


class _Past(msgspec.Struct):
    """When keys were revoked; their texts' hashes, newest first; since when lists are disabled."""

    revoked: dict[str, int] = {}
    texts: dict[str, list[bytes]] = {}
    lists: dict[str, int] = {}


class Ended:
    """What one process remembers; `keys` and `lists` are those that have come back."""

    def __init__(self) -> None:
        """Nothing is remembered yet."""
        self._past = _Past()
        self.keys: frozenset[str] = frozenset()
        self.lists: frozenset[str] = frozenset()

    def data(self) -> bytes:
        """What is to be kept in a file; nothing where there is nothing to remember."""
        past = self._past
        texts = {name: hashes for name, hashes in past.texts.items() if len(hashes) > 1}
        if not (past.revoked or texts or past.lists):
            return b""
        return msgspec.json.encode(_Past(past.revoked, texts, past.lists))

    def start_anew(self, data: bytes) -> None:
        """Remember what this file of another roster says, and nothing else."""
        try:
            self._past = msgspec.json.decode(data, type=_Past) if data else _Past()
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            log.warning("what was remembered of keys and lists cannot be read")
            self._past = _Past()

    def standing(self, found: Mapping[str, ApiKey]) -> dict[str, ApiKey]:
        """These keys as they are, or as they were left where they have come back."""
        self._forget_surplus()
        known = {name: self.of(key) for name, key in found.items()}
        back = frozenset(name for name, key in found.items() if known[name] != key)
        _tell("keys that had ended are in the roster again", back - self.keys)
        self.keys = back
        return known

    def of(self, key: ApiKey) -> ApiKey:
        """The key as it is, or as it was left where it has come back."""
        past = self._past
        if key.revoked_ms is not None:
            past.revoked[key.id] = key.revoked_ms
        hashes = past.texts.setdefault(key.id, [key.hash])
        if key.hash not in hashes:
            hashes.insert(0, key.hash)
        revoked_ms = past.revoked.get(key.id)
        if (key.hash, key.revoked_ms) == (hashes[0], revoked_ms):
            return key
        replaced = {} if key.hash == hashes[0] else {"old_hash": b"", "old_until_ms": 0}
        return msgspec.structs.replace(key, hash=hashes[0], revoked_ms=revoked_ms, **replaced)

    def missing(self, disabled: Mapping[str, Disabled]) -> bool:
        """Whether a list that was disabled is so no more; those that are, are remembered."""
        self._past.lists |= {name: each.since_ms for name, each in disabled.items()}
        return bool(self._past.lists.keys() - disabled.keys())

    def off(self, disabled: Iterable[str], enabled: Mapping[str, int]) -> frozenset[str]:
        """The lists that count as disabled; `enabled` says when each was last enabled.

        That ends every disabling up to then, also where this process has not seen the last one.
        """
        stay, lists = frozenset(disabled), self._past.lists
        for name in [each for each in lists.keys() - stay if enabled.get(each, -1) >= lists[each]]:
            del lists[name]
        back = frozenset(lists) - stay
        _tell("lists that were disabled are enabled in the roster again", back - self.lists)
        self.lists = back
        return stay | back

    def _forget_surplus(self) -> None:
        revoked = self._past.revoked
        for name in sorted(revoked, key=revoked.__getitem__)[: max(0, len(revoked) - MOST_KEYS)]:
            del revoked[name]


def _tell(what: str, names: frozenset[str]) -> None:
    if names:
        log.error(what, names=sorted(names))
