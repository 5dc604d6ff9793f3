"""Seconds that no step of a clock touches, and that pass also while the machine is suspended.

What was fresh, valid or alive before a laptop's lid was closed or a virtual machine was
moved must not seem so afterwards: CLOCK_MONOTONIC stands still meanwhile (clock_gettime(2)).
"""

from __future__ import annotations

import time

_CLOCK: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Only Linux has CLOCK_BOOTTIME; elsewhere the next best."""


def boot_s() -> float:
    """Seconds since the machine was started."""
    return time.clock_gettime(_CLOCK)
