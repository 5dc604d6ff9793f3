"""Times: as clocks tell them, as people and files write them, as milliseconds since 1970.

A written time is RFC 3339 with an offset; a bare date is that day in Beijing (docs/api.md,
Calling).
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day
from functools import lru_cache
from typing import TYPE_CHECKING

from roster.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable

DAY_MS = 86_400_000
BEIJING_OFFSET_MS = 8 * 3_600_000
FIRST_MS, LAST_MS = -62_135_596_800_000, 253_402_300_799_999
"""The first moment and the last that years of four digits can spell."""
FUTURE_MAX_MS = 5 * 60_000
"""How far ahead of us a revision may lie."""

_BOOT_CLOCK: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Only Linux has CLOCK_BOOTTIME; elsewhere the next best."""
_DATE_LENGTH = len("2018-01-31")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LEAP_SECOND = 60
_UNITS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": DAY_MS}
_DURATION = re.compile(r"([0-9]{1,9})([smhd])")
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_TIME = re.compile(
    r"([0-9-]{10})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)


def boot_s() -> float:
    """Seconds since the machine was started, also those for which it was suspended.

    What was fresh, valid or alive before a laptop's lid was closed or a virtual machine was
    moved must not seem so afterwards: CLOCK_MONOTONIC stands still meanwhile (clock_gettime(2)).
    """
    return time.clock_gettime(_BOOT_CLOCK)


def now_ms() -> int:
    """The time by this machine's clock."""
    return time.time_ns() // 1_000_000


def beijing_day(now_ms: int) -> str:
    """The day in Beijing, `YYYYMMDD`, at a moment in ms since 1970: nobody is born later."""
    return _day((now_ms + BEIJING_OFFSET_MS) // DAY_MS)


@lru_cache(maxsize=2)
def _day(days: int) -> str:
    return f"{_EPOCH + timedelta(days):%Y%m%d}"


@lru_cache(maxsize=65_536)
def parse_time(text: str) -> int:
    """The instant in ms since 1970; a bare date is its first instant in Beijing.

    Raises ValueError, whose message does not repeat the text.
    """
    return _bounded(
        _day_ms(text) - BEIJING_OFFSET_MS if len(text) == _DATE_LENGTH else _instant_ms(text)
    )


@lru_cache(maxsize=65_536)
def parse_until(text: str) -> int:
    """The exclusive end of a term in ms since 1970; a bare date includes its whole day.

    Raises ValueError, whose message does not repeat the text.
    """
    return parse_time(text) + (DAY_MS if len(text) == _DATE_LENGTH else 0)


def parse_duration(text: str) -> int:
    """The ms of a span such as `30m`, `1h` or `2d`; raises ValueError."""
    matched = _DURATION.fullmatch(text)
    if matched is None:
        raise ValueError("not a whole number with s, m, h or d behind it, such as 1h")
    return int(matched[1]) * _UNITS_MS[matched[2]]


def read_time(field: str, text: str | None, parse: Callable[[str], int] = parse_time) -> int | None:
    """The time of a field that may be left out; raises InvalidInput that names `field`."""
    if text is None:
        return None
    try:
        return parse(text)
    except ValueError as exc:
        raise InvalidInput(field, str(exc)) from exc


@lru_cache(maxsize=4_096)
def format_ms(ms: int) -> str:
    """RFC 3339 in UTC with `Z`, with milliseconds only where there are any."""
    moment = (_EPOCH + timedelta(milliseconds=ms)).replace(tzinfo=None)
    return moment.isoformat(timespec="milliseconds" if ms % 1000 else "seconds") + "Z"


def in_beijing(text: str) -> str:
    """A written time as a clock in Beijing shows it, with the offset, for people.

    The last hours of the year 9999 stay in UTC: Beijing's year has five digits then. Raises
    ValueError, whose message does not repeat the text.
    """
    ms = parse_time(text)
    if ms + BEIJING_OFFSET_MS > LAST_MS:
        return format_ms(ms)
    return format_ms(ms + BEIJING_OFFSET_MS).replace("Z", "+08:00")


def _day_ms(text: str) -> int:
    matched = _DATE.fullmatch(text)
    if matched is None:
        raise ValueError("not a date of the form YYYY-MM-DD")
    year, month, day = map(int, matched.groups())
    return (datetime(year, month, day, tzinfo=UTC) - _EPOCH).days * DAY_MS


def _instant_ms(text: str) -> int:
    matched = _TIME.fullmatch(text)
    if matched is None:
        raise ValueError("not a time of RFC 3339 with an offset")
    date, hour, minute, second, fraction, sign, off_hour, off_minute = matched.groups()
    ms = _day_ms(date) + _clock_ms(int(hour), int(minute), int(second))
    ms += int((fraction or "0").ljust(3, "0")[:3])
    offset_ms = _clock_ms(int(off_hour), int(off_minute), 0) if sign else 0
    return ms + offset_ms if sign == "-" else ms - offset_ms


def _clock_ms(hour: int, minute: int, second: int) -> int:
    clock = time_of_day(hour, minute, min(second, 59))  # raises ValueError
    if second > _LEAP_SECOND:
        raise ValueError("not a time of day")
    return (clock.hour * 3600 + clock.minute * 60 + second) * 1000


def _bounded(ms: int) -> int:
    if not FIRST_MS <= ms <= LAST_MS:
        raise ValueError("before the year 1 or after 9999 in UTC")
    return ms
