"""Lists that an operator has disabled, and why: their matches become `refer`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from roster import keys
from roster.times import now_ms

if TYPE_CHECKING:
    from roster.redis.calls import Wait
    from roster.redis.nodes import Nodes


class Disabled(msgspec.Struct, frozen=True):
    """Since when a list is disabled, and the reason that was given."""

    reason: str
    since_ms: int


class DisabledLists:
    """The disabled lists of one roster; raises Unavailable and NotDurable."""

    def __init__(self, nodes: Nodes, wait: Wait) -> None:
        """`wait` says when a change counts as safe."""
        self._nodes = nodes
        self._wait = wait

    async def all(self) -> dict[str, Disabled]:
        """Why each of them is disabled, by the list's name."""
        held = (await self._nodes.hash(keys.LISTS)).items()
        return {name.decode(): msgspec.json.decode(data, type=Disabled) for name, data in held}

    async def disable(self, name: str, disabled: Disabled) -> None:
        """Disable a list; every process refers its matches within a second or two.

        It counts as later than every enabling before it, whatever the clocks say.
        """
        after_ms = (await self.enabled()).get(name, -1) + 1
        since_ms = max(disabled.since_ms, after_ms)
        data = msgspec.json.encode(msgspec.structs.replace(disabled, since_ms=since_ms))
        await self._nodes.keyed(keys.LISTS, [("HSET", keys.LISTS, name, data)], self._wait)

    async def enable(self, name: str) -> bool:
        """Whether it was disabled; it is not any more, nor does a process take it for disabled.

        The trace of this comes first: without it, processes go on with what they remember.
        """
        known = (await self.all()).get(name)
        at_ms = max(now_ms(), known.since_ms if known else 0)
        trace = ("HSET", keys.ENABLED, f"{name} {at_ms}", "")
        await self._nodes.keyed(keys.ENABLED, [trace], self._wait)
        (count,) = await self._nodes.keyed(keys.LISTS, [("HDEL", keys.LISTS, name)], self._wait)
        return bool(count)

    async def enabled(self) -> dict[str, int]:
        """When each list was last enabled, in ms, by its name; that ends all disablings before.

        A list that is disabled no more, and was not enabled since, has come back from a backup.
        """
        (reply,) = await self._nodes.keyed(keys.ENABLED, [("HKEYS", keys.ENABLED)])
        found: dict[str, int] = {}
        for trace in reply:
            name, _, at_ms = trace.decode().rpartition(" ")
            found[name] = max(found.get(name, 0), int(at_ms))
        return found
