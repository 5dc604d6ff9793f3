"""What Sentinel says about the primary, and whom to believe where sentinels differ."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from roster.errors import Unavailable
from roster.redis.calls import pairs
from roster.redis.connection import error_code, raised
from roster.redis.exchange import exchange

if TYPE_CHECKING:
    from collections.abc import Sequence

    import redis.asyncio

    from roster.redis.slots import Address

_TROUBLE = ("s_down", "o_down", "failover_in_progress", "disconnected")


class SentinelView(NamedTuple):
    """What one sentinel says: the primary and since which epoch, and the other sentinels."""

    epoch: int
    primary: Address
    others: frozenset[Address]
    troubled: bool


async def ask_sentinel(sentinel: redis.asyncio.Redis, service: str) -> SentinelView:
    """What it says now; raises Unavailable, or redis' errors.

    The first command knows of a fail-over before the second, but not of its epoch. A user
    who may only send the first is no error.
    """
    commands = [
        ("SENTINEL", what, service) for what in ("GET-MASTER-ADDR-BY-NAME", "MASTER", "SENTINELS")
    ]
    got = await exchange(sentinel, commands, math.inf)
    address = raised(got[0])
    if address is None:
        raise Unavailable("a sentinel does not know the service", f"no service {service}")
    primary_state = {} if isinstance(got[1], Exception) else _pairs(got[1])
    others = [] if isinstance(got[2], Exception) else [_pairs(each) for each in got[2]]
    flags = primary_state.get("flags", "").split(",")
    return SentinelView(
        epoch=int(primary_state.get("config-epoch", 0)),
        primary=(address[0].decode(), int(address[1])),
        others=frozenset((each["ip"], int(each["port"])) for each in others),
        troubled=any(flag in _TROUBLE for flag in flags),
    )


def choose(
    words: Sequence[SentinelView], known: SentinelView | None, asked: int
) -> SentinelView | None:
    """The word to believe, or None where no other than the known one is right.

    The newest epoch was given by a majority of the sentinels. Where equal epochs name
    different primaries, and for an older epoch than the known one (Sentinel was set up
    anew), it takes a majority: of those who answered, and of all who were `asked`.
    """
    if not words:
        return None
    newest = max(word.epoch for word in words)
    votes = Counter(word.primary for word in words if word.epoch == newest)
    (primary, count), *rest = votes.most_common()
    if rest and rest[0][1] == count:
        return None
    if known is not None and newest < known.epoch and count * 2 <= asked:
        return None
    return next(word for word in words if (word.epoch, word.primary) == (newest, primary))


async def is_primary(server: redis.asyncio.Redis) -> bool:
    """Whether the server says so itself; who may not ask believes the sentinels."""
    (role,) = await exchange(server, [("ROLE",)], math.inf)
    if isinstance(role, Exception) and error_code(role) == "NOPERM":
        return True
    return bool(raised(role)[0] == b"master")


def _pairs(flat: Any) -> dict[str, str]:  # noqa: ANN401 -- a raw reply
    return {name.decode(): value.decode(errors="replace") for name, value in pairs(flat).items()}
