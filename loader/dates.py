"""The dates of the courts' and mirrors' feeds, in the spelling of CONTRACT.md 3.

DOMAIN.md 3h lists the forms that occur. What names no zone is Beijing time.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone

BEIJING = timezone(timedelta(hours=8))

_NOTHING = frozenset({"", "0", "-", "--", "无", "暂无", "null", "none", "nan"})
_MONTHS = {name: index for index, name in enumerate(
    ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1
)}  # fmt: skip
_YMD = re.compile(
    r"(\d{4})\s*[-年/.]\s*(\d{1,2})\s*[-月/.]\s*(\d{1,2})\s*日?"
    r"(?:[T\s]*(\d{1,2})[:时](\d{1,2})(?:[:分](\d{1,2})(?:\.\d+)?秒?)?)?\s*(Z|[+-]\d{2}:?\d{2})?"
)
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})(?:(\d{2})(\d{2})(\d{2}))?")
# java.util.Date.toString, and JavaScript's.
_JAVA = re.compile(r"\w{3} (\w{3}) (\d{1,2}) (\d{2}):(\d{2}):(\d{2}) (\S+) (\d{4})")
_JAVASCRIPT = re.compile(
    r"\w{3} (\w{3}) (\d{1,2}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) (?:GMT|UTC)([+-]\d{4}).*"
)
_NUMERALS = re.compile(r"([〇○零Oo0一二三四五六七八九]{4})年([一二三四五六七八九十廿卅]{1,3})月"
                       r"([一二三四五六七八九十廿卅]{1,4})日")  # fmt: skip
_DIGITS = {digit: value for value, digit in enumerate("〇一二三四五六七八九")}
_DIGITS |= dict.fromkeys("○零Oo0", 0)
# CST is China's standard time here, not Chicago's.
_ZONES = {"CST": BEIJING, "UTC": UTC, "GMT": UTC, "Z": UTC}
_SECONDS_DIGITS, _MS_DIGITS = 10, 13


def spell(value: object) -> str:
    """A bare date, a time with its offset, nothing, or (where it is no date) what was there.

    Midnight in Beijing is a bare date: such fields hold days, and a term includes its last.
    """
    if isinstance(value, Mapping):  # a date as Java's JSON-lib writes it
        value = value.get("time")
    text = "" if value is None else unicodedata.normalize("NFKC", str(value)).strip()
    if text.lower() in _NOTHING or text.startswith("0000"):
        return ""
    try:
        moment = _read(text)
    except (ValueError, OverflowError, KeyError):
        moment = None
    return _spelled(moment) if moment else text


def _spelled(moment: datetime) -> str:
    local = moment.astimezone(BEIJING)
    midnight = local == local.replace(hour=0, minute=0, second=0, microsecond=0)
    return local.date().isoformat() if midnight else local.isoformat()


def _read(text: str) -> datetime | None:
    if text.isdecimal() and len(text) in {_SECONDS_DIGITS, _MS_DIGITS}:
        ms = int(text) * (1000 if len(text) == _SECONDS_DIGITS else 1)
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
    if found := _YMD.fullmatch(text) or _COMPACT.fullmatch(text):
        numbers = [int(number or 0) for number in found.groups()[:6]]
        zone = found[7] if found.re is _YMD else None
        return datetime(*numbers, tzinfo=_zone(zone or "CST"))  # type: ignore[arg-type, misc]
    if found := _NUMERALS.fullmatch(text):
        year = int("".join(str(_DIGITS[digit]) for digit in found[1]))
        return datetime(year, _numeral(found[2]), _numeral(found[3]), tzinfo=BEIJING)
    return _read_english(text)


def _read_english(text: str) -> datetime | None:
    if found := _JAVA.fullmatch(text):
        month, day, hour, minute, second, zone, year = found.groups()
    elif found := _JAVASCRIPT.fullmatch(text):
        month, day, year, hour, minute, second, zone = found.groups()
    else:
        return None
    numbers = (int(year), _MONTHS[month], int(day), int(hour), int(minute), int(second))
    return datetime(*numbers, tzinfo=_zone(zone))


def _zone(name: str) -> timezone:
    """Of a name or an offset; raises KeyError for a name that is neither."""
    if name in _ZONES:
        return _ZONES[name]
    sign, digits = name.removeprefix("GMT")[:1], re.sub(r"\D", "", name)
    if sign not in {"+", "-"} or len(digits) != len("0800"):
        raise KeyError("zone")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-offset if sign == "-" else offset)


def _numeral(text: str) -> int:
    """Up to 39: 八, 十二, 二十, 三十一, 廿九."""
    text = text.replace("廿", "二十").replace("卅", "三十")
    tens, ten, ones = text.rpartition("十")
    if not ten:
        return _DIGITS[text]
    return (_DIGITS[tens] if tens else 1) * 10 + (_DIGITS[ones] if ones else 0)
