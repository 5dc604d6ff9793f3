"""When each API key was last used, written to Redis once a minute a key at most: no check pays."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from roster.times import boot_s, now_ms

if TYPE_CHECKING:
    from roster.storage.api_keys import KeyStore
    from service.web.auth import Access

EVERY_S = 5.0
"""So often is looked whether anything is to be written."""
AGAIN_S = 60.0


class _WrittenUse(NamedTuple):
    """Which use of a key was written last, and when; both by `boot_s`."""

    used_s: float
    at_s: float


class KeyUses:
    """What this process has written of its callers' keys."""

    def __init__(self, access: Access, store: KeyStore, again_s: float = AGAIN_S) -> None:
        """Nothing is written yet; of a key something is, every `again_s` at most."""
        self._access = access
        self._store = store
        self._again_s = again_s
        self._written: dict[str, _WrittenUse] = {}

    async def write(self) -> None:
        """Write what is new of keys of which nothing was lately; raises Unavailable."""
        await self._write(boot_s() - self._again_s)

    async def close(self) -> None:
        """Write all that is new; raises Unavailable."""
        await self._write(boot_s())

    async def _write(self, before_s: float) -> None:
        due = {}
        for name, used_s in self._access.uses().items():
            written = self._written.get(name)
            if written is None or (used_s > written.used_s and written.at_s <= before_s):
                due[name] = used_s
        if not due:
            return
        at_s, at_ms = boot_s(), now_ms()
        told = {name: at_ms - round((at_s - used_s) * 1000) for name, used_s in due.items()}
        await self._store.note_uses(told)
        self._written |= {name: _WrittenUse(used_s, at_s) for name, used_s in due.items()}
